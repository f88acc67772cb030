package record

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"salus/exchange"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
	"salus/seal/compress"
)

// retryPause is how long a failed dealing or delivery step waits before the next try.
const retryPause = time.Second

// deal seals a fold's records into one batch, puts the ciphertexts into the vault and
// the parcel into the outbox, and starts its delivery. Until it succeeds the records
// keep their mark as stored, so a crash at any point deals them again, once.
func (s *Service) deal(ctx context.Context, patient tx.Account, ids []ID) {
	for {
		p, err := s.dealOnce(ctx, patient, ids)
		if err == nil {
			s.deliver(p)
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.metrics.retries.WithLabelValues("deal").Inc()
		s.Log.WarnContext(ctx, "deal_failed", "records", len(ids), "err", err)
		if !pause(ctx, retryPause) {
			return
		}
	}
}

func (s *Service) dealOnce(ctx context.Context, patient tx.Account, ids []ID) (*parcelRow, error) {
	rows := make([]*row, len(ids))
	for i, id := range ids {
		r, err := s.store.record(id)
		if err != nil {
			return nil, err
		}
		rows[i] = r
	}
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
	return p, s.outbox.append(batch, p)
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

// custodyKeys knows the custodians' public HPKE keys: 1,216 bytes each, fetched from the
// custodian once and checked against the hash that it registered on the ledger.
type custodyKeys struct {
	ledger Ledger
	links  Links

	mu    sync.Mutex // guards known
	known map[tx.Hash][]byte
}

func newCustodyKeys(l Ledger, links Links) *custodyKeys {
	return &custodyKeys{ledger: l, links: links, known: map[tx.Hash][]byte{}}
}

// current returns the committee epoch and its custodians' newest keys, in index order.
func (k *custodyKeys) current(ctx context.Context) (committee.Epoch, []seal.Custodian, error) {
	v := k.ledger.View()
	defer v.Close()
	epoch, err := committee.Current(v)
	if err != nil {
		return epoch, nil, fmt.Errorf("record: committee: %w", err)
	}
	live := committee.LiveKeys(v, v.Meta().Time)
	if len(live) != len(epoch.Members) {
		return epoch, nil, fmt.Errorf("record: %d of %d custodians have a live custody key", len(live), len(epoch.Members))
	}
	out := make([]seal.Custodian, 0, len(live))
	for i, l := range live {
		public, err := k.public(ctx, epoch.Members, i, l.Key.Hash)
		if err != nil {
			return epoch, nil, err
		}
		out = append(out, seal.Custodian{Index: i + 1, KeyEpoch: l.Key.KeyEpoch, Public: public})
	}
	return epoch, out, nil
}

func (k *custodyKeys) public(ctx context.Context, members []tx.Account, i int, hash tx.Hash) ([]byte, error) {
	k.mu.Lock()
	public, ok := k.known[hash]
	k.mu.Unlock()
	if ok {
		return public, nil
	}
	// Its owner first; while that is down, the other custodians, who keep copies.
	members = append([]tx.Account{members[i]}, slices.Delete(slices.Clone(members), i, i+1)...)
	var failed error
	for _, m := range members {
		var reply exchange.KeyReply
		err := k.links.Call(ctx, m, exchange.PathKey, exchange.KeyRequest{Hash: hash}, &reply)
		if err == nil && tx.Hash(sha256.Sum256(reply.Public)) == hash {
			k.mu.Lock()
			k.known[hash] = reply.Public
			k.mu.Unlock()
			return reply.Public, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, fmt.Errorf("record: no custodian gave the custody key of custodian %d: %w", i+1, failed)
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
