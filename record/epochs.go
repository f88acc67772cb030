package record

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"salus/exchange"
	"salus/ledger/tx"
	"salus/seal"
)

// While one committee follows another, a reader may hold records of both: each list it commits
// to is of one epoch, and shares of two epochs never meet.

// together yields lists of at most exchange.MaxList records of one epoch, in order of the epochs.
func together(records []Located) iter.Seq[[]Located] {
	sorted := slices.Clone(records)
	slices.SortStableFunc(sorted, func(a, b Located) int { return cmp.Compare(a.epoch, b.epoch) })
	return func(yield func([]Located) bool) {
		for len(sorted) > 0 {
			n := 1
			for n < len(sorted) && n < exchange.MaxList && sorted[n].epoch == sorted[0].epoch {
				n++
			}
			if !yield(slices.Clip(sorted[:n])) {
				return
			}
			sorted = sorted[n:]
		}
	}
}

// afterList returns the records that come after a list in the order of together.
func afterList(records, some []Located) (rest []Located) {
	found := false
	for list := range together(records) {
		if found {
			rest = append(rest, list...)
		}
		found = found || list[0].Item == some[0].Item
	}
	return rest
}

// epochOf is the epoch of a list of records: together makes lists of one.
func epochOf(records []Located) uint64 {
	if len(records) == 0 {
		return 0
	}
	return records[0].epoch
}

// moved returns the records with the epochs that hold them now, or nil if none has moved since
// they were located.
func (s *Session) moved(ctx context.Context, records []Located) ([]Located, error) {
	now := map[tx.Hash]uint64{}
	out := slices.Clone(records)
	some := false
	for i := range out {
		l := &out[i]
		e, known := now[l.Item.Header]
		if !known {
			a, err := s.reading.Chain.Anchored(ctx, l.Item.Header)
			if err != nil {
				return nil, err
			}
			e = a.HeldBy()
			now[l.Item.Header] = e
		}
		some = some || e != l.epoch
		l.epoch = e
	}
	if !some {
		return nil, nil
	}
	return out, nil
}

// header is the header as the committee that holds the shares would have it: another number of
// custodians and another threshold. It is for combining; what the author signed stays h.
func (r *released) header(h *seal.Header) *seal.Header {
	e := &r.com.Epoch
	if e.Epoch == h.Epoch || e.Epoch == 0 {
		return h
	}
	moved := *h
	moved.N, moved.T = e.N, e.T
	return &moved
}
