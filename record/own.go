package record

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/anchor"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal/compress"
)

// ErrUnknownRecord: no record of that id in this organisation's own store.
var ErrUnknownRecord = errNotFound

// An Owned record is one line of the organisation's own store.
type Owned struct {
	ID      ID              `json:"id"`
	Patient tx.Account      `json:"patient"`
	Type    string          `json:"type"`
	Status  string          `json:"status"`
	Labels  []string        `json:"labels"`
	Summary json.RawMessage `json:"summary"`
	Batch   tx.Hash         `json:"batch"`
	Index   uint16          `json:"index"`
	Bytes   int             `json:"bytes"` // compressed
}

// MarshalText is the id's hex form.
func (id ID) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", id[:]), nil }

// String is the id's hex form.
func (id ID) String() string { return fmt.Sprintf("%x", id[:]) }

// UnmarshalText reads the hex form.
func (id *ID) UnmarshalText(b []byte) (err error) { *id, err = ParseID(string(b)); return err }

var errID = errors.New("record: a record id is 32 hex digits")

// ParseID reads the hex form.
func ParseID(s string) (id ID, err error) {
	if len(s) != 2*len(id) {
		return id, errID
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, errID
	}
	return id, nil
}

func (r *row) owned() Owned {
	return Owned{ID: r.ID, Patient: r.Patient, Type: r.Type, Status: r.Status.String(), Labels: r.Labels, Summary: r.Summary, Batch: r.Batch, Index: r.Index, Bytes: len(r.Body)}
}

// Records lists what this organisation wrote about a patient, in the order of their ids.
func (s *Service) Records(patient tx.Account) ([]Owned, error) {
	out := []Owned{}
	err := s.store.scan(key(prefixOf, patient[:]), func(rest, _ []byte) error {
		r, err := s.store.record(ID(rest))
		if err == nil {
			out = append(out, r.owned())
		}
		return err
	})
	return out, err
}

// Body returns the exact bytes of a record of this organisation.
func (s *Service) Body(id ID) ([]byte, Owned, error) {
	r, err := s.store.record(id)
	if err != nil {
		return nil, Owned{}, err
	}
	b, err := compress.Decompress(r.Body, maxPlain)
	if err != nil {
		return nil, Owned{}, errDamaged
	}
	return b, r.owned(), nil
}

// A Patient is one that this organisation knows.
type Patient struct {
	Patient   tx.Account `json:"patient"`
	Steward   tx.Account `json:"steward"`
	Reference string     `json:"reference"`
}

// Patients lists them.
func (s *Service) Patients() ([]Patient, error) {
	out := []Patient{}
	err := s.store.scan([]byte{prefixPatient}, func(rest, value []byte) error {
		var p patientRow
		if err := s.store.open(key(prefixPatient, rest), value, &p); err != nil {
			return err
		}
		out = append(out, Patient{p.Patient, p.Steward, p.Reference})
		return nil
	})
	slices.SortFunc(out, func(a, b Patient) int {
		if a.Reference < b.Reference {
			return -1
		}
		return 1
	})
	return out, err
}

// Adopt makes a patient whom another organisation stewards known here, under the reference
// that this organisation gives her, so that it can write records about her.
func (s *Service) Adopt(patient tx.Account, reference string) error {
	v := s.Ledger.View()
	p, ok := identity.Lookup(v, patient)
	v.Close()
	if !ok {
		return ErrUnknownPatient
	}
	s.enrolling.Lock()
	defer s.enrolling.Unlock()
	if _, err := s.patient(patient); err == nil || !errors.Is(err, ErrUnknownPatient) {
		return err
	}
	b := s.store.db.NewBatch()
	defer b.Close()
	if err := s.store.put(b, key(prefixPatient, patient[:]), &patientRow{Patient: patient, Steward: p.Member, Reference: reference}); err != nil {
		return err
	}
	if err := s.store.put(b, key(prefixLink, s.store.hash([]byte("reference"), []byte(reference))), patient); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("record: store: %w", err)
	}
	return nil
}

// A ClaimCode is what the steward hands to the patient in person: with it she makes the
// pseudonym her own, once, and her wallet knows her slot map.
type ClaimCode struct {
	Patient tx.Account `json:"patient"`
	Secret  []byte     `json:"secret"`
	Slots   []byte     `json:"slots"`
}

// ClaimCode returns the claim code of a patient whom this organisation stewards.
func (s *Service) ClaimCode(patient tx.Account) (ClaimCode, error) {
	p, err := s.patient(patient)
	if err != nil {
		return ClaimCode{}, err
	}
	if p.Steward != s.Self {
		return ClaimCode{}, ErrNotSteward
	}
	return ClaimCode{Patient: patient, Secret: p.Secret[:], Slots: p.Slots}, nil
}

var (
	// ErrNotAuthor refuses slots to a member that the patient lets do nothing.
	ErrNotAuthor = tx.Refuse(0x2201, "record: slots are only told to an organisation that the patient lets treat her")
	// ErrNotSteward: somebody else stewards the patient.
	ErrNotSteward = tx.Refuse(0x2202, "record: this organisation is not the patient's steward")
	// ErrLabel: no such label.
	ErrLabel = tx.Refuse(0x2203, "record: one to thirty-two known labels are asked for at a time")
)

// Slots answers another author: the slots of exactly the labels it is about to write. It must
// be a member whom one of the patient's grants lets treat her.
func (s *Service) Slots(_ context.Context, from tx.Account, req *exchange.SlotsRequest) (*exchange.SlotsReply, error) {
	p, err := s.patient(req.Patient)
	if err != nil || p.Steward != s.Self {
		return nil, ErrNotSteward
	}
	if len(req.Labels) == 0 || len(req.Labels) > 32 {
		return nil, ErrLabel
	}
	if !s.treats(from, req.Patient) {
		return nil, ErrNotAuthor
	}
	var m SlotMap
	if err := tx.DecodeAny(p.Slots, &m, len(p.Slots)); err != nil {
		return nil, errDamaged
	}
	reply := &exchange.SlotsReply{}
	for _, l := range req.Labels {
		slot, ok := m.Slot(fhir.Label(l))
		if !ok || fhir.Label(l) == StewardLabel {
			return nil, ErrLabel
		}
		reply.Slots = append(reply.Slots, slot)
	}
	return reply, nil
}

// treats reports whether some grant of the patient reaches the member for TREAT.
func (s *Service) treats(member, patient tx.Account) bool {
	v := s.Ledger.View()
	defer v.Close()
	now := v.Meta().Time
	for _, g := range consent.Load(v, patient).Grants {
		t := g.Grant
		live := now >= t.NotBefore && (t.NotAfter == 0 || now < t.NotAfter)
		if live && consent.Covers(t.Purposes, consent.TREAT) && reaches(v, t.Grantee, member) {
			return true
		}
	}
	return false
}

// reaches reports whether anybody of the member could be meant by the grantee.
func reaches(v *state.View, g consent.Grantee, member tx.Account) bool {
	m, ok := governance.LookupMember(v, member)
	if !ok || !m.Active {
		return false
	}
	switch g.Kind {
	case consent.AnyClinical:
		return m.Clinical
	case consent.OfRole:
		return g.Account == member || g.Account.IsZero() && m.Clinical
	case consent.OfMember:
		return g.Account == member
	case consent.OnePractitioner:
		p, ok := identity.Lookup(v, g.Account)
		return ok && p.Member == member
	}
	return false
}

// Pending counts the batches that are stored but not active.
func (s *Service) Pending() (int, error) {
	n := 0
	err := s.store.scan([]byte{prefixOutbox}, func(_, _ []byte) error { n++; return nil })
	return n, err
}

// Openings relays a patient's question which records a session's fetches named.
func (s *Service) Openings(ctx context.Context, custodian tx.Account, req *exchange.OpeningsRequest) (*exchange.Sealed, error) {
	var out exchange.Sealed
	return &out, s.Links.Call(ctx, custodian, exchange.PathOpenings, req, &out)
}

// Check verifies the own store against the ledger: every row opens, every delivered batch is
// anchored, the outbox has no gap. It returns the first damage.
func (s *Service) Check(ctx context.Context) error {
	if err := s.store.scan([]byte{prefixRecord}, func(rest, value []byte) error {
		var r row
		if err := s.store.open(key(prefixRecord, rest), value, &r); err != nil {
			return err
		}
		if _, err := compress.Decompress(r.Body, maxPlain); err != nil {
			return errDamaged
		}
		return ctx.Err()
	}); err != nil {
		return err
	}
	v := s.Ledger.View()
	defer v.Close()
	return s.outbox.check(func(header [32]byte, pending bool) error {
		if b, ok := anchor.Lookup(v, header); !pending && (!ok || b.Active == 0) {
			return fmt.Errorf("%w: a delivered batch is not on the ledger", ErrOutbox)
		}
		return ctx.Err()
	})
}

// Rebuild makes the store's indexes again from the records and the outbox: which records a
// patient has and which wait to be dealt. It returns the number of records.
func (s *Service) Rebuild() (int, error) {
	b := s.store.db.NewBatch()
	defer b.Close()
	for _, prefix := range []byte{prefixOf, prefixStored} {
		if err := b.DeleteRange([]byte{prefix}, []byte{prefix + 1}, nil); err != nil {
			return 0, fmt.Errorf("record: rebuild: %w", err)
		}
	}
	n := 0
	err := s.store.scan([]byte{prefixRecord}, func(rest, value []byte) error {
		var r row
		if err := s.store.open(key(prefixRecord, rest), value, &r); err != nil {
			return err
		}
		n++
		if r.Status == Stored {
			if err := b.Set(key(prefixStored, r.ID[:]), nil, nil); err != nil {
				return err
			}
		}
		return b.Set(key(prefixOf, r.Patient[:], r.ID[:]), nil, nil)
	})
	if err != nil {
		return n, err
	}
	return n, b.Commit(pebble.Sync)
}
