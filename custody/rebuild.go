package custody

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble"
)

// Rebuild makes the indexes by patient and by pack again from the batches and returns
// how many batches there are. Nothing may run meanwhile.
func (c *Custodian) Rebuild() (int, error) {
	b := c.rows.db.NewBatch()
	defer b.Close()
	for _, prefix := range []byte{prefixPatient, prefixPack} {
		if err := b.DeleteRange([]byte{prefix}, []byte{prefix + 1}, nil); err != nil {
			return 0, errorf("rebuild", err)
		}
	}
	n := 0
	err := c.rows.scan([]byte{prefixBatch}, func(rest, _ []byte) (bool, error) {
		hh := [32]byte(rest)
		row, err := c.rows.batch(hh)
		if err != nil {
			return false, err
		}
		n++
		if err := b.Set(rowKey(prefixPatient, row.Patient[:], binary.BigEndian.AppendUint64(nil, row.LogIndex)), hh[:], nil); err != nil {
			return false, errorf("rebuild", err)
		}
		return true, b.Set(rowKey(prefixPack, row.Pack[:]), hh[:], nil)
	})
	if err != nil {
		return n, err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return n, errorf("rebuild", err)
	}
	return n, nil
}
