package ledger_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/state"
	"salus/ledger/tx"
)

func open(t testing.TB, p ledgertest.Params, dir string) *ledger.App {
	t.Helper()
	a, err := p.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func initChain(t testing.TB, p ledgertest.Params, a *ledger.App) *abci.ResponseInitChain {
	t.Helper()
	req, err := p.InitChain()
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.InitChain(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestGenesisIsDurableAndRepeatable(t *testing.T) {
	p, dir := toyNetwork(), filepath.Join(t.TempDir(), "state")
	a := open(t, p, dir)
	first := initChain(t, p, a)
	if got := a.Head(); got.Height != 0 || got.Time != ledgertest.Start || got.Chain != ledgertest.ChainID {
		t.Errorf("head: got %+v", got)
	}
	if err := a.Close(); err != nil { // a crash before the first block
		t.Fatal(err)
	}
	a = open(t, p, dir)
	if info, _ := a.Info(t.Context(), &abci.RequestInfo{}); info.LastBlockHeight != 0 || info.AppVersion != ledger.Version {
		t.Errorf("info: got %v, want height 0", info)
	}
	if again := initChain(t, p, a); again.String() != first.String() {
		t.Errorf("the same genesis again: got %v, want %v", again, first)
	}
	p.Genesis = map[string]any{"toy": []add{{"founded", 2}}}
	req, _ := p.InitChain()
	if _, err := a.InitChain(t.Context(), req); err == nil {
		t.Error("another genesis on the same store was accepted")
	}
}

func TestGenesisThatIsRefusedLeavesNothing(t *testing.T) {
	for name, change := range map[string]func(*abci.RequestInitChain){
		"other chain":          func(r *abci.RequestInitChain) { r.ChainId = "elsewhere" },
		"app_state is no JSON": func(r *abci.RequestInitChain) { r.AppStateBytes = []byte("{") },
		"unknown section":      func(r *abci.RequestInitChain) { r.AppStateBytes = []byte(`{"toys":[]}`) },
		"module refuses":       func(r *abci.RequestInitChain) { r.AppStateBytes = []byte(`{"toy":[{"name":"x","by":101}]}`) },
		"unequal votes":        func(r *abci.RequestInitChain) { r.Validators[0].Power = 10 },
	} {
		t.Run(name, func(t *testing.T) {
			p := toyNetwork()
			a := open(t, p, t.TempDir())
			req, _ := p.InitChain()
			change(req)
			if _, err := a.InitChain(t.Context(), req); err == nil {
				t.Fatal("accepted")
			}
			v := a.View()
			defer v.Close()
			if v.Size() != 0 || value(t, v, "x") != 0 {
				t.Error("something was written")
			}
			initChain(t, p, a)
		})
	}
}

func TestGenesisNamesTheSameValidatorsTwice(t *testing.T) {
	seats := func(names ...string) []ledger.Module {
		m := toy()
		m.Genesis = func(c *ledger.Context, _ []byte) error {
			for _, n := range names {
				c.SetValidator([32]byte(ledgertest.Public(n).Key), 1)
			}
			return nil
		}
		return []ledger.Module{m}
	}
	for _, s := range []struct {
		file, modules []string
		ok            bool
	}{
		{[]string{"a", "b"}, []string{"b", "a"}, true},
		{nil, []string{"a"}, true},
		{[]string{"a"}, nil, true},
		{[]string{"a"}, []string{"a", "b"}, false},
		{[]string{"a", "b"}, []string{"a"}, false},
		{[]string{"a", "b"}, []string{"a", "c"}, false},
	} {
		p := toyNetwork()
		p.Validators, p.Modules, p.Genesis = s.file, seats(s.modules...), nil
		a := open(t, p, t.TempDir())
		req, _ := p.InitChain()
		res, err := a.InitChain(t.Context(), req)
		if (err == nil) != s.ok {
			t.Errorf("file %v, modules %v: got error %v, want accepted %v", s.file, s.modules, err, s.ok)
		}
		if want := max(len(s.file), len(s.modules)); err == nil && len(res.Validators) != want {
			t.Errorf("file %v, modules %v: got %d validators, want %d", s.file, s.modules, len(res.Validators), want)
		}
	}
}

func TestInitChainTellsConsensusTheParameters(t *testing.T) {
	p := toyNetwork()
	res := initChain(t, p, open(t, p, t.TempDir()))
	c := res.ConsensusParams
	if c.Block.MaxBytes != 2<<20 || c.Block.MaxGas != -1 || c.Version.App != ledger.Version || c.Evidence.MaxBytes > c.Block.MaxBytes {
		t.Errorf("consensus parameters: got %v", c)
	}
}

func TestStoreOfAnotherChainIsRefused(t *testing.T) {
	p, dir := toyNetwork(), t.TempDir()
	a := open(t, p, dir)
	initChain(t, p, a)
	a.Close()
	s, err := state.Open(dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = ledger.New(ledger.Config{Chain: "elsewhere", Modules: p.Modules, Store: s, Authenticate: p.Authenticate})
	if err == nil || !strings.Contains(err.Error(), "elsewhere") {
		t.Errorf("got %v, want an error that names the chains", err)
	}
}

func TestModulesThatClaimTheSameAreRefused(t *testing.T) {
	for name, change := range map[string]func(m *ledger.Module){
		"name":              func(m *ledger.Module) { m.Name = "Toy" },
		"prefix":            func(m *ledger.Module) { m.Prefix = ledger.Prefix },
		"kind of another":   func(m *ledger.Module) { m.Calls = append(m.Calls, ledger.On("other.add", runAdd)) },
		"kind twice":        func(m *ledger.Module) { m.Calls = append(m.Calls, ledger.On("toy.add", runAdd)) },
		"code of another":   func(m *ledger.Module) { m.Codes = append(m.Codes, tx.CodeInfo{Code: 0x7101, Name: "toy-x"}) },
		"code twice":        func(m *ledger.Module) { m.Codes = append(m.Codes, tx.CodeInfo{Code: errToyZero.Code, Name: "toy-x"}) },
		"code's name twice": func(m *ledger.Module) { m.Codes = append(m.Codes, tx.CodeInfo{Code: 0x7009, Name: "toy-zero"}) },
		"table of another":  func(m *ledger.Module) { m.Tables = append(m.Tables, state.TableInfo{Name: "x", Prefix: []byte{0x71}}) },
		"tables that overlap": func(m *ledger.Module) {
			m.Tables = append(m.Tables, state.TableInfo{Name: "x", Prefix: []byte{0x70, 1, 2}})
		},
		"query of another": func(m *ledger.Module) { m.Queries[0].Path = "counter" },
		"entry of another": func(m *ledger.Module) { m.Entries[0].Kind = 0x7101 },
	} {
		m := toy()
		change(&m)
		s, err := state.Open(t.TempDir(), state.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.New(ledger.Config{Store: s, Modules: []ledger.Module{m}, Authenticate: toyNetwork().Authenticate}); err == nil {
			t.Errorf("%s: accepted", name)
		}
		s.Close()
	}
}

func TestNothingRunsBeforeTheGenesis(t *testing.T) {
	p := toyNetwork()
	a := open(t, p, t.TempDir())
	res, err := a.CheckTx(t.Context(), checkRequest([]byte("x")))
	if err != nil || res.Code == tx.CodeOK {
		t.Errorf("CheckTx: got %v, %v, want a refusal", res, err)
	}
	if _, err := a.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: 1}); err == nil {
		t.Error("FinalizeBlock: accepted")
	}
	if _, err := a.Commit(t.Context(), &abci.RequestCommit{}); err == nil {
		t.Error("Commit: accepted")
	}
}

func TestBlocksComeInOrder(t *testing.T) {
	c := newToy(t)
	c.Block()
	c.Block()
	for _, height := range []int64{-1, 0, 1, 2, 4, 5} {
		if _, err := c.App(0).FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: height, Time: c.Now()}); err == nil {
			t.Errorf("block %d after 2: accepted", height)
		}
	}
	c.Block()
}

// A crash between FinalizeBlock and Commit: the consensus engine delivers the
// block again.
func TestCrashBeforeCommitRunsTheBlockAgain(t *testing.T) {
	c := newToy(t)
	c.Do("toy.add", &add{"x", 1}, "alice")
	raw, id := c.Sign("toy.add", &add{"x", 5}, "alice")
	first := finalize(t, c.App(0), c, raw)
	if _, ok := c.App(0).Result(id); ok || count(t, c, "x") != 1 {
		t.Error("a finalised block is visible before Commit")
	}
	c.Restart(0)
	again := finalize(t, c.App(0), c, raw)
	if first.String() != again.String() {
		t.Errorf("the same block after a crash: got %v, want %v", again, first)
	}
	commit(t, c.App(0))
	if got := c.App(0).Head(); string(got.AppHash[:]) != string(first.AppHash) || got.Height != 2 {
		t.Errorf("head: got %+v", got)
	}
	if r, ok := c.App(0).Result(id); !ok || r.Height != 2 || r.Code != tx.CodeOK {
		t.Errorf("result: got %+v, %v", r, ok)
	}
}

func TestBlockMayBeFinalisedTwiceBeforeCommit(t *testing.T) {
	c := newToy(t)
	raw, _ := c.Sign("toy.add", &add{"x", 5}, "alice")
	finalize(t, c.App(0), c)
	res := finalize(t, c.App(0), c, raw)
	commit(t, c.App(0))
	if got := c.App(0).Head(); string(got.AppHash[:]) != string(res.AppHash) || count(t, c, "x") != 5 {
		t.Error("the block finalised last is not the one committed")
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	c := newToy(t)
	var id tx.Hash
	for i := range 3 {
		id, _ = c.Do("toy.add", &add{"x", 1}, "alice")
		c.Restart(i % 2)
	}
	if r, ok := c.App(0).Result(id); !ok || r.Height != 3 {
		t.Errorf("result after a restart: got %+v, %v", r, ok)
	}
	raw, _ := c.SignWith("toy.add", &add{"x", 1}, 2, 100, "alice")
	wantCode(t, "replay after a restart", c.DoRaw(raw).Code, tx.CodeNonceReplay)
	info, _ := c.App(0).Info(t.Context(), &abci.RequestInfo{})
	if h := c.Head(); info.LastBlockHeight != h.Height || string(info.LastBlockAppHash) != string(h.AppHash[:]) {
		t.Errorf("info: got %v, want %+v", info, h)
	}
}

func TestValidatorUpdatesAreExact(t *testing.T) {
	c := newToy(t)
	key := func(n string) [32]byte { return [32]byte(ledgertest.Public(n).Key) }
	block := func(seats ...seat) []abci.ValidatorUpdate {
		var raws [][]byte
		for i := range seats {
			raw, _ := c.Sign("toy.seat", &seats[i], "alice")
			raws = append(raws, raw)
		}
		txs := c.Prepare(raws...)
		return c.Finalize(txs...).ValidatorUpdates
	}
	for _, s := range []struct {
		why   string
		seats []seat
		want  []abci.ValidatorUpdate
	}{
		{"one that votes already", []seat{{key("validator one"), true}}, nil},
		{"one that never voted goes", []seat{{key("validator nine"), false}}, nil},
		{"comes and goes in one block", []seat{{key("validator nine"), true}, {key("validator nine"), false}}, nil},
		{
			"set twice",
			[]seat{{key("validator three"), true}, {key("validator three"), true}},
			[]abci.ValidatorUpdate{abci.Ed25519ValidatorUpdate(ledgertest.Public("validator three").Key, 1)},
		},
		{
			"goes",
			[]seat{{key("validator one"), false}},
			[]abci.ValidatorUpdate{abci.Ed25519ValidatorUpdate(ledgertest.Public("validator one").Key, 0)},
		},
	} {
		got := block(s.seats...)
		if !slices.EqualFunc(got, s.want, func(a, b abci.ValidatorUpdate) bool { return a.String() == b.String() }) {
			t.Errorf("%s: got %v, want %v", s.why, got, s.want)
		}
	}
}

func TestMisbehaviourIsLogged(t *testing.T) {
	p := toyNetwork()
	var told []int
	m := toy()
	m.EndBlock = func(c *ledger.Context) error {
		told = append(told, len(c.Caught))
		return nil
	}
	p.Modules = []ledger.Module{m}
	a := open(t, p, t.TempDir())
	initChain(t, p, a)
	caught := func(kind abci.MisbehaviorType, height int64) abci.Misbehavior {
		return abci.Misbehavior{Type: kind, Validator: abci.Validator{Address: []byte("01234567890123456789")}, Height: height}
	}
	duplicate, attack := abci.MisbehaviorType_DUPLICATE_VOTE, abci.MisbehaviorType_LIGHT_CLIENT_ATTACK
	for i, evidence := range [][]abci.Misbehavior{
		{caught(duplicate, 1), caught(duplicate, 1)},
		{caught(duplicate, 1)}, // again
		{caught(duplicate, 2), caught(attack, 1)},
		nil,
	} {
		if _, err := a.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: int64(i + 1), Time: time.Unix(ledgertest.Start+int64(i), 0), Misbehavior: evidence}); err != nil {
			t.Fatal(err)
		}
		commit(t, a)
	}
	if want := []int{1, 0, 2, 0}; !slices.Equal(told, want) {
		t.Errorf("the modules were told of %v, want %v", told, want)
	}
	v := a.View()
	defer v.Close()
	var got []string
	for i := range v.Size() {
		raw, _ := v.Entry(i)
		e, err := ledger.DecodeEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != ledger.EntryMisbehavior {
			continue
		}
		payload, err := ledger.Entries()[0].Decode(e.Payload)
		if err != nil {
			t.Fatal(err)
		}
		m := payload.(*ledger.Misbehavior)
		got = append(got, fmt.Sprintf("block %d: %d at %d by %s", e.Height, m.Kind, m.Height, m.Validator))
	}
	want := []string{"block 1: 1 at 1 by 01234567890123456789", "block 3: 1 at 2 by 01234567890123456789", "block 3: 2 at 1 by 01234567890123456789"}
	if !slices.Equal(got, want) {
		t.Errorf("the log: got %q, want %q", got, want)
	}
}

func TestCommittedIsCalledWhenTheBlockIsVisible(t *testing.T) {
	p := toyNetwork()
	s, err := state.Open(t.TempDir(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var a *ledger.App
	var heads []ledger.Head
	a, err = ledger.New(ledger.Config{Modules: p.Modules, Store: s, Params: p.Params, Authenticate: p.Authenticate, Committed: func(h ledger.Head) {
		if a.Head() != h {
			t.Errorf("head: got %+v, want %+v", a.Head(), h)
		}
		if err := a.Hold(func(v *state.View, in ledger.Head) error {
			if in != h || v.Meta().Height != h.Height {
				t.Errorf("hold: got %+v, want %+v", in, h)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		heads = append(heads, h)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	initChain(t, p, a)
	for range 3 {
		if _, err := a.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: a.Head().Height + 1, Time: time.Unix(ledgertest.Start, 0)}); err != nil {
			t.Fatal(err)
		}
		commit(t, a)
	}
	if len(heads) != 3 || heads[2].Height != 3 || heads[2].Chain != ledgertest.ChainID {
		t.Errorf("told of: got %+v, want heights 1, 2, 3", heads)
	}
}

// Whoever holds sees one committed state and no block is decided meanwhile.
func TestHoldExcludesDecidedBlocks(t *testing.T) {
	c := newToy(t)
	a := c.App(0)
	const blocks = 50
	var deciding atomic.Bool // set by the test while a block is finalised and not committed
	done := make(chan struct{})
	var holders sync.WaitGroup
	for range 4 {
		holders.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				err := a.Hold(func(v *state.View, h ledger.Head) error {
					if deciding.Load() {
						t.Error("held while a block was decided and not committed")
					}
					if v.Meta().Height != h.Height || v.Meta().AppHash != h.AppHash || int64(value(t, v, "x")) != h.Height {
						t.Errorf("held a state that is not of height %d", h.Height)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range blocks {
		raw, _ := c.Sign("toy.add", &add{"x", 1}, "alice")
		finalize(t, a, c, raw)
		deciding.Store(true)
		runtime.Gosched()
		deciding.Store(false)
		commit(t, a)
	}
	close(done)
	holders.Wait()
}
