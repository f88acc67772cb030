package record

import (
	"fmt"
	"sync"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// lapsed reports whether the parcel can never become ACTIVE: too few custodians have its shares, and no more can have
// them. Either the committee that it is sealed for was followed by another, or the custody keys that it is sealed
// to are gone. Before the header is on the ledger, that is known of each key; after it, custodians that took the parcel
// may still say so, until it is stale for everybody alike (exchange.Stale) and what they sent before that is over.
func (s *Service) lapsed(p *parcelRow) bool {
	v := s.Ledger.View()
	defer v.Close()
	b, anchored := anchor.Lookup(v, p.Parcel.Header.Hash())
	return s.lapsedIn(v, p, b, anchored)
}

func (s *Service) lapsedIn(v *state.View, p *parcelRow, b anchor.Batch, anchored bool) bool {
	h := &p.Parcel.Header
	switch {
	case !anchored:
		return h.Epoch < committee.HeldNow(v).Epoch || openers(v, &p.Parcel) < int(h.T)
	case anchor.Lapsed(v, &b):
		return true
	case b.Received() < int(h.T) && exchange.Stale(v, &b):
		return s.overdue.passed(p.Seq, uint64(v.Meta().Height))
	}
	return false
}

// openers counts the custodians that may still have the key that their envelope is sealed to.
func openers(v *state.View, p *exchange.Parcel) (n int) {
	epoch, err := committee.At(v, p.Header.Epoch)
	if err != nil {
		return 0
	}
	for i, m := range epoch.Members {
		if k, ok := committee.Key(v, m, p.KeyEpochs[i]); ok && !exchange.KeyGone(v, k.Until) {
			n++
		}
	}
	return n
}

// lastBlocks is for how many blocks a transaction of a custodian may still commit (client gives it as many).
const lastBlocks = 100

// overdue remembers at which height a parcel was first seen to be stale.
type overdue struct {
	mu    sync.Mutex // guards since
	since map[uint64]uint64
}

// passed reports whether what was sent before the parcel became stale has committed or expired.
func (o *overdue) passed(seq, height uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, seen := o.since[seq]; !seen {
		o.since[seq] = height
	}
	return height > o.since[seq]+lastBlocks
}

// forget drops what is remembered of a parcel.
func (o *overdue) forget(seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.since, seq)
}

// again takes a lapsed parcel out of the outbox and its records back to be dealt, in one
// step, and queues them: they are sealed to the committee in force.
func (s *Service) again(p *parcelRow) error {
	b := s.store.db.NewBatch()
	defer b.Close()
	s.changing.Lock()
	defer s.changing.Unlock()
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
		if r.Erased != nil {
			continue
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
	s.overdue.forget(p.Seq)
	for patient, ids := range of {
		s.fold.add(patient, ids...)
	}
	return nil
}

// lapsedKey marks a parcel that left the outbox without becoming ACTIVE.
func lapsedKey(hh [32]byte) []byte { return append([]byte{prefixMeta, 'l'}, hh[:]...) }
