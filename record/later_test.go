package record

import (
	"testing"
	"time"

	"salus/fhir"
	"salus/ledger/module/consent"
)

// A consent that begins later releases nothing before, neither to a session that is opened then nor to one of before that
// asks again; taken back before it begins, it never does.
func TestAConsentThatBeginsLaterReleasesNothingBefore(t *testing.T) {
	w := newWorld(t)
	w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	w.active(w.put(p.Patient, observation(t, "a", "first"), observation(t, "b", "quiet", "PSY"))...)
	w.grant(p, fhir.PSY)
	if got := w.read(p); len(got) != 1 {
		t.Fatalf("the doctor reads %d records, want 1", len(got))
	}
	if _, err := Revoke(t.Context(), w.as(p.Signer()), p.Patient, consent.GrantID{}); err != nil {
		t.Fatal(err)
	}
	give := func(from time.Time) consent.GrantID {
		t.Helper()
		id, err := NewGrantID()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Grant(t.Context(), w.as(p.Signer()), p.Patient, p.slots, id, 0, Wish{
			Grantee: consent.Grantee{Kind: consent.OfMember, Account: account("clinic")}, Purposes: consent.PurposesOf(consent.TREAT), From: from,
		}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	const day = 24 * time.Hour
	cancelled := give(w.now().Add(day))
	if got := w.read(p); len(got) != 0 {
		t.Errorf("the doctor reads %d records at once", len(got))
	}
	w.pass(day - time.Minute)
	if got := w.read(p); len(got) != 0 {
		t.Errorf("the doctor reads %d records a minute before", len(got))
	}
	if _, err := Revoke(t.Context(), w.as(p.Signer()), p.Patient, cancelled); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Minute)
	if got := w.read(p); len(got) != 0 {
		t.Errorf("the doctor reads %d records by a consent that was taken back before it began", len(got))
	}
	give(w.now().Add(day))
	early := w.session(p, w.ways())
	w.pass(day - 5*time.Minute)
	if found, err := early.Locate(t.Context()); err == nil && len(clinical(found)) != 0 {
		t.Errorf("a session of before names %d records", len(found))
	}
	w.pass(6 * time.Minute)
	if got := w.read(p); len(got) != 2 {
		t.Errorf("the doctor reads %d records after it began, want 2", len(got))
	}
}
