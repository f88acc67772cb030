package custody

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/tx"
	"salus/threshold"
)

// A batch at rest is three rows sealed under a key of its own, which is wrapped under a
// root: what a release needs (batchRow), what an answer to Locate needs (manifestRow), and
// the parcel for relay. A fourth, patientRow, finds the batch by its patient. When the
// batch key and patientRow are deleted and their root is replaced, the rest is noise.

// batchRow is what a release needs of a batch.
type batchRow struct {
	Index    uint8  // this custodian's, 1-based, in the batch's epoch
	LogIndex uint64 // of the header's entry
	Patient  tx.Account
	Opening  [32]byte          // r_b: opens the header's patient commitment
	Slots    []uint64          // of the record at each position
	Shares   []threshold.Share // number 0 is the blinding share
}

const batchVersion = 1

// The layout: version (1) ‖ index (1) ‖ log index (8) ‖ pseudonym (16) ‖ opening (32) ‖ count B
// (2) ‖ masks (appendMasks) ‖ B+1 shares (32 each).
const batchHead = 1 + 1 + 8 + 16 + 32 + 2

func (r *batchRow) encode() []byte {
	b := make([]byte, 0, batchHead+2+10*len(r.Slots)+32*len(r.Shares)) // never grown: what a growing leaves behind is not wiped
	b = append(b, batchVersion, r.Index)
	b = binary.BigEndian.AppendUint64(b, r.LogIndex)
	b = append(append(b, r.Patient[:]...), r.Opening[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Slots)))
	b = appendMasks(b, r.Slots)
	for i := range r.Shares {
		b = append(b, r.Shares[i][:]...)
	}
	return b
}

func decodeBatch(b []byte) (*batchRow, bool) {
	if len(b) < batchHead || b[0] != batchVersion {
		return nil, false
	}
	r := &batchRow{Index: b[1], LogIndex: binary.BigEndian.Uint64(b[2:]), Patient: tx.Account(b[10:26]), Opening: [32]byte(b[26:58])}
	count := int(binary.BigEndian.Uint16(b[batchHead-2:]))
	c := &columns{rest: b[batchHead:], ok: true}
	if len(c.rest) < 32*(count+1) {
		return nil, false
	}
	r.Slots = c.masks(count)
	if !c.ok || len(c.rest) != 32*(count+1) {
		return nil, false
	}
	r.Shares = make([]threshold.Share, count+1)
	for i := range r.Shares {
		copy(r.Shares[i][:], c.take(32))
	}
	return r, true
}

// partial reports whether a record of the batch was erased by itself: then the blinding share is gone too.
func (r *batchRow) partial() bool { return len(r.Shares) > 0 && r.Shares[0] == threshold.Share{} }

// wipe overwrites the shares.
func (r *batchRow) wipe() { clear(r.Shares) }

// patientRow finds a batch by its patient. Masks are the different slot masks in the
// batch, so that Locate opens no manifest of which nothing is allowed; none means: look.
type patientRow struct {
	LogIndex uint64
	Header   [32]byte
	Masks    []uint64
}

const maxMasks = 32

func (p *patientRow) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, p.LogIndex)
	b = append(b, p.Header[:]...)
	for _, m := range p.Masks {
		b = binary.BigEndian.AppendUint64(b, m)
	}
	return b
}

func decodePatient(b []byte) (p patientRow, ok bool) {
	if len(b) < 40 || len(b)%8 != 0 || len(b) > 40+8*maxMasks {
		return p, false
	}
	p.LogIndex, p.Header = binary.BigEndian.Uint64(b), [32]byte(b[8:40])
	for b = b[40:]; len(b) > 0; b = b[8:] {
		p.Masks = append(p.Masks, binary.BigEndian.Uint64(b))
	}
	return p, true
}

// masksOf returns the different masks in rising order, or none if there are too many.
func masksOf(slots []uint64) []uint64 {
	m := slices.Compact(slices.Sorted(slices.Values(slots)))
	if len(m) > maxMasks {
		return nil
	}
	return m
}

// releasable is the rule for one record: every one of its slots is allowed. A record in no
// slot at all has an author who said nothing, and what is not allowed is denied.
func releasable(slots, allowed uint64) bool { return slots != 0 && slots&^allowed == 0 }

// may says whether the batch can hold anything under allowed.
func (p *patientRow) may(allowed uint64) bool {
	return len(p.Masks) == 0 || slices.ContainsFunc(p.Masks, func(m uint64) bool { return releasable(m, allowed) })
}

// sealRow seals a value under the batch key, bound to its row.
func sealRow(key [32]byte, k, plain []byte) []byte { return aead(key).Seal(nil, nil, plain, k) }

// putBatch adds a verified batch and its fresh key to b.
func (r *rows) putBatch(b *pebble.Batch, hh [32]byte, row *batchRow, p *exchange.Parcel) error {
	key, err := r.putRelay(b, hh, p)
	if err != nil {
		return err
	}
	return errors.Join(
		r.putRows(b, key, hh, row, &manifestRow{Entries: p.Entries, ShareRoots: p.ShareRoots, Pack: p.Pack}),
		r.putCommitments(b, hh, &commitRow{Epoch: p.Header.Epoch, Commitments: p.Commitments}),
	)
}

// putSealed writes a batch that lost a record again, under a fresh key.
func (r *rows) putSealed(b *pebble.Batch, hh [32]byte, row *batchRow, m *manifestRow) error {
	var key [32]byte
	_, _ = rand.Read(key[:]) // crypto/rand never fails on supported systems
	kk := rowKey(prefixKey, hh[:])
	return errors.Join(b.Set(kk, r.roots.wrap(kk, key[:]), nil), r.putRows(b, key, hh, row, m))
}

func (r *rows) putRows(b *pebble.Batch, key, hh [32]byte, row *batchRow, m *manifestRow) error {
	manifest := m.encode()
	kb, ke := rowKey(prefixBatch, hh[:]), rowKey(prefixManifest, hh[:])
	plain := row.encode()
	defer clear(plain)
	return errors.Join(
		b.Set(kb, sealRow(key, kb, plain), nil),
		b.Set(ke, sealRow(key, ke, manifest), nil),
		r.putPatient(b, hh, row),
	)
}

// putPatient adds what finds a batch by its patient.
func (r *rows) putPatient(b *pebble.Batch, hh [32]byte, row *batchRow) error {
	find := &patientRow{LogIndex: row.LogIndex, Header: hh, Masks: masksOf(row.Slots)}
	k := r.patientKey(row.Patient, hh)
	return b.Set(k, r.roots.wrap(k, find.encode()), nil)
}

// patientKey names a batch of a patient by two tags, which tell nothing without the tag key.
func (r *rows) patientKey(patient tx.Account, hh [32]byte) []byte {
	return rowKey(prefixPatient, r.roots.tagOf("patient", patient[:]), r.roots.tagOf("batch", hh[:]))
}

// putRelay adds a batch key and the parcel under it.
func (r *rows) putRelay(b *pebble.Batch, hh [32]byte, p *exchange.Parcel) (key [32]byte, err error) {
	_, _ = rand.Read(key[:]) // crypto/rand never fails on supported systems
	parcel, err := tx.Encode(p)
	if err != nil {
		return key, errorf("encode", err)
	}
	kk, ky := rowKey(prefixKey, hh[:]), rowKey(prefixRelay, hh[:])
	return key, errors.Join(
		b.Set(kk, r.roots.wrap(kk, key[:]), nil),
		b.Set(ky, sealRow(key, ky, parcel), nil),
		b.Set(rowKey(prefixOwed, hh[:]), nil, nil),
	)
}

// open reads a row that is sealed under its batch's key.
func (r *rows) open(prefix byte, hh [32]byte) ([]byte, error) {
	key, err := r.unwrapped(rowKey(prefixKey, hh[:]))
	if err != nil {
		return nil, err
	}
	if len(key) != 32 {
		return nil, errDamaged
	}
	k := rowKey(prefix, hh[:])
	sealed, err := r.get(k)
	if err != nil {
		return nil, err
	}
	plain, err := aead([32]byte(key)).Open(sealed[:0], nil, sealed, k)
	if err != nil {
		return nil, errDamaged
	}
	return plain, nil
}

func (r *rows) batch(hh [32]byte) (*batchRow, error) {
	plain, err := r.open(prefixBatch, hh)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	row, ok := decodeBatch(plain)
	if !ok {
		return nil, errDamaged
	}
	return row, nil
}

func (r *rows) manifest(hh [32]byte) (*manifestRow, error) {
	plain, err := r.open(prefixManifest, hh)
	if err != nil {
		return nil, err
	}
	m, ok := decodeManifest(plain)
	if !ok {
		return nil, errDamaged
	}
	return m, nil
}

func (r *rows) relay(hh [32]byte) (*exchange.Parcel, error) {
	p := new(exchange.Parcel)
	return p, r.decode(prefixRelay, hh, p)
}

func (r *rows) decode(prefix byte, hh [32]byte, v any) error {
	plain, err := r.open(prefix, hh)
	if err != nil {
		return err
	}
	if tx.DecodeAny(plain, v, len(plain)) != nil {
		return errDamaged
	}
	return nil
}

// ofPatient returns where a patient's batches are, in the order of the ledger's log.
func (r *rows) ofPatient(patient tx.Account) ([]patientRow, error) {
	prefix := rowKey(prefixPatient, r.roots.tagOf("patient", patient[:]))
	var out []patientRow
	err := r.scan(prefix, func(rest, value []byte) (bool, error) {
		plain, err := r.unwrap(rowKey(prefixPatient, prefix[1:], rest), value)
		if err != nil {
			return false, err
		}
		p, ok := decodePatient(plain)
		if !ok {
			return false, errDamaged
		}
		out = append(out, p)
		return true, nil
	})
	slices.SortFunc(out, func(a, b patientRow) int {
		if a.LogIndex < b.LogIndex {
			return -1
		}
		return 1
	})
	return out, err
}
