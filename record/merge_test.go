package record

import (
	"context"
	"errors"
	"testing"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/module/merge"
	"salus/ledger/tx"
)

// The approving steward learns the other's slots because the other proposed, and for no other reason; the
// translation leads each label to itself.
func TestATranslationOfSlotsLeadsEachLabelToItself(t *testing.T) {
	w := newWorld(t)
	hospital, clinic := w.orgs["hospital"].open(""), w.orgs["clinic"].open("")
	p := w.patient("Patient/p")
	other, err := clinic.Enrol(t.Context(), "Patient/q", func(_ context.Context, patient tx.Account, claim tx.Hash) error {
		_, err := w.submit(identity.KindEnrol, &identity.Enrol{Patient: patient, Claim: claim}, signer("clinic"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"hospital", "clinic"} {
		w.must(who, identity.KindRegister, &identity.Register{
			Account: account(who + " registrar"), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{public(who + " registrar")}, Privileges: identity.PrivWrite,
		})
	}
	ask := func() error {
		_, err := hospital.Slots(t.Context(), account("clinic"), &exchange.SlotsRequest{Patient: p.Patient, Labels: []string{"laboratory"}})
		return err
	}
	if err := ask(); !errors.Is(err, ErrNotAuthor) {
		t.Errorf("nobody proposed: got %v, want ErrNotAuthor", err)
	}
	if _, err := clinic.MergeSlots(t.Context(), tx.Hash{1}); !errors.Is(err, merge.ErrUnknown) {
		t.Errorf("no case: got %v, want ErrUnknown", err)
	}
	// A proposal of its own does not make the other steward speak.
	m := &merge.Propose{Stays: p.Patient, Goes: other, Basis: tx.Hash{1}}
	own := w.must("clinic registrar", merge.KindPropose, m).ID
	if err := ask(); !errors.Is(err, ErrNotAuthor) {
		t.Errorf("it proposed itself: got %v, want ErrNotAuthor", err)
	}
	if _, err := clinic.MergeSlots(t.Context(), own); !errors.Is(err, ErrNotSteward) {
		t.Errorf("its own proposal: got %v, want ErrNotSteward", err)
	}
	w.must("clinic registrar", merge.KindEnd, &merge.End{Case: own})
	id := w.must("hospital registrar", merge.KindPropose, m).ID
	slots, err := clinic.MergeSlots(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	stays, err := hospital.SlotMap(p.Patient)
	if err != nil {
		t.Fatal(err)
	}
	goes, err := clinic.SlotMap(other)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range append([]fhir.Label{EmergencyLabel}, fhir.AllLabels()...) {
		a, _ := goes.Slot(l)
		b, _ := stays.Slot(l)
		if slots[a] != b {
			t.Errorf("%s: slot %d leads to %d, want %d", l, a, slots[a], b)
		}
	}
	again, err := clinic.MergeSlots(t.Context(), id)
	if err != nil || string(again) == string(slots) {
		t.Errorf("got the same translation twice (%v): where other slots lead should be drawn", err)
	}
	w.must("clinic registrar", merge.KindApprove, &merge.Approve{Case: id, Slots: slots})
	if err := ask(); !errors.Is(err, ErrNotAuthor) {
		t.Errorf("after it was approved: got %v, want ErrNotAuthor", err)
	}
	if _, err := clinic.MergeSlots(t.Context(), id); !errors.Is(err, merge.ErrStanding) {
		t.Errorf("after it was approved: got %v, want ErrStanding", err)
	}
}
