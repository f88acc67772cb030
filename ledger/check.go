package ledger

import (
	"context"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger/tx"
)

// CheckTx implements abci.Application: it runs the transaction on a scratch
// copy of the committed state, as the only one of the next block, and throws
// the copy away. Several may run at once. Between two commits a member or
// pseudonym gets no more than its quota of a block past here.
//
// What waits is checked again after every block. Then its handler runs only if
// there is a doubt; what makes most transactions bad while they wait, a used
// nonce, an expiry, a revoked key, needs no handler.
func (a *App) CheckTx(_ context.Context, req *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	defer a.halting()
	a.check.RLock()
	defer a.check.RUnlock()
	switch {
	case a.halted.Load():
		return checked(errHalted), nil
	case !a.base.started():
		return checked(errNotStarted), nil
	case a.outdated(a.base, a.base.head.Height+1) != nil:
		return checked(errOutdated), nil
	}
	e := a.on(a.base, a.base.head.Height+1, a.base.head.Time)
	e.dry = true
	e.again = req.Type == abci.CheckTxType_Recheck
	v := e.try(req.Tx)
	if v.refusal == nil {
		v.refusal = a.pass(v.signer, len(req.Tx))
	}
	return checked(v.refusal), nil
}

// pass counts a transaction that is good by itself, or refuses it as one too many.
func (a *App) pass(s Signer, bytes int) *tx.Refusal {
	a.passing.Lock()
	defer a.passing.Unlock()
	if err := a.window.fits(&a.base.params, s, bytes); err != nil {
		return refused(err)
	}
	a.window.take(s, bytes)
	return nil
}

func checked(r *tx.Refusal) *abci.ResponseCheckTx {
	if r == nil {
		return &abci.ResponseCheckTx{Code: tx.CodeOK}
	}
	return &abci.ResponseCheckTx{Code: r.Code, Log: r.Text}
}
