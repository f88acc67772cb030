package ledger_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// grown is a chain of n blocks with something in each.
func grown(t testing.TB, n int) *ledgertest.Chain {
	c := newToy(t)
	for i := range n {
		c.Do("toy.add", &add{fmt.Sprint("counter ", i%7), 1}, toyAccounts[i%3])
	}
	return c
}

func snapshots(t testing.TB, a *ledger.App) []*abci.Snapshot {
	t.Helper()
	res, err := a.ListSnapshots(t.Context(), &abci.RequestListSnapshots{})
	if err != nil {
		t.Fatal(err)
	}
	return res.Snapshots
}

func chunk(t testing.TB, a *ledger.App, s *abci.Snapshot, i uint32) []byte {
	t.Helper()
	res, err := a.LoadSnapshotChunk(t.Context(), &abci.RequestLoadSnapshotChunk{Height: s.Height, Format: s.Format, Chunk: i})
	if err != nil {
		t.Fatal(err)
	}
	return res.Chunk
}

func offer(t testing.TB, a *ledger.App, s *abci.Snapshot, appHash []byte) abci.ResponseOfferSnapshot_Result {
	t.Helper()
	res, err := a.OfferSnapshot(t.Context(), &abci.RequestOfferSnapshot{Snapshot: s, AppHash: appHash})
	if err != nil {
		t.Fatal(err)
	}
	return res.Result
}

func apply(t testing.TB, a *ledger.App, i uint32, b []byte) *abci.ResponseApplySnapshotChunk {
	t.Helper()
	res, err := a.ApplySnapshotChunk(t.Context(), &abci.RequestApplySnapshotChunk{Index: i, Chunk: b, Sender: "peer"})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestMembersTakeTheSameSnapshotOfTheDueHeight(t *testing.T) {
	c := grown(t, 13) // one is due every 10 blocks
	var taken [2]*abci.Snapshot
	for i := range taken {
		if err := c.App(i).TakeSnapshot(); err != nil {
			t.Fatal(err)
		}
		all := snapshots(t, c.App(i))
		if len(all) != 1 || all[0].Height != 10 {
			t.Fatalf("snapshots: got %v, want one of height 10", all)
		}
		taken[i] = all[0]
	}
	if taken[0].String() != taken[1].String() {
		t.Errorf("instances took different snapshots: %v and %v", taken[0], taken[1])
	}
	for i := range taken[0].Chunks {
		if !bytes.Equal(chunk(t, c.App(0), taken[0], i), chunk(t, c.App(1), taken[1], i)) {
			t.Errorf("chunk %d differs", i)
		}
	}
}

func TestTwoSnapshotsAreKept(t *testing.T) {
	c := newToy(t)
	a := c.App(0)
	for range 4 {
		for range 10 {
			c.Block()
		}
		if err := a.TakeSnapshot(); err != nil {
			t.Fatal(err)
		}
	}
	if all := snapshots(t, a); len(all) != 2 || all[0].Height != 30 || all[1].Height != 40 {
		t.Errorf("snapshots: got %v, want heights 30 and 40", all)
	}
	if err := a.TakeSnapshot(); err != nil { // nothing new
		t.Fatal(err)
	}
	if all := snapshots(t, a); len(all) != 2 {
		t.Errorf("snapshots: got %v, want two", all)
	}
	for _, r := range []abci.RequestLoadSnapshotChunk{{Height: 10, Format: 1}, {Height: 40, Format: 2}, {Height: 40, Format: 1, Chunk: 999}} {
		if res, err := a.LoadSnapshotChunk(t.Context(), &r); err != nil || len(res.Chunk) != 0 {
			t.Errorf("chunk %v: got %d bytes, %v, want none", r, len(res.Chunk), err)
		}
	}
}

func TestBlocksAfterASnapshotOnOfferAreRetained(t *testing.T) {
	c := newToy(t)
	a := c.App(0)
	retain := func() int64 {
		finalize(t, a, c)
		return commit(t, a).RetainHeight
	}
	for a.Head().Height < 25 {
		want := max(a.Head().Height+1-20, 0) // RetainBlocks is 20
		if got := retain(); got != want {
			t.Errorf("height %d: retain from %d, want %d", a.Head().Height, got, want)
		}
	}
	if err := a.TakeSnapshot(); err != nil { // of height 20
		t.Fatal(err)
	}
	for a.Head().Height < 49 {
		retain()
	}
	if got := retain(); got != 20 {
		t.Errorf("height 50: retain from %d, want 20, where the snapshot is", got)
	}
}

func TestBlocksThatTheNodeHasToLookAtAreRetained(t *testing.T) {
	p := toyNetwork()
	s, err := state.Open(t.TempDir(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	looked := int64(0)
	a, err := ledger.New(ledger.Config{Modules: p.Modules, Store: s, Params: p.Params, Authenticate: p.Authenticate, Retain: func() int64 { return looked }})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	initChain(t, p, a)
	for h := int64(1); h <= 40; h++ {
		switch h {
		case 30:
			looked = 8
		case 35:
			looked = 34
		}
		if _, err := a.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: h, Time: time.Unix(ledgertest.Start, 0)}); err != nil {
			t.Fatal(err)
		}
		if got, want := commit(t, a).RetainHeight, max(min(looked, h-20), 0); got != want { // RetainBlocks is 20
			t.Errorf("height %d, looked at up to %d: retain from %d, want %d", h, looked, got, want)
		}
	}
}

// A new member takes over the state through the snapshot calls and goes on with
// the others.
func TestStateSync(t *testing.T) {
	c := grown(t, 25)
	if err := c.App(0).TakeSnapshot(); err != nil {
		t.Fatal(err)
	}
	s := snapshots(t, c.App(0))[0]
	replay := grown(t, 20)
	at20 := replay.Head().AppHash

	p, dir := toyNetwork(), filepath.Join(t.TempDir(), "state")
	fresh := open(t, p, dir)
	if got := offer(t, fresh, s, at20[:]); got != abci.ResponseOfferSnapshot_ACCEPT {
		t.Fatalf("offer: got %v", got)
	}
	bad := bytes.Clone(chunk(t, c.App(0), s, 0))
	bad[len(bad)/2] ^= 1
	if got := apply(t, fresh, 0, bad); got.Result != abci.ResponseApplySnapshotChunk_RETRY || len(got.RejectSenders) != 1 || len(got.RefetchChunks) != 1 {
		t.Errorf("a damaged chunk: got %v, want a retry with another sender", got)
	}
	for i := range s.Chunks {
		if got := apply(t, fresh, i, chunk(t, c.App(0), s, i)); got.Result != abci.ResponseApplySnapshotChunk_ACCEPT {
			t.Fatalf("chunk %d: got %v", i, got)
		}
	}
	if h := fresh.Head(); h.Height != 20 || h.AppHash != at20 || h.Chain != ledgertest.ChainID {
		t.Fatalf("head: got %+v", h)
	}

	if err := fresh.Close(); err != nil { // and it lasts
		t.Fatal(err)
	}
	fresh = open(t, p, dir)
	raw, _ := replay.Sign("toy.add", &add{"after", 1}, "alice")
	want := finalize(t, replay.App(0), replay, raw)
	got := finalize(t, fresh, replay, raw)
	if got.String() != want.String() {
		t.Errorf("the next block: got %v, want %v", got, want)
	}
	commit(t, replay.App(0))
	commit(t, fresh)
	res, err := fresh.Query(t.Context(), &abci.RequestQuery{Path: ledger.PathEntry, Data: tx.MustEncode(ledger.ByIndex{Index: 3}), Prove: true})
	if err != nil || res.Code != tx.CodeOK || res.ProofOps == nil {
		t.Errorf("an old log entry with its proof: got %v, %v", res, err)
	}
}

func TestSnapshotsThatAreRefused(t *testing.T) {
	c := grown(t, 10)
	if err := c.App(0).TakeSnapshot(); err != nil {
		t.Fatal(err)
	}
	good := snapshots(t, c.App(0))[0]
	right := c.Head().AppHash
	p := toyNetwork()
	fresh := open(t, p, filepath.Join(t.TempDir(), "state"))
	for name, s := range map[string]struct {
		change func(s *abci.Snapshot, appHash []byte)
		want   abci.ResponseOfferSnapshot_Result
	}{
		"format":       {func(s *abci.Snapshot, _ []byte) { s.Format = 2 }, abci.ResponseOfferSnapshot_REJECT_FORMAT},
		"height":       {func(s *abci.Snapshot, _ []byte) { s.Height = 11 }, abci.ResponseOfferSnapshot_REJECT},
		"no height":    {func(s *abci.Snapshot, _ []byte) { s.Height = 0 }, abci.ResponseOfferSnapshot_REJECT},
		"chunks":       {func(s *abci.Snapshot, _ []byte) { s.Chunks++ }, abci.ResponseOfferSnapshot_REJECT},
		"no manifest":  {func(s *abci.Snapshot, _ []byte) { s.Metadata = nil }, abci.ResponseOfferSnapshot_REJECT},
		"bad manifest": {func(s *abci.Snapshot, _ []byte) { s.Metadata[0] ^= 1 }, abci.ResponseOfferSnapshot_REJECT},
		"app hash":     {func(_ *abci.Snapshot, h []byte) { h[0] ^= 1 }, abci.ResponseOfferSnapshot_REJECT},
	} {
		bad, h := *good, bytes.Clone(right[:])
		bad.Metadata = bytes.Clone(good.Metadata)
		s.change(&bad, h)
		if got := offer(t, fresh, &bad, h); got != s.want {
			t.Errorf("%s: got %v, want %v", name, got, s.want)
		}
	}
	if got := apply(t, fresh, 0, nil); got.Result != abci.ResponseApplySnapshotChunk_ABORT {
		t.Errorf("a chunk of nothing: got %v, want abort", got)
	}
	// One that led nowhere gives way to the next.
	for range 2 {
		if got := offer(t, fresh, good, right[:]); got != abci.ResponseOfferSnapshot_ACCEPT {
			t.Errorf("the good one: got %v", got)
		}
	}
	if fresh.Head().Height != 0 {
		t.Error("something was taken over")
	}
	initChain(t, p, fresh)
	if got := offer(t, fresh, good, right[:]); got != abci.ResponseOfferSnapshot_ABORT {
		t.Errorf("a node with a genesis: got %v, want abort", got)
	}
}
