package record

import (
	"context"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"salus/client"
	"salus/fhir"
	"salus/ledger/module/access"
	"salus/ledger/module/emergency"
	"salus/ledger/tx"
	"salus/seal"
)

// EmergencyLabel is a slot of its own in a patient's map, for a record written for
// emergencies: a record that bears this label and else those of the emergency set is in
// it. It is no label of a resource, and no ordinary grant contains it.
const EmergencyLabel fhir.Label = "emergency"

// EmergencySet returns the labels of the emergency set: a record is in it if every
// label that it bears is one of them. A sensitive record bears a sensitivity too.
func EmergencySet() []fhir.Label {
	return []fhir.Label{EmergencyLabel, "administrative", "allergy", "condition", "medication"}
}

// Directive returns what an emergency may open, as masks under this map: first the
// emergency set, after the second step everything, and never psychotherapy notes nor
// what the patient withholds. Who withholds a kind of information that is not in the
// emergency set withholds the emergency's own label too: a summary that was written before
// may tell of that kind. Patient and version are the caller's to fill in.
func (m *SlotMap) Directive(random io.Reader, without []fhir.Label) (d emergency.SetDirective, err error) {
	never := append([]fhir.Label{fhir.PSYTHPN}, slices.DeleteFunc(slices.Clone(without), func(l fhir.Label) bool { return l == fhir.PSYTHPN })...)
	open := func(ls []fhir.Label) []fhir.Label {
		return slices.DeleteFunc(slices.Clone(ls), func(l fhir.Label) bool {
			_, known := m.Slot(l) // a map of before there was the emergency label has no slot for it
			return !known || slices.Contains(never, l) || l == EmergencyLabel && slices.ContainsFunc(never, beyondTheSet)
		})
	}
	if d.Set, d.Except, err = m.GrantMasks(random, open(EmergencySet()), never); err != nil {
		return d, err
	}
	d.More, _, err = m.GrantMasks(random, open(append(fhir.AllLabels(), EmergencyLabel)), nil)
	return d, err
}

// beyondTheSet reports whether a label is a kind of information of which only a summary tells
// in the first step.
func beyondTheSet(l fhir.Label) bool { return !l.Sensitive() && !slices.Contains(EmergencySet(), l) }

// Direct puts the directive of a patient on the ledger; version is the one that
// it replaces, 0 for none.
func Direct(ctx context.Context, submit Submitter, patient tx.Account, slots *SlotMap, version uint64, without []fhir.Label) (client.Committed, error) {
	d, err := slots.Directive(rand.Reader, without)
	if err != nil {
		return client.Committed{}, err
	}
	d.Patient, d.Version = patient, version+1
	return submit.Submit(ctx, emergency.KindDirective, &d)
}

// direct makes sure that a patient whom this organisation stewards has a directive, so
// that an emergency finds something. The patient's own is left alone. A failure keeps nobody
// from writing her record: the next one tries again.
func (s *Service) direct(ctx context.Context, patient tx.Account) {
	free, err := s.claims.take(ctx, directing(patient))
	if err != nil {
		return
	}
	defer free()
	if s.directed(patient) {
		return
	}
	slots, err := s.SlotMap(patient)
	if errors.Is(err, ErrNotSteward) {
		return // it is her steward's
	}
	if err == nil {
		_, err = Direct(ctx, s.Submit, patient, slots, 0, nil)
	}
	if err != nil && !stands(err) && !s.directed(patient) { // the patient's own, or an earlier call's, may have been faster
		s.Log.WarnContext(ctx, "emergency_directive_not_set", "err", err)
	}
}

func (s *Service) directed(patient tx.Account) bool {
	v := s.Ledger.View()
	defer v.Close()
	_, ok := emergency.LookupDirective(v, patient)
	return ok
}

// OpenEmergency declares an emergency and returns its session, which may read the
// patient's emergency set for at most ttl. It obliges the reader to an attestation
// and her organisation to a review. As with OpenSession, whether anything may be
// read does not show.
func OpenEmergency(ctx context.Context, r Reading, submit Submitter, patient tx.Account, reason emergency.Reason, ttl time.Duration) (*Session, error) {
	key, public, err := sessionKey()
	if err != nil {
		return nil, err
	}
	got, err := submit.Submit(ctx, access.KindEmergency, &access.Emergency{
		Patient: patient, Reason: reason, ReaderKey: sha256.Sum256(public), TTL: uint64(ttl / time.Second),
	})
	if err != nil {
		return nil, err
	}
	s, err := readBack(ctx, r, submit, got, key, public)
	if err == nil {
		s.Latest += s.Latest - s.opened
	}
	return s, err
}

// Widen takes the second step of an emergency's session.
func (s *Session) Widen(ctx context.Context) error {
	got, err := s.submit.Submit(ctx, access.KindWiden, &access.Widen{Session: s.ID})
	if err == nil {
		s.seen.Store(got.Height)
	}
	return err
}

func sessionKey() (hpke.PrivateKey, []byte, error) {
	seed, public, err := seal.NewCustodyKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("record: session key: %w", err)
	}
	key, err := seal.CustodyKeyFromSeed(seed)
	if err != nil {
		return nil, nil, fmt.Errorf("record: session key: %w", err)
	}
	return key, public, nil
}

// readBack reads back the session that a committed request opened.
func readBack(ctx context.Context, r Reading, submit Submitter, got client.Committed, key hpke.PrivateKey, public []byte) (*Session, error) {
	row, err := r.Chain.Session(ctx, got.ID)
	if err != nil {
		return nil, err
	}
	return &Session{
		ID: got.ID, Patient: row.Patient, Purpose: row.Purpose, Expires: row.Expires, Latest: row.Expires, Opened: got,
		opened: row.Opened, reading: r, submit: submit, key: key, public: public,
	}, nil
}

// Statement commits to what is written about an emergency: SHA-256("salus/emergency/v1\0" ‖
// salt[32] ‖ text). Only the commitment goes to the ledger; whoever keeps salt and
// text proves later what was said.
func Statement(salt [32]byte, text []byte) tx.Hash {
	h := sha256.New()
	h.Write([]byte("salus/emergency/v1\x00"))
	h.Write(salt[:])
	h.Write(text)
	return tx.Hash(h.Sum(nil))
}

// EmergencyWords says what an emergency opens by a directive's masks under this map: the
// labels of the first step, those that the second adds, and those that stay closed.
func (m *SlotMap) EmergencyWords(first, second uint64) (set, more, never []fhir.Label) {
	for _, l := range append(fhir.AllLabels(), EmergencyLabel) {
		slot, known := m.Slot(l)
		switch {
		case known && first&(1<<slot) != 0:
			set = append(set, l)
		case known && second&(1<<slot) != 0:
			more = append(more, l)
		default:
			never = append(never, l)
		}
	}
	return set, more, never
}
