package node

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/cockroachdb/pebble/vfs"

	"salus/gateway/rest"
	"salus/record"
)

const (
	// reserveMost and reserveShare are what is left free where the configuration does not say: 1 GiB, on
	// smaller disks that part of them.
	reserveMost  = 1 << 30
	reserveShare = 50
	// reserveLeast is what record and vault leave free in any case. The front doors close no later, so that
	// what they took in can still become records.
	reserveLeast = 64 << 20
)

// space is the reserve of the disk that a node's data is on: what it takes in from outside must leave it
// free. What needs it is not refused: consensus, custody, erasure, and what was taken in before.
type space struct {
	reserve int64 // bytes; 0: by the size of the disk
	measure func() (free, total int64, err error)
	low     atomic.Bool // the last that was asked for was refused
	said    func(low bool, free, reserve int64)
}

// diskOf measures the disk of a folder as vault and record do.
func diskOf(dir string) func() (free, total int64, err error) {
	return func() (free, total int64, err error) {
		u, err := vfs.Default.GetDiskUsage(dir)
		return int64(min(u.AvailBytes, math.MaxInt64)), int64(min(u.TotalBytes, math.MaxInt64)), err
	}
}

// room refuses to take in that many bytes where they would cut into the reserve. Errors: record.ErrNoSpace,
// the file system's.
func (s *space) room(bytes int) error {
	free, total, err := s.measure()
	if err != nil {
		return fmt.Errorf("node: free space: %w", err)
	}
	keep := s.reserve
	if keep == 0 {
		keep = min(reserveMost, total/reserveShare)
	}
	keep = max(keep, reserveLeast)
	low := free-int64(bytes) < keep
	if s.low.Swap(low) != low && s.said != nil {
		s.said(low, free, keep)
	}
	if low {
		return record.ErrNoSpace
	}
	return nil
}

// fhir is room for the FHIR server.
func (s *space) fhir(bytes int) error {
	err := s.room(bytes)
	if errors.Is(err, record.ErrNoSpace) {
		return rest.ErrNoSpace
	}
	return err
}
