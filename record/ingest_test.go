package record

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"salus/fhir"
)

// The same bytes, brought many times at once, in any order, are one record.
func TestSameResourceIsStoredOnce(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	w.grant(p)
	a, b := observation(t, "a", "first"), observation(t, "b", "second")
	var mu sync.Mutex
	seen, fresh := map[string]map[ID]bool{"a": {}, "b": {}}, 0
	var wg sync.WaitGroup
	for i := range 16 {
		rs := []fhir.Resource{a, b, a}
		if i%2 == 1 {
			rs = []fhir.Resource{b, a}
		}
		wg.Go(func() {
			acks, err := s.Put(t.Context(), p.Patient, rs)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i, k := range acks {
				seen[rs[i].ID()][k.ID] = true
				if !k.Duplicate {
					fresh++
				}
			}
		})
	}
	wg.Wait()
	if len(seen["a"]) != 1 || len(seen["b"]) != 1 || fresh != 2 || len(s.claims.taken) != 0 {
		t.Errorf("got %d and %d ids, %d fresh, %d claims left", len(seen["a"]), len(seen["b"]), fresh, len(s.claims.taken))
	}
	own, err := s.Records(p.Patient)
	if err != nil || len(own) != 3 { // and the slot map
		t.Errorf("got %d records, %v", len(own), err)
	}
	for _, o := range own {
		w.active(o.ID)
	}
	if got := w.read(p); len(got) != 2 {
		t.Errorf("a reader sees %d records, want 2", len(got))
	}
	// The same bytes are another record at another patient, and changed bytes are another record.
	q := w.patient("Patient/q")
	for rule, put := range map[string]func() ([]Ack, error){
		"another patient": func() ([]Ack, error) { return s.Put(t.Context(), q.Patient, []fhir.Resource{a}) },
		"changed bytes": func() ([]Ack, error) {
			return s.Put(t.Context(), p.Patient, []fhir.Resource{observation(t, "a", "1st")})
		},
	} {
		if acks, err := put(); err != nil || acks[0].Duplicate {
			t.Errorf("%s: got %+v, %v", rule, acks, err)
		}
	}
}

func TestClaimsEndWithTheirContext(t *testing.T) {
	c := &claims{taken: map[string]chan struct{}{}}
	free, err := c.take(t.Context(), []string{"b", "a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.take(ctx, []string{"0", "a"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(c.taken) != 2 {
		t.Errorf("got %d claims, want those of the first alone", len(c.taken))
	}
	free()
	if _, err := c.take(t.Context(), []string{"a"}); err != nil {
		t.Error(err)
	}
}

func TestPutRefusesWhatItCannotKeep(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	if _, err := s.Put(t.Context(), account("nobody"), []fhir.Resource{observation(t, "a", "x")}); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("got %v, want %v", err, ErrUnknownPatient)
	}
	p := w.patient("Patient/p")
	if acks, err := s.Put(t.Context(), p.Patient, nil); err != nil || len(acks) != 0 {
		t.Errorf("nothing: got %v, %v", acks, err)
	}
	if err := s.Wait(t.Context(), ID{1}); !errors.Is(err, ErrUnknownRecord) {
		t.Errorf("wait for nothing: got %v", err)
	}
	if _, _, err := s.Body(ID{1}); !errors.Is(err, ErrUnknownRecord) {
		t.Errorf("body of nothing: got %v", err)
	}
}

// What is written to disk says nothing about anybody: not the records, not who they are of.
func TestNoPlaintextOnDisk(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	const secret, name, label = "zebra crossing at midnight", "Patient/quagga-7", "PSY"
	p := w.patient(name)
	w.grant(p)
	ids := w.put(p.Patient, observation(t, "okapi-id", secret, label))
	w.active(ids...)
	if got := w.read(p); len(got) != 1 || !strings.Contains(got[0], secret) {
		t.Fatalf("got %q", got)
	}
	if err := s.store.db.Flush(); err != nil {
		t.Fatal(err)
	}
	h.close()
	words := []string{secret, "zebra", name, "quagga", "okapi", "Observation", "Heart rate", "8867-4", label + `"`, TypeSlotMap}
	files := 0
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, word := range words {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s holds %q", strings.TrimPrefix(path, w.dir), word)
			}
			if strings.Contains(path, word) {
				t.Errorf("a file is called %s", path)
			}
		}
		return err
	})
	if err != nil || files < 4 {
		t.Fatalf("looked at %d files, %v", files, err)
	}
}

// What says that a resource is gone is for those who could read the resource.
func TestPutVersionsTakesTheLabelsThatAreGiven(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	if _, err := s.Known("Patient/p"); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("before she is enrolled: got %v, want ErrUnknownPatient", err)
	}
	p := w.patient("Patient/p")
	if got, err := s.Known("Patient/p"); err != nil || got != p.Patient {
		t.Errorf("got %v, %v; want her pseudonym", got, err)
	}
	o := observation(t, "gone", "x")
	if _, err := s.Find(p.Patient, o); !errors.Is(err, ErrUnknownRecord) {
		t.Errorf("before it is put: got %v, want ErrUnknownRecord", err)
	}
	labels := [][]fhir.Label{{fhir.KindMedication, fhir.HIV}}
	acks, err := s.PutVersions(t.Context(), p.Patient, []fhir.Resource{o}, labels)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Find(p.Patient, o)
	if err != nil || got.ID != acks[0].ID || len(got.Labels) != 2 || got.Labels[0] != string(fhir.KindMedication) || got.Labels[1] != string(fhir.HIV) {
		t.Errorf("got %v, %v; want the labels that were given", got.Labels, err)
	}
	if _, err := s.PutVersions(t.Context(), p.Patient, []fhir.Resource{observation(t, "none", "x")}, [][]fhir.Label{{}}); err == nil {
		t.Error("a record without any label was taken: everybody with a grant could read it")
	}
}
