package record

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salus/fhir"
	"salus/ledger/module/access"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// pass lets block time go by.
func (w *world) pass(d time.Duration) {
	w.time.Add(int64(d))
	w.block()
}

// recovered gives the patient a fresh wallet by two staff of the hospital, and returns it with
// the case.
func (w *world) recovered(p *patient) (*Wallet, tx.Hash) {
	w.Helper()
	for _, name := range []string{"registrar", "officer"} {
		w.must("hospital", identity.KindRegister, &identity.Register{
			Account: account(name), Class: 2, Keys: []tx.PublicKey{public(name)}, Privileges: identity.PrivReproof,
		})
	}
	next, err := NewWallet(chainID, p.Patient)
	if err != nil {
		w.Fatal(err)
	}
	terms := recovery.Terms{Patient: p.Patient, Number: 1, Kind: recovery.Keys, Keys: []tx.PublicKey{next.Signer().Public()}, Document: digest("passport")}
	id := terms.ID(chainID)
	w.must("registrar", recovery.KindRequest, &recovery.Request{Terms: terms})
	w.must("officer", recovery.KindApprove, &recovery.Approve{Case: id})
	w.pass(time.Duration(governance.DefaultParams().RecoveryDelay) * time.Second)
	w.must("doctor", recovery.KindFinish, &recovery.Finish{Case: id})
	return next, id
}

func (w *world) log(p tx.Account) []audit.Link {
	w.Helper()
	v := w.app.View()
	defer v.Close()
	links, _, err := Log(v, p)
	if err != nil {
		w.Fatal(err)
	}
	return links
}

// disclosures is what a wallet's owner learns of who was given which records.
func (w *world) disclosures(by *Wallet) []Disclosure {
	w.Helper()
	r := Reading{ChainID: chainID, Chain: Replica{w.app.View}, Custodians: w.ways()}
	s, err := OpenSession(w.Context(), r, w.as(by.Signer()), by.Patient, consent.PATRQT, 10*time.Minute)
	if err != nil {
		w.Fatal(err)
	}
	ds, err := s.Disclosures(w.Context(), w.orgs["hospital"].record, w.log(by.Patient), by.Signer())
	if err != nil {
		w.Fatal(err)
	}
	return ds
}

// A patient who lost every device has, after the recovery, all that she had before: decisions,
// the editing of grants, and who was given what.
func TestALostWalletComesBackWhole(t *testing.T) {
	w := newWorld(t)
	w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	ids := w.put(p.Patient, observation(t, "a", "first"), observation(t, "b", "quiet", "PSY"))
	w.active(ids...)
	id := w.grant(p, fhir.PSY)
	before := w.read(p)
	if len(before) != 1 {
		t.Fatalf("the doctor reads %d records, want 1", len(before))
	}
	disclosed := w.disclosures(p.Wallet)
	if len(disclosed) != 1 {
		t.Fatalf("got %d disclosures, want 1", len(disclosed))
	}

	next, recovered := w.recovered(p)
	r := Reading{ChainID: chainID, Chain: Replica{w.app.View}, Custodians: w.ways()}
	if _, err := OpenSession(t.Context(), r, w.as(p.Signer()), p.Patient, consent.PATRQT, time.Minute); err == nil {
		t.Error("the lost key still opens sessions")
	}
	if _, err := next.SlotMap(); err == nil {
		t.Fatal("a fresh wallet knows a slot map")
	}
	s, err := OpenRecovery(t.Context(), r, w.as(next.Signer()), p.Patient, recovered, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Restore(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(next.Slots, p.Slots) {
		t.Fatal("another slot map came back")
	}
	log := w.log(p.Patient)
	if !slices.ContainsFunc(log, func(l audit.Link) bool { return l.Record.Action == audit.RecoverySession && l.Record.Ref == s.ID }) {
		t.Error("her log does not say that it was a recovery session")
	}

	// Decisions are as before; her grants are hers to edit; who was given what she still learns.
	if d := cmp.Diff(before, w.read(p)); d != "" {
		t.Errorf("what the doctor reads (-before +after):\n%s", d)
	}
	if got := w.disclosures(next); len(got) < 2 || cmp.Diff(disclosed[0], got[0]) != "" {
		t.Errorf("the disclosures of before are not there: %d", len(got))
	}
	slots, err := next.SlotMap()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Grant(t.Context(), w.as(next.Signer()), p.Patient, slots, id, 1, Wish{
		Grantee: consent.Grantee{Kind: consent.OfMember, Account: account("clinic")}, Purposes: consent.PurposesOf(consent.TREAT),
	}); err != nil {
		t.Fatal(err)
	}
	if got := w.read(p); len(got) != 2 {
		t.Errorf("after she allowed everything the doctor reads %d records, want 2", len(got))
	}
	if _, err := Revoke(t.Context(), w.as(next.Signer()), p.Patient, id); err != nil {
		t.Fatal(err)
	}
	if got := w.read(p); len(got) != 0 {
		t.Errorf("after she revoked it the doctor reads %d records", len(got))
	}
	if err := (&Wallet{Patient: p.Patient, Slots: []byte{1}}).Restore(t.Context(), s); err == nil {
		t.Error("a wallet that had another map was overwritten")
	}
}

// No session of the old key reads on after the recovery, whoever holds it, and nobody opens a
// recovery session before the end or with another key.
func TestARecoverySessionIsForTheRecoveredKey(t *testing.T) {
	w := newWorld(t)
	w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	w.active(w.put(p.Patient, observation(t, "a", "first"))...)
	r := Reading{ChainID: chainID, Chain: Replica{w.app.View}, Custodians: w.ways()}
	_, err := OpenRecovery(t.Context(), r, w.as(p.Signer()), p.Patient, digest("none"), time.Minute)
	if !errors.Is(err, access.ErrRecovery) {
		t.Errorf("without a case: got %v, want %v", err, access.ErrRecovery)
	}
	next, id := w.recovered(p)
	_, err = OpenRecovery(t.Context(), r, w.as(signer("doctor")), p.Patient, id, time.Minute)
	if !errors.Is(err, access.ErrRecovery) {
		t.Errorf("somebody else: got %v, want %v", err, access.ErrRecovery)
	}
	s, err := OpenRecovery(t.Context(), r, w.as(next.Signer()), p.Patient, id, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Locate(t.Context())
	if err != nil || len(found) == 0 {
		t.Fatalf("got %d records, %v", len(found), err)
	}
	// She is robbed again and recovers again: the session of the first recovery ends with it.
	again, err := NewWallet(chainID, p.Patient)
	if err != nil {
		t.Fatal(err)
	}
	terms := recovery.Terms{Patient: p.Patient, Number: 2, Kind: recovery.Keys, Keys: []tx.PublicKey{again.Signer().Public()}, Document: digest("passport")}
	w.must("registrar", recovery.KindRequest, &recovery.Request{Terms: terms})
	w.must("officer", recovery.KindApprove, &recovery.Approve{Case: terms.ID(chainID)})
	w.pass(72 * time.Hour)
	s2, err := OpenSession(t.Context(), r, w.as(next.Signer()), p.Patient, consent.PATRQT, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	w.must("doctor", recovery.KindFinish, &recovery.Finish{Case: terms.ID(chainID)})
	if found, err := s2.Locate(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("a session of the key that ended finds %d records, %v", len(found), err)
	}
}

// An author who is not the steward cannot hand a patient another map.
func TestOnlyTheStewardsSlotMapIsBelieved(t *testing.T) {
	w := newWorld(t)
	w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	r := Reading{ChainID: chainID, Chain: strange{Replica{w.app.View}}, Custodians: w.ways()}
	s, err := OpenSession(t.Context(), r, w.as(p.Signer()), p.Patient, consent.PATRQT, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.SlotMap(t.Context()); !errors.Is(err, ErrNoSlotMap) {
		t.Errorf("got %v, want %v", err, ErrNoSlotMap)
	}
}

// strange says of every session that its patient has another steward.
type strange struct{ Replica }

func (c strange) Session(ctx context.Context, id tx.Hash) (access.Session, error) {
	row, err := c.Replica.Session(ctx, id)
	row.Member = account("clinic")
	return row, err
}
