package record

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"

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
			h.open("")
			p := w.patient("Patient/p")
			w.grant(p)
			h.close() // so that nothing is remembered that a start would have to ask for
			h.open("")
			rs := []fhir.Resource{observation(t, "a", "first"), observation(t, "b", "second", "PSY"), observation(t, "c", "third")}
			before := w.puts
			image, ids := stop(t, h, func() []ID { return w.put(p.Patient, rs...) })
			h.setGate(nil)
			h.close()

			s := h.open(image)
			w.active(ids...)
			got := w.read(p)
			slices.Sort(got)
			if want := bodies(rs); !slices.Equal(got, want) {
				t.Errorf("got %d records, want %d, each once", len(got), len(want))
			}
			if n := w.puts - before; n != 1 {
				t.Errorf("got %d batches on the ledger, want 1", n)
			}
			if n, err := s.Pending(); n != (Pending{}) || err != nil {
				t.Errorf("got %+v, %v, want nothing", n, err)
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
	if n, err := h.record.Pending(); n != (Pending{Stored: len(ids)}) || err != nil {
		t.Errorf("got %+v, %v, want %d records stored: they are in no batch yet, and not done either", n, err, len(ids))
	}
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
