package record

import (
	"context"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

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

// SlotMap is the slot map of a patient whom this organisation stewards.
// Errors: ErrUnknownPatient, ErrNotSteward.
func (s *Service) SlotMap(patient tx.Account) (*SlotMap, error) {
	p, err := s.patient(patient)
	if err != nil {
		return nil, err
	}
	if p.Steward != s.Self {
		return nil, ErrNotSteward
	}
	var m SlotMap
	if err := tx.DecodeAny(p.Slots, &m, len(p.Slots)); err != nil {
		return nil, errDamaged
	}
	return &m, m.Validate()
}

// Slots answers another author: the slots of exactly the labels it is about to write. It must
// be a member whom one of the patient's grants lets treat her, or the steward of a pseudonym with which this organisation
// proposed to merge hers.
func (s *Service) Slots(_ context.Context, from tx.Account, req *exchange.SlotsRequest) (*exchange.SlotsReply, error) {
	p, err := s.patient(req.Patient)
	if err != nil || p.Steward != s.Self {
		return nil, ErrNotSteward
	}
	if len(req.Labels) == 0 || len(req.Labels) > 32 {
		return nil, ErrLabel
	}
	if !s.treats(from, req.Patient) && !s.merges(from, req.Patient) {
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
