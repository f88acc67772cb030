package record

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble"

	"salus/fhir"
	"salus/ledger/module/emergency"
	"salus/ledger/tx"
)

// A Summary is what this organisation wrote last for a patient's emergencies.
type Summary struct {
	Number int64    `cbor:"1,keyasint"` // 1, 2, 3 ...
	Digest [32]byte `cbor:"2,keyasint"` // of what it says, as its maker computed it
	ID     ID       `cbor:"3,keyasint"` // zero: it was found that there is nothing to say
}

// A Reach is what an emergency's first step opens of a patient, as her directive says now.
type Reach struct {
	slots       *SlotMap // as far as this organisation knows it
	opens, shut uint64
}

// Reach asks for the slots of labels, and of the emergency's own, and for the patient's directive.
// Errors: ErrUnknownPatient, or why the steward could not be asked.
func (s *Service) Reach(ctx context.Context, patient tx.Account, labels []fhir.Label) (*Reach, error) {
	p, err := s.patient(patient)
	if err != nil {
		return nil, err
	}
	m, err := s.slotsFor(ctx, p, [][]fhir.Label{append(slices.Clone(labels), EmergencyLabel)})
	if refused := new(tx.Refusal); errors.As(err, &refused) {
		m, err = s.slotsFor(ctx, p, [][]fhir.Label{labels}) // a map of before there was the label
	}
	if err != nil {
		return nil, err
	}
	v := s.Ledger.View()
	defer v.Close()
	d, _ := emergency.LookupDirective(v, patient)
	return NewReach(m, d), nil
}

// NewReach reads a directive with as much of the patient's map as is known; the zero directive opens nothing.
func NewReach(slots *SlotMap, d emergency.Directive) *Reach {
	return &Reach{slots, d.Mask(false), d.Except}
}

func (r *Reach) has(l fhir.Label, mask uint64) bool {
	slot, known := r.slots.Slot(l)
	return known && mask&(1<<slot) != 0
}

// Whole reports whether the emergency's own label is open: then a summary may tell of more than
// what is in the emergency set by its own labels.
func (r *Reach) Whole() bool { return r.has(EmergencyLabel, r.opens) }

// Tells reports whether a summary for emergencies may tell of a resource with these labels: of none that is
// sensitive, and of nothing that the patient excluded.
func (r *Reach) Tells(labels []fhir.Label) bool {
	for _, l := range labels {
		_, known := r.slots.Slot(l)
		switch {
		case !known, l.Sensitive(), r.has(l, r.shut):
			return false
		case !r.has(l, r.opens) && (!r.Whole() || slices.Contains(EmergencySet(), l)):
			return false
		}
	}
	return len(labels) > 0
}

// Labels are those that a summary bears that tells of resources with these: the emergency's own, if
// it is open, and of the others those of the emergency set. So that custodians refuse it when the patient
// excludes one of them later, a summary never bears the emergency's label instead of theirs.
func (r *Reach) Labels(told []fhir.Label) (out []fhir.Label) {
	if r.Whole() {
		out = append(out, EmergencyLabel)
	}
	for _, l := range EmergencySet() {
		if l != EmergencyLabel && slices.Contains(told, l) {
			out = append(out, l)
		}
	}
	return out
}

// LastSummary returns what this organisation wrote last for a patient's emergencies; zero for nothing.
func (s *Service) LastSummary(patient tx.Account) (last Summary, err error) {
	err = s.store.get(key(prefixSummary, patient[:]), &last)
	if errors.Is(err, errNotFound) {
		err = nil
	}
	return last, err
}

// PutSummary stores a summary for emergencies under labels that Reach gave, in the place of the one
// before it. What it replaces stays where it is until it is erased; readers take the newest.
func (s *Service) PutSummary(ctx context.Context, patient tx.Account, doc fhir.Resource, labels []fhir.Label, digest [32]byte) error {
	last, err := s.LastSummary(patient)
	if err != nil {
		return err
	}
	acks, err := s.ingest(ctx, patient, []fhir.Resource{doc}, [][]fhir.Label{labels}, false)
	if err != nil {
		return err
	}
	return s.keepSummary(patient, Summary{last.Number + 1, digest, acks[0].ID})
}

// NoSummary notes that there is nothing to say.
func (s *Service) NoSummary(patient tx.Account, digest [32]byte) error {
	last, err := s.LastSummary(patient)
	if err != nil {
		return err
	}
	return s.keepSummary(patient, Summary{Number: last.Number, Digest: digest})
}

func (s *Service) keepSummary(patient tx.Account, x Summary) error {
	b := s.store.db.NewBatch()
	defer b.Close()
	if err := s.store.put(b, key(prefixSummary, patient[:]), x); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("record: store: %w", err)
	}
	return nil
}

// SummaryID is the id of the Bundle that an organisation writes for a patient's emergencies.
const SummaryID = "emergency-summary"
