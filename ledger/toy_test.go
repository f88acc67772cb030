package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// The toy module of these tests: named counters.
const toyPrefix = 0x70

var (
	errToyZero  = tx.Refuse(0x7001, "toy: nothing to add")
	errToyLimit = tx.Refuse(0x7002, "toy: the counter would exceed its limit")
	errToyNone  = tx.Refuse(0x7003, "toy: no such counter")
	errToyArg   = tx.Refuse(0x7004, "toy: the argument does not decode")
)

const entryAdded ledger.EntryKind = toyPrefix<<8 | 1

type counter struct {
	Value uint64 `cbor:"1,keyasint" json:"value"`
}

var counters = state.NewTable[counter]("counters", toyPrefix, 0x01)

// add adds to a counter; a counter never exceeds 100.
type add struct {
	Name string `cbor:"1,keyasint" json:"name"`
	By   uint64 `cbor:"2,keyasint" json:"by"`
}

func (m *add) Validate() error {
	if m.By == 0 {
		return errToyZero
	}
	return nil
}

func runAdd(c *ledger.Context, m *add) error {
	v, _ := counters.Get(c.State, []byte(m.Name))
	v.Value += m.By
	counters.Put(c.State, []byte(m.Name), v) // a refusal below must undo this
	c.Append(entryAdded, *m)
	c.Emit("toy.added", m.Name)
	if v.Value > 100 {
		return errToyLimit
	}
	return nil
}

// seat gives a consensus key its vote or takes it away.
type seat struct {
	Key   [32]byte `cbor:"1,keyasint"`
	Votes bool     `cbor:"2,keyasint"`
}

func (*seat) Validate() error { return nil }

func runSeat(c *ledger.Context, m *seat) error {
	power := int64(0)
	if m.Votes {
		power = 1
	}
	c.SetValidator(m.Key, power)
	return nil
}

// broken handlers must halt, not refuse.
type broken struct{}

func (*broken) Validate() error { return nil }

// faulty handlers have a bug that some input sets off.
type faulty struct {
	At uint64 `cbor:"1,keyasint"`
}

func (*faulty) Validate() error { return nil }

func runFaulty(c *ledger.Context, m *faulty) error {
	counters.Put(c.State, []byte("faulty"), counter{1})
	_ = make([]byte, 1)[m.At]
	return nil
}

type byName struct {
	Name string `cbor:"1,keyasint" json:"name"`
}

func toy() ledger.Module {
	return ledger.Module{
		Name:   "toy",
		Prefix: toyPrefix,
		Calls: []ledger.Call{
			ledger.On("toy.add", runAdd),
			ledger.On("toy.seat", runSeat),
			ledger.On("toy.faulty", runFaulty),
			ledger.On("toy.broken", func(*ledger.Context, *broken) error { return errors.New("disk on fire") }),
		},
		Queries: []ledger.Query{{
			Path: "toy/counter",
			Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
				var q byName
				if tx.Decode(arg, &q) != nil {
					return nil, errToyArg
				}
				v, ok := counters.Get(r, []byte(q.Name))
				if !ok {
					return nil, errToyNone
				}
				return tx.Encode(v)
			},
			Arg: byName{}, Reply: counter{},
		}},
		Genesis: func(c *ledger.Context, raw []byte) error {
			if raw == nil {
				return nil
			}
			var g []add
			if err := json.Unmarshal(raw, &g); err != nil {
				return fmt.Errorf("toy: genesis: %w", err)
			}
			for i := range g {
				if err := runAdd(c, &g[i]); err != nil {
					return err
				}
			}
			return nil
		},
		// Every hour, the counter "hours" grows: a block that nobody sent anything for.
		EndBlock: func(c *ledger.Context) error {
			v, _ := counters.Get(c.State, []byte("hours"))
			if hours := (c.Time - ledgertest.Start) / 3600; hours > v.Value {
				counters.Put(c.State, []byte("hours"), counter{hours})
			}
			return nil
		},
		Codes: []tx.CodeInfo{
			{Code: errToyZero.Code, Name: "toy-zero", Text: errToyZero.Text},
			{Code: errToyLimit.Code, Name: "toy-limit", Text: errToyLimit.Text},
			{Code: errToyNone.Code, Name: "toy-none", Text: errToyNone.Text},
			{Code: errToyArg.Code, Name: "toy-argument", Text: errToyArg.Text},
		},
		Tables:  []state.TableInfo{counters.Info()},
		Entries: []ledger.EntryInfo{{Kind: entryAdded, Name: "toy.added", Payload: add{}}},
	}
}

// toyParams are small enough to be reached by a test.
func toyParams(state.Reader) ledger.Params {
	p := ledger.DefaultParams()
	p.MaxTxBytes = 1000
	p.MemberTxs = 5
	p.MemberBytes = 2000
	p.PatientTxs = 2
	p.MaxExpiry = 1000
	p.RetainBlocks = 20
	p.SnapshotInterval = 10
	return p
}

var toyAccounts = []string{"alice", "bob", "carol"}

// toyNetwork is a network of the toy module. The account called "pseudonym" is
// a patient whose steward is alice; the others are members.
func toyNetwork() ledgertest.Params {
	members := ledgertest.WithKeys(append([]string{"pseudonym"}, toyAccounts...)...)
	return ledgertest.Params{
		Modules: []ledger.Module{toy()},
		Params:  toyParams,
		Authenticate: func(r state.Reader, h ledger.Head, p ledger.Params, b *tx.Body, e *tx.Envelope, d tx.Hash, verify ledger.VerifyFunc) (ledger.Signer, error) {
			s, err := members(r, h, p, b, e, d, verify)
			if s.Account == ledgertest.Account("pseudonym") {
				s.Class, s.Member = ledger.ClassPatient, ledgertest.Account("alice")
			}
			return s, err
		},
		Validators: []string{"validator one", "validator two"},
		Genesis:    map[string]any{"toy": []add{{"founded", 1}}},
	}
}

func newToy(t testing.TB) *ledgertest.Chain {
	t.Helper()
	return ledgertest.New(t, toyNetwork())
}

func value(t testing.TB, r state.Reader, name string) uint64 {
	t.Helper()
	v, _ := counters.Get(r, []byte(name))
	return v.Value
}

// view reads the first instance's committed state until the test ends.
func view(t testing.TB, c *ledgertest.Chain) *state.View {
	v := c.App(0).View()
	t.Cleanup(v.Close)
	return v
}

// count reads a counter of the first instance.
func count(t testing.TB, c *ledgertest.Chain, name string) uint64 {
	t.Helper()
	v := c.App(0).View()
	defer v.Close()
	return value(t, v, name)
}

func wantCode(t testing.TB, what string, got, want uint32) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got code %#04x, want %#04x", what, got, want)
	}
}
