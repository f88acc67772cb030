package state

// A Reader reads rows. Slices it returns or passes on are not to be modified,
// and those passed to Scan's fn not to be kept.
type Reader interface {
	// Get returns the value under key.
	Get(key []byte) (value []byte, ok bool)
	// Scan calls fn for every row whose key begins with prefix, in the order
	// of the keys, until fn returns false. fn must not write.
	Scan(prefix []byte, fn func(key, value []byte) (more bool))
}

// A Log is an append-only sequence of entries.
type Log interface {
	// Append adds an entry and returns its index, from 0.
	Append(entry []byte) (index uint64)
	// Size returns the number of entries.
	Size() uint64
}

// A Writer reads and changes rows, and appends to the log. Arguments may be
// reused by the caller afterwards.
type Writer interface {
	Reader
	Set(key, value []byte)
	Delete(key []byte)
	Log
}

// A Base is what a Cache lies on: a *View or another *Cache.
type Base interface {
	Reader
	Size() uint64
}
