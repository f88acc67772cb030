package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/vfs"
	"golang.org/x/sync/semaphore"
)

// Options of a Store; the zero value is right for a member's node.
type Options struct {
	Backend     Backend      // where segments live; default: files in <dir>/segments
	SegmentSize int64        // a segment that would grow over this is closed and the next begun; default 64 MiB, at most 1 GiB
	Reserve     int64        // refuse new packs when less than this would stay free; default 64 MiB on the default backend, negative for none
	IndexCache  int64        // bytes of index blocks kept in memory; default 32 MiB
	OpenFiles   int          // segment files kept open for reading; default 256
	ImportBytes int64        // bytes that concurrent imports may hold in memory; default 256 MiB, at least MaxPack
	Logger      *slog.Logger // default: discard
}

func (o *Options) defaults() {
	if o.SegmentSize <= 0 {
		o.SegmentSize = 64 << 20
	}
	o.SegmentSize = min(o.SegmentSize, 1<<30)
	if o.Reserve == 0 && o.Backend == nil {
		o.Reserve = 64 << 20
	}
	o.Reserve = max(o.Reserve, 0)
	if o.IndexCache <= 0 {
		o.IndexCache = 32 << 20
	}
	if o.OpenFiles <= 0 {
		o.OpenFiles = 256
	}
	if o.ImportBytes <= 0 {
		o.ImportBytes = 256 << 20
	}
	o.ImportBytes = max(o.ImportBytes, MaxPack)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Store is one member's vault. All methods may be called concurrently.
type Store struct {
	o       Options
	be      Backend
	log     *slog.Logger
	fs      vfs.FS // of the index
	dir     string
	unlock  io.Closer
	files   *files
	imports *semaphore.Weighted

	queueMu sync.Mutex
	queue   []*write // waiting for the next group commit

	turn   chan struct{} // capacity 1: whoever holds it writes segments and index. Taken before mu.
	active *active       // owner: turn; nil: the next put begins a segment
	next   uint32        // owner: turn; the next segment's number
	stale  []string      // owner: turn; earlier generations that could not be removed yet

	mu     sync.RWMutex // readers hold it from looking a place up until they have its file open
	ix     *index       // replaced under turn and mu
	epoch  uint64       // how often ix was replaced
	segs   map[uint32]segment
	closed bool

	drops                                     atomic.Uint64 // drop frames written: tombstones looked up before may be stale
	puts, syncs, reads, corruptReads, rebuilt atomic.Uint64
}

// active is the segment that grows.
type active struct {
	File
	num  uint32
	salt salt
	end  int64  // durable and indexed up to here
	buf  []byte // small frames gathered for one write
}

// Open opens the store in dir, or makes it. It finishes what a crash interrupted: it cuts a torn tail, reads what the
// index has not seen, builds the index anew if it is lost or does not fit the segments, and completes a Drop. With an
// empty dir the index lives in memory and Options.Backend must be set. Errors: ErrLocked, or the backend's.
func Open(dir string, o Options) (*Store, error) {
	if dir != "" {
		return open(vfs.Default, dir, o)
	}
	if o.Backend == nil {
		return nil, errors.New("vault: neither a folder nor a backend given")
	}
	return open(vfs.NewMem(), "vault", o)
}

// open keeps the index in fs.
func open(fs vfs.FS, dir string, o Options) (*Store, error) {
	s := &Store{o: o, be: o.Backend, dir: dir, fs: fs, turn: make(chan struct{}, 1)}
	s.o.defaults()
	s.log = s.o.Logger
	s.imports = semaphore.NewWeighted(s.o.ImportBytes)
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	var err error
	if s.unlock, err = fs.Lock(fs.PathJoin(dir, "LOCK")); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	if s.be == nil {
		if s.be, err = NewDisk(fs.PathJoin(dir, "segments")); err != nil {
			s.unlock.Close()
			return nil, fmt.Errorf("vault: %w", err)
		}
	}
	s.files = newFiles(s.be, s.o.OpenFiles)
	if err := s.start(); err != nil {
		if s.ix != nil {
			s.ix.close()
		}
		return nil, errors.Join(fmt.Errorf("vault: open: %w", err), s.release())
	}
	return s, nil
}

// start opens the index and brings it and the segments together.
func (s *Store) start() error {
	err := s.openIndex()
	if err == nil {
		err = s.recover(s.ix, nil)
	}
	if errors.Is(err, errIndex) {
		err = s.rebuild(err)
	}
	if err != nil {
		return err
	}
	if err := s.rewritePending(context.Background()); err != nil {
		s.log.Error("a drop is not complete", "error", err) // its addresses stay unreadable; the next Drop or Open tries again
	}
	return nil
}

// Close waits for the running group commit, makes the index durable and closes the files. Calls after it fail with
// ErrClosed.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.ix.flush(); err != nil {
		s.log.Warn("index not flushed; the next open reads the segments instead", "error", err)
	}
	return errors.Join(s.ix.close(), s.release())
}

func (s *Store) release() error {
	s.retire()
	s.files.close()
	return s.unlock.Close()
}

// take takes the writer's turn.
func (s *Store) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.closed {
		<-s.turn
		return ErrClosed
	}
	return nil
}

// retire ends the active segment; it is only read from now on.
func (s *Store) retire() {
	if s.active != nil {
		s.active.Close()
		s.active = nil
	}
}

// apply changes the index. If the index is damaged it is built anew, which finds the same facts in the segments. The
// caller holds the turn and has made durable what it now applies.
func (s *Store) apply(fn func(*change)) error {
	c := s.ix.change()
	fn(c)
	err := c.commit()
	if errors.Is(err, errIndex) {
		return s.rebuild(err)
	}
	return err
}

// view calls fn with the index and the segments standing still. If the index turns out damaged it is built anew and fn is
// called once more.
func (s *Store) view(ctx context.Context, fn func(ix *index) error) error {
	for try := 0; ; try++ {
		s.mu.RLock()
		if s.closed {
			s.mu.RUnlock()
			return ErrClosed
		}
		epoch := s.epoch
		err := fn(s.ix)
		s.mu.RUnlock()
		if !errors.Is(err, errIndex) || try > 0 {
			return err
		}
		if err2 := s.take(ctx); err2 != nil {
			return err2
		}
		if s.epoch == epoch {
			err = s.rebuild(err)
		} else {
			err = nil
		}
		<-s.turn
		if err != nil {
			return err
		}
	}
}

// Stats are counts of what the store holds, and of what it did since it was opened.
type Stats struct {
	Packs, Blobs int64 // held, damaged ones included
	PackBytes    int64 // of these packs
	Segments     int
	DiskBytes    int64 // of all segments
	DeadBytes    int64 // of DiskBytes: part of nothing live
	Damaged      int64 // packs waiting for Repair
	Dropped      int64 // addresses erased

	Puts, Syncs         uint64 // packs appended, and the fsyncs that carried them
	Reads, CorruptReads uint64 // blobs and packs read, and how many of these were damaged
	Rebuilds            uint64 // of the index
}

// Stats is cheap; a caller exports it as metrics.
func (s *Store) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ix == nil {
		return Stats{}
	}
	n := s.ix.shown.Load()
	st := Stats{
		Packs: n.Packs, Blobs: n.Blobs, PackBytes: n.PackBytes, Damaged: n.Damaged, Dropped: n.Dropped,
		Segments: len(s.segs), Puts: s.puts.Load(), Syncs: s.syncs.Load(), Reads: s.reads.Load(),
		CorruptReads: s.corruptReads.Load(), Rebuilds: s.rebuilt.Load(),
	}
	for _, g := range s.segs {
		st.DiskBytes += g.size
	}
	st.DeadBytes = max(0, st.DiskBytes-n.Live-segHeader*int64(len(s.segs)))
	return st
}
