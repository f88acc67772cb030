package emergency_test

import (
	"testing"

	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
)

// What she excludes under one of two merged pseudonyms no emergency opens under the other, for as long as they are merged.
func TestAnEmergencyOpensNothingThatAnotherPseudonymExcludes(t *testing.T) {
	w, id := open(t)
	before := w.allowed(id)
	const excluded = uint64(0xffffff00) // slots 8 to 31 of bob, 12 to 35 of alice
	w.must("hospital", emergency.KindDirective, directive(1, func(m *emergency.SetDirective) {
		m.Patient, m.Set, m.More, m.Except = account("bob"), more, set, excluded
	}))
	turn := make(consent.Translation, 64)
	for i := range turn {
		turn[i] = byte(i+4) % 64
	}
	c := w.context(w.state, ledger.Signer{})
	if err := consent.Unite(c, account("bob"), account("alice"), turn); err != nil {
		t.Fatal(err)
	}
	if got, want := w.allowed(id), before&^(excluded<<4); got != want || got == before {
		t.Errorf("got %#x, want %#x: without what bob excludes", got, want)
	}
	consent.Divide(c, account("bob"), account("alice"))
	if got := w.allowed(id); got != before {
		t.Errorf("taken back: got %#x, want %#x", got, before)
	}
	if err := consent.Unite(c, account("bob"), account("alice"), turn); err != nil {
		t.Fatal(err)
	}
	w.must("doctor", access.KindWiden, &access.Widen{Session: id})
	if got := w.allowed(id) & (excluded << 4); got != 0 {
		t.Errorf("the second step opens %#x of what bob excludes", got)
	}
}
