package vault

import (
	"context"
	"errors"
	"io"
	"log/slog"
)

// Options of a Store; the zero value is right for a member's node.
type Options struct {
	Backend     Backend      // where segments live; default: files in <dir>/segments
	SegmentSize int64        // a segment that would grow over this is closed and the next begun; default 64 MiB
	Reserve     int64        // refuse new packs when less than this would stay free; default none
	IndexCache  int64        // bytes of index blocks kept in memory; default 32 MiB
	OpenFiles   int          // segment files kept open for reading; default 256
	ImportBytes int64        // bytes that concurrent imports may hold in memory; default 256 MiB
	Logger      *slog.Logger // default: discard
}

// Report is what Scrub found or Repair did.
type Report struct {
	Segments int
	Packs    int      // packs looked at
	Blobs    int      // blobs verified
	Bytes    int64    // bytes read
	Corrupt  []PackID // damaged or lost: Repair fetches them from a peer
	Suspect  []PackID // torn by a crash, probably never acknowledged: Repair asks peers, then forgets
	Repaired []PackID
	Failed   []PackID // Repair could not get a good copy
	Rebuilt  bool     // the index was damaged and has been rebuilt
}

// Progress is told to Scrub's callback after each segment.
type Progress struct {
	Segment, Segments int
	Bytes, Total      int64
}

// Stats are counts since the store was made (what it holds) and since it was opened (what it did).
type Stats struct {
	Packs, Blobs        int64
	PackBytes           int64 // of live packs
	Segments            int
	DiskBytes           int64  // of all segments
	DeadBytes           int64  // of DiskBytes: not part of any live pack
	Damaged             int64  // packs waiting for Repair
	Dropped             int64  // addresses erased
	Puts, Syncs         uint64 // packs appended and fsyncs that carried them, since Open
	Reads, CorruptReads uint64
	Rebuilds            uint64 // of the index
}

// Store is one member's vault. All methods may be called concurrently.
type Store struct{}

func Open(dir string, o Options) (*Store, error) { return nil, errors.ErrUnsupported }
func (s *Store) Close() error                    { return errors.ErrUnsupported }
func (s *Store) PutPack(ctx context.Context, blobs [][]byte) (PackID, error) {
	return PackID{}, errors.ErrUnsupported
}
func (s *Store) ImportPack(ctx context.Context, id PackID, r io.Reader, size int64) error {
	return errors.ErrUnsupported
}
func (s *Store) ReadPack(ctx context.Context, id PackID) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
func (s *Store) HasPack(id PackID) bool { return false }
func (s *Store) Get(ctx context.Context, a Address) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
func (s *Store) Scrub(ctx context.Context, progress func(Progress)) (Report, error) {
	return Report{}, errors.ErrUnsupported
}
func (s *Store) Repair(ctx context.Context, fetch func(context.Context, PackID) (io.ReadCloser, error)) (Report, error) {
	return Report{}, errors.ErrUnsupported
}
func (s *Store) Drop(ctx context.Context, addrs []Address) error { return errors.ErrUnsupported }
func (s *Store) Stats() Stats                                    { return Stats{} }
