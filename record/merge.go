package record

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/module/merge"
	"salus/ledger/tx"
)

// Two pseudonyms of one patient have two slot maps. Who approves that they are merged gives the ledger a
// translation of the one's slots into the other's, so that what either denies is denied for both (spec/merge.md).

// MergeSlots makes the translation for a proposed merge: of the slots of the pseudonym that goes into those of the one
// that stays. Each label's slot leads to the same label's; the others lead to one another at random, so that the
// translation tells nobody which slots are labels. A map that is not this organisation's it asks of the proposer's steward.
// Errors: merge.ErrUnknown, merge.ErrStanding; those of the other steward.
func (s *Service) MergeSlots(ctx context.Context, id tx.Hash) (consent.Translation, error) {
	v := s.Ledger.View()
	x, ok := merge.Lookup(v, id)
	proposer, _ := identity.Lookup(v, x.Proposer)
	v.Close()
	switch {
	case !ok:
		return nil, merge.ErrUnknown
	case x.Standing != merge.Proposed:
		return nil, merge.ErrStanding
	}
	goes, err := s.slotsOf(ctx, x.Goes, proposer.Member)
	if err != nil {
		return nil, err
	}
	stays, err := s.slotsOf(ctx, x.Stays, proposer.Member)
	if err != nil {
		return nil, err
	}
	return translation(goes, stays)
}

// slotsOf is the slot map of one of the two: this steward's own, or what the other steward tells.
func (s *Service) slotsOf(ctx context.Context, patient, other tx.Account) (*SlotMap, error) {
	v := s.Ledger.View()
	p, ok := identity.Lookup(v, patient)
	v.Close()
	switch {
	case !ok:
		return nil, ErrUnknownPatient
	case p.Member == s.Self:
		return s.SlotMap(patient)
	case p.Member != other:
		return nil, ErrNotSteward // the proposer's side tells; it has agreed already
	}
	m := &SlotMap{}
	for _, l := range append([]fhir.Label{EmergencyLabel}, fhir.AllLabels()...) {
		m.Labels = append(m.Labels, string(l))
	}
	var reply exchange.SlotsReply
	if err := s.Links.Call(ctx, other, exchange.PathSlots, exchange.SlotsRequest{Patient: patient, Labels: m.Labels}, &reply); err != nil {
		return nil, fmt.Errorf("record: slots from the other steward: %w", err)
	}
	m.Slots = reply.Slots
	return m, m.Validate()
}

// translation leads each label's slot to the same label's, and every other slot somewhere at random.
func translation(from, to *SlotMap) (consent.Translation, error) {
	perm, err := permutation(rand.Reader, 64)
	if err != nil {
		return nil, err
	}
	out := make(consent.Translation, 64)
	var placed, taken uint64
	for i, l := range from.Labels {
		if slot, ok := to.Slot(fhir.Label(l)); ok {
			out[from.Slots[i]] = slot
			placed |= 1 << from.Slots[i]
			taken |= 1 << slot
		}
	}
	free := slices.DeleteFunc(perm, func(slot uint8) bool { return taken&(1<<slot) != 0 })
	for i := range out {
		if placed&(1<<i) == 0 {
			out[i], free = free[0], free[1:]
		}
	}
	return out, out.Validate()
}

// merges reports whether somebody of this organisation proposed that the patient and one whom the member
// stewards are one.
func (s *Service) merges(member, patient tx.Account) bool {
	v := s.Ledger.View()
	defer v.Close()
	for _, x := range merge.CasesOf(v, patient) {
		other := x.Goes
		if other == patient {
			other = x.Stays
		}
		by, ok := identity.Lookup(v, x.Proposer)
		of, known := identity.Lookup(v, other)
		if ok && known && x.Standing == merge.Proposed && by.Member == s.Self && of.Member == member {
			return true
		}
	}
	return false
}
