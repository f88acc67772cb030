package ledger_test

import (
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger"
	"salus/ledger/ledgertest"
)

func checkRequest(raw []byte) *abci.RequestCheckTx { return &abci.RequestCheckTx{Tx: raw} }

// prepare asks one instance for a proposal with room for that many bytes.
func prepare(t testing.TB, c *ledgertest.Chain, room int64, raws ...[]byte) [][]byte {
	t.Helper()
	res, err := c.App(0).PrepareProposal(t.Context(), &abci.RequestPrepareProposal{
		MaxTxBytes: room, Txs: raws, Height: c.Head().Height + 1, Time: c.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return res.Txs
}

// finalize runs the block after the last one on an instance, without Commit.
func finalize(t testing.TB, a *ledger.App, c *ledgertest.Chain, raws ...[]byte) *abci.ResponseFinalizeBlock {
	t.Helper()
	res, err := a.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Txs: raws, Height: a.Head().Height + 1, Time: c.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func commit(t testing.TB, a *ledger.App) *abci.ResponseCommit {
	t.Helper()
	res, err := a.Commit(t.Context(), &abci.RequestCommit{})
	if err != nil {
		t.Fatal(err)
	}
	return res
}
