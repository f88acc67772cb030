package record

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/fhir"
	"salus/ledger/module/access"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// staffCase has two of the hospital's staff carry a case of the patient.
func (w *world) staffCase(t recovery.Terms) tx.Hash {
	w.Helper()
	t.Document = digest("papers")
	id := t.ID(chainID)
	w.must("registrar", recovery.KindRequest, &recovery.Request{Terms: t})
	w.must("officer", recovery.KindApprove, &recovery.Approve{Case: id})
	return id
}

// An executor reads, of real custodians, what her mandate covers once every step is through, and not a
// record of a kind that it excludes; before that, and once the death is undone, she reads nothing.
func TestAnExecutorReadsWhenEveryStepIsThrough(t *testing.T) {
	w := newWorld(t)
	w.orgs["hospital"].open("")
	for _, name := range []string{"registrar", "officer"} {
		w.must("hospital", identity.KindRegister, &identity.Register{
			Account: account(name), Class: 2, Keys: []tx.PublicKey{public(name)}, Privileges: identity.PrivReproof,
		})
	}
	p, lawyer := w.patient("Patient/p"), w.patient("Patient/lawyer")
	w.active(w.put(p.Patient, observation(t, "a", "first"), observation(t, "b", "quiet", "PSY"))...)
	slots, err := p.SlotMap()
	if err != nil {
		t.Fatal(err)
	}
	m := consent.Mandate{Account: lawyer.Patient, Purposes: consent.PurposesOf(consent.PWATRNY)}
	others := slices.DeleteFunc(slices.Clone(fhir.AllLabels()), func(l fhir.Label) bool { return l == fhir.PSY })
	if m.Mask, m.Except, err = slots.GrantMasks(rand.Reader, others, []fhir.Label{fhir.PSY}); err != nil {
		t.Fatal(err)
	}
	r := Reading{ChainID: chainID, Chain: Replica{w.app.View}, Custodians: w.ways()}
	open := func() (*Session, error) {
		return OpenSession(t.Context(), r, w.as(lawyer.Signer()), p.Patient, consent.PWATRNY, time.Hour)
	}
	nothing := func(when string) {
		t.Helper()
		if _, err := open(); !errors.Is(err, access.ErrNotProxy) {
			t.Errorf("%s: got %v, want %v", when, err, access.ErrNotProxy)
		}
	}
	nothing("in her life")
	w.staffCase(recovery.Terms{Patient: p.Patient, Number: 1, Kind: recovery.Death})
	nothing("after her death")
	id := w.staffCase(recovery.Terms{Patient: p.Patient, Number: 2, Kind: recovery.Executor, Executor: &m})
	nothing("while the time lock runs")
	if _, err := w.as(lawyer.Signer()).Submit(t.Context(), recovery.KindFinish, &recovery.Finish{Case: id}); !errors.Is(err, recovery.ErrEarly) {
		t.Errorf("before the time lock ended: got %v, want %v", err, recovery.ErrEarly)
	}
	w.pass(time.Duration(governance.DefaultParams().ExecutorDelay) * time.Second)
	nothing("before anybody carried it out")
	if _, err := w.as(lawyer.Signer()).Submit(t.Context(), recovery.KindFinish, &recovery.Finish{Case: id}); err != nil {
		t.Fatal(err)
	}

	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Read(t.Context(), clinical(found))
	if err != nil || len(res.Records) != 1 || !bytes.Contains(res.Records[0].Body, []byte("first")) {
		t.Fatalf("got %d records, %v; want the one that the mandate covers", len(res.Records), err)
	}
	if !slices.ContainsFunc(w.log(p.Patient), func(l audit.Link) bool {
		return l.Record.Action == audit.SessionOpened && l.Record.Actor == lawyer.Patient
	}) {
		t.Error("her log does not name the executor")
	}

	w.staffCase(recovery.Terms{Patient: p.Patient, Number: 3, Kind: recovery.Life})
	nothing("after the death was undone")
	if found, err = s.Locate(t.Context()); err == nil && len(found) != 0 {
		t.Errorf("a session of before still names %d records", len(found))
	} else if err != nil && !strings.Contains(err.Error(), "release") {
		t.Logf("a session of before: %v", err)
	}
}
