package ledgertest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A probe is a test that is expected to fail.
type probe struct {
	testing.TB
	said string
}

func (p *probe) Helper() {}

func (p *probe) Fatalf(format string, args ...any) {
	p.said = fmt.Sprintf(format, args...)
	panic(p)
}

func (p *probe) Fatal(args ...any) {
	p.said = fmt.Sprint(args...)
	panic(p)
}

// failure returns what f failed with.
func failure(t *testing.T, f func(tb testing.TB)) string {
	p := &probe{TB: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(p) {
				panic(r)
			}
		}()
		f(p)
	}()
	return p.said
}

type roll struct {
	By uint64 `cbor:"1,keyasint"`
}

func (*roll) Validate() error { return nil }

// dice is a module whose handler does what next says.
func dice(next func(c *ledger.Context) error) ledger.Module {
	return ledger.Module{
		Name: "dice", Prefix: 0x71,
		Calls: []ledger.Call{ledger.On("dice.roll", func(c *ledger.Context, _ *roll) error { return next(c) })},
	}
}

func TestDivergenceIsFound(t *testing.T) {
	var calls atomic.Uint64
	refusal := tx.Refuse(0x7101, "dice: no")
	table := state.NewTable[roll]("dice", 0x71, 0x01)
	for name, handler := range map[string]func(c *ledger.Context) error{
		"in what is written": func(c *ledger.Context) error {
			table.Put(c.State, nil, roll{calls.Add(1)})
			return nil
		},
		"in the log": func(c *ledger.Context) error {
			c.Append(0x7101, roll{calls.Add(1)})
			return nil
		},
		"in an event": func(c *ledger.Context) error {
			c.Emit("dice.rolled", fmt.Sprint(calls.Add(1)))
			return nil
		},
		"in a refusal": func(c *ledger.Context) error {
			if calls.Add(1)%2 == 0 {
				return refusal
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := Params{Modules: []ledger.Module{dice(handler)}, Authenticate: WithKeys("alice"), Validators: []string{"v"}}
			c := New(t, p)
			said := failure(t, func(tb testing.TB) { c.In(tb).Do("dice.roll", &roll{1}, "alice") })
			if !strings.Contains(said, "differ") {
				t.Errorf("got %q, want a failure that says the instances differ", said)
			}
		})
	}
}

func TestAgreementIsNotAFailure(t *testing.T) {
	table := state.NewTable[roll]("dice", 0x71, 0x01)
	p := Params{Modules: []ledger.Module{dice(func(c *ledger.Context) error {
		table.Put(c.State, nil, roll{uint64(c.Height)})
		return nil
	})}, Authenticate: WithKeys("alice"), Validators: []string{"v"}}
	c := New(t, p)
	if said := failure(t, func(tb testing.TB) { c.In(tb).Do("dice.roll", &roll{1}, "alice") }); said != "" {
		t.Errorf("failed: %s", said)
	}
}

func TestWordsOfScripts(t *testing.T) {
	s := &story{names: map[string]string{}, ids: map[string]tx.Hash{"first": {1}}}
	alice := Account("alice")
	for in, want := range map[string]string{
		`{"a":"@alice"}`:             `{"a":"` + alice.String() + `"}`,
		`{"a":"@tx/first"}`:          `{"a":"` + tx.Hash{1}.String() + `"}`,
		`{"a":"@now","b":"@now+1h"}`: fmt.Sprintf(`{"a":%d,"b":%d}`, Start, Start+3600),
		`{"a":"b@c"}`:                `{"a":"b@c"}`,
	} {
		if got, err := s.expand(in); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{`"@tx/second"`, `"@nonsense/x"`, `"@now+x"`} {
		if got, err := s.expand(in); err == nil {
			t.Errorf("%s: got %s, want an error", in, got)
		}
	}
	type arg struct {
		Who tx.Account `cbor:"1,keyasint"`
		N   uint64     `cbor:"2,keyasint"`
		S   string     `cbor:"3,keyasint"`
	}
	got, err := s.diagnostic(`{1: @alice, 2: 7, 3: "x"}`)
	if want := tx.MustEncode(arg{alice, 7, "x"}); err != nil || string(got) != string(want) {
		t.Errorf("diagnostic: got %x, %v, want %x", got, err, want)
	}
}
