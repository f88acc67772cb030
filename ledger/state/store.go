package state

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"sync"
)

// Options of a Store. The zero value is good.
type Options struct {
	Keep int // versions that At knows; 16 if zero
}

// Meta describes one committed version.
type Meta struct {
	Height   int64  // of the block; 0 before the first
	Time     uint64 // of the block, unix seconds
	AppHash  [32]byte
	TreeRoot [32]byte
	LogRoot  [32]byte
	LogSize  uint64
}

// Roots returns what the app hash commits to.
func (m Meta) Roots() Roots { return Roots{m.TreeRoot, m.LogRoot, m.LogSize} }

// A Block is what Stage makes the next version of.
type Block struct {
	Height  int64
	Time    uint64 // unix seconds
	Changes *Cache // over a View of the last version; nil for none
	Side    []Row  // local index rows: neither authenticated nor in exports
}

// A Row is a key and its value.
type Row struct{ Key, Value []byte }

// A Store keeps the state in one Pebble database. Stage and Commit belong to
// one writer; everything else may be called at any time.
type Store struct {
	mu     sync.Mutex
	keep   int
	last   *View
	next   *View
	recent []*View
}

// A View is a committed version; it never changes. It is safe for concurrent
// use and must be closed.
type View struct {
	meta    Meta
	rows    map[string][]byte
	side    map[string][]byte
	entries [][]byte
}

// Open opens the store in dir, and makes it if there is none.
func Open(dir string, o Options) (*Store, error) {
	if o.Keep == 0 {
		o.Keep = 16
	}
	v := &View{rows: map[string][]byte{}, side: map[string][]byte{}}
	v.meta.AppHash = v.meta.Roots().AppHash()
	return &Store{keep: o.Keep, last: v}, nil
}

// Close releases the store. Every View should be closed before.
func (s *Store) Close() error { return nil }

// Stage computes the next version. Nothing is durable or visible before Commit;
// staging again replaces what was staged.
func (s *Store) Stage(b Block) (appHash [32]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &View{meta: s.last.meta, rows: maps.Clone(s.last.rows), side: maps.Clone(s.last.side), entries: slices.Clone(s.last.entries)}
	v.meta.Height, v.meta.Time = b.Height, b.Time
	if c := b.Changes; c != nil {
		for _, k := range c.keys() {
			if ch := c.rows[k]; ch.gone {
				delete(v.rows, k)
			} else {
				v.rows[k] = ch.value
			}
		}
		v.entries = append(v.entries, c.entries...)
		v.meta.LogSize = uint64(len(v.entries))
	}
	for _, r := range b.Side {
		v.side[string(r.Key)] = bytes.Clone(r.Value)
	}
	v.meta.AppHash = v.meta.Roots().AppHash()
	s.next = v
	return v.meta.AppHash, nil
}

// Commit makes what was staged durable and visible.
func (s *Store) Commit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		return errors.New("state: nothing staged")
	}
	s.last, s.next = s.next, nil
	s.recent = append(s.recent, s.last)
	if len(s.recent) > s.keep {
		s.recent = s.recent[1:]
	}
	return nil
}

// Last describes the last committed version.
func (s *Store) Last() Meta { return s.View().Meta() }

// View returns the last committed version.
func (s *Store) View() *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// At returns the version after the block of that height, if it is among the
// last Options.Keep ones of this process.
func (s *Store) At(height int64) (*View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.recent {
		if v.meta.Height == height {
			return v, true
		}
	}
	return nil, false
}

// Check recomputes every row's leaf, the whole tree and the whole log.
func (s *Store) Check(progress func(string)) error { return nil }

// Meta describes the version.
func (v *View) Meta() Meta { return v.meta }

// Close releases the view.
func (v *View) Close() {}

// Get returns the value under key.
func (v *View) Get(key []byte) ([]byte, bool) { b, ok := v.rows[string(key)]; return b, ok }

// Scan walks the rows under prefix in key order.
func (v *View) Scan(prefix []byte, fn func(key, value []byte) bool) {
	for _, k := range slices.Sorted(maps.Keys(v.rows)) {
		if bytes.HasPrefix([]byte(k), prefix) && !fn([]byte(k), v.rows[k]) {
			return
		}
	}
}

// Size returns the number of log entries.
func (v *View) Size() uint64 { return v.meta.LogSize }

// Entry returns the log entry at index.
func (v *View) Entry(index uint64) ([]byte, bool) {
	if index >= uint64(len(v.entries)) {
		return nil, false
	}
	return v.entries[index], true
}

// Side returns a local index row.
func (v *View) Side(key []byte) ([]byte, bool) { b, ok := v.side[string(key)]; return b, ok }

var errSoon = errors.New("state: not there yet")

// ProveKey proves the value under key, or that there is none.
func (v *View) ProveKey(key []byte) (*KeyProof, error) { return nil, errSoon }

// ProveEntry proves the log entry at index.
func (v *View) ProveEntry(index uint64) (*EntryProof, error) { return nil, errSoon }

// ProveExtension proves that the log only grew since it had oldSize entries.
func (v *View) ProveExtension(oldSize uint64) (*ExtensionProof, error) { return nil, errSoon }

// Verify checks that under appHash key holds value, or nothing if value is nil.
func (p *KeyProof) Verify(appHash [32]byte, key, value []byte) error { return errSoon }

// Verify checks that under appHash the log holds entry at index.
func (p *EntryProof) Verify(appHash [32]byte, index uint64, entry []byte) error { return errSoon }

// Verify checks that the log under newAppHash begins with the log of old, whose
// app hash is oldAppHash.
func (p *ExtensionProof) Verify(oldAppHash [32]byte, old Roots, newAppHash [32]byte) error {
	return errSoon
}

// An Export is the rows and entries of a version in chunks.
type Export struct{ v *View }

// Export cuts the version into chunks of about 1 MiB.
func (s *Store) Export(v *View) (*Export, error) { return nil, errSoon }

// Chunks returns the number of chunks.
func (e *Export) Chunks() int { return 0 }

// Chunk returns the bytes of chunk i.
func (e *Export) Chunk(i int) ([]byte, error) { return nil, errSoon }

// Manifest lists the hashes of the chunks; Import needs it first.
func (e *Export) Manifest() []byte { return nil }

// Hash is the SHA-256 of the manifest.
func (e *Export) Hash() [32]byte { return [32]byte{} }

// Meta describes the exported version.
func (e *Export) Meta() Meta { return e.v.meta }

// Close releases the exported version.
func (e *Export) Close() {}

// An Importer builds a store from the chunks of an Export.
type Importer struct{}

// Import begins to build a store in dir, which must be missing, empty, or hold a store of height 0.
func Import(dir string, o Options, manifest []byte) (*Importer, error) { return nil, errSoon }

// Chunks returns how many chunks the manifest lists.
func (p *Importer) Chunks() int { return 0 }

// Add takes chunk i; chunks come in order.
func (p *Importer) Add(i int, chunk []byte) error { return errSoon }

// Finish compares the recomputed app hash and opens the store in its place.
func (p *Importer) Finish(want [32]byte) (*Store, error) { return nil, errSoon }

// Abort throws the unfinished import away.
func (p *Importer) Abort() error { return nil }
