package record

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"testing"

	"salus/fhir"
)

func TestErasedRecordsSayNothing(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	p, q := w.patient("Patient/p"), w.patient("Patient/q")
	a, b, c := observation(t, "a", "first"), observation(t, "b", "second"), observation(t, "c", "third")
	ids := w.put(p.Patient, a, b)
	others := w.put(q.Patient, c)
	w.active(append(ids, others...)...)
	for range 2 { // repeated, it changes nothing
		if err := s.Erase(t.Context(), []ID{ids[0], {9}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Body(ids[0]); !errors.Is(err, ErrErased) {
		t.Errorf("got %v, want %v", err, ErrErased)
	}
	if got, _, err := s.Body(ids[1]); err != nil || string(got) != string(b.Raw()) {
		t.Errorf("the other record: %v", err)
	}
	o, err := s.Record(ids[0])
	if err != nil || !o.Erased || o.Bytes != 0 || len(o.Labels) != 0 || len(o.Summary) != 0 || o.Type != "" || o.Batch.IsZero() {
		t.Errorf("got %+v, %v; want a stub that says where it was", o, err)
	}
	if _, err := s.Find(p.Patient, a); !errors.Is(err, ErrUnknownRecord) {
		t.Errorf("by its bytes: got %v, want %v", err, ErrUnknownRecord)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if n, err := s.Rebuild(); err != nil || n != 5 { // with two index records
		t.Errorf("got %d records, %v", n, err)
	}
	if err := s.Versions(func(_ string, o Owned, _ []byte) error {
		if o.ID == ids[0] {
			t.Error("an erased record is a version")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := s.ErasePatient(t.Context(), p.Patient); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Body(ids[1]); !errors.Is(err, ErrErased) {
		t.Errorf("got %v, want %v", err, ErrErased)
	}
	if _, err := s.Known("Patient/p"); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("got %v, want %v", err, ErrUnknownPatient)
	}
	if _, err := s.Put(t.Context(), p.Patient, []fhir.Resource{observation(t, "d", "new")}); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("writing about who is erased: got %v, want %v", err, ErrUnknownPatient)
	}
	if _, _, err := s.Body(others[0]); err != nil {
		t.Error(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// What the clinical store may have of a record is known before and after it is erased.
func TestWhatARecordHeldIsRemembered(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	raw := bytes.Replace(observation(t, "a", "first").Raw(), []byte(`"meta":{`), []byte(`"meta":{"versionId":"7",`), 1)
	r, err := fhir.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	acks, err := s.PutVersions(t.Context(), p.Patient, []fhir.Resource{r}, [][]fhir.Label{fhir.LabelsOf(r)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := s.Named([]ID{acks[0].ID, {9}})
		if err != nil || len(got) != 1 || got[0] != (Named{"Observation", "a", 7}) {
			t.Errorf("got %+v, %v", got, err)
		}
		if err := s.Erase(t.Context(), []ID{acks[0].ID}); err != nil {
			t.Fatal(err)
		}
	}
	w.put(p.Patient, observation(t, "b", "second"))
	var erased []Named
	if err := s.ErasedVersions(func(ref string, o Owned, n Named) error {
		if ref != "Patient/p" || o.ID != acks[0].ID {
			t.Errorf("got %s, %v", ref, o.ID)
		}
		erased = append(erased, n)
		return nil
	}); err != nil || len(erased) != 1 || erased[0] != (Named{"Observation", "a", 7}) {
		t.Errorf("got %+v, %v", erased, err)
	}
}

// Of an erased patient nothing is known but which versions there were: her Patient resource was what she was referred to by.
func TestWhatAnErasedPatientHadIsRemembered(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	for _, name := range []string{"p", "q", "unwritten"} {
		of := w.patient("Patient/" + name)
		var rs []fhir.Resource
		var labels [][]fhir.Label
		for _, raw := range []string{
			`{"resourceType":"Observation","id":"o-` + name + `","meta":{"versionId":"3"},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + name + `"}}`,
			`{"resourceType":"Patient","id":"` + name + `","meta":{"versionId":"2"}}`,
		} {
			r, err := fhir.Parse([]byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			rs, labels = append(rs, r), append(labels, fhir.LabelsOf(r))
		}
		if name == "unwritten" {
			rs, labels = rs[:1], labels[:1]
		}
		if _, err := s.PutVersions(t.Context(), of.Patient, rs, labels); err != nil {
			t.Fatal(err)
		}
		if name == "q" {
			continue // she stays
		}
		if err := s.ErasePatient(t.Context(), of.Patient); err != nil {
			t.Fatal(err)
		}
	}
	got := map[Named]string{}
	if err := s.ErasedVersions(func(ref string, _ Owned, n Named) error {
		got[n] = ref
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := map[Named]string{{"Observation", "o-p", 3}: "Patient/p", {"Patient", "p", 2}: "Patient/p"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What is erased while it is sealed is in no batch, and stays erased; what was sealed with it is sealed again.
func TestWhatIsErasedWhileItIsDealtStaysErased(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	p := w.patient("Patient/p")
	s.keys.mu.Lock()
	clear(s.keys.known) // so that dealing asks for them, when it has read its records
	s.keys.mu.Unlock()
	reached, on := make(chan struct{}, 8), make(chan struct{})
	h.setGate(func(ctx context.Context, step string) error {
		if step != stepKeys {
			return nil
		}
		reached <- struct{}{}
		select {
		case <-on:
		case <-ctx.Done():
		}
		return nil
	})
	ids := w.put(p.Patient, observation(t, "a", "first"), observation(t, "b", "second"))
	<-reached
	if err := s.Erase(t.Context(), ids[:1]); err != nil {
		t.Fatal(err)
	}
	close(on)
	w.settles(Active, ids[1])
	for range 2 { // also for who comes after the delivery
		if _, _, err := s.Body(ids[0]); !errors.Is(err, ErrErased) {
			t.Errorf("got %v, want %v", err, ErrErased)
		}
		r, err := s.store.record(ids[0])
		if err != nil || r.Erased == nil || len(r.Body) > 0 || r.Status != Stored || r.Batch != ([32]byte{}) {
			t.Errorf("got %v: the erased record is in a batch, or has a body", err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n, err := s.Pending(); n != (Pending{}) || err != nil {
		t.Errorf("got %+v, %v, want nothing", n, err)
	}
}

// A patient who is erased while her labels' slots are asked for, or her record is made, does not come back.
func TestWhoIsErasedWhileSomethingIsWrittenStaysErased(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	b := s.store.db.NewBatch()
	defer b.Close()
	err := errors.Join(s.ErasePatient(t.Context(), p.Patient), s.addRow(b, &row{ID: ID{1}, Patient: p.Patient, Status: Stored}))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.commitFor(b, p.Patient, func(*patientRow) error { return nil }); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("got %v, want %v", err, ErrUnknownPatient)
	}
	if _, err := s.store.record(ID{1}); !errors.Is(err, errNotFound) {
		t.Errorf("got %v: a record was stored of who is erased", err)
	}
	if _, err := s.slotsFor(t.Context(), &patientRow{Patient: p.Patient, Steward: account("hospital")}, [][]fhir.Label{{fhir.AllLabels()[0]}}); err == nil {
		t.Error("slots were stored of who is erased")
	}
	if _, err := s.patient(p.Patient); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("got %v, want %v", err, ErrUnknownPatient)
	}
}
