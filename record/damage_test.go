package record

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble"
)

// damage changes rows of a closed store.
func damage(t *testing.T, dir string, key [32]byte, f func(s *store, b *pebble.Batch)) {
	t.Helper()
	s, err := openStore(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	b := s.db.NewBatch()
	f(s, b)
	if err := errors.Join(b.Commit(pebble.Sync), b.Close(), s.close()); err != nil {
		t.Fatal(err)
	}
}

// An outbox that somebody has cut, exchanged or signed for us does not pass.
func TestDamagedOutboxIsFound(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	h.open("")
	p := w.patient("Patient/p")
	for _, id := range []string{"a", "b", "c"} { // sequences 1 to 3 after the slot map's 0
		w.active(w.put(p.Patient, observation(t, id, "delivered"))...)
	}
	reached, image := gateAt(t, h, stepPut, stepParcel, stepPack)
	w.put(p.Patient, observation(t, "d", "on its way")) // sequence 4
	<-reached
	h.close()
	stranger := private("stranger")
	for _, s := range []struct {
		rule   string
		opens  bool // the service starts, and Check finds it
		change func(s *store, b *pebble.Batch)
	}{
		{"nothing", true, nil},
		{"a link cut out", true, func(_ *store, b *pebble.Batch) { _ = b.Delete(doneKey(2), nil) }},
		{"the parcel cut out", true, func(_ *store, b *pebble.Batch) { _ = b.Delete(outboxKey(4), nil) }},
		{"the end cut off", true, func(s *store, b *pebble.Batch) {
			var d doneRow
			if err := s.get(doneKey(3), &d); err != nil {
				t.Fatal(err)
			}
			_ = b.Delete(outboxKey(4), nil)
			_ = s.put(b, keyHead, outboxHead{Next: 4, Hash: d.Prev})
		}},
		{"a link signed by somebody else", true, func(s *store, b *pebble.Batch) {
			var d doneRow
			if err := s.get(doneKey(2), &d); err != nil {
				t.Fatal(err)
			}
			d.Signature = ed25519.Sign(stranger, d.Digest[:])
			_ = s.put(b, doneKey(2), d)
		}},
		{"the parcel signed by somebody else", false, func(s *store, b *pebble.Batch) {
			p := new(parcelRow)
			if err := s.get(outboxKey(4), p); err != nil {
				t.Fatal(err)
			}
			digest := p.digest()
			p.Signature = ed25519.Sign(stranger, digest[:])
			_ = s.put(b, outboxKey(4), p)
		}},
		{"the parcel under another number", false, func(s *store, b *pebble.Batch) {
			p := new(parcelRow)
			if err := s.get(outboxKey(4), p); err != nil {
				t.Fatal(err)
			}
			_ = b.Delete(outboxKey(4), nil)
			_ = s.put(b, outboxKey(5), p)
		}},
		{"one row in another's place", false, func(s *store, b *pebble.Batch) {
			v, c, err := s.db.Get(doneKey(1))
			if err != nil {
				t.Fatal(err)
			}
			_ = b.Set(outboxKey(4), v, nil)
			c.Close()
		}},
	} {
		t.Run(s.rule, func(t *testing.T) {
			dir := copyDir(t, image())
			if s.change != nil {
				damage(t, dir, digest("store/hospital"), s.change)
			}
			h.setGate(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
			svc, err := Open(context.Background(), h.config(dir))
			if err != nil {
				if s.opens || !errors.Is(err, ErrOutbox) && !errors.Is(err, errDamaged) {
					t.Errorf("open: got %v", err)
				}
				return
			}
			defer svc.Close()
			if !s.opens {
				t.Error("the service starts on it")
			}
			if err := svc.Check(t.Context()); (s.change == nil) != (err == nil) || err != nil && !errors.Is(err, ErrOutbox) {
				t.Errorf("check: got %v", err)
			}
		})
	}
}

// A member that has changed its service key still knows what the old one signed.
func TestOutboxSignedByAnEarlierKeyIsOwn(t *testing.T) {
	dir := t.TempDir()
	st, err := openStore(dir, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	old, now := private("old"), private("new")
	o, err := openOutbox(st, old, func() []ed25519.PublicKey { return nil })
	if err != nil {
		t.Fatal(err)
	}
	b := st.db.NewBatch()
	if err := o.chain(b, &parcelRow{Records: []ID{{1}}}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		keys []ed25519.PublicKey
		want error
	}{{nil, ErrOutbox}, {[]ed25519.PublicKey{private("else").Public().(ed25519.PublicKey)}, ErrOutbox}, {[]ed25519.PublicKey{old.Public().(ed25519.PublicKey)}, nil}} {
		o, err := openOutbox(st, now, func() []ed25519.PublicKey { return s.keys })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.pending(); !errors.Is(err, s.want) {
			t.Errorf("got %v, want %v", err, s.want)
		}
	}
}

// One record that the disk has damaged keeps neither the node nor the others from working.
func TestDamagedRecordDoesNotHoldUpOthers(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	h.open("")
	p := w.patient("Patient/p")
	w.grant(p)
	h.close()
	h.open("")
	reached, _ := gateAt(t, h, stepKeys)
	ids := w.put(p.Patient, observation(t, "a", "damaged"), observation(t, "b", "whole"))
	<-reached
	h.close()
	dir := filepath.Join(h.dir, "record", h.name)
	damage(t, dir, digest("store/hospital"), func(_ *store, b *pebble.Batch) {
		_ = b.Set(key(prefixRecord, ids[0][:]), []byte("noise"), nil)
	})
	h.setGate(nil)
	s := h.open("")
	w.active(ids[1])
	if _, _, err := s.Body(ids[0]); !errors.Is(err, errDamaged) {
		t.Errorf("the damaged one: got %v", err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, errDamaged) {
		t.Errorf("check: got %v, want %v", err, errDamaged)
	}
	if got := w.read(p); len(got) != 1 {
		t.Errorf("got %d records, want the whole one", len(got))
	}
}

func TestStoreUnderAnotherKeyDoesNotOpen(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	h.open("")
	w.patient("Patient/p")
	h.close()
	c := h.config(filepath.Join(h.dir, "record", h.name))
	c.StoreKey[0] ^= 1
	if s, err := Open(t.Context(), c); !errors.Is(err, errDamaged) {
		t.Errorf("got %v, want %v", err, errDamaged)
		if err == nil {
			s.Close()
		}
	}
}
