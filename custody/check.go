package custody

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/seal"
)

// Check verifies everything the custodian holds against its replica of the ledger: every
// batch's shares against the share root of its header, every receipt on the ledger against
// a batch in the store, and the chain of release receipts. It returns the first damage.
func (c *Custodian) Check(ctx context.Context) error {
	v := c.Ledger.View()
	defer v.Close()
	err := c.rows.scan([]byte{prefixBatch}, func(rest, _ []byte) (bool, error) {
		hh := [32]byte(rest)
		row, err := c.rows.batch(hh)
		if err != nil {
			return false, fmt.Errorf("%w: batch %x", err, hh[:8])
		}
		b, ok := anchor.Lookup(v, hh)
		if !ok {
			return false, fmt.Errorf("custody: batch %x is not on the ledger", hh[:8])
		}
		put, err := exchange.PutAt(v, b)
		if err != nil {
			return false, err
		}
		if err := checkBatch(&put.Header, row); err != nil {
			return false, fmt.Errorf("custody: batch %x: %w", hh[:8], err)
		}
		return ctx.Err() == nil, ctx.Err()
	})
	if err != nil {
		return err
	}
	return c.checkMissing()
}

func checkBatch(h *seal.Header, row *batchRow) error {
	if err := seal.VerifyManifest(h, row.Entries); err != nil {
		return err
	}
	if seal.PatientCommit([16]byte(row.Patient), row.Opening) != h.PatientCommit {
		return errors.New("the patient's opening is not the header's")
	}
	i := int(row.Index)
	if i < 1 || i > len(row.ShareRoots) || seal.ShareRootsHash(row.ShareRoots) != h.ShareRoots || seal.ShareRoot(h.BatchNonce, i, row.Shares) != row.ShareRoots[i-1] {
		return errors.New("the shares are not those the author dealt")
	}
	return nil
}

// checkMissing finds batches for which this custodian's receipt is on the ledger while its
// shares are gone.
func (c *Custodian) checkMissing() error {
	v := c.Ledger.View()
	defer v.Close()
	b, err := c.rows.get(keyCursor)
	if errors.Is(err, errAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range min(binary.BigEndian.Uint64(b), v.Size()) {
		raw, _ := v.Entry(i)
		put, ok := exchange.DecodePut(raw)
		if !ok {
			continue
		}
		if epoch, err := committee.At(v, put.Header.Epoch); err != nil || !slices.Contains(epoch.Members, c.Self) {
			continue
		}
		hh := put.Header.Hash()
		if !c.rows.has(rowKey(prefixBatch, hh[:])) && !c.rows.has(rowKey(prefixWanted, hh[:])) {
			return fmt.Errorf("custody: the shares of batch %x are missing", hh[:8])
		}
	}
	return nil
}
