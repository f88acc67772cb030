package ledger

import (
	"bytes"
	"context"
	"slices"

	abci "github.com/cometbft/cometbft/abci/types"
)

// PrepareProposal implements abci.Application: of what waits, in its order, the
// transactions that succeed one after the other within everybody's quota and
// the size of a block.
func (a *App) PrepareProposal(_ context.Context, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	a.consensus.Lock()
	defer a.consensus.Unlock()
	defer a.halting()
	if err := a.follows(req.Height); err != nil {
		return nil, err
	}
	e := a.on(a.base, req.Height, uint64(max(req.Time.Unix(), 0)))
	e.begin(req.Misbehavior)
	e.misbehavior = req.Misbehavior
	res := &abci.ResponsePrepareProposal{}
	room := req.MaxTxBytes
	for _, raw := range req.Txs {
		size := protoSize(raw)
		if size > room {
			continue
		}
		v := e.try(raw)
		if v.refusal != nil {
			continue
		}
		e.deliver(raw, v)
		room -= size
		res.Txs = append(res.Txs, raw)
	}
	e.txs = res.Txs
	a.prepared = e
	return res, nil
}

// ProcessProposal implements abci.Application: it refuses a block in which
// anything was not admitted (undecodable, oversized, expired, replayed, twice in
// the block, badly signed, over quota). A transaction that its handler refuses
// is no reason: it changes nothing and its sender learns why.
//
// The block is run to the end, so that FinalizeBlock finds it done.
func (a *App) ProcessProposal(_ context.Context, req *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	a.consensus.Lock()
	defer a.consensus.Unlock()
	defer a.halting()
	reject := &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}
	if a.follows(req.Height) != nil {
		return reject, nil
	}
	e := a.prepared
	a.prepared, a.proposed = nil, nil
	if e == nil || !e.runs(req) {
		e = a.on(a.base, req.Height, uint64(max(req.Time.Unix(), 0)))
		e.begin(req.Misbehavior)
		for _, raw := range req.Txs {
			v := e.try(raw)
			if !v.admitted {
				return reject, nil
			}
			e.deliver(raw, v)
		}
	}
	e.hash = string(req.Hash)
	e.end()
	a.proposed = e
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

// runs reports whether the execution that prepared a proposal is what running
// this one comes to: all that goes into it is the same.
func (e *execution) runs(req *abci.RequestProcessProposal) bool {
	same := func(a, b abci.Misbehavior) bool {
		return a.Type == b.Type && a.Height == b.Height && bytes.Equal(a.Validator.Address, b.Validator.Address)
	}
	return e.head.Height == req.Height && e.head.Time == uint64(max(req.Time.Unix(), 0)) &&
		slices.EqualFunc(e.txs, req.Txs, bytes.Equal) && slices.EqualFunc(e.misbehavior, req.Misbehavior, same)
}

// protoSize is what a transaction takes of a block's data: a protobuf field of
// tag 1 with its length.
func protoSize(raw []byte) int64 {
	size := int64(len(raw)) + 1
	for n := len(raw); ; n >>= 7 {
		size++
		if n < 0x80 {
			return size
		}
	}
}
