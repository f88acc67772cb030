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
// with the same pseudonym. The reference never leaves the store.
func (s *Service) Enrol(ctx context.Context, reference string, enrol EnrolFunc) (tx.Account, error) {
	s.enrolling.Lock()
	defer s.enrolling.Unlock()
	link := key(prefixLink, s.store.hash([]byte("reference"), []byte(reference)))
	var patient tx.Account
	err := s.store.get(link, &patient)
	if errors.Is(err, errNotFound) {
		patient, err = s.newPatient(link, reference)
	}
	if err != nil {
		return patient, err
	}
	if s.enrolled(patient) {
		return patient, nil
	}
	p, err := s.patient(patient)
	if err != nil {
		return patient, err
	}
	err = enrol(ctx, patient, identity.ClaimCommit(identity.ClaimSigner(patient, p.Secret).Public()))
	if err != nil && s.enrolled(patient) {
		err = nil // an earlier call's transaction, of which nobody heard, was faster
	}
	return patient, err
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
	s.fold.add(patient, slotMap)
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
// that this organisation gives her, so that it can write records about her. Repeating it
// changes nothing.
// Errors: ErrUnknownPatient, ErrReference.
func (s *Service) Adopt(patient tx.Account, reference string) error {
	v := s.Ledger.View()
	p, ok := identity.Lookup(v, patient)
	v.Close()
	if !ok {
		return ErrUnknownPatient
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
	if _, err := s.patient(patient); err == nil || !errors.Is(err, ErrUnknownPatient) {
		return err
	}
	b := s.store.db.NewBatch()
	defer b.Close()
	if err := s.store.put(b, key(prefixPatient, patient[:]), &patientRow{Patient: patient, Steward: p.Member, Reference: reference}); err != nil {
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
