package custody

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
)

// maxParked bounds the parcels whose header is not committed: an author that never
// commits must not fill the disk.
const maxParked = 4096

// Accept parks a parcel durably until its header is committed in the own replica. It
// checks only what needs no key, so that garbage is refused before it is written.
func (c *Custodian) Accept(_ context.Context, from tx.Account, p *exchange.Parcel) error {
	h := &p.Header
	n := int(h.N)
	if err := h.Validate(); err != nil || h.Chain != c.Chain || int(h.Count) != len(p.Entries) || len(p.Envelopes) != n || len(p.KeyEpochs) != n || len(p.ShareRoots) != n || len(p.Commitments) != int(h.T) {
		return ErrParcel
	}
	hh := tx.Hash(h.Hash())
	if c.rows.has(rowKey(prefixBatch, hh[:])) {
		return nil // verified and stored before
	}
	// Only its author may bring a batch that is not on the ledger yet; anybody may relay one that is.
	if tx.Account(h.Author) != from && !c.rows.has(rowKey(prefixWanted, hh[:])) {
		return ErrParcel
	}
	if seal.ManifestRoot(p.Entries) != h.ManifestRoot {
		return ErrParcel
	}
	if parked, err := c.rows.count(prefixParked); err != nil || parked >= maxParked {
		return errors.Join(errors.New("custody: too many parcels are parked"), err)
	}
	b, err := tx.Encode(p)
	if err != nil {
		return ErrParcel
	}
	if err := c.rows.db.Set(rowKey(prefixParked, hh[:]), b, pebble.Sync); err != nil {
		return errorf("park", err)
	}
	nudge(c.wake)
	return nil
}

// Parcel gives what this custodian keeps for relay: with t = n - f, the f+1 honest holders
// of an active batch could not rebuild what a lagging honest one misses, so everybody keeps
// all envelopes until every custodian has its own (B.2).
func (c *Custodian) Parcel(_ context.Context, req *exchange.ParcelRequest) (*exchange.Parcel, error) {
	for _, prefix := range []byte{prefixParked, prefixRelay} {
		b, err := c.rows.get(rowKey(prefix, req.Header[:]))
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var p exchange.Parcel
		if err := tx.DecodeAny(b, &p, len(b)); err != nil {
			return nil, errDamaged
		}
		return &p, nil
	}
	return nil, ErrNoParcel
}

// fetchParcel asks the author, then the other custodians, for a parcel that is overdue.
func (c *Custodian) fetchParcel(ctx context.Context, hh [32]byte, author tx.Account, epoch committee.Epoch) {
	for _, m := range append([]tx.Account{author}, epoch.Members...) {
		if m == c.Self {
			continue
		}
		var p exchange.Parcel
		if err := c.Links.Call(ctx, m, exchange.PathParcelOf, exchange.ParcelRequest{Header: hh}, &p); err != nil {
			continue
		}
		if p.Header.Hash() == hh && c.Accept(ctx, m, &p) == nil {
			return
		}
	}
}
