package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/fhir"
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
// a crash loses none of them; Wait tells when they are active. Bytes that are stored already,
// also by a Put that runs at the same time, are not stored again.
// Errors: ErrUnknownPatient, ErrTooLarge, ErrNoSpace, or why the slots or the store failed; then
// nothing of this call is stored.
func (s *Service) Put(ctx context.Context, patient tx.Account, resources []fhir.Resource) ([]Ack, error) {
	labels := make([][]fhir.Label, len(resources))
	for i, r := range resources {
		labels[i] = fhir.LabelsOf(r)
	}
	return s.ingest(ctx, patient, resources, labels, false)
}

// PutVersions is Put for versions of the clinical store, with labels that the caller gives, a list
// for each resource: who says that a resource was deleted says it to those who could read the
// resource, and to nobody else. Versions returns them again.
func (s *Service) PutVersions(ctx context.Context, patient tx.Account, resources []fhir.Resource, labels [][]fhir.Label) ([]Ack, error) {
	return s.ingest(ctx, patient, resources, labels, true)
}

func (s *Service) ingest(ctx context.Context, patient tx.Account, resources []fhir.Resource, labels [][]fhir.Label, version bool) ([]Ack, error) {
	pr, err := s.patient(patient)
	if err != nil {
		return nil, err
	}
	same := make([]string, len(resources))
	for i, r := range resources {
		if len(labels[i]) == 0 {
			return nil, errUnlabelled
		}
		same[i] = s.same(patient, r)
	}
	slots, err := s.slotsFor(ctx, pr, labels)
	if err != nil {
		return nil, err
	}
	free, err := s.claims.take(ctx, same)
	if err != nil {
		return nil, err
	}
	defer free()
	b := s.store.db.NewBatch()
	defer b.Close()
	acks := make([]Ack, len(resources))
	var fresh []ID
	seen := map[string]ID{} // the same bytes twice within one Put
	for i, r := range resources {
		id, dup, err := s.known(same[i], seen)
		if err != nil {
			return nil, err
		}
		acks[i] = Ack{ID: id, Duplicate: dup}
		if dup {
			continue
		}
		mask, err := slots.Mask(labels[i])
		if err != nil {
			return nil, err
		}
		if err := s.putRow(b, patient, id, r, labels[i], mask, version); err != nil {
			return nil, err
		}
		if err := s.store.put(b, key(prefixSame, []byte(same[i])), id); err != nil {
			return nil, err
		}
		seen[same[i]] = id
		fresh = append(fresh, id)
	}
	if len(fresh) == 0 {
		return acks, nil // whatever they duplicate was durable before it could be found
	}
	if err := s.room(b.Len()); err != nil {
		return nil, err
	}
	if err := s.commitFor(b, patient, func(*patientRow) error { return nil }); err != nil {
		return nil, err
	}
	s.fold.add(patient, fresh...)
	return acks, nil
}

// commitFor commits what is written for a patient, with what change adds to it, unless she is not here any more. It
// returns when that is durable. Errors: ErrUnknownPatient, change's, and the store's.
func (s *Service) commitFor(b *pebble.Batch, patient tx.Account, change func(*patientRow) error) error {
	err := func() error {
		s.changing.Lock()
		defer s.changing.Unlock()
		p, err := s.patient(patient)
		if err != nil {
			return err
		}
		if err := change(p); err != nil {
			return err
		}
		return b.Commit(pebble.NoSync)
	}()
	if err != nil {
		return fmt.Errorf("record: store: %w", err)
	}
	return s.store.sync()
}

// same is what two resources of a patient have in common if they are the same one, byte for byte.
func (s *Service) same(patient tx.Account, r fhir.Resource) string {
	return string(s.store.hash(patient[:], []byte(r.Type()), []byte(r.ID()), r.Raw()))
}

// claims lets one call at a time decide about the same bytes, or patient, so that of two that bring them
// together one stores them and the other finds them stored. Others are not held up.
type claims struct {
	mu    sync.Mutex // guards taken
	taken map[string]chan struct{}
}

// take claims all the hashes, in one order for everybody, and returns what frees them.
func (c *claims) take(ctx context.Context, hashes []string) (free func(), err error) {
	hashes = slices.Compact(slices.Sorted(slices.Values(hashes)))
	done := make(chan struct{})
	mine := 0
	free = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, h := range hashes[:mine] {
			delete(c.taken, h)
		}
		close(done)
	}
	for mine < len(hashes) {
		c.mu.Lock()
		other := c.taken[hashes[mine]]
		if other == nil {
			c.taken[hashes[mine]] = done
			mine++
		}
		c.mu.Unlock()
		if other == nil {
			continue
		}
		select {
		case <-other:
		case <-ctx.Done():
			free()
			return nil, ctx.Err()
		}
	}
	return free, nil
}

// known finds the record that has the same bytes, or draws an id for a new one.
func (s *Service) known(same string, seen map[string]ID) (ID, bool, error) {
	if id, ok := seen[same]; ok {
		return id, true, nil
	}
	var id ID
	err := s.store.get(key(prefixSame, []byte(same)), &id)
	if err == nil {
		return id, true, nil
	}
	if !errors.Is(err, errNotFound) {
		return id, false, err
	}
	id, err = newID()
	return id, false, err
}

var errUnlabelled = errors.New("record: a record without a label would be open to every grant")

// ErrTooLarge: a resource that does not fit into a record even when it is compressed.
var ErrTooLarge = tx.Refuse(0x2205, "record: a resource is larger than a record may be")

func (s *Service) putRow(b *pebble.Batch, patient tx.Account, id ID, r fhir.Resource, labels []fhir.Label, mask uint64, version bool) error {
	summary, err := fhir.Summarize(r).MarshalJSON()
	if err != nil {
		return fmt.Errorf("record: summary: %w", err)
	}
	w := row{ID: id, Patient: patient, Status: Stored, Type: r.Type(), Slots: mask, Kind: seal.KindRecord, Summary: summary, Body: compress.Compress(r.Raw()), Version: version}
	if len(w.Body) > seal.MaxPlain {
		return ErrTooLarge
	}
	for _, l := range labels {
		w.Labels = append(w.Labels, string(l))
	}
	return s.addRow(b, &w)
}

// addRow adds a new record with its places in the indexes.
func (s *Service) addRow(b *pebble.Batch, w *row) error {
	if err := s.store.put(b, key(prefixRecord, w.ID[:]), w); err != nil {
		return err
	}
	if err := b.Set(key(prefixOf, w.Patient[:], w.ID[:]), nil, nil); err != nil {
		return err
	}
	return b.Set(key(prefixStored, w.ID[:]), nil, nil)
}

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
	b := s.store.db.NewBatch()
	defer b.Close()
	return &m, s.commitFor(b, p.Patient, func(now *patientRow) error {
		now.Slots = encoded
		return s.store.put(b, key(prefixPatient, p.Patient[:]), now)
	})
}
