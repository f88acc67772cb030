package committee

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

const (
	start = 1_800_000_000
	week  = 7 * 24 * 60 * 60
)

// A world is a chain of this module above a genesis of n validators, v0, v1 ...
// and one member, c, that is a client only.
type world struct {
	state *state.Cache
	time  uint64
}

type nothing struct{}

func (nothing) Get([]byte) ([]byte, bool)              { return nil, false }
func (nothing) Scan([]byte, func([]byte, []byte) bool) {}
func (nothing) Size() uint64                           { return 0 }

func account(name string) tx.Account {
	h := sha256.Sum256([]byte("account/" + name))
	return tx.Account(h[:16])
}

func hash(name string) tx.Hash { return sha256.Sum256([]byte(name)) }

func bytes32(name string) []byte {
	h := hash(name)
	return h[:]
}

func newWorld(t interface{ Fatal(...any) }, n int) *world {
	var g governance.Genesis
	add := func(name string, validator []byte) {
		g.Members = append(g.Members, governance.Admit{
			Account:   account(name),
			Name:      "Sample " + name,
			Class:     governance.Hospital,
			Validator: validator,
			Peer:      bytes32("peer/" + name),
			Address:   name + ".example:7000",
			Keys:      []tx.PublicKey{governanceKey},
		})
	}
	for i := range n {
		name := fmt.Sprint("v", i)
		add(name, bytes32("validator/"+name))
	}
	add("c", nil)
	raw, err := json.Marshal(&g)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{state: state.NewCache(nothing{}), time: start}
	if err := governance.Module().Genesis(w.context(w.state, ""), raw); err != nil {
		t.Fatal(err)
	}
	if err := genesis(w.context(w.state, ""), nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// The base point of the curve: a valid key that nobody here signs with.
var governanceKey = tx.PublicKey{Alg: tx.AlgEd25519, Key: append([]byte{0x58}, slices.Repeat([]byte{0x66}, 31)...)}

func (w *world) context(s *state.Cache, by string) *ledger.Context {
	return &ledger.Context{
		Time:   w.time,
		Signer: ledger.Signer{Account: account(by), Class: ledger.ClassMember, Member: account(by)},
		State:  s,
	}
}

func (w *world) publish(by string, m *Publish) error {
	if err := m.Validate(); err != nil {
		return err
	}
	scratch := state.NewCache(w.state)
	if err := publish(w.context(scratch, by), m); err != nil {
		return err
	}
	scratch.Flush()
	return nil
}

func next(epoch, from, until uint64) *Publish {
	return &Publish{KeyEpoch: epoch, Hash: hash(fmt.Sprint("key ", epoch)), From: from, Until: until}
}

func TestThreshold(t *testing.T) {
	for _, tt := range []struct{ n, f, t int }{{1, 0, 1}, {2, 0, 2}, {3, 0, 3}, {4, 1, 3}, {5, 1, 4}, {6, 1, 5}, {7, 2, 5}, {10, 3, 7}, {16, 5, 11}, {31, 10, 21}, {128, 42, 86}} {
		if f, th := Threshold(tt.n); f != tt.f || th != tt.t {
			t.Errorf("n = %d: got f = %d, t = %d; want %d, %d", tt.n, f, th, tt.f, tt.t)
		}
	}
}

func TestFirstEpochIsTheValidatorsInAccountOrder(t *testing.T) {
	w := newWorld(t, 7)
	e, err := Current(w.state)
	if err != nil {
		t.Fatal(err)
	}
	var want []tx.Account
	for i := range 7 {
		want = append(want, account(fmt.Sprint("v", i)))
	}
	slices.SortFunc(want, func(a, b tx.Account) int { return slices.Compare(a[:], b[:]) })
	if diff := cmp.Diff(Epoch{Epoch: 1, N: 7, T: 5, Members: want}, e); diff != "" {
		t.Error(diff)
	}
	if e.F() != 2 {
		t.Errorf("got f = %d, want 2", e.F())
	}
	for i, m := range want {
		if got, ok := e.IndexOf(m); !ok || got != i+1 {
			t.Errorf("got index %d, %v; want %d", got, ok, i+1)
		}
	}
	if _, ok := e.IndexOf(account("c")); ok {
		t.Error("a client of the ledger is a custodian")
	}
	if past, err := At(w.state, 1); err != nil || !cmp.Equal(past, e) {
		t.Errorf("got %+v, %v; want the same epoch", past, err)
	}
	if _, err := At(w.state, 2); !errors.Is(err, ErrNoEpoch) {
		t.Errorf("got %v, want %v", err, ErrNoEpoch)
	}
	if _, err := Current(state.NewCache(nothing{})); !errors.Is(err, ErrNoEpoch) {
		t.Errorf("got %v, want %v", err, ErrNoEpoch)
	}
}

func TestNewestValidKeyIsLive(t *testing.T) {
	w := newWorld(t, 4)
	live := func() (epochs []uint64) {
		for _, k := range LiveKeys(w.state, w.time) {
			if e, _ := Current(w.state); e.Members[k.Index-1] != k.Key.Member {
				t.Errorf("index %d is not %v's", k.Index, k.Key.Member)
			}
			epochs = append(epochs, k.Key.KeyEpoch)
		}
		return epochs
	}
	if got := live(); got != nil {
		t.Errorf("before any key: got %v", got)
	}
	if err := w.publish("v0", next(1, start, start+week)); err != nil {
		t.Fatal(err)
	}
	if err := w.publish("v0", next(2, start+week-3600, start+2*week-3600)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		after uint64
		want  []uint64
	}{{0, []uint64{1}}, {week - 3601, []uint64{1}}, {week - 3600, []uint64{2}}, {week, []uint64{2}}, {2*week - 3600, nil}} {
		w.time = start + tt.after
		if diff := cmp.Diff(tt.want, live()); diff != "" {
			t.Errorf("after %d s: %s", tt.after, diff)
		}
	}
	if k, ok := Key(w.state, account("v0"), 1); !ok || k.Hash != hash("key 1") {
		t.Errorf("got %+v, %v; want the first key for ever", k, ok)
	}
}

// Every refusal code of the module, each provoked.
func TestRefusals(t *testing.T) {
	var provoked []uint32
	for _, tt := range []struct {
		rule string
		want *tx.Refusal
		try  func(w *world) error
	}{
		{"a client of the ledger is no custodian", ErrNotCustodian, func(w *world) error { return w.publish("c", next(1, start, start+1)) }},
		{"a stranger is no custodian", ErrNotCustodian, func(w *world) error { return w.publish("x", next(1, start, start+1)) }},
		{"a custodian's practitioner is no custodian", ErrNotCustodian, func(w *world) error {
			c := w.context(w.state, "v0")
			c.Signer.Class = ledger.ClassPractitioner
			return publish(c, next(1, start, start+1))
		}},
		{"no committee, no custodian", ErrNotCustodian, func(w *world) error {
			w.state = state.NewCache(nothing{})
			return w.publish("v0", next(1, start, start+1))
		}},
		{"key epoch zero", ErrKeyEpoch, func(w *world) error { return w.publish("v0", next(0, start, start+1)) }},
		{"a key epoch left out", ErrKeyEpoch, func(w *world) error { return w.publish("v0", next(2, start, start+1)) }},
		{"a key epoch twice", ErrKeyEpoch, func(w *world) error {
			return after(w.publish("v0", next(1, start, start+1)), func() error { return w.publish("v0", next(1, start, start+1)) })
		}},
		{"no hash", ErrHash, func(w *world) error { return w.publish("v0", &Publish{KeyEpoch: 1, From: start, Until: start + 1}) }},
		{"an empty period", ErrPeriod, func(w *world) error { return w.publish("v0", next(1, start, start)) }},
		{"a period that is over", ErrPeriod, func(w *world) error { return w.publish("v0", next(1, start-10, start)) }},
		{"a period longer than allowed", ErrPeriod, func(w *world) error { return w.publish("v0", next(1, start, start+week+1)) }},
		{"a period far ahead", ErrTooEarly, func(w *world) error { return w.publish("v0", next(1, start+week+1, start+week+2)) }},
		{"two keys ahead", ErrTooEarly, func(w *world) error {
			return after(w.publish("v0", next(1, start+5, start+10)), func() error { return w.publish("v0", next(2, start+6, start+11)) })
		}},
		{"a key that begins before the last", ErrOrder, func(w *world) error {
			return after(w.publish("v0", next(1, start, start+10)), func() error { return w.publish("v0", next(2, start-1, start+11)) })
		}},
		{"a key that ends before the last", ErrOrder, func(w *world) error {
			return after(w.publish("v0", next(1, start, start+10)), func() error { return w.publish("v0", next(2, start+1, start+10)) })
		}},
		{"a third key at once", ErrOverlap, func(w *world) error {
			if err := after(w.publish("v0", next(1, start, start+10)), func() error { return w.publish("v0", next(2, start+1, start+11)) }); err != nil {
				return err
			}
			w.time += 2
			return w.publish("v0", next(3, start+9, start+12))
		}},
		{"asking for an epoch to come", ErrUnknownEpoch, func(w *world) error { return w.ask("committee/epoch", tx.MustEncode(ByEpoch{2})) }},
		{"asking for a key nobody published", ErrUnknownKey, func(w *world) error {
			return w.ask("committee/key", tx.MustEncode(ByKeyEpoch{account("v0"), 1}))
		}},
		{"a query that does not decode", ErrQuery, func(w *world) error { return w.ask("committee/epoch", []byte{0xff}) }},
		{"a key query that does not decode", ErrQuery, func(w *world) error { return w.ask("committee/key", nil) }},
	} {
		if err := tt.try(newWorld(t, 4)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.rule, err, tt.want)
		}
		provoked = append(provoked, tt.want.Code)
	}
	for _, c := range Codes() {
		if c.Code>>8 != Prefix || !slices.Contains(provoked, c.Code) {
			t.Errorf("code %#04x (%s) is provoked by no test", c.Code, c.Name)
		}
	}
}

func after(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

func (w *world) ask(path string, arg []byte) error {
	for _, q := range queries() {
		if q.Path == path {
			_, err := q.Answer(w.state, ledger.Head{Time: w.time}, arg)
			return err
		}
	}
	return fmt.Errorf("no query %s", path)
}

func TestQueriesAnswer(t *testing.T) {
	w := newWorld(t, 4)
	if err := w.publish("v1", next(1, start, start+week)); err != nil {
		t.Fatal(err)
	}
	for path, arg := range map[string]any{
		"committee/epoch": ByEpoch{0},
		"committee/key":   ByKeyEpoch{account("v1"), 1},
		"committee/keys":  ByEpoch{0},
	} {
		if err := w.ask(path, tx.MustEncode(arg)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestGenesisNeedsValidators(t *testing.T) {
	c := &ledger.Context{State: state.NewCache(nothing{})}
	if err := genesis(c, nil); err == nil {
		t.Error("without validators: accepted")
	}
	if err := genesis(newWorld(t, 1).context(state.NewCache(nothing{}), ""), []byte(`{"n":4}`)); err == nil {
		t.Error("with content: accepted")
	}
}

// Whatever a custodian publishes, never more than two of its keys are valid at
// once, none lasts too long, and the live one is the newest valid one.
func TestKeysModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 4)
		var model []CustodyKey
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			w.time += rapid.Uint64Range(0, week).Draw(t, "wait")
			from := w.time + rapid.Uint64Range(0, 2*week).Draw(t, "from") - week/2
			until := from + rapid.Uint64Range(0, week+100).Draw(t, "length")
			m := next(uint64(len(model))+1, from, until)
			if w.publish("v0", m) == nil {
				model = append(model, CustodyKey{Member: account("v0"), KeyEpoch: m.KeyEpoch, Hash: m.Hash, From: from, Until: until})
			}
			var valid []CustodyKey
			for _, k := range model {
				if k.Until-k.From > week {
					t.Fatalf("key %d lasts %d s", k.KeyEpoch, k.Until-k.From)
				}
				if k.ValidAt(w.time) {
					valid = append(valid, k)
				}
			}
			if len(valid) > 2 {
				t.Fatalf("%d keys are valid at once", len(valid))
			}
			var want []LiveKey
			if n := len(valid); n > 0 {
				e, _ := Current(w.state)
				i, _ := e.IndexOf(account("v0"))
				want = []LiveKey{{Index: i, Key: valid[n-1]}}
			}
			if diff := cmp.Diff(want, LiveKeys(w.state, w.time)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func FuzzPublish(f *testing.F) {
	f.Add(tx.MustEncode(next(1, start, start+1)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m Publish
		if tx.Decode(raw, &m) != nil {
			return
		}
		if got := tx.MustEncode(m); string(got) != string(raw) {
			t.Errorf("got %x, want %x", got, raw)
		}
		_ = m.Validate()
	})
}
