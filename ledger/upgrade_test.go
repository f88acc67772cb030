package ledger_test

import (
	"errors"
	"path/filepath"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/state"
	"salus/ledger/tx"
)

const laterPrefix = 0x71

// later is a module that comes with version 2.
func later() ledger.Module {
	rows := state.NewTable[counter]("later", laterPrefix, 0x01)
	return ledger.Module{
		Name: "later", Prefix: laterPrefix, Since: 2,
		Calls: []ledger.Call{ledger.On("later.add", func(c *ledger.Context, m *add) error {
			v, _ := rows.Get(c.State, []byte(m.Name))
			rows.Put(c.State, []byte(m.Name), counter{v.Value + m.By})
			return nil
		})},
		Upgrade: func(c *ledger.Context, from uint64) error {
			rows.Put(c.State, []byte("begun"), counter{uint64(c.Height)<<8 | from<<4 | c.Version})
			return nil
		},
		EndBlock: func(c *ledger.Context) error {
			rows.Put(c.State, []byte("last"), counter{uint64(c.Height)})
			return nil
		},
		Tables: []state.TableInfo{rows.Info()},
	}
}

// planning is the toy network whose counter "plan" is the height of version 2.
func planning(newest uint64) ledgertest.Params {
	p := toyNetwork()
	p.Newest = newest
	p.Plan = func(r state.Reader) (ledger.Plan, bool) {
		v, ok := counters.Get(r, []byte("plan"))
		return ledger.Plan{Version: 2, Height: int64(v.Value), Name: "v2"}, ok
	}
	if newest >= 2 {
		p.Modules = append(p.Modules, later())
	}
	return p
}

// block decides a block of those transactions on an app that is not part of a Chain.
func block(t *testing.T, a *ledger.App, c *ledgertest.Chain, raws ...[]byte) *abci.ResponseFinalizeBlock {
	t.Helper()
	res := finalize(t, a, c, raws...)
	commit(t, a)
	return res
}

func TestOldProgramStopsBeforeTheBlockOfAnUpgrade(t *testing.T) {
	c := ledgertest.New(t, planning(2)) // the network has the new program
	dir := filepath.Join(t.TempDir(), "old")
	old := open(t, planning(1), dir)
	initChain(t, planning(1), old)

	early, _ := c.Sign("later.add", &add{Name: "x", By: 1}, "alice")
	if got := c.Check(early).Code; got != tx.CodeUnknownKind {
		t.Errorf("a message of version 2 before it: got %#04x, want unknown kind", got)
	}
	if c.Process(early) {
		t.Error("a block with a message of version 2 before it was accepted")
	}
	plan, _ := c.Sign("toy.add", &add{Name: "plan", By: 4}, "alice")
	for i, raws := range [][][]byte{{plan}, nil, nil} {
		res := c.Finalize(raws...)
		if got := block(t, old, c, raws...); got.String() != res.String() {
			t.Fatalf("block %d: the programs differ before the upgrade:\n%v\n%v", i+1, got, res)
		}
		if v := res.ConsensusParamUpdates.GetVersion(); (v.GetApp() == 2) != (i == 2) {
			t.Errorf("block %d: got version update %v, want it in the block before the upgrade only", i+1, v)
		}
	}
	info, _ := old.Info(t.Context(), &abci.RequestInfo{})
	if info.AppVersion != 2 {
		t.Errorf("got version %d of the next header, want 2", info.AppVersion)
	}

	head := old.Head()
	stopped := func(err error) {
		t.Helper()
		var e *ledger.OutdatedError
		if !errors.As(err, &e) || e.Height != 4 || e.Version != 2 || e.Newest != 1 || e.Name != "v2" {
			t.Errorf("got %v, want that block 4 needs version 2", err)
		}
	}
	stopped(old.Outdated())
	_, err := old.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: 4, Time: c.Now()})
	stopped(err)
	_, err = old.PrepareProposal(t.Context(), &abci.RequestPrepareProposal{Height: 4, Time: c.Now(), MaxTxBytes: 1000})
	stopped(err)
	if res, err := old.ProcessProposal(t.Context(), &abci.RequestProcessProposal{Height: 4, Time: c.Now()}); err != nil || res.IsAccepted() {
		t.Errorf("got %v, %v, want a proposal of the new rules refused", res, err)
	}
	more, _ := c.Sign("toy.add", &add{Name: "x", By: 1}, "alice")
	if res, _ := old.CheckTx(t.Context(), checkRequest(more)); res.Code != 0x010c {
		t.Errorf("got %#04x, want the node to say that it is outdated", res.Code)
	}
	if res, err := old.Ask("toy/counter", tx.MustEncode(byName{"plan"})); err != nil || len(res) == 0 {
		t.Errorf("got %v, %v, want the stopped node to answer queries", res, err)
	}
	if old.Halted() || old.Head() != head {
		t.Error("the stopped node is not what it was after its last block")
	}

	// The new program goes on from there and comes to what the others have.
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	replaced := open(t, planning(2), dir)
	if err := replaced.Outdated(); err != nil {
		t.Fatal(err)
	}
	now, _ := c.Sign("later.add", &add{Name: "x", By: 1}, "alice")
	for _, raws := range [][][]byte{{now}, nil} {
		res := c.Finalize(raws...)
		if got := block(t, replaced, c, raws...); got.String() != res.String() {
			t.Fatalf("the programs differ after the upgrade:\n%v\n%v", got, res)
		}
		if res.ConsensusParamUpdates != nil {
			t.Errorf("got %v, want the version to change once", res.ConsensusParamUpdates)
		}
	}
	v := replaced.View()
	rows := state.NewTable[counter]("later", laterPrefix, 0x01)
	for name, want := range map[string]uint64{"begun": 4<<8 | 1<<4 | 2, "x": 1, "last": 5} {
		if got, _ := rows.Get(v, []byte(name)); got.Value != want {
			t.Errorf("row %s: got %#x, want %#x", name, got.Value, want)
		}
	}
	v.Close()
	if err := replaced.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err := planning(1).Open(dir); err == nil {
		a.Close()
		t.Error("the old program opened a store of version 2")
	}
}

func TestGenesisNamesItsVersion(t *testing.T) {
	for _, tt := range []struct {
		named, newest, want uint64 // want 0: refused
	}{{0, 2, 1}, {1, 2, 1}, {2, 2, 2}, {2, 1, 0}} {
		p := planning(tt.newest)
		a := open(t, p, filepath.Join(t.TempDir(), "state"))
		req, err := p.InitChain()
		if err != nil {
			t.Fatal(err)
		}
		req.ConsensusParams = &cmtproto.ConsensusParams{Version: &cmtproto.VersionParams{App: tt.named}}
		res, err := a.InitChain(t.Context(), req)
		if (err == nil) != (tt.want != 0) {
			t.Errorf("genesis of version %d, program of %d: got %v", tt.named, tt.newest, err)
			continue
		}
		if err == nil && res.ConsensusParams.Version.App != tt.want {
			t.Errorf("genesis of version %d: the chain begins at %d, want %d", tt.named, res.ConsensusParams.Version.App, tt.want)
		}
	}
}
