package custody

import (
	"context"
	"errors"
	"fmt"

	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// errBatch wraps what is wrong with one batch; it names the header hash, which is public.
func errBatch(hh [32]byte, err error) error { return fmt.Errorf("custody: batch %x: %w", hh[:8], err) }

// Check verifies everything the custodian holds against its replica of the ledger: every
// batch's shares against the share root of its header, every receipt on the ledger against
// a batch in the store, every key and opening, and the log of release receipts against what
// the ledger was told. It returns the first damage. It may run beside everything else.
func (c *Custodian) Check(ctx context.Context) error {
	v := c.Ledger.View()
	defer v.Close()
	if access.ReleasedBy(v, c.Self).Next > c.wal.last()+1 {
		return errors.New("custody: the ledger knows of release receipts that are not here; nothing is released any more")
	}
	if _, err := c.rows.seeds(); err != nil {
		return errorf("custody keys", err)
	}
	if err := c.checkBatches(ctx, v); err != nil {
		return err
	}
	if err := c.checkOpenings(ctx); err != nil {
		return err
	}
	return c.checkMissing(ctx, v)
}

func (c *Custodian) checkBatches(ctx context.Context, v *state.View) error {
	return c.rows.scan([]byte{prefixBatch}, func(rest, _ []byte) (bool, error) {
		hh := [32]byte(rest)
		if err := c.checkBatch(v, hh); err != nil {
			return false, errBatch(hh, err)
		}
		return true, ctx.Err()
	})
}

func (c *Custodian) checkBatch(v *state.View, hh [32]byte) error {
	b, ok := anchor.Lookup(v, hh)
	if !ok {
		return errors.New("it is not on the ledger")
	}
	put, err := exchange.PutAt(v, b)
	if err != nil {
		return err
	}
	row, err := c.rows.batch(hh)
	if err != nil {
		return err
	}
	defer row.wipe()
	m, err := c.rows.manifest(hh)
	if err != nil {
		return err
	}
	plain, err := c.rows.unwrapped(c.rows.patientKey(row.Patient, hh))
	if err != nil {
		return err
	}
	if p, ok := decodePatient(plain); !ok || p.Header != hh || p.LogIndex != b.Index || row.LogIndex != b.Index {
		return errDamaged
	}
	if own, err := c.rows.commitments(hh); err == nil && own.Epoch != put.Header.Epoch {
		return verifyMoved(&put.Header, row, m, own)
	}
	return verifyBatch(&put.Header, row, m)
}

// verifyMoved is verifyBatch for shares of a later epoch than the header's: the author committed
// to none of them, but those who dealt did.
func verifyMoved(h *seal.Header, row *batchRow, m *manifestRow, own *commitRow) error {
	if !manifestOf(m, h) || len(row.Slots) != len(m.Entries) || seal.PatientCommit(row.Patient, row.Opening) != h.PatientCommit {
		return errDamaged
	}
	if row.partial() {
		return nil // the commitments go over shares that are destroyed
	}
	if err := threshold.Verify(own.Commitments, int(row.Index), row.Shares); err != nil {
		return fmt.Errorf("the shares are not those that were dealt again: %w", err)
	}
	return nil
}

func verifyBatch(h *seal.Header, row *batchRow, m *manifestRow) error {
	if n := len(m.Entries); n == 0 || n != int(h.Count) || climb(m.leaves(), make([][][32]byte, n)) != h.ManifestRoot {
		return errors.New("the manifest is not the one the author signed")
	}
	if len(row.Slots) != len(m.Entries) {
		return errDamaged
	}
	for i := range m.Entries {
		if row.Slots[i] != m.Entries[i].Slots {
			return errors.New("the slots are not the manifest's")
		}
	}
	if seal.PatientCommit(row.Patient, row.Opening) != h.PatientCommit {
		return errors.New("the patient's opening is not the header's")
	}
	i := int(row.Index)
	if row.partial() && i >= 1 && i <= len(m.ShareRoots) && seal.ShareRootsHash(m.ShareRoots) == h.ShareRoots {
		return nil // the root goes over shares that are destroyed
	}
	if i < 1 || i > len(m.ShareRoots) || seal.ShareRootsHash(m.ShareRoots) != h.ShareRoots || seal.ShareRoot(h.BatchNonce, i, row.Shares) != m.ShareRoots[i-1] {
		return errors.New("the shares are not those the author dealt")
	}
	return nil
}

func (c *Custodian) checkOpenings(ctx context.Context) error {
	return c.rows.scan([]byte{prefixOpening}, func(rest, _ []byte) (bool, error) {
		plain, err := c.rows.unwrapped(rowKey(prefixOpening, rest))
		var l exchange.List
		if err == nil && tx.DecodeAny(plain, &l, len(plain)) != nil {
			err = errDamaged
		}
		if err != nil {
			return false, errorf("opening", err)
		}
		return true, ctx.Err()
	})
}

// checkMissing finds batches of which nothing is known here, and batches that this
// custodian has receipted on the ledger while its shares are gone.
func (c *Custodian) checkMissing(ctx context.Context, v *state.View) error {
	end, err := c.cursor()
	if err != nil {
		return err
	}
	for i := range min(end, v.Size()) {
		raw, ok := v.Entry(i)
		if !ok {
			return errorf("ledger log", errDamaged)
		}
		put, ok := exchange.DecodePut(raw)
		if !ok {
			continue
		}
		epoch, err := committee.At(v, put.Header.Epoch)
		if err != nil {
			continue
		}
		index, ours := epoch.IndexOf(c.Self)
		hh := put.Header.Hash()
		if !ours || c.rows.has(rowKey(prefixBatch, hh[:])) || c.rows.has(rowKey(prefixErased, hh[:])) {
			continue
		}
		b, _ := anchor.Lookup(v, hh)
		if anchor.EpochOf(v, &b) != b.Epoch || anchor.Lapsed(v, &b) {
			continue // not this custodian's any more, or not by way of the author's parcel
		}
		waiting := c.rows.has(rowKey(prefixWanted, hh[:])) || c.rows.has(rowKey(prefixRefused, hh[:]))
		if !waiting || b.Receipts&(1<<(index-1)) != 0 {
			return errBatch(hh, errors.New("its shares are missing"))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
