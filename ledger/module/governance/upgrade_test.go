package governance

import (
	"errors"
	"testing"

	"salus/ledger/state"
	"salus/ledger/tx"
)

func upgradeTo(version, height uint64) *Propose {
	return &Propose{Action{Upgrade: &Upgrade{Version: version, Height: height, Name: "Sample release 2", Digest: tx.Hash{1}}}}
}

// decided proposes as a, and has b and c approve.
func decided(t *testing.T, w *world, m *Propose) tx.Hash {
	t.Helper()
	id := ok(t)(do(w, "a", propose, m))
	ok(t)(do(w, "b", vote, &Vote{id, true}))
	ok(t)(do(w, "c", vote, &Vote{id, true}))
	w.block(t, 1)
	return id
}

func status(w *world, id tx.Hash) (Status, uint32) {
	p, _ := LookupProposal(w.state, id)
	return p.Status, p.Code
}

// begins runs what comes first in a block at that height, which its rules' version is.
func begins(t *testing.T, w *world, height int64) {
	t.Helper()
	w.height = height
	if err := begin(w.context(w.state, nobody)); err != nil {
		t.Fatal(err)
	}
}

func TestUpgradeWaitsForItsBlock(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	id := decided(t, w, upgradeTo(2, 5000))
	want := Planned{Upgrade{2, 5000, "Sample release 2", tx.Hash{1}}, id}
	if got, ok := LookupPlan(w.state); !ok || got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if p, ok := LedgerPlan(w.state); !ok || p.Height != 5000 || p.Version != 2 || p.Name != "Sample release 2" {
		t.Errorf("got %+v, %v", p, ok)
	}
	begins(t, w, 4999)
	if _, ok := LookupPlan(w.state); !ok {
		t.Error("the plan went before its block")
	}
	size := w.state.Size()
	begins(t, w, 5000)
	if _, ok := LookupPlan(w.state); ok || w.state.Size() != size+1 {
		t.Errorf("got plan %v and %d entries, want none waiting and one entry more", ok, w.state.Size()-size)
	}
}

func TestOneUpgradeWaitsAtATime(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	first := ok(t)(do(w, "a", propose, upgradeTo(2, 5000)))
	second := ok(t)(do(w, "b", propose, upgradeTo(2, 6000)))
	for _, id := range []tx.Hash{first, second} {
		ok(t)(do(w, "c", vote, &Vote{id, true}))
		ok(t)(do(w, "d", vote, &Vote{id, true}))
	}
	w.block(t, 1)
	one, _ := status(w, first)
	two, code := status(w, second)
	if one == two || one != Executed && two != Executed || one == Executed && code != ErrPlanned.Code {
		t.Errorf("got %v and %v (%#04x), want one executed and the other failed", one, two, code)
	}
}

// The notice counts from the decision: votes that come too late make it fail.
func TestUpgradeDecidedTooLateFails(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	id := ok(t)(do(w, "a", propose, upgradeTo(2, 1000)))
	w.block(t, 1)
	ok(t)(do(w, "b", vote, &Vote{id, true}))
	ok(t)(do(w, "c", vote, &Vote{id, true}))
	w.block(t, 1)
	if s, code := status(w, id); s != Failed || code != ErrNotice.Code {
		t.Errorf("got %v (%#04x), want failed for want of notice", s, code)
	}
}

func TestUpgradeIsCancelled(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	id := decided(t, w, upgradeTo(2, 5000))
	late := ok(t)(do(w, "a", propose, &Propose{Action{CancelUpgrade: &CancelUpgrade{id}}}))
	decided(t, w, &Propose{Action{CancelUpgrade: &CancelUpgrade{id}}})
	if _, waits := LookupPlan(w.state); waits {
		t.Fatal("the plan still waits")
	}
	ok(t)(do(w, "b", vote, &Vote{late, true}))
	ok(t)(do(w, "c", vote, &Vote{late, true}))
	w.block(t, 1)
	if s, code := status(w, late); s != Failed || code != ErrNoPlan.Code {
		t.Errorf("got %v (%#04x), want a second cancellation to fail", s, code)
	}
	decided(t, w, upgradeTo(2, 7000))
	if p, ok := LookupPlan(w.state); !ok || p.Upgrade.Height != 7000 {
		t.Errorf("got %+v, want the next plan", p)
	}
	// A cancellation names what it takes back.
	if _, err := do(w, "a", propose, &Propose{Action{CancelUpgrade: &CancelUpgrade{id}}}); !errors.Is(err, ErrNoPlan) {
		t.Errorf("got %v, want %v", err, ErrNoPlan)
	}
}

func TestUpgradeGoesToTheNextVersion(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	scratch := state.NewCache(w.state)
	c := w.context(scratch, nobody)
	c.Version = 2
	for version, want := range map[uint64]error{2: ErrVersion, 3: nil, 4: ErrVersion} {
		if err := upgradable(c, &Upgrade{Version: version, Height: 5000}); !errors.Is(err, want) {
			t.Errorf("from 2 to %d: got %v, want %v", version, err, want)
		}
	}
}
