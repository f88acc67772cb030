package state

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble"
)

// A Block is what Stage makes the next version of.
type Block struct {
	Height  int64  // above the last one's, or 0 for the genesis
	Time    uint64 // unix seconds
	Changes *Cache // over a View of the last version; nil for none
	Side    []Row  // local index rows: neither authenticated nor in exports; a nil value removes one
}

// A Row is a key and its value.
type Row struct{ Key, Value []byte }

// staged is the next version, ready to be committed.
type staged struct {
	draft *draft
	meta  Meta
}

// Stage computes the next version and returns its app hash. Nothing is durable
// or visible before Commit; staging again replaces what was staged. Changes is
// read, not flushed, and must not change until Commit. Errors: ErrHeight,
// ErrStale, ErrBroken, and ErrCorrupt, after which the node must halt.
func (s *Store) Stage(b Block) (appHash [32]byte, err error) {
	if s.broken {
		return appHash, ErrBroken
	}
	if err := s.drop(); err != nil {
		return appHash, err
	}
	last := s.Last()
	if b.Height < 0 || b.Height <= last.Height && (b.Height != 0 || last.Height != 0) {
		return appHash, ErrHeight
	}
	d := s.base.draft(last.TreeRoot, s.log)
	if b.Changes != nil {
		if err := s.fill(d, last, b.Changes); err != nil {
			return appHash, errors.Join(err, d.discard())
		}
	}
	for _, r := range b.Side {
		key := append([]byte{spaceSide}, r.Key...)
		if r.Value == nil {
			d.del(key)
		} else {
			d.set(key, r.Value)
		}
	}
	meta := Meta{Height: b.Height, Time: b.Time, TreeRoot: d.root, LogRoot: last.LogRoot, LogSize: d.log.End()}
	if meta.LogSize != last.LogSize {
		meta.LogRoot = logRoot(d.log)
	}
	meta.AppHash = meta.Roots().AppHash()
	d.set([]byte{spaceMeta}, encodeMeta(meta))
	s.staged = &staged{draft: d, meta: meta}
	return meta.AppHash, nil
}

// fill puts the changes into the draft.
func (s *Store) fill(d *draft, last Meta, c *Cache) error {
	switch v := c.base.(type) {
	case *View:
		if v.store != s || v.Meta() != last {
			return ErrStale
		}
	case *Cache:
		return ErrStale // what lies between would be lost
	default:
		if v.Size() != last.LogSize {
			return ErrStale
		}
	}
	keys := c.keys()
	changes := make([]rowChange, len(keys))
	for i, k := range keys {
		ch := c.rows[k]
		changes[i] = rowChange{key: []byte(k), value: ch.value, gone: ch.gone}
	}
	if err := d.rows(changes); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	for _, e := range c.entries {
		if err := d.append(e); err != nil {
			return fmt.Errorf("%w: log: %w", ErrCorrupt, err)
		}
	}
	return nil
}

// Commit makes what was staged durable, in one fsynced batch, and then visible.
// After an error it is not known which of the two versions is on disk, so the
// store answers ErrBroken from then on and is to be reopened.
func (s *Store) Commit() error {
	if s.broken {
		return ErrBroken
	}
	if s.staged == nil {
		return errors.New("state: nothing is staged")
	}
	n := s.staged
	s.staged = nil
	if err := n.draft.commit(pebble.Sync); err != nil {
		s.broken = true
		return err
	}
	s.log = n.draft.log
	s.push(n.meta)
	return nil
}

// drop forgets what was staged.
func (s *Store) drop() error {
	if s.staged == nil {
		return nil
	}
	d := s.staged.draft
	s.staged = nil
	return d.discard()
}
