package custody

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble"

	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/reshare"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/threshold"
)

// putCommitments adds what proves the shares of a batch.
func (r *rows) putCommitments(b *pebble.Batch, hh [32]byte, row *commitRow) error {
	v, err := tx.Encode(row)
	if err != nil {
		return errorf("encode", err)
	}
	return b.Set(rowKey(prefixCommit, hh[:]), v, nil)
}

// moveAll moves what was taken over into its place, once the ledger says that it belongs to
// the new epoch, with fresh keys. The shares of the epoch before are gone from this store with
// the next compaction; but a dealer keeps them until nobody needs them any more.
// all says that nobody needs them, and that what is incomplete stays so.
func (c *Custodian) moveAll(ctx context.Context, h *change, all bool) error {
	if h.takes == 0 {
		return nil
	}
	for pass := range h.row.Passes {
		p := &h.row.Passes[pass]
		// A dealer needs its old shares to deal again what is asked for late.
		if zeroHash(p.Next) || !all && (h.deals != 0 || !p.Confirmed(h.takes)) {
			continue
		}
		if n, err := c.rows.count(prefixStaged); err != nil || n == 0 {
			return err
		}
		list := h.batches(pass + 1)
		places, err := c.places(list)
		if err != nil {
			return err
		}
		for i, hh := range list {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := c.moveOne(ctx, h, pass+1, hh, places[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// eraseStaged takes one record out of what was taken over of a batch and not moved yet.
func (c *Custodian) eraseStaged(b *pebble.Batch, hh, leaf [32]byte) error {
	s, err := c.rows.staged(hh)
	if errors.Is(err, errAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	defer clear(s.Row)
	row, ok := decodeBatch(s.Row)
	m, mok := decodeManifest(s.Manifest)
	if s.Gone || !ok || !mok {
		return nil
	}
	defer row.wipe()
	i := slices.Index(m.leaves(), leaf)
	if i < 0 {
		return nil
	}
	if !m.gone(i) {
		m.erase(i, leaf)
	}
	row.Slots[i], row.Shares[i+1], row.Shares[0] = 0, threshold.Share{}, threshold.Share{}
	s.Row, s.Manifest = row.encode(), m.encode()
	return c.rows.putStaged(b, hh, s)
}

// putStaged adds what was taken over of a batch, and wipes it.
func (r *rows) putStaged(b *pebble.Batch, hh [32]byte, s *stagedRow) error {
	plain, err := tx.Encode(s)
	if err != nil {
		return errorf("encode", err)
	}
	defer clear(plain)
	defer clear(s.Row)
	k := rowKey(prefixStaged, hh[:])
	return b.Set(k, r.roots.wrap(k, plain), nil)
}

// places are the paths of the commitments that follow, for the next resharing to prove them.
func (c *Custodian) places(list [][32]byte) ([]reshare.Place, error) {
	leaves := make([]tx.Hash, len(list))
	for i, hh := range list {
		s, err := c.rows.staged(hh)
		if errors.Is(err, errAbsent) {
			own, cerr := c.rows.commitments(hh)
			if cerr != nil && !errors.Is(cerr, errAbsent) {
				return nil, cerr
			}
			if cerr == nil {
				leaves[i] = reshare.NextLeaf(hh, own.Commitments)
			} else {
				leaves[i] = reshare.NextLeaf(hh, nil)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		clear(s.Row)
		leaves[i] = reshare.NextLeaf(hh, s.Commitments)
	}
	tree := reshare.NewTree(leaves)
	places := make([]reshare.Place, len(list))
	for i := range places {
		places[i] = reshare.Place{Number: uint64(i), Path: tree.Path(i)}
	}
	return places, nil
}

// moveOne replaces all rows of a batch in one step. It may be repeated.
func (c *Custodian) moveOne(ctx context.Context, h *change, pass int, hh [32]byte, at reshare.Place) error {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	s, err := c.rows.staged(hh)
	if errors.Is(err, errAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	defer clear(s.Row)
	now := c.Ledger.View()
	defer now.Close()
	staged := rowKey(prefixStaged, hh[:])
	if s.Name != h.name(pass) {
		return nil // of another resharing
	}
	if s.Gone || gone(now, hh) { // its commitments are a leaf still, next to the paths of the others
		return c.rows.update(func(b *pebble.Batch) error {
			if len(s.Commitments) == 0 {
				return b.Delete(staged, nil)
			}
			return errors.Join(c.rows.putCommitments(b, hh, &commitRow{Epoch: h.row.To, Commitments: s.Commitments, Since: at}), b.Delete(staged, nil))
		})
	}
	row, ok := decodeBatch(s.Row)
	if !ok {
		return errDamaged
	}
	defer row.wipe()
	fresh := !c.rows.has(rowKey(prefixBatch, hh[:]))
	err = c.rows.update(func(b *pebble.Batch) error {
		var key [32]byte
		_, _ = rand.Read(key[:]) // crypto/rand never fails on supported systems
		kk, kb, ke := rowKey(prefixKey, hh[:]), rowKey(prefixBatch, hh[:]), rowKey(prefixManifest, hh[:])
		return errors.Join(
			b.Set(kk, c.rows.roots.wrap(kk, key[:]), nil),
			b.Set(kb, sealRow(key, kb, s.Row), nil),
			b.Set(ke, sealRow(key, ke, s.Manifest), nil),
			c.rows.putPatient(b, hh, row),
			c.rows.putCommitments(b, hh, &commitRow{Epoch: h.row.To, Commitments: s.Commitments, Since: at}),
			b.Delete(staged, nil),
			b.Delete(rowKey(prefixRelay, hh[:]), nil), // it was under the old key
			b.Delete(rowKey(prefixOwed, hh[:]), nil),
			b.Delete(rowKey(prefixWanted, hh[:]), nil),
			b.Delete(rowKey(prefixRefused, hh[:]), nil),
		)
	})
	if err != nil {
		return err
	}
	if fresh {
		c.batches.Add(1)
	}
	// A tombstone of the patient names no batch, and one may have come while this was staged.
	return c.eraseLate(ctx, now, hh, row.Patient)
}

// stagedOf returns the batches of a patient that were taken over and not moved yet.
func (c *Custodian) stagedOf(patient tx.Account) (of [][32]byte, err error) {
	err = c.eachStaged(func(hh [32]byte, s *stagedRow) {
		if row, ok := decodeBatch(s.Row); ok {
			if row.Patient == patient {
				of = append(of, hh)
			}
			row.wipe()
		}
	})
	return of, err
}

// eachStaged calls f with everything that was taken over and not moved yet.
func (c *Custodian) eachStaged(f func(hh [32]byte, s *stagedRow)) error {
	return c.rows.scan([]byte{prefixStaged}, func(rest, _ []byte) (bool, error) {
		if len(rest) != 32 {
			return false, errDamaged
		}
		s, err := c.rows.staged([32]byte(rest))
		if errors.Is(err, errAbsent) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		defer clear(s.Row)
		f([32]byte(rest), s)
		return true, nil
	})
}

// dropAbandoned destroys what was taken over for a resharing that came to nothing, before anything is said of the one that
// runs: those who confirm it, or say that the epoch before is destroyed, hold nothing of what was begun before. last is the
// resharing that made the epoch in force.
func (c *Custodian) dropAbandoned(h *change, last reshare.Name) error {
	name := h.name(1)
	if c.tidied == name {
		return nil
	}
	var stale [][]byte
	err := c.eachStaged(func(hh [32]byte, s *stagedRow) {
		at := s.Name
		at.Pass = 1
		if at != name && at != last {
			stale = append(stale, rowKey(prefixStaged, hh[:]))
		}
	})
	if err == nil && len(stale) > 0 {
		for group := range slices.Chunk(stale, 256) {
			if err := c.rows.drop(c.rows.update, group...); err != nil {
				return err
			}
		}
		if err = c.rows.compact(uint64(c.Now().Unix())); err == nil {
			err = c.rows.scour()
		}
	}
	if err == nil {
		c.tidied = name
	}
	return err
}

// owes reports whether this custodian has to say that it holds nothing of a committee that came to nothing.
func (c *Custodian) owes(h *change) bool {
	for _, o := range committee.Others(h.v) {
		i, seated := o.Committee.IndexOf(c.Self)
		if seated && i <= anchor.MaxCustodians && o.Destroyed&(1<<(i-1)) == 0 && (committee.Span{To: h.row.To, Start: h.row.Start}).Has(o.Committee.Epoch, o.Start) {
			return true
		}
	}
	return false
}

// destroyEpoch deletes the shares of the epoch before, in every form, replaces the root that
// wrapped them, and tells the ledger. Nobody needs them any more.
func (c *Custodian) destroyEpoch(ctx context.Context, h *change) error {
	if h.deals != 0 && h.row.Destroyed&(1<<(h.deals-1)) != 0 {
		return nil
	}
	if h.deals == 0 && !c.owes(h) {
		return nil // it never had any
	}
	old, err := c.rowsBefore(h)
	if err != nil {
		return err
	}
	for group := range slices.Chunk(old, 256) {
		if err := c.rows.drop(c.rows.update, group...); err != nil {
			return err
		}
	}
	c.dealing.Store(nil)
	n, err := c.rows.count(prefixBatch)
	if err != nil {
		return err
	}
	c.batches.Store(n)
	if err := c.rows.compact(uint64(c.Now().Unix())); err != nil {
		return err
	}
	_, err = c.Submit.Submit(ctx, reshare.KindDestroyed, &reshare.Destroy{Epoch: h.row.To - 1})
	if errors.Is(err, reshare.ErrNoNews) {
		return nil
	}
	return err
}

// rowsBefore lists the keys of everything that is of an epoch before the one in force.
func (c *Custodian) rowsBefore(h *change) (keys [][]byte, err error) {
	add := func(prefix byte, rest []byte) { keys = append(keys, rowKey(prefix, rest)) }
	err = c.rows.scan([]byte{prefixKey}, func(rest, _ []byte) (bool, error) {
		hh := [32]byte(rest)
		e, err := c.rows.epochOf(hh)
		if err != nil && !errors.Is(err, errAbsent) {
			return false, err
		}
		if err == nil && e >= h.row.To {
			return true, nil
		}
		if b, ok := anchor.Lookup(h.v, hh); ok && b.Epoch >= h.row.To {
			return true, nil
		}
		if row, err := c.rows.batch(hh); err == nil {
			keys = append(keys, c.rows.patientKey(row.Patient, hh))
			row.wipe()
		}
		for _, prefix := range []byte{prefixBatch, prefixManifest, prefixRelay, prefixOwed, prefixCommit, prefixRefused, prefixKey} {
			add(prefix, rest)
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	// Of what is erased only commitments are left.
	if err := c.rows.scan([]byte{prefixCommit}, func(rest, _ []byte) (bool, error) {
		e, err := c.rows.epochOf([32]byte(rest))
		if err == nil && e < h.row.To {
			add(prefixCommit, rest)
		}
		return true, ignoreAbsent(err)
	}); err != nil {
		return nil, err
	}
	for _, prefix := range []byte{prefixDealing, prefixDealt, prefixPublic} {
		if err := c.rows.scan([]byte{prefix}, func(rest, _ []byte) (bool, error) {
			if len(rest) >= 8 && binary.BigEndian.Uint64(rest) <= h.row.To {
				add(prefix, rest)
			}
			return true, nil
		}); err != nil {
			return nil, err
		}
	}
	// What was sealed for an epoch that is over and never came cannot come any more.
	return keys, c.rows.scan([]byte{prefixWanted}, func(rest, _ []byte) (bool, error) {
		if b, ok := anchor.Lookup(h.v, tx.Hash(rest)); ok && b.Epoch < h.row.To {
			add(prefixWanted, rest)
		}
		return true, nil
	})
}

// graceOf is how long old shares are kept for those who take over late, in seconds.
func graceOf(v *state.View) uint64 { return governance.ParamsOf(v).ReshareGrace }
