package record

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble"

	"salus/fhir"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/seal"
	"salus/seal/compress"
)

// Enrol returns the pseudonym of a patient that this organisation knows by a FHIR reference.
// The first time it draws a random pseudonym and a slot map, keeps both durably, and only then
// calls enrol to register the pseudonym on the ledger; a crash in between repeats that call
// with the same pseudonym. While the ledger stands still the pseudonym is only kept, and
// registered before the first of the patient's batches is anchored. The reference never leaves the store. It then sets what an
// emergency may open, until the patient does so herself.
func (s *Service) Enrol(ctx context.Context, reference string, enrol EnrolFunc) (tx.Account, error) {
	patient, err := s.Draw(reference)
	if err != nil {
		return patient, err
	}
	_, err = s.register(ctx, patient, enrol)
	if stands(err) {
		return patient, nil // her records can be stored; enrolLate does it before the first of them is anchored
	}
	if err != nil {
		return patient, err
	}
	s.direct(ctx, patient)
	return patient, nil
}

// register registers a pseudonym by enrol; did is false if it is on the ledger.
func (s *Service) register(ctx context.Context, patient tx.Account, enrol EnrolFunc) (did bool, err error) {
	free, err := s.claims.take(ctx, registering(patient))
	if err != nil {
		return false, err
	}
	defer free()
	if s.enrolled(patient) {
		return false, nil
	}
	p, err := s.patient(patient)
	if err != nil {
		return false, err
	}
	err = enrol(ctx, patient, identity.ClaimCommit(identity.ClaimSigner(patient, p.Secret).Public()))
	if err != nil && s.enrolled(patient) {
		return true, nil // an earlier call's transaction, of which nobody heard, was faster
	}
	return err == nil, err
}

// Draw returns the pseudonym of a patient as [Service.Enrol] does, and does not register it: what is put meanwhile is
// sealed, and anchored as soon as somebody has.
func (s *Service) Draw(reference string) (patient tx.Account, err error) {
	s.enrolling.Lock()
	defer s.enrolling.Unlock()
	link := key(prefixLink, s.store.hash([]byte("reference"), []byte(reference)))
	if err = s.store.get(link, &patient); errors.Is(err, errNotFound) {
		return s.newPatient(link, reference)
	}
	return patient, err
}

// registering is what those claim who register a patient's pseudonym: one at a time, while others are
// registered too. A block passes meanwhile.
func registering(patient tx.Account) []string { return []string{"registering " + string(patient[:])} }

// directing is what those claim who say what an emergency may open, for a block too.
func directing(patient tx.Account) []string { return []string{"directing " + string(patient[:])} }

// enrolLate registers the pseudonym of a batch's patient if it was drawn while the ledger stood still.
func (s *Service) enrolLate(ctx context.Context, batch []ID) error {
	if len(batch) == 0 {
		return nil
	}
	r, err := s.store.record(batch[0])
	if err != nil {
		return err
	}
	if s.enrolled(r.Patient) {
		return nil
	}
	p, err := s.patient(r.Patient)
	if err != nil || p.Steward != s.Self {
		return err
	}
	did, err := s.register(ctx, r.Patient, s.enrol)
	if err != nil {
		return fmt.Errorf("record: late enrolment: %w", err)
	}
	if did { // else somebody else has, who does this too: the batch need not wait for it
		s.direct(ctx, r.Patient)
	}
	return nil
}

// enrol registers a pseudonym as this service's own signer.
func (s *Service) enrol(ctx context.Context, patient tx.Account, claim tx.Hash) error {
	_, err := s.Submit.Submit(ctx, identity.KindEnrol, &identity.Enrol{Patient: patient, Claim: claim})
	return err
}

func (s *Service) enrolled(patient tx.Account) bool {
	v := s.Ledger.View()
	defer v.Close()
	_, ok := identity.Lookup(v, patient)
	return ok
}

// EnrolFunc registers a pseudonym on the ledger with the commitment of its claim code.
type EnrolFunc func(ctx context.Context, patient tx.Account, claim tx.Hash) error

func (s *Service) newPatient(link []byte, reference string) (patient tx.Account, err error) {
	if _, err := rand.Read(patient[:]); err != nil {
		return patient, fmt.Errorf("record: random numbers: %w", err)
	}
	p := &patientRow{Patient: patient, Steward: s.Self, Reference: reference}
	if _, err := rand.Read(p.Secret[:]); err != nil {
		return patient, fmt.Errorf("record: random numbers: %w", err)
	}
	encoded, slots, err := newSlotMapBytes()
	if err != nil {
		return patient, err
	}
	p.Slots = encoded
	b := s.store.db.NewBatch()
	defer b.Close()
	if err := s.store.put(b, key(prefixPatient, patient[:]), p); err != nil {
		return patient, err
	}
	if err := s.store.put(b, link, patient); err != nil {
		return patient, err
	}
	slotMap, err := s.putSlotMap(b, patient, slots, encoded)
	if err != nil {
		return patient, err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return patient, fmt.Errorf("record: store: %w", err)
	}
	s.fold.within(company, patient, []ID{slotMap})
	return patient, nil
}

// putSlotMap stores the slot map as an encrypted record of its own, under the steward label
// that no grant contains: the patient gets it back with any of her devices.
func (s *Service) putSlotMap(b *pebble.Batch, patient tx.Account, slots *SlotMap, encoded []byte) (ID, error) {
	mask, err := slots.Mask([]fhir.Label{StewardLabel})
	if err != nil {
		return ID{}, err
	}
	id, err := newID()
	if err != nil {
		return ID{}, err
	}
	w := row{ID: id, Patient: patient, Status: Stored, Type: TypeSlotMap, Labels: []string{string(StewardLabel)}, Slots: mask, Kind: seal.KindRecord, Summary: []byte(`{"type":"` + TypeSlotMap + `"}`), Body: compress.Compress(encoded)}
	return id, s.addRow(b, &w)
}

// TypeSlotMap is the type of the one record that is not FHIR: a patient's slot map, in CBOR.
const TypeSlotMap = "x-salus-slots"

func (s *Service) patient(patient tx.Account) (*patientRow, error) {
	var p patientRow
	err := s.store.get(key(prefixPatient, patient[:]), &p)
	if errors.Is(err, errNotFound) {
		return nil, ErrUnknownPatient
	}
	return &p, err
}

// ErrUnknownPatient: this organisation has neither enrolled nor adopted the pseudonym.
var ErrUnknownPatient = errors.New("record: this organisation does not know that patient; enrol or adopt her first")

// Adopt makes a patient whom another organisation stewards known here, under the reference
// that this organisation gives her, so that it can write records about her; likewise one who
// enrolled herself here from a wallet. Repeating it changes nothing.
// Errors: ErrUnknownPatient, ErrReference.
func (s *Service) Adopt(patient tx.Account, reference string) error {
	v := s.Ledger.View()
	p, ok := identity.Lookup(v, patient)
	v.Close()
	if !ok {
		return ErrUnknownPatient
	}
	if p.Member == s.Self {
		if err := s.TakeIn(s.ctx, patient); err != nil {
			return err
		}
	}
	s.enrolling.Lock()
	defer s.enrolling.Unlock()
	link := key(prefixLink, s.store.hash([]byte("reference"), []byte(reference)))
	var named tx.Account
	switch err := s.store.get(link, &named); {
	case err == nil && named != patient:
		return ErrReference // else the next import of the one would go into the other's record
	case err != nil && !errors.Is(err, errNotFound):
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	row, err := s.patient(patient)
	switch {
	case errors.Is(err, ErrUnknownPatient):
		row = &patientRow{Patient: patient, Steward: p.Member}
	case err != nil, row.Reference != "":
		return err
	}
	row.Reference = reference
	b := s.store.db.NewBatch()
	defer b.Close()
	if err := s.store.put(b, key(prefixPatient, patient[:]), row); err != nil {
		return err
	}
	if err := s.store.put(b, link, patient); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("record: store: %w", err)
	}
	return nil
}

// ErrReference: two patients cannot go by one reference.
var ErrReference = tx.Refuse(0x2204, "record: another patient goes by that reference here")
