package state

import (
	"bytes"
	"fmt"
	"sync"

	"salus/ledger/tx"
)

// maxShared is how many decoded rows a version keeps. What is read again and
// again in a block, members, principals, the committee, is far less.
const maxShared = 4096

// maxMemo is how many rows a store keeps decoded across versions: what decisions
// about the patients of the last minutes read.
const maxMemo = 1 << 14

// A sharer shows rows that are decoded once for all who read them.
type sharer interface {
	share(key []byte, decode func([]byte) any) (row any, ok bool)
	memory() *memo
}

// shared are decoded rows of one version, which never changes. They belong to
// nobody: who reads them must not write to them.
type shared struct {
	mu   sync.RWMutex
	rows map[string]sharedRow
}

// A sharedRow is a row and what it was decoded from.
type sharedRow struct {
	row   any // nil if there is none
	bytes []byte
}

// Shared is Get for rows that are read far more often than written: the row is
// decoded once for all readers of a version. Slices in it belong to all of them
// and must not be written to.
func (t Table[V]) Shared(r Reader, id []byte) (v V, ok bool) {
	s, can := r.(sharer)
	if !can {
		return t.Get(r, id)
	}
	row, ok := s.share(t.Key(id), func(b []byte) any { return t.decode(b) })
	if !ok {
		return v, false
	}
	v, is := row.(V)
	if !is {
		panic("state: internal error: two tables of one key in table " + t.Name)
	}
	return v, true
}

// SharedScan is Scan for tables that are read far more often than written: a row
// is decoded again only when its bytes have changed. Slices in it belong to all
// readers and must not be written to.
func (t Table[V]) SharedScan(r Reader, prefix []byte, fn func(id []byte, v V) (more bool)) {
	s, can := r.(sharer)
	if !can {
		t.Scan(r, prefix, fn)
		return
	}
	m := s.memory()
	r.Scan(t.Key(prefix), func(key, value []byte) bool {
		v, is := m.row(key, value, func(b []byte) any { return t.decode(b) }).(V)
		if !is {
			panic("state: internal error: two tables of one key in table " + t.Name)
		}
		return fn(key[len(t.Prefix):], v)
	})
}

// A memo keeps decoded rows with the bytes they were decoded from, so that it
// needs to know nothing of versions: a row is what its bytes say.
type memo struct {
	mu   sync.RWMutex
	rows map[string]sharedRow
}

func (m *memo) row(key, value []byte, decode func([]byte) any) any {
	m.mu.RLock()
	r, ok := m.rows[string(key)]
	m.mu.RUnlock()
	if ok && bytes.Equal(r.bytes, value) {
		return r.row
	}
	r = sharedRow{bytes: bytes.Clone(value)}
	r.row = decode(r.bytes)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil || len(m.rows) >= maxMemo {
		m.rows = map[string]sharedRow{} // what is still needed comes back by itself
	}
	m.rows[string(key)] = r
	return r.row
}

func (v *View) memory() *memo { return &v.store.memo }

func (c *Cache) memory() *memo {
	if s, ok := c.base.(sharer); ok {
		return s.memory()
	}
	return &memo{}
}

// share shows a row that was changed here as nobody else's, and one that was not
// as what lies below shows it.
func (c *Cache) share(key []byte, decode func([]byte) any) (any, bool) {
	if ch, ok := c.rows[string(key)]; ok {
		if ch.gone {
			return nil, false
		}
		return decode(ch.value), true
	}
	if s, ok := c.base.(sharer); ok {
		return s.share(key, decode)
	}
	b, ok := c.base.Get(key)
	if !ok {
		return nil, false
	}
	return decode(b), true
}

func (v *View) share(key []byte, decode func([]byte) any) (any, bool) {
	s := &v.version.shared
	s.mu.RLock()
	r, known := s.rows[string(key)]
	s.mu.RUnlock()
	if !known {
		if b, ok := v.Get(key); ok {
			r = sharedRow{decode(b), b}
		}
		s.mu.Lock()
		if s.rows == nil {
			s.rows = map[string]sharedRow{}
		}
		if len(s.rows) < maxShared {
			s.rows[string(key)] = r
		}
		s.mu.Unlock()
	}
	return r.row, r.row != nil
}

// CheckShared reports a row that a reader wrote to although it is shared, for
// tests of those readers.
func (v *View) CheckShared() error {
	s := &v.version.shared
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := unchanged(s.rows); err != nil {
		return err
	}
	m := &v.store.memo
	m.mu.RLock()
	defer m.mu.RUnlock()
	return unchanged(m.rows)
}

func unchanged(rows map[string]sharedRow) error {
	for key, r := range rows { //detcheck:allow for tests, outside of any block
		if r.row == nil {
			continue
		}
		if b, err := tx.Encode(r.row); err != nil || !bytes.Equal(b, r.bytes) {
			return fmt.Errorf("state: a shared row of prefix %x was written to", key[:min(2, len(key))])
		}
	}
	return nil
}
