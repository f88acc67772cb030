package governance

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// recorder keeps the log entries of a block.
type recorder struct {
	*state.Cache
	entries [][]byte
}

func (r *recorder) Append(entry []byte) uint64 {
	r.entries = append(r.entries, entry)
	return r.Cache.Append(entry)
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Errorf(format string, args ...any)
}

// caught ends the block with evidence against those consensus keys, each at the same height, and returns
// what followed for each.
func (w *world) caught(t failer, height uint64, keys ...string) []Consequence {
	t.Helper()
	c := w.context(w.state, nobody)
	for _, k := range keys {
		address := sha256.Sum256(consensusPublic(k))
		c.Caught = append(c.Caught, ledger.Misbehavior{Kind: 1, Validator: address[:20], Height: height})
	}
	log := &recorder{Cache: w.state}
	c.State = log
	if err := end(c); err != nil {
		t.Fatal(err)
	}
	var out []Consequence
	for _, raw := range log.entries {
		e, err := ledger.DecodeEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != EntryMisbehaved {
			continue
		}
		var m Misbehaved
		if err := tx.Decode(e.Payload, &m); err != nil {
			t.Fatal(err)
		}
		if k := keys[len(out)]; string(m.Validator) != string(consensusPublic(k)) || m.Height != height || m.Kind != 1 {
			t.Errorf("the log says %+v of key %s at %d", m, k, height)
		}
		out = append(out, m.Consequence)
	}
	w.height++
	return out
}

func wantConsequences(t testing.TB, rule string, got []Consequence, want ...Consequence) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", rule, got, want)
	}
}

func TestDoubleSignerLeavesConsensusAndStaysAMember(t *testing.T) {
	w := newValidators(t, "a", "b", "c", "d")
	wantConsequences(t, "the first time", w.caught(t, 990, "d"), Removed)
	m, _ := LookupMember(w.state, account("d"))
	if !m.Active || m.IsValidator() || len(Validators(w.state)) != 3 {
		t.Errorf("got %+v among %d validators", m, len(Validators(w.state)))
	}
	// Consensus follows two blocks later, and so does the node.
	for height, want := range map[uint64][]byte{1001: consensusPublic("d"), 1002: nil} {
		if got := ValidatorAt(w.state, account("d"), height); string(got) != string(want) {
			t.Errorf("height %d: got %x, want %x", height, got, want)
		}
	}
	wantConsequences(t, "another height", w.caught(t, 991, "d"), Gone)
	// It does not come back by itself, under no key.
	if _, err := do(w, "d", replaceValidator, replacement("d", "d", "d2")); !errors.Is(err, ErrNotValidator) {
		t.Errorf("it brings another key: got %v, want %v", err, ErrNotValidator)
	}
	// The members can vote it back in, and what they knew then is no reason again.
	w.height = 1100
	decided(t, w, &Propose{Action{SetValidator: &SetValidator{account("d"), consensusPublic("d2")}}})
	wantConsequences(t, "an older offence", w.caught(t, 992, "d"), Forgiven)
	wantConsequences(t, "a new offence", w.caught(t, 1105, "d2"), Removed)
}

func TestWhoReplacesItsKeyAnswersForTheOldOne(t *testing.T) {
	w := newValidators(t, "a", "b", "c", "d")
	ok(t)(do(w, "d", replaceValidator, replacement("d", "d", "d2")))
	w.height = 1010
	wantConsequences(t, "by the key before", w.caught(t, 999, "d"), Removed)
	if m, _ := LookupMember(w.state, account("d")); m.IsValidator() {
		t.Error("it votes with the new key")
	}

	// A vote on its key forgives, and a change of its own after that does not take it back.
	w = newValidators(t, "a", "b", "c", "d")
	decided(t, w, &Propose{Action{SetValidator: &SetValidator{account("d"), consensusPublic("d2")}}})
	voted := uint64(w.height)
	w.height += 200
	ok(t)(do(w, "d", replaceValidator, replacement("d", "d2", "d3")))
	s, _ := LookupSwitch(w.state, account("d"))
	if s.Voted == 0 || s.Voted > voted || !s.Self {
		t.Fatalf("got %+v, want a vote at %d remembered", s, voted)
	}
	wantConsequences(t, "the last block of the key before the vote", w.caught(t, s.Voted+1, "d"), Forgiven)
	wantConsequences(t, "the first block of the key of the vote", w.caught(t, s.Voted+2, "d2"), Removed)
}

func TestMisbehaviourLeavesEnoughValidators(t *testing.T) {
	w := newValidators(t, "a", "b", "c", "d", "e")
	wantConsequences(t, "three of five at once", w.caught(t, 990, "e", "a", "c"), Removed, Removed, Floor)
	if got := Validators(w.state); len(got) != 3 {
		t.Errorf("got %d validators left, want 3", len(got))
	}
	one := uint64(1)
	id := ok(t)(do(w, "a", propose, &Propose{Action{SetParams: &Changes{ValidatorFloor: &one}}}))
	for _, n := range []string{"b", "c", "d"} {
		ok(t)(do(w, n, vote, &Vote{id, true}))
	}
	w.block(t, 1)
	wantConsequences(t, "with a floor of one", w.caught(t, 991, "b", "c", "d"), Removed, Removed, Floor)
	// Whoever is not known is nobody's member.
	if got := w.caught(t, 992, "stranger"); len(got) != 0 {
		t.Errorf("a stranger: got %v", got)
	}
}

// Whatever evidence comes in whatever order, what follows depends on nothing else, the floor holds, and
// nobody leaves consensus who was not caught.
func TestSanctionsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d", "e", "f", "g"}[:rapid.IntRange(1, 7).Draw(t, "validators")]
		floor := rapid.Uint64Range(1, 5).Draw(t, "floor")
		worlds := make([]*world, 2)
		for i := range worlds {
			g := Genesis{Params: Changes{ValidatorFloor: &floor}}
			for _, n := range names {
				a := admission(n, Hospital, false)
				a.Validator = consensusPublic(n)
				g.Members = append(g.Members, *a)
			}
			w, err := found(&g)
			if err != nil {
				t.Fatal(err)
			}
			w.height = 1000
			worlds[i] = w
		}
		guilty := map[string]bool{}
		for range rapid.IntRange(1, 5).Draw(t, "blocks") {
			who := rapid.SliceOfN(rapid.SampledFrom(names), 0, 4).Draw(t, "caught")
			height := rapid.Uint64Range(1, 1000).Draw(t, "height")
			for _, n := range who {
				guilty[n] = true
			}
			if one, other := worlds[0].caught(t, height, who...), worlds[1].caught(t, height, who...); !slices.Equal(one, other) {
				t.Fatalf("got %v and %v", one, other)
			}
			left := Validators(worlds[0].state)
			if uint64(len(left)) < min(floor, uint64(len(names))) {
				t.Fatalf("%d validators are left, the floor is %d of %d", len(left), floor, len(names))
			}
			for _, n := range names {
				if m, _ := LookupMember(worlds[0].state, account(n)); !m.IsValidator() && !guilty[n] {
					t.Fatalf("%s left without a fault", n)
				}
			}
		}
	})
}
