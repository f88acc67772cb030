package record

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// The steward tells an author only what it needs, and only if the patient lets it treat her.
func TestSlotsAreToldToWhoTreats(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	ask := func(from string, labels ...string) (*exchange.SlotsReply, error) {
		return s.Slots(t.Context(), account(from), &exchange.SlotsRequest{Patient: p.Patient, Labels: labels})
	}
	refused := func(rule string, want error, from string, labels ...string) {
		t.Helper()
		if got, err := ask(from, labels...); !errors.Is(err, want) || got != nil {
			t.Errorf("%s: got %v, %v; want %v", rule, got, err, want)
		}
	}
	refused("no grant", ErrNotAuthor, "clinic", "laboratory")
	grant := func(g consent.Grantee, purpose consent.Purpose, from, until time.Time) consent.GrantID {
		t.Helper()
		id, err := NewGrantID()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Grant(t.Context(), w.as(p.Signer()), p.Patient, p.slots, id, 0, Wish{Grantee: g, Purposes: consent.PurposesOf(purpose), From: from, Until: until}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	clinic := consent.Grantee{Kind: consent.OfMember, Account: account("clinic")}
	grant(clinic, consent.HPAYMT, time.Time{}, time.Time{})
	refused("a grant for another purpose", ErrNotAuthor, "clinic", "laboratory")
	grant(clinic, consent.TREAT, w.now().Add(time.Hour), time.Time{})
	refused("a grant of the future", ErrNotAuthor, "clinic", "laboratory")
	grant(clinic, consent.TREAT, time.Time{}, w.now().Add(3*time.Second))
	if _, err := ask("clinic", "laboratory"); err != nil {
		t.Errorf("a grant in force: %v", err)
	}
	for range 3 {
		w.block()
	}
	refused("a grant that has ended", ErrNotAuthor, "clinic", "laboratory")
	id := grant(clinic, consent.TREAT, time.Time{}, time.Time{})
	got, err := ask("clinic", "PSY", "laboratory")
	if err != nil || len(got.Slots) != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
	for i, l := range []fhir.Label{"PSY", "laboratory"} {
		if want, _ := p.slots.Slot(l); got.Slots[i] != want {
			t.Errorf("%s: got slot %d, want %d", l, got.Slots[i], want)
		}
	}
	refused("the slot map's own", ErrLabel, "clinic", string(StewardLabel))
	refused("among others", ErrLabel, "clinic", "laboratory", string(StewardLabel))
	refused("no labels", ErrLabel, "clinic")
	refused("a label that does not exist", ErrLabel, "clinic", "gossip")
	refused("too many labels", ErrLabel, "clinic", strings.Split(strings.Repeat("laboratory ", 33), " ")[:33]...)
	refused("another member", ErrNotAuthor, "lab", "laboratory")
	refused("nobody", ErrNotAuthor, "stranger", "laboratory")
	if _, err := s.Slots(t.Context(), account("clinic"), &exchange.SlotsRequest{Patient: account("nobody"), Labels: []string{"laboratory"}}); !errors.Is(err, ErrNotSteward) {
		t.Errorf("an unknown patient: got %v", err)
	}
	if _, err := Revoke(t.Context(), w.as(p.Signer()), p.Patient, id); err != nil {
		t.Fatal(err)
	}
	refused("revoked", ErrNotAuthor, "clinic", "laboratory")
	// Any clinical member, by grantee kind.
	grant(consent.Grantee{Kind: consent.AnyClinical}, consent.TREAT, time.Time{}, time.Time{})
	if _, err := ask("lab", "laboratory"); err != nil {
		t.Errorf("any clinical: %v", err)
	}
	refused("any clinical, which an insurer is not", ErrNotAuthor, "insurer", "laboratory")
	grant(consent.Grantee{Kind: consent.OnePractitioner, Account: account("doctor")}, consent.TREAT, time.Time{}, time.Time{})
	if _, err := ask("clinic", "laboratory"); err != nil {
		t.Errorf("the practitioner's member: %v", err)
	}
}

// Another organisation writes about the patient, knowing only the slots it uses.
func TestAnotherAuthorLearnsOnlyItsSlots(t *testing.T) {
	w := newWorld(t)
	h, c := w.orgs["hospital"], w.orgs["clinic"]
	h.open("")
	s := c.open("")
	p := w.patient("Patient/p")
	if err := s.Adopt(account("nobody"), "Patient/9"); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("adopt nobody: got %v", err)
	}
	if err := s.Adopt(p.Patient, "Patient/9"); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(p.Patient, "Patient/9"); err != nil {
		t.Errorf("adopt again: %v", err)
	}
	if err := s.Adopt(w.patient("Patient/q").Patient, "Patient/9"); !errors.Is(err, ErrReference) {
		t.Errorf("adopt another under the same reference: got %v, want %v", err, ErrReference)
	}
	r := observation(t, "a", "from the clinic", "PSY")
	if _, err := s.Put(t.Context(), p.Patient, []fhir.Resource{r}); !errors.Is(err, ErrNotAuthor) {
		t.Errorf("without a grant: got %v, want %v", err, ErrNotAuthor)
	}
	w.grant(p)
	acks, err := s.Put(t.Context(), p.Patient, []fhir.Resource{r})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(t.Context(), acks[0].ID); err != nil {
		t.Fatal(err)
	}
	row, err := s.patient(p.Patient)
	if err != nil {
		t.Fatal(err)
	}
	var m SlotMap
	if err := tx.DecodeAny(row.Slots, &m, len(row.Slots)); err != nil {
		t.Fatal(err)
	}
	if want := fhir.LabelsOf(r); len(m.Labels) != len(want) {
		t.Errorf("the clinic knows the slots of %v, want those of %v", m.Labels, want)
	}
	if _, err := s.ClaimCode(p.Patient); !errors.Is(err, ErrNotSteward) {
		t.Errorf("claim code: got %v, want %v", err, ErrNotSteward)
	}
	if got := w.read(p); len(got) != 1 || got[0] != string(r.Raw()) {
		t.Errorf("got %q", got)
	}
}

// A steward whose answer makes no sense is not believed.
func TestNonsenseFromTheStewardIsRefused(t *testing.T) {
	w := newWorld(t)
	w.orgs["hospital"].open("")
	c := w.orgs["clinic"]
	p := w.patient("Patient/p")
	w.grant(p)
	for rule, slots := range map[string][]uint8{"too few": {1}, "too many": {1, 2, 3, 4}, "one slot for two labels": {5, 5}, "beyond the last slot": {1, 64}} {
		cfg := c.config(t.TempDir())
		cfg.Links = steward{c, slots}
		s, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Adopt(p.Patient, "Patient/9"); err != nil {
			t.Fatal(err)
		}
		if acks, err := s.Put(t.Context(), p.Patient, []fhir.Resource{observation(t, "a", "x", "PSY")}); err == nil {
			t.Errorf("%s: got %v", rule, acks)
		}
		if own, err := s.Records(p.Patient); err != nil || len(own) != 0 {
			t.Errorf("%s: stored %d, %v", rule, len(own), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

type steward struct {
	Links
	slots []uint8
}

func (s steward) Call(ctx context.Context, to tx.Account, path string, req, resp any) error {
	if path == exchange.PathSlots {
		resp.(*exchange.SlotsReply).Slots = s.slots
		return nil
	}
	return s.Links.Call(ctx, to, path, req, resp)
}
