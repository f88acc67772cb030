package record

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble"

	"salus/fhir"
)

// A stop ends the hospital's service at some step and returns what is on its disk then.
type stop func(t *testing.T, h *org, put func() []ID) (image string, ids []ID)

// at stops when the first of the steps is reached; nothing of them happens.
func at(steps ...string) stop {
	return func(t *testing.T, h *org, put func() []ID) (string, []ID) {
		reached, image := gateAt(t, h, steps...)
		ids := put()
		<-reached
		h.close()
		return image(), ids
	}
}

// gateAt blocks the steps for ever. reached closes when the first of them is, with an image of
// the disk at that moment.
func gateAt(t *testing.T, h *org, steps ...string) (reached chan struct{}, image func() string) {
	t.Helper()
	reached = make(chan struct{})
	var once sync.Once
	var dir string
	h.setGate(func(ctx context.Context, step string) error {
		if !slices.Contains(steps, step) {
			return nil
		}
		once.Do(func() { dir = copyDir(t, filepath.Join(h.dir, "record", h.name)); close(reached) })
		<-ctx.Done()
		return ctx.Err()
	})
	return reached, func() string { return dir }
}

// A node that stops between any two durable steps loses nothing and doubles nothing.
func TestCrashLosesAndDoublesNothing(t *testing.T) {
	for rule, stop := range map[string]stop{
		"stored, not dealt":               at(stepKeys),
		"in the outbox, nothing sent":     at(stepPut, stepParcel, stepPack),
		"parcels sent, no header":         at(stepPut),
		"header sent, no parcels":         at(stepParcel),
		"header and parcels, no pack":     at(stepPack),
		"header committed, nobody heard":  at(stepAfter),
		"in the vault, not in the outbox": inVaultOnly,
		"active, not noted":               activeNotNoted,
		"finished":                        finished,
	} {
		t.Run(rule, func(t *testing.T) {
			w := newWorld(t)
			h := w.orgs["hospital"]
			s := h.open("")
			p := w.patient("Patient/p")
			w.grant(p)
			own, err := s.Records(p.Patient)
			if err != nil || len(own) != 1 || own[0].Type != TypeSlotMap {
				t.Fatalf("got %v, %v; want the slot map alone", own, err)
			}
			w.active(own[0].ID)
			h.close() // so that nothing is remembered that a start would have to ask for
			h.open("")
			rs := []fhir.Resource{observation(t, "a", "first"), observation(t, "b", "second", "PSY"), observation(t, "c", "third")}
			before := w.puts
			image, ids := stop(t, h, func() []ID { return w.put(p.Patient, rs...) })
			h.setGate(nil)
			h.close()

			s = h.open(image)
			w.active(ids...)
			got := w.read(p)
			slices.Sort(got)
			if want := bodies(rs); !slices.Equal(got, want) {
				t.Errorf("got %d records, want %d, each once", len(got), len(want))
			}
			if n := w.puts - before; n != 1 {
				t.Errorf("got %d batches on the ledger, want 1", n)
			}
			if n, err := s.Pending(); n != 0 || err != nil {
				t.Errorf("got %d batches in the outbox, %v", n, err)
			}
			if err := s.Check(t.Context()); err != nil {
				t.Errorf("check: %v", err)
			}
			for i, id := range ids {
				if b, o, err := s.Body(id); err != nil || string(b) != string(rs[i].Raw()) || o.Status != Active.String() {
					t.Errorf("own record %d: %s, %v", i, o.Status, err)
				}
			}
			// What is stored already is known after the crash, too.
			acks, err := s.Put(t.Context(), p.Patient, rs)
			if err != nil {
				t.Fatal(err)
			}
			for i, a := range acks {
				if !a.Duplicate || a.ID != ids[i] {
					t.Errorf("put again: got %+v, want the record stored before", a)
				}
			}
		})
	}
}

func bodies(rs []fhir.Resource) []string {
	var out []string
	for _, r := range rs {
		out = append(out, string(r.Raw()))
	}
	slices.Sort(out)
	return out
}

// inVaultOnly: the disk of before the dealing, the vault of after it.
func inVaultOnly(t *testing.T, h *org, put func() []ID) (string, []ID) {
	reached, image := gateAt(t, h, stepKeys)
	packs := h.vault.Stats().Packs
	ids := put()
	<-reached
	dealt, _ := gateAt(t, h, stepPut, stepParcel, stepPack)
	h.close()
	before := copyDir(t, image())
	h.open("") // deals, and gets no further
	<-dealt
	h.close()
	if got := h.vault.Stats().Packs; got != packs+1 {
		t.Fatalf("got %d packs, want one more than %d", got, packs)
	}
	return before, ids
}

// activeNotNoted: the disk of before the header's commit was heard of, the ledger of after.
func activeNotNoted(t *testing.T, h *org, put func() []ID) (string, []ID) {
	reached := make(chan struct{})
	var once sync.Once
	var dir string
	h.setGate(func(_ context.Context, step string) error {
		if step == stepAfter {
			once.Do(func() { dir = copyDir(t, filepath.Join(h.dir, "record", h.name)); close(reached) })
		}
		return nil
	})
	ids := put()
	<-reached
	h.active(ids...)
	h.close()
	return dir, ids
}

func finished(t *testing.T, h *org, put func() []ID) (string, []ID) {
	ids := put()
	h.active(ids...)
	h.close()
	return copyDir(t, filepath.Join(h.dir, "record", h.name)), ids
}

// While nothing can be delivered, everything stays readable, and it goes out afterwards.
func TestCareGoesOnWithoutTheNetwork(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	p := w.patient("Patient/p")
	w.grant(p)
	away := make(chan struct{})
	h.setGate(func(ctx context.Context, _ string) error {
		select {
		case <-away:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	rs := []fhir.Resource{observation(t, "a", "first"), observation(t, "b", "second")}
	ids := append(w.put(p.Patient, rs[0]), w.put(p.Patient, rs[1])...)
	for i, id := range ids {
		if b, _, err := s.Body(id); err != nil || string(b) != string(rs[i].Raw()) {
			t.Errorf("own record %d: %v", i, err)
		}
		if st, err := s.Status(id); err != nil || st == Active {
			t.Errorf("own record %d is %v, %v", i, st, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Wait(ctx, ids...); !errors.Is(err, context.Canceled) {
		t.Errorf("wait: got %v", err)
	}
	close(away)
	w.active(ids...)
	if got := w.read(p); len(got) != 2 {
		t.Errorf("got %d records, want 2", len(got))
	}
}

func TestWaitEndsWithTheService(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	p := w.patient("Patient/p")
	reached, _ := gateAt(t, h, stepPut, stepParcel, stepPack)
	ids := w.put(p.Patient, observation(t, "a", "first"))
	done := make(chan error, 1)
	go func() { done <- s.Wait(context.Background(), ids...) }()
	<-reached
	h.close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
}

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
	if err := o.append(b, &parcelRow{Records: []ID{{1}}}); err != nil {
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
	w.active(func() []ID { own, _ := h.record.Records(p.Patient); return []ID{own[0].ID} }()...)
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
