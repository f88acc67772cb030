package record

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble"

	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// TakeIn makes this organisation ready to steward a patient who enrolled herself with it, with a key
// of her own: it draws her slot map and keeps it as her first record, which her devices open. Without
// a slot map nobody could write about her and she could consent to nothing. Then it sees to her
// emergency directive, as Enrol does. Nobody here has a reference for her before she is adopted.
// Repeating it changes nothing.
// Errors: ErrUnknownPatient if the ledger has no such patient, ErrNotSteward if she enrolled with
// another organisation.
func (s *Service) TakeIn(ctx context.Context, patient tx.Account) error {
	v := s.Ledger.View()
	who, ok := identity.Lookup(v, patient)
	v.Close()
	switch {
	case !ok || who.Class != ledger.ClassPatient:
		return ErrUnknownPatient
	case who.Member != s.Self:
		return ErrNotSteward
	}
	s.enrolling.Lock()
	defer s.enrolling.Unlock()
	id, fresh, err := s.steward(patient)
	if err != nil {
		return err
	}
	if fresh {
		s.fold.add(patient, id)
	}
	s.direct(ctx, patient)
	return nil
}

// steward makes this member the steward that the ledger says it is: with a label map, unless there is one. It returns
// the map's record, if it is a fresh one.
func (s *Service) steward(patient tx.Account) (id ID, fresh bool, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	p, err := s.patient(patient)
	switch {
	case errors.Is(err, ErrUnknownPatient):
		p = &patientRow{Patient: patient}
	case err != nil:
		return id, false, err
	case p.Steward == s.Self && len(p.Slots) > 0:
		return id, false, nil
	}
	p.Steward = s.Self
	encoded, slots, err := newSlotMapBytes()
	if err != nil {
		return id, false, err
	}
	p.Slots = encoded
	if p.Secret == ([32]byte{}) {
		// It opens nothing: she has her key, and her ledger row no claim. But it is not known either.
		if _, err := rand.Read(p.Secret[:]); err != nil {
			return id, false, fmt.Errorf("record: random numbers: %w", err)
		}
	}
	b := s.store.db.NewBatch()
	defer b.Close()
	if err := s.store.put(b, key(prefixPatient, patient[:]), p); err != nil {
		return id, false, err
	}
	id, err = s.putSlotMap(b, patient, slots, encoded)
	if err != nil {
		return id, false, err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return id, false, fmt.Errorf("record: store: %w", err)
	}
	return id, true, nil
}
