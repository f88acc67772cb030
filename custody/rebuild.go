package custody

import (
	"errors"

	"github.com/cockroachdb/pebble"
)

// Rebuild makes the indexes by patient and by pack again from the batches and returns
// how many batches there are. Nothing may run meanwhile.
func (c *Custodian) Rebuild() (int, error) {
	n := 0
	// In one step: a crash leaves the old indexes or the new ones.
	err := c.rows.update(func(b *pebble.Batch) error {
		for _, prefix := range []byte{prefixPatient, prefixPack} {
			if err := b.DeleteRange([]byte{prefix}, []byte{prefix + 1}, nil); err != nil {
				return errorf("rebuild", err)
			}
		}
		return c.rows.scan([]byte{prefixBatch}, func(rest, _ []byte) (bool, error) {
			hh := [32]byte(rest)
			row, err := c.rows.batch(hh)
			if err != nil {
				return false, err
			}
			defer row.wipe()
			m, err := c.rows.manifest(hh)
			if err != nil {
				return false, err
			}
			n++
			// Which packs the ledger already knows to be here, sending receipts finds out again.
			return true, errors.Join(c.rows.putPatient(b, hh, row), b.Set(rowKey(prefixPack, m.Pack[:], hh[:]), nil, nil))
		})
	})
	c.batches.Store(uint64(n))
	return n, err
}
