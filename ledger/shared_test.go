package ledger_test

import (
	"strings"
	"sync"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// list is a message with a slice, which a careless handler could write to.
type list struct {
	Names []string `cbor:"1,keyasint"`
}

func (*list) Validate() error { return nil }

var lists = state.NewTable[list]("lists", 0x71, 0x01)

func TestCheckSharedFindsWhoWritesToWhatIsShared(t *testing.T) {
	rogue := ledger.Module{
		Name: "rogue", Prefix: 0x71,
		Genesis: func(c *ledger.Context, _ []byte) error {
			lists.Put(c.State, []byte("row"), list{Names: []string{"kept"}})
			return nil
		},
		Calls: []ledger.Call{
			ledger.On("rogue.message", func(_ *ledger.Context, m *list) error { m.Names[0] = "changed"; return nil }),
			ledger.On("rogue.row", func(c *ledger.Context, _ *list) error {
				l, _ := lists.Shared(c.State, []byte("row"))
				l.Names[0] = "changed"
				return nil
			}),
			ledger.On("rogue.copy", func(c *ledger.Context, _ *list) error {
				l, _ := lists.Shared(c.State, []byte("row"))
				l.Names = append([]string{"mine"}, l.Names...)
				lists.Put(c.State, []byte("row"), l)
				return nil
			}),
		},
		Tables: []state.TableInfo{lists.Info()},
	}
	for _, tt := range []struct{ kind, want string }{
		{"rogue.message", "the handler of rogue.message wrote to its message"},
		{"rogue.row", "a shared row of prefix 7101 was written to"},
		{"rogue.copy", ""},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			c := ledgertest.New(t, ledgertest.Params{Modules: []ledger.Module{rogue}, Authenticate: ledgertest.WithKeys("alice")})
			raw, _ := c.Sign(tx.Kind(tt.kind), &list{Names: []string{"as sent"}}, "alice")
			a := c.App(0)
			if res, err := a.CheckTx(t.Context(), checkRequest(raw)); err != nil || res.Code != 0 {
				t.Fatalf("got %v, %v; want a good transaction", res, err)
			}
			err := a.CheckShared()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestChecksRunBesideBlocks checks transactions from several connections while
// blocks are proposed, decided and committed; the race detector watches.
func TestChecksRunBesideBlocks(t *testing.T) {
	c := newToy(t)
	var raws [][]byte
	for range 64 {
		raw, _ := c.Sign("toy.add", &add{Name: "n", By: 1}, "alice")
		raws = append(raws, raw)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := i; ; k = (k + 1) % len(raws) {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := c.App(k%2).CheckTx(t.Context(), checkRequest(raws[k])); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for block := range 16 {
		for i, r := range c.Block(raws[4*block : 4*block+4]...) {
			if r.Code != 0 {
				t.Errorf("block %d, transaction %d: got code %#x, want it to succeed", block, i, r.Code)
			}
		}
	}
	close(stop)
	wg.Wait()
}

// TestRecheckRunsTheHandlerOfWhatAProposalLeftOut: what another proposer's block
// made bad is found by the node's own next proposal and dropped after it.
func TestRecheckRunsTheHandlerOfWhatAProposalLeftOut(t *testing.T) {
	c := newToy(t)
	first, _ := c.Sign("toy.add", &add{Name: "n", By: 60}, "alice")
	second, _ := c.Sign("toy.add", &add{Name: "n", By: 60}, "alice")
	recheck := func(want uint32) {
		t.Helper()
		res, err := c.App(0).CheckTx(t.Context(), &abci.RequestCheckTx{Tx: second, Type: abci.CheckTxType_Recheck})
		if err != nil || res.Code != want {
			t.Fatalf("got code %#x, %v; want %#x", res.GetCode(), err, want)
		}
	}
	for _, raw := range [][]byte{first, second} {
		if res := c.Check(raw); res.Code != tx.CodeOK {
			t.Fatalf("got code %#x, want each good by itself", res.Code)
		}
	}
	c.Finalize(first)
	recheck(tx.CodeOK) // nobody has doubted it yet
	if got := c.Prepare(second); len(got) != 0 {
		t.Fatalf("the proposal has %d transactions, want none", len(got))
	}
	c.Finalize()
	recheck(errToyLimit.Code)
	if got := c.Check(second); got.Code != errToyLimit.Code {
		t.Errorf("sent again: got code %#x, want %#x", got.Code, errToyLimit.Code)
	}
}
