package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A world is a log with chains in it; entries keeps what was appended.
type world struct {
	state  *state.Cache
	log    [][]byte
	height int64
	txs    int
}

type nothing struct{}

func (nothing) Get([]byte) ([]byte, bool)              { return nil, false }
func (nothing) Scan([]byte, func([]byte, []byte) bool) {}
func (nothing) Size() uint64                           { return 0 }

// recorder sees the bytes that go into the log.
type recorder struct {
	state.Writer
	w *world
}

func (r recorder) Append(entry []byte) uint64 {
	r.w.log = append(r.w.log, slices.Clone(entry))
	return r.Writer.Append(entry)
}

func newWorld() *world { return &world{state: state.NewCache(nothing{})} }

func account(name string) tx.Account {
	h := sha256.Sum256([]byte("account/" + name))
	return tx.Account(h[:16])
}

func (w *world) context() *ledger.Context {
	w.txs++
	w.height += int64(w.txs % 2)
	return &ledger.Context{
		Height: w.height,
		Time:   1_800_000_000 + uint64(w.height),
		Chain:  "test",
		Tx:     sha256.Sum256(fmt.Append(nil, "tx/", w.txs)),
		State:  recorder{w.state, w},
	}
}

func (w *world) append(patient string, a Action) uint64 {
	return Append(w.context(), account(patient), Event{Action: a, Actor: account("actor"), Member: account("member"), Count: uint32(w.txs)})
}

// entries walks a chain backwards through the log, as a client does.
func (w *world) entries(t interface{ Fatal(...any) }, patient string) ([][]byte, Position) {
	at, ok := At(w.state, account(patient))
	if !ok {
		return nil, Position{}
	}
	var list [][]byte
	index := at.Index
	for range at.Seq {
		_, rec, err := Decode(w.log[index])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, w.log[index])
		index = rec.PrevIndex
	}
	slices.Reverse(list)
	return list, at
}

func TestChainIsCompleteAndInOrder(t *testing.T) {
	w := newWorld()
	for _, step := range []struct {
		patient string
		action  Action
	}{{"a", Enrolled}, {"b", Enrolled}, {"a", ConsentGranted}, {"a", SessionOpened}, {"b", Claimed}, {"a", FetchCommitted}, {"a", ConsentRevoked}} {
		w.append(step.patient, step.action)
	}
	entries, at := w.entries(t, "a")
	links, err := VerifyChain(account("a"), entries, at)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range links {
		got = append(got, fmt.Sprint(l.Index, " ", l.Record.Seq, " ", l.Record.Action))
	}
	want := []string{"0 1 enrolled", "2 2 consent granted", "3 3 session opened", "5 4 fetch committed", "6 5 consent revoked"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if at.Seq != 5 || at.Index != 6 {
		t.Errorf("got %+v, want 5 entries up to index 6", at)
	}
}

func TestNoChainVerifiesAsNone(t *testing.T) {
	if links, err := VerifyChain(account("a"), nil, Position{}); err != nil || len(links) != 0 {
		t.Errorf("got %v, %v; want nothing, nil", links, err)
	}
	if _, err := VerifyChain(account("a"), nil, Position{Seq: 1}); !errors.Is(err, ErrHead) {
		t.Errorf("got %v, want %v", err, ErrHead)
	}
}

func TestExtensionContinuesAVerifiedChain(t *testing.T) {
	w := newWorld()
	w.append("a", Enrolled)
	w.append("b", Enrolled)
	w.append("a", ConsentGranted)
	_, from := w.entries(t, "a")
	w.append("a", SessionOpened)
	w.append("a", SessionClosed)
	all, to := w.entries(t, "a")
	links, err := VerifyExtension(account("a"), from, all[2:], to)
	if err != nil || len(links) != 2 || links[0].Index != 3 || links[1].Index != 4 {
		t.Errorf("got %v, %v; want the entries at 3 and 4", links, err)
	}
	if _, err := VerifyExtension(account("a"), from, all[3:], to); !errors.Is(err, ErrGap) {
		t.Errorf("without the first: got %v, want %v", err, ErrGap)
	}
	if _, err := VerifyExtension(account("a"), Position{Seq: from.Seq, Head: from.Head, Index: 9}, all[2:], to); !errors.Is(err, ErrLink) {
		t.Errorf("from another index: got %v, want %v", err, ErrLink)
	}
	if _, err := VerifyExtension(account("a"), from, nil, from); err != nil {
		t.Errorf("nothing new: %v", err)
	}
}

// Each way to falsify a log, and what it is found by.
func TestFalsifiedChainIsFound(t *testing.T) {
	w := newWorld()
	for i := range 6 {
		w.append("a", ConsentGranted)
		if i == 2 {
			w.append("b", Enrolled)
		}
	}
	good, at := w.entries(t, "a")
	other, _ := w.entries(t, "b")
	edit := func(raw []byte, change func(*ledger.Entry, *Record)) []byte {
		e, rec, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		change(&e, &rec)
		e.Payload = tx.MustEncode(rec)
		return tx.MustEncode(e)
	}
	for _, tt := range []struct {
		rule string
		want error
		make func(c [][]byte) ([][]byte, Position)
	}{
		{"an entry left out", ErrGap, func(c [][]byte) ([][]byte, Position) { return slices.Delete(c, 2, 3), at }},
		{"the first left out", ErrGap, func(c [][]byte) ([][]byte, Position) { return c[1:], at }},
		{"the last left out", ErrHead, func(c [][]byte) ([][]byte, Position) { return c[:5], at }},
		{"all left out", ErrHead, func(c [][]byte) ([][]byte, Position) { return nil, at }},
		{"two exchanged", ErrGap, func(c [][]byte) ([][]byte, Position) { c[1], c[2] = c[2], c[1]; return c, at }},
		{"one twice", ErrGap, func(c [][]byte) ([][]byte, Position) { return slices.Insert(c, 2, c[1]), at }},
		{"another patient's", ErrPatient, func(c [][]byte) ([][]byte, Position) { c[0] = other[0]; return c, at }},
		{"an actor changed", ErrLink, func(c [][]byte) ([][]byte, Position) {
			c[2] = edit(c[2], func(_ *ledger.Entry, r *Record) { r.Actor = account("else") })
			return c, at
		}},
		{"a time changed", ErrLink, func(c [][]byte) ([][]byte, Position) {
			c[2] = edit(c[2], func(e *ledger.Entry, _ *Record) { e.Time-- })
			return c, at
		}},
		{"the last one changed", ErrHead, func(c [][]byte) ([][]byte, Position) {
			c[5] = edit(c[5], func(_ *ledger.Entry, r *Record) { r.Count++ })
			return c, at
		}},
		{"a time before the one before", ErrOrder, func(c [][]byte) ([][]byte, Position) {
			c[5] = edit(c[5], func(e *ledger.Entry, _ *Record) { e.Time = 1 })
			return c, at
		}},
		{"an index before the one before", ErrOrder, func(c [][]byte) ([][]byte, Position) {
			c[5] = edit(c[5], func(_ *ledger.Entry, r *Record) { r.PrevIndex = 0 })
			return c, at
		}},
		{"a position before the one before", ErrOrder, func(c [][]byte) ([][]byte, Position) { return c, Position{at.Seq, at.Head, 0} }},
		{"an action that does not exist", ErrEntry, func(c [][]byte) ([][]byte, Position) {
			c[1] = edit(c[1], func(_ *ledger.Entry, r *Record) { r.Action = 99 })
			return c, at
		}},
		{"an entry of another kind", ErrEntry, func(c [][]byte) ([][]byte, Position) {
			c[1] = edit(c[1], func(e *ledger.Entry, _ *Record) { e.Kind++ })
			return c, at
		}},
		{"bytes after an entry", ErrEntry, func(c [][]byte) ([][]byte, Position) { c[1] = append(slices.Clone(c[1]), 0); return c, at }},
		{"a head of another chain", ErrHead, func(c [][]byte) ([][]byte, Position) { return c, Position{at.Seq, tx.Hash{1}, at.Index} }},
		{"a count of another chain", ErrHead, func(c [][]byte) ([][]byte, Position) { return c, Position{7, at.Head, at.Index} }},
	} {
		entries, pos := tt.make(slices.Clone(good))
		if _, err := VerifyChain(account("a"), entries, pos); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.rule, err, tt.want)
		}
	}
}

// Whatever is appended for whomever, each chain is complete, verifies, and any
// part of it left out is found.
func TestChainsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		names := []string{"a", "b", "c"}
		model := map[string][]Action{}
		for range rapid.IntRange(0, 40).Draw(t, "n") {
			p := rapid.SampledFrom(names).Draw(t, "patient")
			a := Action(rapid.IntRange(1, 10).Draw(t, "action"))
			index := w.append(p, a)
			model[p] = append(model[p], a)
			if int(index) != len(w.log)-1 {
				t.Fatalf("got index %d, want %d", index, len(w.log)-1)
			}
		}
		for _, p := range names {
			entries, at := w.entries(t, p)
			links, err := VerifyChain(account(p), entries, at)
			if err != nil {
				t.Fatal(err)
			}
			var got []Action
			for _, l := range links {
				got = append(got, l.Record.Action)
			}
			if diff := cmp.Diff(model[p], got); diff != "" {
				t.Fatal(diff)
			}
			if len(entries) > 0 {
				i := rapid.IntRange(0, len(entries)-1).Draw(t, "left out")
				if _, err := VerifyChain(account(p), slices.Delete(slices.Clone(entries), i, i+1), at); err == nil {
					t.Fatalf("entry %d of %d is missing and nobody noticed", i+1, len(entries))
				}
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	w := newWorld()
	ask := queries()[0].Answer
	if _, err := ask(w.state, ledger.Head{}, []byte{0xff}); !errors.Is(err, ErrQuery) {
		t.Errorf("got %v, want %v", err, ErrQuery)
	}
	arg := tx.MustEncode(ByPatient{account("a")})
	if _, err := ask(w.state, ledger.Head{}, arg); !errors.Is(err, ErrNoChain) {
		t.Errorf("got %v, want %v", err, ErrNoChain)
	}
	w.append("a", Enrolled)
	b, err := ask(w.state, ledger.Head{}, arg)
	var got Position
	if err == nil {
		err = tx.Decode(b, &got)
	}
	if want, _ := At(w.state, account("a")); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if len(Codes()) != 6 {
		t.Errorf("got %d codes, want the 2 provoked here and the 4 of testdata/journal.txtar", len(Codes()))
	}
	if err := genesis(nil, []byte(`{"x":1}`)); err == nil {
		t.Error("genesis with content: accepted")
	}
}

// The head is what spec/audit.md says, computed by hand.
func TestHeadIsAsSpecified(t *testing.T) {
	entry := []byte("entry")
	prev := tx.Hash{7}
	inner := sha256.Sum256(entry)
	want := tx.Hash(sha256.Sum256(slices.Concat([]byte("salus/audit/v1\x00"), prev[:], inner[:])))
	if got := Extend(prev, entry); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	words := map[string]bool{}
	for a := range Action(255) {
		if a.Known() != (a.String() != "unknown") || a.Known() && words[a.String()] {
			t.Errorf("action %d: got %q", a, a)
		}
		words[a.String()] = true
	}
}

// What decodes encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	w := newWorld()
	w.append("a", Enrolled)
	w.append("a", SessionOpened)
	for _, e := range w.log {
		f.Add(e)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, rec, err := Decode(raw)
		if err != nil {
			return
		}
		if got := tx.MustEncode(e); string(got) != string(raw) {
			t.Errorf("entry: got %x, want %x", got, raw)
		}
		if got := tx.MustEncode(rec); string(got) != string(e.Payload) {
			t.Errorf("record: got %x, want %x", got, e.Payload)
		}
	})
}
