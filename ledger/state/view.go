package state

import (
	"errors"

	"github.com/cockroachdb/pebble"
)

// A View is a committed version; it never changes. It is safe for concurrent
// use and must be closed; it keeps what it shows on disk until then.
type View struct {
	store   *Store
	version *version
	closed  bool // owner: Store.mu
}

// Close gives the version back. Closing again does nothing.
func (v *View) Close() {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	if v.closed {
		return
	}
	v.closed = true
	if err := v.store.release(v.version); err != nil {
		panic("state: internal error: " + err.Error())
	}
}

// clone returns another view of the same version.
func (v *View) clone() *View {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	return v.store.view(v.version)
}

// Meta describes the version.
func (v *View) Meta() Meta { return v.version.meta }

// Size returns the number of log entries.
func (v *View) Size() uint64 { return v.version.meta.LogSize }

// Get returns a copy of the value under key.
func (v *View) Get(key []byte) ([]byte, bool) { return v.get(spaceRow, key) }

// Side returns a copy of a local index row.
func (v *View) Side(key []byte) ([]byte, bool) { return v.get(spaceSide, key) }

func (v *View) get(space byte, key []byte) ([]byte, bool) {
	var buf [96]byte
	b, err := read(v.version.snap, append(append(buf[:0], space), key...))
	if errors.Is(err, errMissing) {
		return nil, false
	}
	if err != nil {
		halt(err)
	}
	return b, true
}

// Entry returns a copy of the log entry at index.
func (v *View) Entry(index uint64) ([]byte, bool) {
	if index >= v.Size() {
		return nil, false
	}
	b, err := read(v.version.snap, entryKey(nil, index))
	if err != nil {
		halt(err)
	}
	return b, true
}

// Scan walks the rows under prefix in key order.
func (v *View) Scan(prefix []byte, fn func(key, value []byte) bool) {
	if err := v.scan(append([]byte{spaceRow}, prefix...), fn); err != nil {
		halt(err)
	}
}

// ScanSide walks the local index rows under prefix in key order.
func (v *View) ScanSide(prefix []byte, fn func(key, value []byte) bool) {
	if err := v.scan(append([]byte{spaceSide}, prefix...), fn); err != nil {
		halt(err)
	}
}

// scan walks the database keys under prefix; fn gets them without the first byte.
func (v *View) scan(prefix []byte, fn func(key, value []byte) bool) error {
	return v.walk(prefix, after(prefix), func(key, value []byte) bool { return fn(key[1:], value) })
}

// walk walks the database keys in [from, to) until fn returns false.
func (v *View) walk(from, to []byte, fn func(key, value []byte) bool) (err error) {
	it, err := v.version.snap.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if !fn(it.Key(), value) {
			return nil
		}
	}
	return it.Error()
}

// halt stops a replica whose state cannot be read: it must not answer.
func halt(err error) { panic("state: corrupt: " + err.Error()) }
