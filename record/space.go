package record

import (
	"fmt"

	"github.com/cockroachdb/pebble/vfs"

	"salus/ledger/tx"
)

// reserve is what storing leaves free on the disk, in bytes. Everything else of the node writes to
// the same disk, consensus first of all, and does not outlive a full one: what is refused in time
// costs nothing, and what is stored already can still be delivered.
const reserve = 64 << 20

// ErrNoSpace: the disk is almost full; nothing of the call was stored.
var ErrNoSpace = tx.Refuse(0x2206, "record: the disk of this organisation's node is almost full; nothing was stored")

// freeOn tells how many bytes are free on the disk of a folder.
func freeOn(dir string) func() (int64, error) {
	return func() (int64, error) {
		u, err := vfs.Default.GetDiskUsage(dir)
		return int64(min(u.AvailBytes, 1<<62)), err
	}
}

// room refuses to store that many bytes when they would cut into the reserve.
func (s *Service) room(size int) error {
	free, err := s.free()
	if err != nil {
		return fmt.Errorf("record: store: %w", err)
	}
	if free-int64(size) < reserve {
		return ErrNoSpace
	}
	return nil
}

// Room says whether the disk takes that many bytes beside the reserve, for what waits on it to be stored.
// Errors: ErrNoSpace, of the disk.
func (s *Service) Room(size int64) error { return s.room(int(size)) }
