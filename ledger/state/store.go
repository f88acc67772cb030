package state

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/vfs"
	"github.com/transparency-dev/merkle/compact"
)

// Errors of a Store.
var (
	ErrStale   = errors.New("state: the changes are not over the last version")
	ErrHeight  = errors.New("state: the height is not above the last one")
	ErrBroken  = errors.New("state: a commit failed; reopen the store")
	ErrCorrupt = errors.New("state: corrupt") // wrapped by all that finds damage
)

// Options of a Store. The zero value is good: about 300 MiB of memory.
type Options struct {
	Keep       int    // versions that At knows; 16 if zero
	PageCache  int64  // bytes of tree pages kept for the writer; 64 MiB if zero
	BlockCache int64  // bytes of database blocks kept for readers; 128 MiB if zero
	MemTable   int64  // bytes of writes gathered before they are sorted to disk, at most twice at a time; 32 MiB if zero
	FS         vfs.FS // the disk if nil
}

func (o Options) withDefaults() Options {
	if o.Keep <= 0 {
		o.Keep = 16
	}
	if o.PageCache <= 0 {
		o.PageCache = 64 << 20
	}
	if o.BlockCache <= 0 {
		o.BlockCache = 128 << 20
	}
	if o.MemTable <= 0 {
		o.MemTable = 32 << 20
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	return o
}

// Meta describes one committed version.
type Meta struct {
	Height   int64  // of the block; 0 before the first
	Time     uint64 // of the block, unix seconds; not covered by AppHash
	AppHash  [32]byte
	TreeRoot [32]byte // zero for no rows
	LogRoot  [32]byte
	LogSize  uint64
}

// Roots returns what the app hash commits to.
func (m Meta) Roots() Roots { return Roots{m.TreeRoot, m.LogRoot, m.LogSize} }

// A Store keeps the state in one Pebble database. Stage, Commit and Close
// belong to one writer; the other methods may be called at any time, from
// anywhere.
type Store struct {
	base *base
	keep int
	memo memo

	// Owned by the writer.
	log    *compact.Range // of the last version
	staged *staged
	broken bool

	mu     sync.Mutex
	recent []*version // the last one is the current; the oldest first
}

// A version is a committed state, held by views and by the store's list.
type version struct {
	snap *pebble.Snapshot
	meta Meta
	refs int // owner: Store.mu

	shared shared
}

// Open opens the store in dir and makes it if there is none. It compares the
// roots of tree and log with what was committed; damage is ErrCorrupt.
func Open(dir string, o Options) (*Store, error) {
	o = o.withDefaults()
	b, err := openBase(dir, o, true)
	if err != nil {
		return nil, fmt.Errorf("state: open: %w", err)
	}
	// Pebble syncs what is in dir, not that there is a dir.
	if err := syncDir(o.FS, o.FS.PathDir(dir)); err != nil {
		return nil, errors.Join(fmt.Errorf("state: open: %w", err), b.close())
	}
	s := &Store{base: b, keep: o.Keep}
	meta, err := s.load()
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	s.push(meta)
	return s, nil
}

// load reads the last version and what the writer needs of it.
func (s *Store) load() (Meta, error) {
	db := s.base.db
	meta := emptyMeta()
	row, err := read(db, []byte{spaceMeta})
	switch {
	case errors.Is(err, errMissing):
		if err := isEmpty(db); err != nil {
			return meta, err
		}
	case err != nil:
		return meta, fmt.Errorf("%w: meta: %w", ErrCorrupt, err)
	default:
		if meta, err = decodeMeta(row); err != nil {
			return meta, err
		}
	}
	if meta.TreeRoot != zeroHash {
		root, err := readPage(db, pageKey{})
		if err != nil {
			return meta, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if *root.hash(1) != meta.TreeRoot {
			return meta, fmt.Errorf("%w: tree: root differs from what was committed", ErrCorrupt)
		}
	}
	if s.log, err = readRange(db, meta.LogSize); err != nil {
		return meta, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if logRoot(s.log) != meta.LogRoot {
		return meta, fmt.Errorf("%w: log: root differs from what was committed", ErrCorrupt)
	}
	return meta, nil
}

// isEmpty refuses a database that holds anything: a new store is empty.
func isEmpty(db *pebble.DB) error {
	it, err := db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	found := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if found {
		return fmt.Errorf("%w: meta: %w", ErrCorrupt, errMissing)
	}
	return nil
}

// Close releases the store. Views still open are an error and of no more use.
func (s *Store) Close() error {
	err := s.drop()
	s.mu.Lock()
	open := 0
	for _, v := range s.recent {
		if v.refs > 1 {
			open += v.refs - 1
		}
		err = errors.Join(err, s.release(v))
	}
	s.recent = nil
	s.mu.Unlock()
	if open > 0 {
		err = errors.Join(err, fmt.Errorf("state: closed with %d views of recent versions open", open))
	}
	return errors.Join(err, s.base.close())
}

// push makes meta the current version and lets the oldest go.
func (s *Store) push(meta Meta) {
	v := &version{snap: s.base.db.NewSnapshot(), meta: meta, refs: 1}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent = append(s.recent, v)
	if len(s.recent) > s.keep {
		old := s.recent[0]
		copy(s.recent, s.recent[1:])
		s.recent = s.recent[:len(s.recent)-1]
		if err := s.release(old); err != nil {
			panic("state: internal error: " + err.Error())
		}
	}
}

// release gives one hold of v back. The caller holds s.mu.
func (s *Store) release(v *version) error {
	if v.refs--; v.refs > 0 {
		return nil
	}
	return v.snap.Close()
}

// view returns a view of v. The caller holds s.mu.
func (s *Store) view(v *version) *View {
	v.refs++
	return &View{store: s, version: v}
}

// Last describes the last committed version.
func (s *Store) Last() Meta {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recent[len(s.recent)-1].meta
}

// View returns the last committed version, to be closed.
func (s *Store) View() *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view(s.recent[len(s.recent)-1])
}

// At returns the version after the block of that height, to be closed, if it is
// among the last Options.Keep ones since the store was opened.
func (s *Store) At(height int64) (*View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range slices.Backward(s.recent) {
		if v.meta.Height == height {
			return s.view(v), true
		}
	}
	return nil, false
}
