package ledger

import (
	"context"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger/tx"
)

// CheckTx implements abci.Application: it runs the transaction on a scratch
// copy of the committed state, as the only one of the next block, and throws
// the copy away. Between two commits a member or pseudonym gets no more than
// its quota of a block past here.
func (a *App) CheckTx(_ context.Context, req *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	defer a.halting()
	a.check.Lock()
	defer a.check.Unlock()
	switch {
	case a.halted.Load():
		return checked(errHalted), nil
	case !a.base.started():
		return checked(errNotStarted), nil
	}
	e := a.on(a.base, a.base.head.Height+1, a.base.head.Time)
	e.quota = a.window
	v := e.try(req.Tx)
	if v.refusal == nil {
		a.window.take(v.signer, len(req.Tx))
	}
	return checked(v.refusal), nil
}

func checked(r *tx.Refusal) *abci.ResponseCheckTx {
	if r == nil {
		return &abci.ResponseCheckTx{Code: tx.CodeOK}
	}
	return &abci.ResponseCheckTx{Code: r.Code, Log: r.Text}
}
