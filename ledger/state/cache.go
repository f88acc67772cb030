package state

import (
	"bytes"
	"slices"
	"sort"
	"strings"
)

// A Cache is a Writer that keeps its changes in memory, over a Base that it
// leaves alone. A transaction runs on a Cache over the block's Cache, which is
// flushed when the transaction is accepted and dropped when it is refused. A
// Cache has one owner; it is not safe for concurrent use.
type Cache struct {
	base    Base
	rows    map[string]change
	sorted  []string // keys of rows in order, but for fresh
	fresh   []string // keys of rows that sorted does not hold yet
	scans   int      // scans under way: sorted must not change in place
	entries [][]byte
}

// A change is what becomes of a row.
type change struct {
	value []byte
	gone  bool
}

// NewCache returns an empty overlay over base.
func NewCache(base Base) *Cache {
	return &Cache{base: base, rows: make(map[string]change)}
}

// Get returns the value under key, with the changes so far.
func (c *Cache) Get(key []byte) ([]byte, bool) {
	if ch, ok := c.rows[string(key)]; ok {
		return ch.value, !ch.gone
	}
	return c.base.Get(key)
}

// Set puts value under key. An empty value is a value.
func (c *Cache) Set(key, value []byte) {
	c.change(string(key), change{value: append([]byte{}, value...)})
}

// Delete removes the row under key, if there is one.
func (c *Cache) Delete(key []byte) { c.change(string(key), change{gone: true}) }

func (c *Cache) change(key string, ch change) {
	if _, ok := c.rows[key]; !ok {
		c.fresh = append(c.fresh, key)
	}
	c.rows[key] = ch
}

// Append adds an entry to the log and returns the index it will have.
func (c *Cache) Append(entry []byte) uint64 {
	c.entries = append(c.entries, bytes.Clone(entry))
	return c.Size() - 1
}

// Size returns the size of the log with the entries appended so far.
func (c *Cache) Size() uint64 { return c.base.Size() + uint64(len(c.entries)) }

// Scan walks the rows under prefix in key order, with the changes so far.
func (c *Cache) Scan(prefix []byte, fn func(key, value []byte) bool) {
	keys := c.keys()
	c.scans++
	defer func() { c.scans-- }()
	p := string(prefix)
	keys = keys[sort.SearchStrings(keys, p):]
	// Own rows below limit come before the base's next row.
	own := func(limit []byte) bool {
		for len(keys) > 0 && strings.HasPrefix(keys[0], p) && (limit == nil || keys[0] < string(limit)) {
			k := keys[0]
			keys = keys[1:]
			if ch := c.rows[k]; !ch.gone && !fn([]byte(k), ch.value) {
				return false
			}
		}
		return true
	}
	more := true
	c.base.Scan(prefix, func(key, value []byte) bool {
		if more = own(key); !more {
			return false
		}
		if len(keys) > 0 && keys[0] == string(key) {
			keys = keys[1:]
			ch := c.rows[string(key)]
			if ch.gone {
				return true
			}
			value = ch.value
		}
		more = fn(key, value)
		return more
	})
	if more {
		own(nil)
	}
}

// keys returns the changed keys in order. It sorts only what is new and merges
// it from the back, so that scans between writes stay cheap.
func (c *Cache) keys() []string {
	if len(c.fresh) == 0 {
		return c.sorted
	}
	slices.Sort(c.fresh)
	i, j := len(c.sorted)-1, len(c.fresh)-1
	n := len(c.sorted) + len(c.fresh)
	var out []string
	if c.scans == 0 {
		out = slices.Grow(c.sorted, len(c.fresh))[:n]
	} else {
		out = make([]string, n)
	}
	for k := n - 1; k >= 0; k-- {
		if j < 0 || i >= 0 && c.sorted[i] > c.fresh[j] {
			out[k] = c.sorted[i]
			i--
		} else {
			out[k] = c.fresh[j]
			j--
		}
	}
	c.sorted, c.fresh = out, c.fresh[:0]
	return out
}

// Dirty reports whether there is anything to flush or stage.
func (c *Cache) Dirty() bool { return len(c.rows) > 0 || len(c.entries) > 0 }

// Flush hands the changes to the Cache below and leaves this one empty. It
// panics when what lies below is not a Cache: a View is changed by
// Store.Stage alone.
func (c *Cache) Flush() {
	parent, ok := c.base.(*Cache)
	if !ok {
		panic("state: internal error: flush into something that is not a cache")
	}
	for _, k := range c.keys() {
		parent.change(k, c.rows[k])
	}
	parent.entries = append(parent.entries, c.entries...)
	c.Discard()
}

// Discard drops the changes and leaves the Cache empty, to be used again.
func (c *Cache) Discard() {
	clear(c.rows)
	clear(c.entries)
	c.sorted, c.fresh, c.entries = c.sorted[:0], c.fresh[:0], c.entries[:0]
}
