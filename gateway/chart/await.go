package chart

import (
	"context"
	"errors"
	"math"

	"salus/record"
	"salus/store"
)

// Await returns when versions of the organisation's own resources are active: the ledger counts
// enough custody receipts for each. Error: ctx's.
func (s *Service) Await(ctx context.Context, seqs ...int64) error {
	for _, seq := range seqs {
		ch := s.pump.await(seq)
		if ch == nil {
			continue
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// await returns a channel that closes when a version is active, nil if it is.
func (p *pump) await(seq int64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq <= p.mark || p.done[seq] {
		return nil
	}
	ch := make(chan struct{})
	p.waits[seq] = append(p.waits[seq], ch)
	if len(p.turns) > 0 { // there may be a place more now
		p.wake()
	}
	return ch
}

// Status says how safe a version of an own resource is.
func (s *Service) Status(v *store.Version) (record.Status, error) {
	if v.Record == derived {
		return record.Active, nil
	}
	s.pump.mu.Lock()
	done := v.Seq <= s.pump.mark || s.pump.done[v.Seq]
	s.pump.mu.Unlock()
	if done {
		return record.Active, nil
	}
	patient, err := s.Record.Known(ownerName(v.Owner))
	if errors.Is(err, record.ErrUnknownPatient) {
		return record.Stored, nil
	}
	if err != nil {
		return 0, err
	}
	r, err := s.recordOf(v)
	if err != nil {
		return 0, err
	}
	o, err := s.Record.Find(patient, r)
	if errors.Is(err, record.ErrUnknownRecord) {
		return record.Stored, nil
	}
	if err != nil {
		return 0, err
	}
	return s.Record.Status(o.ID)
}

// Waiting counts the versions of the organisation's own resources that were not handed on to the records yet. What
// is handed on meanwhile is counted by one who asks the records after it, twice perhaps, but never nowhere. Of more than
// window that the pump has not read, the rest may not be counted.
func (s *Service) Waiting(ctx context.Context) (int, error) {
	s.pump.mu.Lock()
	read, n := s.pump.read, 0
	for _, q := range s.pump.queues {
		n += len(q.waiting) - q.handed
	}
	s.pump.mu.Unlock()
	unread, err := s.Store.Beyond(ctx, read, derived, window)
	return n + unread, err
}

// Behind counts the versions in the store of a stopped node that may not have been handed on to the records: the
// pump has not noted that they were.
func Behind(ctx context.Context, st *store.Store) (int, error) {
	mark, err := st.Mark(ctx, markName)
	if err != nil {
		return 0, err
	}
	return st.Beyond(ctx, mark, derived, math.MaxInt)
}
