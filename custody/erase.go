package custody

import (
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger"
	"salus/ledger/module/erasure"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/threshold"
	"salus/vault"
)

// An Outside erases what this member keeps beyond its custodian's store.
type Outside interface {
	// Ciphertext returns when none of these blobs is in the member's vault any more. Of a batch that
	// this custodian never held it does not know the addresses: then they are none, and all of the pack is meant.
	Ciphertext(ctx context.Context, pack vault.PackID, blobs []vault.Address) error
	// Records returns when no readable copy of what the case names is left with this member, nor of any record that was
	// erased here before.
	Records(ctx context.Context, c erasure.Case, erased []Blob) error
}

// States of a row prefixErasure.
const (
	eraseNoted     = 1 // the tombstone stands
	eraseDestroyed = 2 // and shares, envelopes, parcels and openings are gone from this disk
)

// noteErasure notes a tombstone that the ledger's log shows. The note and the cursor are one
// write, so a store that was restored from an older copy finds the tombstone again.
func noteErasure(b *pebble.Batch, raw []byte) error {
	e, err := ledger.DecodeEntry(raw)
	if err != nil || e.Kind != erasure.EntryCase {
		return nil
	}
	var c erasure.Case
	if tx.Decode(e.Payload, &c) != nil || c.Status != erasure.Executing {
		return nil
	}
	return b.Set(rowKey(prefixErasure, c.ID[:]), []byte{eraseNoted}, nil)
}

// noted returns the cases whose row says what.
func (c *Custodian) noted(what byte) (ids []tx.Hash, err error) {
	err = c.rows.scan([]byte{prefixErasure}, func(rest, value []byte) (bool, error) {
		if len(rest) != 32 || len(value) != 1 {
			return false, errDamaged
		}
		if value[0] == what {
			ids = append(ids, tx.Hash(rest))
		}
		return true, nil
	})
	return ids, err
}

// destroyNoted destroys what the noted tombstones name. Only when the deletion is on disk, the root
// that wrapped it replaced and the old tables gone, a case counts as destroyed. It runs between reading the
// log and ingesting, so nothing erased is ingested behind its back.
func (c *Custodian) destroyNoted(ctx context.Context) error {
	ids, err := c.noted(eraseNoted)
	if err != nil || len(ids) == 0 {
		return err
	}
	c.keeping.Lock()
	defer c.keeping.Unlock()
	v := c.Ledger.View()
	defer v.Close()
	var done []tx.Hash
	for _, id := range ids {
		e, ok := erasure.Lookup(v, id)
		if !ok || !e.Stands() {
			continue // the replica is behind what this custodian has read
		}
		if err := c.destroy(ctx, &e); err != nil {
			return err
		}
		done = append(done, id)
	}
	if len(done) == 0 {
		return nil
	}
	if err := c.rows.compact(uint64(c.Now().Unix())); err != nil {
		return err
	}
	if err := c.rows.scour(); err != nil {
		return err
	}
	err = c.rows.update(func(b *pebble.Batch) error {
		for _, id := range done {
			if err := b.Set(rowKey(prefixErasure, id[:]), []byte{eraseDestroyed}, nil); err != nil {
				return errorf("store", err)
			}
		}
		return nil
	})
	nudge(c.erased)
	return err
}

// scour rewrites the tables, so that what was deleted is in none of them. What may linger in a log file
// that the store uses again is wrapped under a root that is gone.
func (r *rows) scour() error {
	if err := r.db.Flush(); err != nil {
		return errorf("scour", err)
	}
	if err := r.db.Compact([]byte{0}, []byte{0xff}, false); err != nil {
		return errorf("scour", err)
	}
	return nil
}

// destroy deletes what a tombstone names, durably. It may be repeated.
func (c *Custodian) destroy(_ context.Context, e *erasure.Case) error {
	switch e.Scope {
	case erasure.Record:
		return c.destroyRecord(e.Batch, e.Leaf)
	case erasure.Batch:
		return c.destroyBatch(e.Batch)
	}
	of, err := c.rows.ofPatient(e.Patient)
	if err != nil {
		return err
	}
	all, err := c.stagedOf(e.Patient)
	if err != nil {
		return err
	}
	for _, p := range of {
		all = append(all, p.Header)
	}
	for _, hh := range all {
		if err := c.destroyBatch(hh); err != nil {
			return err
		}
	}
	return nil
}

// destroyBatch deletes all of a batch. What stays is that it is gone, and which blobs of the vault have to be.
func (c *Custodian) destroyBatch(hh [32]byte) error {
	if err := c.dealBefore(hh); err != nil {
		return err
	}
	c.forgetDealing(hh)
	row, err := c.rows.batch(hh)
	held := err == nil
	if err != nil && !errors.Is(err, errAbsent) && !errors.Is(err, errDamaged) {
		return err
	}
	keys := [][]byte{}
	for _, prefix := range []byte{prefixWanted, prefixRefused, prefixBatch, prefixManifest, prefixRelay, prefixOwed, prefixKey, prefixDue} {
		keys = append(keys, rowKey(prefix, hh[:]))
	}
	var blobs []Blob
	if held {
		defer row.wipe()
		m, err := c.rows.manifest(hh)
		if err != nil {
			return err
		}
		blobs = m.blobs()
		keys = append(keys, rowKey(prefixPack, m.Pack[:], hh[:]), c.rows.patientKey(row.Patient, hh))
	}
	opened, err := c.openingsWith(hh, -1)
	if err != nil {
		return err
	}
	err = c.parking.take([][32]byte{hh}, func(b *pebble.Batch) error {
		for _, k := range append(keys, opened...) {
			if err := b.Delete(k, nil); err != nil {
				return errorf("store", err)
			}
		}
		return errors.Join(b.Set(rowKey(prefixErased, hh[:]), nil, nil), owe(b, blobs), c.hollow(b, hh))
	})
	if err == nil && held {
		c.batches.Add(^uint64(0))
	}
	return err
}

// owe notes blobs that the vault must not have.
func owe(b *pebble.Batch, blobs []Blob) error {
	for _, x := range blobs {
		if err := b.Set(rowKey(prefixBlob, x.Address[:]), x.Record[:], nil); err != nil {
			return errorf("store", err)
		}
	}
	return nil
}

// destroyRecord deletes one record's share and entry, and everything else that leads to the share: the
// blinding share, with which the others would give it away, and the parcel kept for relay. The rest of the
// batch goes under a fresh key, so that the old rows are noise.
func (c *Custodian) destroyRecord(hh, leaf [32]byte) error {
	if err := c.dealBefore(hh); err != nil {
		return err
	}
	c.forgetDealing(hh)
	row, err := c.rows.batch(hh)
	if errors.Is(err, errAbsent) { // when it comes, ingest destroys it
		return c.rows.update(func(b *pebble.Batch) error { return c.eraseStaged(b, hh, leaf) })
	}
	if err != nil {
		return err
	}
	defer row.wipe()
	m, err := c.rows.manifest(hh)
	if err != nil {
		return err
	}
	i := slices.Index(m.leaves(), leaf)
	if i < 0 || m.gone(i) {
		return nil
	}
	blobs := m.blobs(i)
	m.erase(i, leaf)
	row.Slots[i], row.Shares[i+1], row.Shares[0] = 0, threshold.Share{}, threshold.Share{}
	opened, err := c.openingsWith(hh, i)
	if err != nil {
		return err
	}
	return c.parking.take([][32]byte{hh}, func(b *pebble.Batch) error {
		for _, k := range append(opened, rowKey(prefixRelay, hh[:]), rowKey(prefixOwed, hh[:])) {
			if err := b.Delete(k, nil); err != nil {
				return errorf("store", err)
			}
		}
		return errors.Join(c.rows.putSealed(b, hh, row, m), c.eraseStaged(b, hh, leaf), owe(b, blobs))
	})
}

// openingsWith returns the rows of the opened lists that name a record of the batch: the one at
// that position, or any of them if it is negative.
func (c *Custodian) openingsWith(hh [32]byte, index int) (keys [][]byte, err error) {
	err = c.rows.scan([]byte{prefixOpening}, func(rest, value []byte) (bool, error) {
		k := rowKey(prefixOpening, rest)
		plain, err := c.rows.unwrap(k, value)
		if errors.Is(err, errAbsent) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		var l exchange.List
		if tx.DecodeAny(plain, &l, len(plain)) != nil {
			return false, errDamaged
		}
		if slices.ContainsFunc(l.Items, func(x exchange.Item) bool { return x.Header == tx.Hash(hh) && (index < 0 || int(x.Index) == index) }) {
			keys = append(keys, k)
		}
		return true, nil
	})
	return keys, err
}

// Addresses are those of the blobs; not nil.
func Addresses(blobs []Blob) []vault.Address {
	out := make([]vault.Address, len(blobs))
	for i := range blobs {
		out[i] = blobs[i].Address
	}
	return out
}

// Blobs returns all ciphertext that the own vault must not have, by rising address. A vault that
// was restored from an older copy is cleared of them before anything is served.
func (c *Custodian) Blobs() (out []Blob, err error) {
	err = c.rows.scan([]byte{prefixBlob}, func(rest, value []byte) (bool, error) {
		if len(rest) != 32 || len(value) != 16 {
			return false, errDamaged
		}
		out = append(out, Blob{vault.Address(rest), [16]byte(value)})
		return true, nil
	})
	return out, err
}

// Reconcile brings a store that may be an older copy to what the own replica says: it reads the log on and
// destroys what tombstones name. It is called before anything is served.
func (c *Custodian) Reconcile(ctx context.Context) error {
	v := c.Ledger.View()
	behind := c.behind(v)
	v.Close()
	if behind {
		return nil // nothing is released before it has caught up
	}
	if err := c.readLog(ctx); err != nil {
		return err
	}
	return c.destroyNoted(ctx)
}

// dropErased destroys those batches of the group that are erased, and returns the others.
func (c *Custodian) dropErased(v *state.View, group [][32]byte) (left [][32]byte, err error) {
	for _, hh := range group {
		if !erasure.Erased(v, hh, tx.Hash{}) {
			left = append(left, hh)
		} else if err := c.destroyBatch(hh); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// eraseLate destroys what came after its tombstone: a batch of a patient who is erased, or records of the
// batch. Whose it is, only the opened envelope said.
func (c *Custodian) eraseLate(ctx context.Context, v *state.View, hh [32]byte, patient tx.Account) error {
	late := false
	var err error
	if erasure.PatientErased(v, patient) {
		late, err = true, c.destroyBatch(hh)
	} else if erasure.ErasedRecords(v, hh) > 0 {
		m, merr := c.rows.manifest(hh)
		if merr != nil {
			return merr
		}
		for _, leaf := range m.leaves() {
			if err == nil && erasure.Erased(v, hh, leaf) {
				late, err = true, c.destroyRecord(hh, leaf)
			}
		}
	}
	if err != nil || !late {
		return err
	}
	if err := c.rows.compact(uint64(c.Now().Unix())); err != nil {
		return err
	}
	return errors.Join(c.rows.scour(), ctx.Err())
}

// Headers returns the batches that are erased as a whole.
func (c *Custodian) Headers() (out []tx.Hash, err error) {
	err = c.rows.scan([]byte{prefixErased}, func(rest, _ []byte) (bool, error) {
		if len(rest) != 32 {
			return false, errDamaged
		}
		out = append(out, tx.Hash(rest))
		return true, nil
	})
	return out, err
}
