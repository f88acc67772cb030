package record

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/client"
	"salus/fhir"
	"salus/ledger/tx"
)

// An enrolment that was cut short goes on with the same pseudonym.
func TestEnrolmentIsRepeatedWithTheSamePseudonym(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	away := errors.New("away")
	var asked []tx.Account
	fail := func(_ context.Context, p tx.Account, _ tx.Hash) error { asked = append(asked, p); return away }
	if _, err := s.Enrol(t.Context(), "Patient/p", fail); !errors.Is(err, away) {
		t.Fatalf("got %v", err)
	}
	h.close()
	s = h.open("")
	unheard := func(ctx context.Context, p tx.Account, c tx.Hash) error {
		asked = append(asked, p)
		return errors.Join(h.enrol(ctx, p, c), away)
	}
	p, err := s.Enrol(t.Context(), "Patient/p", unheard)
	if err != nil || len(asked) != 2 || asked[0] != p || asked[1] != p {
		t.Errorf("got %v, %v; asked for %v", p, err, asked)
	}
	if again, err := s.Enrol(t.Context(), "Patient/p", fail); err != nil || again != p || len(asked) != 2 {
		t.Errorf("again: got %v, %v", again, err)
	}
	var wg sync.WaitGroup
	found := make([]tx.Account, 8)
	for i := range found {
		wg.Go(func() { found[i], _ = s.Enrol(t.Context(), "Patient/q", h.enrol) })
	}
	wg.Wait()
	for _, f := range found {
		if f != found[0] || f.IsZero() || f == p {
			t.Errorf("one reference got the pseudonyms %v", found)
		}
	}
}

// Nobody's registration waits for that of somebody else.
func TestPatientsAreRegisteredBesideEachOther(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	var all sync.WaitGroup // both of them are under way
	all.Add(2)
	var wg sync.WaitGroup
	for _, reference := range []string{"Patient/p", "Patient/q"} {
		wg.Go(func() {
			if _, err := s.Enrol(t.Context(), reference, func(ctx context.Context, p tx.Account, c tx.Hash) error {
				all.Done()
				all.Wait()
				return h.enrol(ctx, p, c)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h.close() // ends the deliveries, which claim too
	if len(s.claims.taken) != 0 {
		t.Errorf("%d claims are left", len(s.claims.taken))
	}
}

// A patient who is new while the ledger stands still is written about at once, and enrolled before the first
// of her batches is anchored.
func TestEnrolmentWaitsForTheLedgerAndWritingDoesNot(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	for _, still := range []error{client.ErrNoQuorum, fmt.Errorf("%w: %w", client.ErrUncertain, client.ErrUnsettled)} {
		reference := "Patient/" + strings.ToLower(t.Name()) + fmt.Sprint(errors.Is(still, client.ErrUncertain))
		p, err := s.Enrol(t.Context(), reference, func(context.Context, tx.Account, tx.Hash) error { return still })
		if err != nil || p.IsZero() {
			t.Fatalf("got %v, %v; want a pseudonym all the same", p, err)
		}
		r, err := fhir.Parse([]byte(`{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"` + reference + `"},"code":{"text":"sample"}}`))
		if err != nil {
			t.Fatal(err)
		}
		acks, err := s.Put(t.Context(), p, []fhir.Resource{r})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Wait(t.Context(), acks[0].ID); err != nil {
			t.Fatal(err)
		}
		if !s.enrolled(p) {
			t.Error("a record is active of a pseudonym that nobody enrolled")
		}
	}
}

// What is put about a new patient is sealed while she is registered, and anchored as soon as she is: nothing of it waits
// for what an emergency may open.
func TestRecordsAreSealedWhileTheirPatientIsRegistered(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	p, err := s.Draw("Patient/p")
	if err != nil || s.enrolled(p) {
		t.Fatalf("got %v; want a pseudonym that is not on the ledger", err)
	}
	r, err := fhir.Parse([]byte(`{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/p"},"code":{"text":"sample"}}`))
	if err != nil {
		t.Fatal(err)
	}
	free, err := s.claims.take(t.Context(), directing(p)) // as if that took long
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	sealed := make(chan struct{})
	wg.Go(func() {
		got, err := s.Enrol(t.Context(), "Patient/p", func(ctx context.Context, p tx.Account, c tx.Hash) error {
			<-sealed
			return h.enrol(ctx, p, c)
		})
		if err != nil || got != p {
			t.Errorf("got %v, %v; want the pseudonym that was drawn", got, err)
		}
	})
	acks, err := s.Put(t.Context(), p, []fhir.Resource{r})
	if err != nil {
		t.Fatal(err)
	}
	for status := Stored; status != Dealt; time.Sleep(time.Millisecond) {
		if status, err = s.Status(acks[0].ID); err != nil || status == Active {
			t.Fatalf("got %v, %v; nobody enrolled the pseudonym", status, err)
		}
	}
	close(sealed)
	if err := s.Wait(t.Context(), acks[0].ID); err != nil || s.directed(p) {
		t.Errorf("got %v, directed %t; want a record that is active before anything is said of emergencies", err, s.directed(p))
	}
	free()
	wg.Wait()
	if !s.directed(p) {
		t.Error("nothing is said of emergencies")
	}
}
