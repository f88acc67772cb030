package custody

import (
	"context"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"

	"github.com/cockroachdb/pebble"
	"golang.org/x/sync/errgroup"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/seal"
	"salus/vault"
)

// ingestGroup is how many batches share one fsync.
const ingestGroup = 32

// ingestReady takes in every batch that is on the ledger and whose parcel is here.
func (c *Custodian) ingestReady(ctx context.Context) error {
	v := c.Ledger.View()
	behind := c.behind(v)
	v.Close()
	if behind {
		return nil // what is wanted is not on it yet
	}
	var ready [][32]byte
	for _, hh := range c.parking.list() {
		if c.rows.has(rowKey(prefixWanted, hh[:])) {
			ready = append(ready, hh)
		}
	}
	for len(ready) > 0 && ctx.Err() == nil {
		group := ready[:min(len(ready), ingestGroup)]
		ready = ready[len(group):]
		if err := c.ingest(ctx, group); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// An outcome is what became of one parcel.
type outcome struct {
	row    *batchRow // verified, to be stored
	parcel *exchange.Parcel
	log    uint64 // index of the header's entry
	fault  error  // why it was not taken
	final  bool   // the envelope on the ledger itself is bad: no other parcel can help
	reason byte   // of the complaint; 0 for none
}

// ingest verifies a group of batches against the headers in the own replica and stores
// their shares in one step. A parcel that is not the committed one is dropped and complained
// about, and the batch stays wanted: another custodian may relay the true one. A committed
// envelope that is bad stays bad; the parcel is kept for the others.
func (c *Custodian) ingest(ctx context.Context, group [][32]byte) error {
	v := c.Ledger.View()
	defer v.Close()
	keys, err := c.openKeys()
	if err != nil {
		return err
	}
	keys = slices.DeleteFunc(keys, func(k ownKey) bool { return exchange.KeyGone(v, k.until) })
	c.keeping.Lock()
	group, err = c.dropErased(v, group)
	c.keeping.Unlock()
	if err != nil || len(group) == 0 {
		return err
	}
	done := make([]outcome, len(group))
	var work errgroup.Group
	work.SetLimit(runtime.GOMAXPROCS(0))
	for i, hh := range group {
		work.Go(func() (err error) {
			done[i], err = c.verify(v, hh, keys)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	c.dueMu.Lock()
	err = c.parking.take(group, func(b *pebble.Batch) error {
		for i, hh := range group {
			if err := c.put(b, hh, &done[i]); err != nil {
				return err
			}
		}
		return nil
	})
	c.dueMu.Unlock()
	if err != nil {
		return err
	}
	for i := range done {
		if done[i].fault == nil {
			c.keeping.Lock()
			err := c.eraseLate(ctx, v, group[i], done[i].row.Patient)
			c.keeping.Unlock()
			if err != nil {
				return err
			}
			done[i].row.wipe()
			c.metrics.ingested.Inc()
			c.batches.Add(1)
			continue
		}
		c.metrics.rejected.Inc()
		c.Log.WarnContext(ctx, "parcel_rejected", "err", done[i].fault)
	}
	nudge(c.due)
	return nil
}

// put adds what follows from an outcome. The receipt that becomes due promises that the
// shares are on disk: both are in the same durable write.
func (c *Custodian) put(b *pebble.Batch, hh [32]byte, o *outcome) error {
	due := func(what byte) error { return b.Set(rowKey(prefixDue, hh[:]), []byte{what}, nil) }
	wanted := rowKey(prefixWanted, hh[:])
	switch {
	case o.fault == nil:
		return errors.Join(
			c.rows.putBatch(b, hh, o.row, o.parcel),
			b.Set(rowKey(prefixPack, o.parcel.Pack[:], hh[:]), nil, nil),
			b.Delete(wanted, nil),
			due(dueReceipt),
		)
	case o.final:
		_, err := c.rows.putRelay(b, hh, o.parcel)
		refused := binary.BigEndian.AppendUint64([]byte{o.reason}, o.log)
		err = errors.Join(err, b.Set(rowKey(prefixRefused, hh[:]), refused, nil), b.Delete(wanted, nil))
		if o.reason != 0 {
			err = errors.Join(err, due(dueComplaint+o.reason))
		}
		return err
	case o.reason != 0:
		return due(dueComplaint + o.reason)
	default:
		return nil
	}
}

var (
	errOtherParcel = errors.New("custody: the parcel is not the one on the ledger")
	errStale       = errors.New("custody: the batch was anchored too long ago; its author seals the records again")
	errNoSeed      = errors.New("custody: the envelope is for a custody key that is not here")
)

// verify opens one parcel against the ledger. The error is one of the own store; faults of
// the parcel are in the outcome.
func (c *Custodian) verify(v *state.View, hh [32]byte, keys []ownKey) (o outcome, err error) {
	at, err := c.rows.get(rowKey(prefixWanted, hh[:]))
	if err != nil || len(at) != 8 {
		return o, errors.Join(errDamaged, err)
	}
	o.log = binary.BigEndian.Uint64(at)
	b, ok := anchor.Lookup(v, hh)
	if !ok {
		return o, errorf("a wanted batch is not on the ledger", errDamaged)
	}
	put, err := exchange.PutAt(v, b)
	if err != nil {
		return o, err
	}
	epoch, err := committee.At(v, put.Header.Epoch)
	if err != nil {
		return o, err
	}
	index, ok := epoch.IndexOf(c.Self)
	if !ok {
		return o, errorf("a wanted batch is of another committee", errDamaged)
	}
	if o.parcel, err = c.parking.get(hh); err != nil {
		return o, err
	}
	// Only the author's own parcel can be another one: relayed ones were compared at the door.
	if !committedTo(put, o.parcel) || o.parcel.Validate() != nil {
		o.fault, o.reason = errOtherParcel, anchor.BadParcel
		return o, nil
	}
	if exchange.Stale(v, &b) {
		o.fault, o.final = errStale, true
		return o, nil
	}
	open, err := openWith(keys, index, &put.Header, o.parcel)
	if err != nil {
		o.fault, o.final = err, true
		var e *seal.EnvelopeError
		if errors.As(err, &e) && e.Complaint() && (e.Check != seal.CheckSealed || c.blames(v, keys, b.Time)) {
			o.reason = complaint(e.Check)
		}
		return o, nil
	}
	slots := make([]uint64, len(o.parcel.Entries))
	for i := range slots {
		slots[i] = o.parcel.Entries[i].Slots
	}
	o.row = &batchRow{Index: uint8(index), LogIndex: o.log, Patient: open.Patient, Opening: open.Opening, Slots: slots, Shares: open.Shares}
	return o, nil
}

// An ownKey is a custody key that is still here.
type ownKey struct {
	epoch   uint64
	until   uint64 // unix seconds of block time
	private hpke.PrivateKey
}

func (c *Custodian) openKeys() ([]ownKey, error) {
	seeds, err := c.rows.seeds()
	if err != nil {
		return nil, err
	}
	var keys []ownKey
	for _, s := range seeds {
		sk, err := seal.CustodyKeyFromSeed(seal.Seed(s.Seed))
		if err != nil {
			return nil, err
		}
		keys = append(keys, ownKey{s.Epoch, s.Until, sk})
	}
	return keys, nil
}

// openWith tries the key the parcel names first, then the others: the name is not under the
// author's signature, and whoever relays must not be able to make the author look guilty.
func openWith(keys []ownKey, index int, h *seal.Header, p *exchange.Parcel) (*seal.Custody, error) {
	err := errNoSeed
	for _, named := range []bool{true, false} {
		for _, k := range keys {
			if named != (k.epoch == p.KeyEpochs[index-1]) {
				continue
			}
			open, oerr := seal.OpenEnvelope(k.private, index, k.epoch, h, p.ShareRoots, p.Commitments, p.Envelopes[index-1])
			var e *seal.EnvelopeError
			if oerr == nil || !errors.As(oerr, &e) || e.Check != seal.CheckSealed {
				return open, oerr
			}
			err = oerr
		}
	}
	return nil, err
}

// blames reports whether an envelope that no key opens is the author's fault: the ledger had
// a valid custody key of this member when the batch was anchored, so there was one to seal
// to, and all that were valid then are still here, so none of them is the one.
func (c *Custodian) blames(v *state.View, keys []ownKey, anchored uint64) bool {
	last, _ := committee.Latest(v, c.Self)
	valid := false
	for e := last.KeyEpoch; e > 0; e-- {
		k, ok := committee.Key(v, c.Self, e)
		if !ok || k.Until <= anchored {
			break
		}
		valid = valid || k.ValidAt(anchored)
		if !slices.ContainsFunc(keys, func(own ownKey) bool { return own.epoch == e }) {
			return false
		}
	}
	return valid
}

// complaint gives a failed check of the envelope its reason on the ledger.
func complaint(c seal.Check) byte {
	switch c {
	case seal.CheckPatient:
		return anchor.BadOpening
	case seal.CheckShareRoot:
		return anchor.BadShareRoot
	case seal.CheckCommitment:
		return anchor.BadCommitment
	default:
		return anchor.BadEnvelope
	}
}

// PackArrived tells the custodian that the own vault now holds a pack: its receipt may
// then say so. The vault calls it after its own fsync.
func (c *Custodian) PackArrived(pack vault.PackID) error {
	var of [][32]byte
	err := c.rows.scan(rowKey(prefixPack, pack[:]), func(rest, _ []byte) (bool, error) {
		of = append(of, [32]byte(rest))
		return true, nil
	})
	if err != nil {
		return err
	}
	return c.markDue(dueReceipt, of...) // none yet: ingest will ask the vault
}

// heldPacks marks what the vault holds and the ledger does not know of: a crash may have
// come between the vault's fsync and PackArrived.
func (c *Custodian) heldPacks() error {
	var of [][32]byte
	err := c.rows.scan([]byte{prefixPack}, func(rest, _ []byte) (bool, error) {
		if len(rest) == 64 && c.HasPack(vault.PackID(rest[:32])) {
			of = append(of, [32]byte(rest[32:]))
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return c.markDue(dueReceipt, of...)
}
