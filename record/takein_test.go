package record

import (
	"errors"
	"slices"
	"testing"

	"salus/fhir"
	"salus/ledger/module/emergency"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// A patient who enrolled herself gets a slot map, once, and can be written about.
func TestTakeInGivesWhoEnrolledHerselfASlotMap(t *testing.T) {
	w := newWorld(t)
	h, c := w.orgs["hospital"], w.orgs["clinic"]
	s := h.open("")
	herself, adopted := account("herself"), account("adopted")
	for _, p := range []tx.Account{herself, adopted} {
		w.must("hospital", identity.KindEnrol, &identity.Enrol{Patient: p, Keys: []tx.PublicKey{public("wallet")}})
	}
	if err := s.TakeIn(t.Context(), account("nobody")); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("nobody: got %v, want %v", err, ErrUnknownPatient)
	}
	if err := s.TakeIn(t.Context(), account("clinic")); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("a member: got %v, want %v", err, ErrUnknownPatient)
	}
	if err := c.open("").TakeIn(t.Context(), herself); !errors.Is(err, ErrNotSteward) {
		t.Errorf("at another organisation: got %v, want %v", err, ErrNotSteward)
	}
	// Staff had made one of them known here before: what she is called stays.
	if err := s.Adopt(adopted, "Patient/known"); err != nil {
		t.Fatal(err)
	}
	for _, p := range []tx.Account{herself, adopted} {
		if err := s.TakeIn(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		first, err := s.SlotMap(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.TakeIn(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		again, err := s.SlotMap(p)
		if err != nil || string(again.Slots) != string(first.Slots) {
			t.Errorf("a second time: got another map, %v", err)
		}
		own, err := s.Records(p)
		if err != nil || len(own) != 1 || own[0].Type != TypeSlotMap {
			t.Fatalf("got %v, %v; want the map's record alone", own, err)
		}
		if err := s.Wait(t.Context(), own[0].ID); err != nil {
			t.Fatal(err)
		}
		if !s.directed(p) {
			t.Error("she has no emergency directive")
		}
		acks, err := s.Put(t.Context(), p, []fhir.Resource{observation(t, "a", "x", "PSY")})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Wait(t.Context(), acks[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := s.Known("Patient/known"); err != nil || p != adopted {
		t.Errorf("got %v, %v; want who was adopted", p, err)
	}
}

// A patient who enrolled herself from her wallet has a slot map and a directive from then on, and records
// can be written about her once she is adopted.
func TestWhoEnrolsFromAWalletHasAMapAndADirective(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	her := account("her")
	w.must("hospital", identity.KindEnrol, &identity.Enrol{Patient: her, Keys: []tx.PublicKey{public("her")}})
	if err := s.TakeIn(t.Context(), her); err != nil {
		t.Fatal(err)
	}
	v := w.app.View()
	d, ok := emergency.LookupDirective(v, her)
	v.Close()
	if !ok || d.By != account("hospital") || d.Version != 1 {
		t.Fatalf("got directive %+v, %v", d, ok)
	}
	m, err := s.SlotMap(her)
	if err != nil {
		t.Fatal(err)
	}
	set, more, never := m.EmergencyWords(d.Mask(false), d.Mask(true))
	if !slices.Contains(set, EmergencyLabel) || !slices.Contains(set, "allergy") || !slices.Contains(more, fhir.PSY) || !slices.Equal(never, []fhir.Label{fhir.PSYTHPN}) {
		t.Errorf("got %v, %v, %v", set, more, never)
	}
	if got, err := s.Reference(her); err != nil || got != "" {
		t.Errorf("before she is adopted: got %q, %v; want no reference", got, err)
	}
	if err := s.Adopt(her, "Patient/her"); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(her, "Patient/another"); err != nil { // repeating changes nothing
		t.Fatal(err)
	}
	if got, err := s.Known("Patient/her"); err != nil || got != her {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := s.Reference(her); err != nil || got != "Patient/her" {
		t.Errorf("got %q, %v; want the first reference", got, err)
	}
	if _, err := s.Reference(account("nobody")); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("nobody: got %v, want %v", err, ErrUnknownPatient)
	}
	acks, err := s.Put(t.Context(), her, []fhir.Resource{resource(t, `{"resourceType":"AllergyIntolerance","id":"x","patient":{"reference":"Patient/her"},"code":{"text":"Penicillin"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	w.active(acks[0].ID)
	if again, err := s.SlotMap(her); err != nil || !slices.Equal(again.Slots, m.Slots) {
		t.Error("adopting drew another map")
	}
}
