package record

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/seal"
	"salus/seal/compress"
)

// An Ack says what became of one resource of a Put.
type Ack struct {
	ID ID
	// Duplicate: the same bytes of the same patient were stored before; ID is theirs.
	Duplicate bool
}

// Put labels resources of one patient and stores them durably ("stored"). When it returns,
// a crash loses none of them; Wait tells when they are active.
func (s *Service) Put(ctx context.Context, patient tx.Account, resources []fhir.Resource) ([]Ack, error) {
	pr, err := s.patient(patient)
	if err != nil {
		return nil, err
	}
	labels := make([][]fhir.Label, len(resources))
	for i, r := range resources {
		labels[i] = fhir.LabelsOf(r)
	}
	slots, err := s.slotsFor(ctx, pr, labels)
	if err != nil {
		return nil, err
	}
	b := s.store.db.NewBatch()
	defer b.Close()
	acks := make([]Ack, len(resources))
	var fresh []ID
	seen := map[string]ID{} // the same bytes twice within one Put
	for i, r := range resources {
		same := key(prefixSame, s.store.hash(patient[:], []byte(r.Type()), []byte(r.ID()), r.Raw()))
		id, dup, err := s.known(same, seen)
		if err != nil {
			return nil, err
		}
		if dup {
			acks[i] = Ack{ID: id, Duplicate: true}
			continue
		}
		mask, err := slots.Mask(labels[i])
		if err != nil {
			return nil, err
		}
		if err := s.putRow(b, patient, id, r, labels[i], mask); err != nil {
			return nil, err
		}
		if err := s.store.put(b, same, id); err != nil {
			return nil, err
		}
		seen[string(same)] = id
		acks[i], fresh = Ack{ID: id}, append(fresh, id)
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return nil, fmt.Errorf("record: store: %w", err)
	}
	s.fold.add(patient, fresh...)
	return acks, nil
}

// known finds the record that has the same bytes, or draws an id for a new one.
func (s *Service) known(same []byte, seen map[string]ID) (ID, bool, error) {
	if id, ok := seen[string(same)]; ok {
		return id, true, nil
	}
	var id ID
	err := s.store.get(same, &id)
	if err == nil {
		return id, true, nil
	}
	if !errors.Is(err, errNotFound) {
		return id, false, err
	}
	id, err = newID()
	return id, false, err
}

func (s *Service) putRow(b *pebble.Batch, patient tx.Account, id ID, r fhir.Resource, labels []fhir.Label, mask uint64) error {
	summary, err := fhir.Summarize(r).MarshalJSON()
	if err != nil {
		return fmt.Errorf("record: summary: %w", err)
	}
	w := row{ID: id, Patient: patient, Status: Stored, Type: r.Type(), Slots: mask, Kind: seal.KindRecord, Summary: summary, Body: compress.Compress(r.Raw())}
	for _, l := range labels {
		w.Labels = append(w.Labels, string(l))
	}
	if err := s.store.put(b, key(prefixRecord, id[:]), &w); err != nil {
		return err
	}
	if err := b.Set(key(prefixOf, patient[:], id[:]), nil, nil); err != nil {
		return err
	}
	return b.Set(key(prefixStored, id[:]), nil, nil)
}

// Progress of an import, called after each group of records.
type Progress struct {
	Records, Duplicates, Rejected, Patients int
}

// A Report is what an import did.
type Report struct {
	Progress
	IDs      []ID
	Reject   []fhir.Rejected
	Accounts []tx.Account // the patients, in the order of the input
}

// Import stores every resource of a FHIR Bundle or NDJSON stream with its patient, enrolling
// patients this organisation has not seen. Resources that cannot be taken are in the report;
// the others are stored all the same.
func (s *Service) Import(ctx context.Context, format string, r io.Reader, enrol EnrolFunc, progress func(Progress)) (*Report, error) {
	items := fhir.ReadBundle(r)
	if format == "ndjson" {
		items = fhir.ReadNDJSON(r)
	}
	groups, rejected, err := fhir.GroupByPatient(items)
	if err != nil {
		return nil, err
	}
	rep := &Report{Reject: rejected, Progress: Progress{Rejected: len(rejected)}}
	for _, g := range groups {
		patient, err := s.Enrol(ctx, g.Reference(), enrol)
		if err != nil {
			return rep, err
		}
		rep.Patients++
		rep.Accounts = append(rep.Accounts, patient)
		for rest := g.Resources(); len(rest) > 0; {
			n := min(len(rest), 200)
			acks, err := s.Put(ctx, patient, rest[:n])
			if err != nil {
				return rep, err
			}
			rest = rest[n:]
			for _, a := range acks {
				if a.Duplicate {
					rep.Duplicates++
				} else {
					rep.Records++
				}
				rep.IDs = append(rep.IDs, a.ID)
			}
			if progress != nil {
				progress(rep.Progress)
			}
		}
	}
	return rep, nil
}

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
	v := s.Ledger.View()
	_, enrolled := identity.Lookup(v, patient)
	v.Close()
	if enrolled {
		return patient, nil
	}
	p, err := s.patient(patient)
	if err != nil {
		return patient, err
	}
	return patient, enrol(ctx, patient, identity.ClaimCommit(identity.ClaimSigner(patient, p.Secret).Public()))
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
	if err := s.putSlotMap(b, patient, slots, encoded); err != nil {
		return patient, err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return patient, fmt.Errorf("record: store: %w", err)
	}
	return patient, s.resumeStored(patient)
}

// putSlotMap stores the slot map as an encrypted record of its own, under the steward label
// that no grant contains: the patient gets it back with any of her devices.
func (s *Service) putSlotMap(b *pebble.Batch, patient tx.Account, slots *SlotMap, encoded []byte) error {
	mask, err := slots.Mask([]fhir.Label{StewardLabel})
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	w := row{ID: id, Patient: patient, Status: Stored, Type: TypeSlotMap, Labels: []string{string(StewardLabel)}, Slots: mask, Kind: seal.KindRecord, Summary: []byte(`{"type":"` + TypeSlotMap + `"}`), Body: compress.Compress(encoded)}
	if err := s.store.put(b, key(prefixRecord, id[:]), &w); err != nil {
		return err
	}
	if err := b.Set(key(prefixOf, patient[:], id[:]), nil, nil); err != nil {
		return err
	}
	return b.Set(key(prefixStored, id[:]), nil, nil)
}

// TypeSlotMap is the type of the one record that is not FHIR: a patient's slot map, in CBOR.
const TypeSlotMap = "x-salus-slots"

// resumeStored queues a patient's records that no batch holds yet.
func (s *Service) resumeStored(patient tx.Account) error {
	prefix := key(prefixOf, patient[:])
	return s.store.scan(prefix, func(rest, _ []byte) error {
		waits, err := s.store.has(key(prefixStored, rest))
		if err == nil && waits {
			s.fold.add(patient, ID(rest))
		}
		return err
	})
}

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

// slotsFor returns the slots of all the labels to be written, asking the steward for those
// that this author has not learnt yet.
func (s *Service) slotsFor(ctx context.Context, p *patientRow, labels [][]fhir.Label) (*SlotMap, error) {
	var m SlotMap
	if len(p.Slots) > 0 {
		if err := tx.DecodeAny(p.Slots, &m, len(p.Slots)); err != nil {
			return nil, errDamaged
		}
	}
	var missing []string
	asked := map[fhir.Label]bool{}
	for _, ls := range labels {
		for _, l := range ls {
			if _, ok := m.Slot(l); !ok && !asked[l] {
				asked[l], missing = true, append(missing, string(l))
			}
		}
	}
	if len(missing) == 0 {
		return &m, nil
	}
	var reply exchange.SlotsReply
	if err := s.Links.Call(ctx, p.Steward, exchange.PathSlots, exchange.SlotsRequest{Patient: p.Patient, Labels: missing}, &reply); err != nil {
		return nil, fmt.Errorf("record: slots from the steward: %w", err)
	}
	if len(reply.Slots) != len(missing) {
		return nil, errSlotMap
	}
	m.Labels, m.Slots = append(m.Labels, missing...), append(m.Slots, reply.Slots...)
	if err := m.Validate(); err != nil {
		return nil, err
	}
	encoded, err := tx.Encode(&m)
	if err != nil {
		return nil, err
	}
	p.Slots = encoded
	b := s.store.db.NewBatch()
	defer b.Close()
	if err := s.store.put(b, key(prefixPatient, p.Patient[:]), p); err != nil {
		return nil, err
	}
	return &m, b.Commit(pebble.Sync)
}
