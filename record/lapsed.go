package record

import (
	"fmt"

	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
)

// lapsed reports whether the parcel can never become ACTIVE: the committee that it is sealed
// for was followed by another before enough of its custodians held it, or before the header
// was on the ledger. No block can change that any more.
func (s *Service) lapsed(p *parcelRow) bool {
	v := s.Ledger.View()
	defer v.Close()
	if b, ok := anchor.Lookup(v, p.Parcel.Header.Hash()); ok {
		return anchor.Lapsed(v, &b)
	}
	return p.Parcel.Header.Epoch < committee.HeldNow(v).Epoch
}

// again takes a lapsed parcel out of the outbox and its records back to be dealt, in one
// step, and queues them: they are sealed to the committee in force.
func (s *Service) again(p *parcelRow) error {
	b := s.store.db.NewBatch()
	defer b.Close()
	of := map[tx.Account][]ID{}
	for _, id := range p.Records {
		r, err := s.store.record(id)
		if err != nil {
			return err
		}
		r.Status, r.Batch, r.Index = Stored, [32]byte{}, 0
		if err := s.store.put(b, key(prefixRecord, id[:]), r); err != nil {
			return err
		}
		if err := b.Set(key(prefixStored, id[:]), nil, nil); err != nil {
			return fmt.Errorf("record: deal again: %w", err)
		}
		of[r.Patient] = append(of[r.Patient], id)
	}
	hh := p.Parcel.Header.Hash()
	if err := s.store.put(b, lapsedKey(hh), true); err != nil {
		return err
	}
	if err := s.outbox.done(b, p); err != nil {
		return err
	}
	for patient, ids := range of {
		s.fold.add(patient, ids...)
	}
	return nil
}

// lapsedKey marks a parcel that left the outbox without becoming ACTIVE.
func lapsedKey(hh [32]byte) []byte { return append([]byte{prefixMeta, 'l'}, hh[:]...) }
