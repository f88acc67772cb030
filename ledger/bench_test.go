package ledger_test

import (
	"fmt"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A block of 500 signed transactions on one validator: checked, proposed,
// processed, finalised, committed.
func BenchmarkBlock(b *testing.B) {
	const size = 500
	p := toyNetwork()
	p.Params = func(state.Reader) ledger.Params {
		q := ledger.DefaultParams()
		q.MaxExpiry = 1 << 40
		return q
	}
	a, err := p.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	initChain(b, p, a)
	ctx := b.Context()
	signer := ledgertest.Signer("alice")
	nonce := uint64(0)
	for b.Loop() {
		b.StopTimer()
		raws := make([][]byte, size)
		for i := range raws {
			nonce++
			raws[i], _, err = tx.Sign(ledgertest.ChainID, "toy.add", &add{fmt.Sprint("c", nonce), 1}, signer.Account(), nonce, 1<<30, signer)
			if err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		for _, raw := range raws {
			if r, err := a.CheckTx(ctx, checkRequest(raw)); err != nil || r.Code != tx.CodeOK {
				b.Fatal(r, err)
			}
		}
		h := a.Head().Height + 1
		prop, err := a.PrepareProposal(ctx, &abci.RequestPrepareProposal{Txs: raws, Height: h, MaxTxBytes: 1 << 21})
		if err != nil || len(prop.Txs) != size {
			b.Fatal(len(prop.Txs), err)
		}
		hash := fmt.Append(nil, h)
		if r, err := a.ProcessProposal(ctx, &abci.RequestProcessProposal{Txs: raws, Height: h, Hash: hash}); err != nil || !r.IsAccepted() {
			b.Fatal(r, err)
		}
		if _, err := a.FinalizeBlock(ctx, &abci.RequestFinalizeBlock{Txs: raws, Height: h, Hash: hash}); err != nil {
			b.Fatal(err)
		}
		if _, err := a.Commit(ctx, &abci.RequestCommit{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "tx/s")
}
