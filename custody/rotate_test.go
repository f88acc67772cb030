package custody

import (
	"context"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"salus/exchange"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/seal"
)

const week = 7 * 24 * time.Hour

// live is the newest valid key of a member on the ledger.
func (w *world) live(name string) (key committee.CustodyKey, ok bool) {
	w.Helper()
	v := w.nodes[0].app.View()
	defer v.Close()
	for _, l := range committee.LiveKeys(v, v.Meta().Time) {
		if l.Key.Member == account(name) {
			return l.Key, true
		}
	}
	return key, false
}

// pass lets time go by with a block at its end.
func (w *world) pass(d time.Duration) {
	w.Helper()
	w.advance(d)
	w.block()
}

// A key lasts a week, its successor comes when a quarter is left, and its seed is destroyed
// a week after its end: envelopes recorded before are then unreadable for everybody.
func TestCustodyKeysRotateWeeklyAndOldSeedsAreDestroyed(t *testing.T) {
	w := newWorld(t)
	m := w.node("lab")
	p, _ := w.deal("hospital", "alice", allowedSlot)
	first, ok := w.live("lab")
	if !ok || first.KeyEpoch != 1 || first.Until-first.From != uint64(week/time.Second) {
		t.Fatalf("got %+v", first)
	}
	w.pass(week*3/4 - time.Minute)
	w.rotate()
	if k, _ := w.live("lab"); k.KeyEpoch != 1 {
		t.Errorf("rotated to key %d before three quarters of the period", k.KeyEpoch)
	}
	w.pass(2 * time.Minute)
	w.rotate()
	if k, _ := w.live("lab"); k.KeyEpoch != 2 {
		t.Errorf("got key %d after three quarters of the period, want 2", k.KeyEpoch)
	}
	// In the grace period, a parcel that was under way for a week still opens.
	w.pass(week/4 + week/2)
	w.deliver("hospital", p)
	hh := w.put("hospital", p)
	w.step()
	if row := w.row(hh); row.Received() != 4 {
		t.Errorf("got %d receipts in the grace period, want 4", row.Received())
	}
	seeds, err := m.rows.seeds()
	if err != nil || len(seeds) < 2 || seeds[0].Epoch != 1 {
		t.Fatalf("got %d seeds, %v", len(seeds), err)
	}
	k := seeds[0].key()
	wrappedSeed, err := m.rows.get(k)
	if err != nil {
		t.Fatal(err)
	}
	generation := m.rows.roots.oldest()
	w.rotate()
	w.pass(week/2 - time.Hour)
	w.rotate()
	if m.rows.roots.oldest() != generation || !m.rows.has(k) {
		t.Error("the seed was destroyed within the grace period")
	}
	// A clock that runs ahead destroys nothing: block time decides.
	m.skew = 10 * week
	w.rotate()
	if !m.rows.has(k) {
		t.Error("the seed was destroyed by the clock alone")
	}
	m.skew = 0
	w.pass(2 * time.Hour)
	w.rotate()
	if m.rows.has(k) || m.rows.roots.oldest() == generation {
		t.Error("the seed outlives its grace period")
	}
	if _, err := m.rows.roots.unwrap(k, wrappedSeed); err == nil {
		t.Error("a copy of the destroyed seed's row can still be read")
	}
	if _, err := m.Key(context.Background(), &exchange.KeyRequest{Hash: first.Hash}); err != error(ErrNoKey) {
		t.Errorf("got %v, want %v", err, ErrNoKey)
	}
	if err := m.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

// A crash between drawing a key and its transaction, or before its answer, repeats the
// transaction with the same key.
func TestAKeyIsDrawnOnce(t *testing.T) {
	for name, hook := range map[string]func(*member, func(tx.Kind) error){
		"before the transaction": func(m *member, f func(tx.Kind) error) { m.beforeSubmit = f },
		"after the transaction":  func(m *member, f func(tx.Kind) error) { m.afterSubmit = f },
	} {
		t.Run(name, func(t *testing.T) {
			w := newLedger(t)
			m := w.node("lab")
			dir := filepath.Join(w.dir, "lab")
			m.reopen(dir)
			w.block()
			hook(m, func(tx.Kind) error { return errCrash })
			if err := m.rotateOnce(context.Background()); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			m.beforeSubmit, m.afterSubmit = nil, nil
			m.reopen(dir)
			w.pass(time.Hour)
			if err := m.rotateOnce(context.Background()); err != nil {
				t.Fatal(err)
			}
			seeds, err := m.rows.seeds()
			key, ok := w.live("lab")
			if err != nil || !ok || len(seeds) != 1 || seeds[0].hash() != key.Hash {
				t.Errorf("got %d seeds, live %v, %v", len(seeds), ok, err)
			}
		})
	}
}

// A key whose transaction never came through does not block its epoch; nor does a custody
// store that is new while the ledger knows keys of it.
func TestAnAbandonedKeyOrLostStoreDoesNotStopRotation(t *testing.T) {
	w := newLedger(t)
	m := w.node("lab")
	m.reopen(filepath.Join(w.dir, "lab"))
	w.block()
	m.beforeSubmit = func(tx.Kind) error { return errCrash }
	if err := m.rotateOnce(context.Background()); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	m.beforeSubmit = nil
	w.pass(week)
	if err := m.rotateOnce(context.Background()); err != nil {
		t.Fatal(err)
	}
	if key, ok := w.live("lab"); !ok || key.KeyEpoch != 1 {
		t.Errorf("got key %d, %v", key.KeyEpoch, ok)
	}
	m.reopen(filepath.Join(w.dir, "lab, new disk"))
	w.pass(time.Hour)
	if err := m.rotateOnce(context.Background()); err != nil {
		t.Fatal(err)
	}
	key, ok := w.live("lab")
	if !ok || key.KeyEpoch != 2 {
		t.Errorf("got key %d, %v", key.KeyEpoch, ok)
	}
	if reply, err := m.Key(context.Background(), &exchange.KeyRequest{Hash: key.Hash}); err != nil || len(reply.Public) != seal.PublicKeySize {
		t.Errorf("got %v", err)
	}
}

// Authors get the key of a custodian that is down from another one.
func TestOthersAnswerForACustodianThatIsDown(t *testing.T) {
	w := newWorld(t)
	w.node("lab").down = true
	key, _ := w.live("lab")
	for _, m := range w.nodes {
		if m.name == "lab" {
			continue
		}
		if reply, err := m.Key(context.Background(), &exchange.KeyRequest{Hash: key.Hash}); err != nil || tx.Hash(sha256.Sum256(reply.Public)) != key.Hash {
			t.Errorf("%s: got %v", m.name, err)
		}
	}
	// Also when the key has ended: its owner can open envelopes for a while.
	w.pass(week + time.Hour)
	for _, m := range w.nodes {
		if m.name == "lab" {
			continue
		}
		if err := m.rotateOnce(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Key(context.Background(), &exchange.KeyRequest{Hash: key.Hash}); err != nil {
			t.Errorf("%s: got %v", m.name, err)
		}
	}
}

// Who sits in no committee publishes nothing.
func TestAMemberWithoutASeatHasNoCustodyKey(t *testing.T) {
	w := newWorld(t)
	w.epoch("clinic", "lab", "insurer")
	w.pass(week)
	m := w.node("hospital")
	if err := m.rotateOnce(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.live("hospital"); ok {
		t.Error("a member without a seat has a live custody key")
	}
	v := m.app.View()
	defer v.Close()
	if governance.ParamsOf(v).CustodyKeyPeriod != uint64(week/time.Second) {
		t.Error("the tests count on a period of a week")
	}
}
