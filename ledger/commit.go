package ledger

import (
	"context"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// Commit implements abci.Application: everything of the finalised block becomes
// durable in one step, then visible, then others are told.
func (a *App) Commit(context.Context, *abci.RequestCommit) (*abci.ResponseCommit, error) {
	a.consensus.Lock()
	defer a.consensus.Unlock()
	if a.final == nil {
		return nil, errors.New("ledger: there is no finalised block to commit")
	}
	a.commit()
	if a.cfg.Committed != nil {
		a.cfg.Committed(a.base.head)
	}
	return &abci.ResponseCommit{RetainHeight: a.retainHeight()}, nil
}

func (a *App) commit() {
	defer a.decided.Unlock()
	defer a.halting()
	a.shelf.drop(a.final.txs)
	a.final = nil
	if err := a.store.Load().Commit(); err != nil {
		panic(fmt.Sprintf("ledger: cannot commit: %v", err))
	}
	if err := a.rebase(); err != nil {
		panic(err.Error())
	}
	a.pin()
}

// retainHeight is the lowest block that must stay: as many as the members
// agreed on, all from the oldest snapshot on that peers may be fetching, and
// what the node has still to look at.
func (a *App) retainHeight() int64 {
	p := a.base.params
	if p.RetainBlocks <= 0 {
		return 0
	}
	keep := a.base.head.Height - p.RetainBlocks
	if p.SnapshotInterval > 0 {
		keep = min(keep, a.oldestSnapshot())
	}
	if a.cfg.Retain != nil {
		keep = min(keep, a.cfg.Retain())
	}
	return max(keep, 0)
}

// Result is how a committed transaction went.
type Result struct {
	Height int64  `cbor:"1,keyasint" json:"height"` // of its block
	Index  uint32 `cbor:"2,keyasint" json:"index"`  // in the block
	Code   uint32 `cbor:"3,keyasint" json:"code"`   // tx.CodeOK or why it was refused
	Text   string `cbor:"4,keyasint" json:"text"`   // the refusal's sentence
}

// resultKey is the side row of a result: local to the node, not part of the
// authenticated state.
func resultKey(id tx.Hash) []byte { return append([]byte("result/"), id[:]...) }

// record keeps the result of a transaction. A success is final; a refusal gives
// way to what comes later under the same id.
func (e *execution) record(id tx.Hash, r Result) {
	if r.Code != tx.CodeOK {
		if was, ok := resultOf(e.base.view, id); ok && was.Code == tx.CodeOK {
			return
		}
	}
	e.side = append(e.side, state.Row{Key: resultKey(id), Value: tx.MustEncode(r)})
}

func resultOf(v *state.View, id tx.Hash) (r Result, ok bool) {
	b, ok := v.Side(resultKey(id))
	if !ok {
		return r, false
	}
	if err := tx.Decode(b, &r); err != nil {
		panic("ledger: corrupt result row")
	}
	return r, true
}

// Result says how a transaction went; ok is false if none of that id is
// committed. A node that joined by a snapshot knows only what came after it.
func (a *App) Result(id tx.Hash) (r Result, ok bool) {
	v := a.View()
	defer v.Close()
	return resultOf(v, id)
}
