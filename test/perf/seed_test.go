package main

import (
	"testing"

	"salus/ledger/module/consent"
	"salus/ledger/state"
)

// A network that is planted from a seed goes on from it: the same state on all members, blocks on
// top, decisions by the seeded grants.
func TestPlantedNetworkGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("runs four validators")
	}
	ctx := t.Context()
	s, err := newSeed(ctx, t.TempDir(), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	if err := s.enlist(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.anchorTo(ctx, 1000); err != nil {
		t.Fatal(err)
	}
	v := s.app.View()
	for _, grants := range grantsEach {
		q, ok := s.people.question(v, 3, grants)
		if d := consent.Evaluate(v, q); !ok || d.Allowed == 0 {
			t.Errorf("%d grants: got nothing, want what the last of them allows", grants)
		}
	}
	v.Close()
	l, err := s.plant(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.requests(s.chain, s.people, 10, 400, 1); err != nil {
		t.Fatal(err)
	}
	if s, err := l.commit(ctx, &bench{log: t.Logf}, "", openSalus); err != nil || s.rate == 0 {
		t.Fatalf("got %v/s: %v", s.rate, err)
	}
	for _, c := range l.homes {
		st, err := state.Open(c.Data("ledger"), state.Options{})
		if err != nil {
			t.Fatal(err)
		}
		v := st.View()
		if got := v.Meta().Height; got <= s.app.Head().Height {
			t.Errorf("%s: at height %d, want above the seed's %d", c.Name, got, s.app.Head().Height)
		}
		v.Close()
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
