package record

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/tx"
	"salus/seal"
	"salus/seal/compress"
)

// retryPause is how long a failed dealing or delivery step waits before the next try.
const retryPause = time.Second

// deal seals a fold's records into batches, puts the ciphertexts into the vault and the
// parcels into the outbox, and starts their delivery. Until that is durable the records keep
// their mark as stored, so a crash at any point deals them again, and never twice: mark and
// parcel change in one step. What a crash leaves behind is at most a pack that nothing names.
func (s *Service) deal(ctx context.Context, patient tx.Account, ids []ID) {
	for len(ids) > 0 {
		p, rest, err := s.dealOnce(ctx, patient, ids)
		if err == nil {
			if ids = rest; p != nil {
				s.deliver(p.Seq)
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		s.metrics.retries.WithLabelValues("deal").Inc()
		if errors.Is(err, errNoKeys) { // a young network, or custodians that are away: said by the outbox gauge
			s.Log.DebugContext(ctx, "deal_waits", "records", len(ids), "err", err)
		} else {
			s.Log.WarnContext(ctx, "deal_failed", "records", len(ids), "err", err)
		}
		if !pause(ctx, retryPause) {
			return
		}
	}
}

// dealOnce deals as many of the records as fit into one batch and returns the others. The
// parcel is nil if nothing was left to deal.
func (s *Service) dealOnce(ctx context.Context, patient tx.Account, ids []ID) (p *parcelRow, rest []ID, err error) {
	leave, err := enter(ctx, s.dealing)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	rows, err := s.undealt(ctx, ids)
	if err != nil || len(rows) == 0 {
		return nil, nil, err
	}
	n := fit(rows)
	for _, r := range rows[n:] {
		rest = append(rest, r.ID)
	}
	p, err = s.dealRows(ctx, patient, rows[:n])
	if err == nil && p == nil {
		rest = ids // without those that were erased
	}
	return p, rest, err
}

// undealt reads the records that no batch holds yet.
func (s *Service) undealt(ctx context.Context, ids []ID) ([]*row, error) {
	var rows []*row
	for _, id := range ids {
		r, err := s.store.record(id)
		if errors.Is(err, errDamaged) || errors.Is(err, errNotFound) {
			// It must not hold up the others. Its mark stays, and the store's check finds it.
			s.Log.ErrorContext(ctx, "stored_record_damaged")
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.Status == Stored && r.Erased == nil {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func (s *Service) dealRows(ctx context.Context, patient tx.Account, rows []*row) (*parcelRow, error) {
	epoch, custodians, err := s.keys.current(ctx)
	if err != nil {
		return nil, err
	}
	recs := make([]seal.Record, 0, len(rows)+4)
	for _, r := range rows {
		recs = append(recs, seal.Record{ID: r.ID, Slots: r.Slots, Kind: r.Kind, Plain: r.Body})
	}
	index, err := indexRecords(rows)
	if err != nil {
		return nil, err
	}
	recs = append(recs, index...)
	start := time.Now()
	b, err := seal.Seal(rand.Reader, s.Chain, s.Self, patient, epoch.Epoch, int(epoch.T), custodians, recs)
	if err != nil {
		return nil, fmt.Errorf("record: seal: %w", err)
	}
	s.metrics.deal.Observe(time.Since(start).Seconds())
	pack, err := s.Vault.PutPack(ctx, b.Ciphertexts)
	if err != nil {
		return nil, fmt.Errorf("record: vault: %w", err)
	}
	p := &parcelRow{Parcel: exchange.Parcel{
		Header: b.Header, Entries: b.Entries, ShareRoots: b.ShareRoots, Commitments: b.Commitments, Envelopes: b.Envelopes, Pack: pack,
	}}
	for _, c := range custodians {
		p.Parcel.KeyEpochs = append(p.Parcel.KeyEpochs, c.KeyEpoch)
	}
	batch := s.store.db.NewBatch()
	defer batch.Close()
	hh := b.Header.Hash()
	for i, r := range rows {
		r.Status, r.Batch, r.Index = Dealt, hh, uint16(i)
		if err := s.store.put(batch, key(prefixRecord, r.ID[:]), r); err != nil {
			return nil, err
		}
		if err := batch.Delete(key(prefixStored, r.ID[:]), nil); err != nil {
			return nil, err
		}
		p.Records = append(p.Records, r.ID)
	}
	if there, err := s.chain(batch, p); err != nil || !there {
		return nil, err
	}
	return p, s.store.sync()
}

// chain puts a parcel into the outbox, unless a record of it was erased since it was read: then nothing is changed, and
// there is false.
func (s *Service) chain(b *pebble.Batch, p *parcelRow) (there bool, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	for _, id := range p.Records {
		if there, err = s.store.has(key(prefixStored, id[:])); err != nil || !there {
			return false, err
		}
	}
	return true, s.outbox.chain(b, p)
}

// maxBatchBytes bounds the ciphertexts of a batch: its pack has to fit into a segment of the
// vault and through the members' links in one piece.
const maxBatchBytes = 32 << 20

// fit returns how many of the records, from the first on, go into one batch together with the
// index records they need. The first always fits.
func fit(rows []*row) int {
	slots, size := map[uint64]bool{}, 0
	for i, r := range rows {
		slots[r.Slots] = true
		if size += len(r.Body); i > 0 && (size > maxBatchBytes || i+1+len(slots) > seal.MaxRecords) {
			return i
		}
	}
	return len(rows)
}

// An IndexLine tells a reader what one record is, without opening it.
type IndexLine struct {
	Index   int             `json:"i"` // in the batch's manifest
	Summary json.RawMessage `json:"s"` // fhir.Summary
}

// indexRecords makes one index record for every set of slots in the batch: a reader whose
// session allows those slots learns type, date and title of the records under them, and
// nothing about any other (custody.md D.3).
func indexRecords(rows []*row) ([]seal.Record, error) {
	lines := map[uint64][]IndexLine{}
	for i, r := range rows {
		lines[r.Slots] = append(lines[r.Slots], IndexLine{Index: i, Summary: r.Summary})
	}
	var out []seal.Record
	for _, slots := range slices.SortedFunc(maps.Keys(lines), cmp.Compare[uint64]) {
		b, err := json.Marshal(lines[slots])
		if err != nil {
			return nil, fmt.Errorf("record: index: %w", err)
		}
		id, err := newID()
		if err != nil {
			return nil, err
		}
		out = append(out, seal.Record{ID: id, Slots: slots, Kind: seal.KindIndex, Plain: compress.Compress(b)})
	}
	return out, nil
}

// pause waits; false means that ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// enter takes one of the places, or ends with ctx.
func enter(ctx context.Context, places chan struct{}) (leave func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
