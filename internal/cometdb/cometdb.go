// Package cometdb gives CometBFT's block and state stores a Pebble database
// without a build tag: cometbft-db compiles its own Pebble backend only with
// `-tags pebbledb`, and its default, goleveldb, lost committed blocks silently
// when three bytes were flipped, where Pebble refuses to start.
//
// Contract: the DB and Iterator semantics of github.com/cometbft/cometbft-db
// (nil bounds are open, end is exclusive, iterators return keys and values that
// stay valid until the next move); Sync variants return after fsync. After Close,
// writes fail and reads find nothing: CometBFT's gossip outlives its Stop by up to a
// pause between two rounds, and an error would end the process there. It must never
// be used for anything but CometBFT's own stores.
package cometdb

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble"
	dbm "github.com/cometbft/cometbft-db"
	"github.com/cometbft/cometbft/config"
)

var (
	errEmptyKey  = errors.New("cometdb: empty key")
	errNilValue  = errors.New("cometdb: nil value")
	errBatchDone = errors.New("cometdb: batch is written or closed")
	errClosed    = errors.New("cometdb: the database is closed")
)

// DB is one Pebble database behind the cometbft-db interface.
type DB struct {
	db     *pebble.DB
	mu     sync.RWMutex // held for reading by every operation, for writing by Close
	closed bool

	// Failed, if set before the first use, is told of every failed operation: CometBFT ends the process after
	// most of them, and its own words do not say that a disk is the cause.
	Failed func(error)
}

// use runs f unless the database is closed.
func (d *DB) use(f func() error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return errClosed
	}
	err := f()
	if err != nil && !errors.Is(err, pebble.ErrNotFound) && d.Failed != nil {
		d.Failed(err)
	}
	return err
}

var _ dbm.DB = (*DB)(nil)

// Provider is a config.DBProvider: it opens <db dir>/<id>.pebble.
func Provider(c *config.DBContext) (dbm.DB, error) {
	return Open(filepath.Join(c.Config.DBDir(), c.ID+".pebble"))
}

// Open opens or creates the database in dir.
func Open(dir string) (*DB, error) {
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	db, err := pebble.Open(dir, &pebble.Options{Cache: cache, MaxOpenFiles: 256, Logger: quiet{}})
	if err != nil {
		return nil, fmt.Errorf("cometdb: open %s: %w", filepath.Base(dir), err)
	}
	return &DB{db: db}, nil
}

// quiet drops Pebble's event lines; Fatalf still ends the process, because Pebble cannot go on after it.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf("cometdb: "+format, a...)) }

// Get implements dbm.DB.
func (d *DB) Get(key []byte) ([]byte, error) {
	if len(key) == 0 {
		return nil, errEmptyKey
	}
	var out []byte
	err := d.use(func() error {
		v, closer, err := d.db.Get(key)
		if err != nil {
			return err
		}
		out = append([]byte{}, v...) // never nil: nil means absent
		return closer.Close()
	})
	if errors.Is(err, pebble.ErrNotFound) || errors.Is(err, errClosed) {
		return nil, nil
	}
	return out, err
}

// Has implements dbm.DB.
func (d *DB) Has(key []byte) (bool, error) {
	v, err := d.Get(key)
	return v != nil, err
}

// Set implements dbm.DB.
func (d *DB) Set(key, value []byte) error { return d.set(key, value, pebble.NoSync) }

// SetSync implements dbm.DB.
func (d *DB) SetSync(key, value []byte) error { return d.set(key, value, pebble.Sync) }

func (d *DB) set(key, value []byte, o *pebble.WriteOptions) error {
	if err := check(key, value); err != nil {
		return err
	}
	return d.use(func() error { return d.db.Set(key, value, o) })
}

// Delete implements dbm.DB.
func (d *DB) Delete(key []byte) error { return d.delete(key, pebble.NoSync) }

// DeleteSync implements dbm.DB.
func (d *DB) DeleteSync(key []byte) error { return d.delete(key, pebble.Sync) }

func (d *DB) delete(key []byte, o *pebble.WriteOptions) error {
	if len(key) == 0 {
		return errEmptyKey
	}
	return d.use(func() error { return d.db.Delete(key, o) })
}

// Close implements dbm.DB; closing twice is no error.
func (d *DB) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.db.Close()
}

// Print implements dbm.DB; the stores hold blocks, which nobody should print.
func (d *DB) Print() error { return nil }

// Stats implements dbm.DB.
func (d *DB) Stats() map[string]string {
	out := map[string]string{}
	_ = d.use(func() error { out["pebble"] = d.db.Metrics().String(); return nil }) // nothing to tell of a closed one
	return out
}

// Compact implements dbm.DB; nil bounds mean the whole database.
func (d *DB) Compact(start, end []byte) error {
	if start == nil {
		start = []byte{0}
	}
	if end == nil {
		end = bytes.Repeat([]byte{0xff}, 32)
	}
	return d.use(func() error { return d.db.Compact(start, end, true) })
}

// NewBatch implements dbm.DB.
func (d *DB) NewBatch() dbm.Batch {
	b := &batch{d: d}
	_ = d.use(func() error { b.b = d.db.NewBatch(); return nil }) // of a closed one it takes nothing
	return b
}

type batch struct {
	d *DB
	b *pebble.Batch
}

func (b *batch) Set(key, value []byte) error {
	if err := check(key, value); err != nil {
		return err
	}
	if b.b == nil {
		return errBatchDone
	}
	return b.b.Set(key, value, nil)
}

func (b *batch) Delete(key []byte) error {
	if len(key) == 0 {
		return errEmptyKey
	}
	if b.b == nil {
		return errBatchDone
	}
	return b.b.Delete(key, nil)
}

func (b *batch) Write() error     { return b.write(pebble.NoSync) }
func (b *batch) WriteSync() error { return b.write(pebble.Sync) }

func (b *batch) write(o *pebble.WriteOptions) error {
	if b.b == nil {
		return errBatchDone
	}
	if err := b.d.use(func() error { return b.b.Commit(o) }); err != nil {
		return err
	}
	return b.Close()
}

func (b *batch) Close() error {
	if b.b == nil {
		return nil
	}
	err := b.b.Close()
	b.b = nil
	return err
}

// Iterator implements dbm.DB.
func (d *DB) Iterator(start, end []byte) (dbm.Iterator, error) { return d.iterator(start, end, false) }

// ReverseIterator implements dbm.DB.
func (d *DB) ReverseIterator(start, end []byte) (dbm.Iterator, error) {
	return d.iterator(start, end, true)
}

func (d *DB) iterator(start, end []byte, reverse bool) (dbm.Iterator, error) {
	if (start != nil && len(start) == 0) || (end != nil && len(end) == 0) {
		return nil, errEmptyKey
	}
	var it *pebble.Iterator
	err := d.use(func() (err error) {
		it, err = d.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
		return err
	})
	if err != nil {
		return nil, err
	}
	if reverse {
		it.Last()
	} else {
		it.First()
	}
	return &iterator{it, start, end, reverse}, nil
}

type iterator struct {
	it         *pebble.Iterator
	start, end []byte
	reverse    bool
}

func (i *iterator) Domain() ([]byte, []byte) { return i.start, i.end }
func (i *iterator) Valid() bool              { return i.it.Valid() }
func (i *iterator) Error() error             { return i.it.Error() }
func (i *iterator) Close() error             { return i.it.Close() }

// Key copies: CometBFT keeps keys across moves, which Pebble's buffers would not survive.
func (i *iterator) Key() []byte { i.must(); return bytes.Clone(i.it.Key()) }

func (i *iterator) Value() []byte {
	i.must()
	v := i.it.Value()
	out := make([]byte, len(v))
	copy(out, v)
	return out
}

func (i *iterator) Next() {
	i.must()
	if i.reverse {
		i.it.Prev()
	} else {
		i.it.Next()
	}
}

func (i *iterator) must() {
	if !i.it.Valid() {
		panic("cometdb: internal error: iterator is not valid") // the contract of dbm.Iterator
	}
}

func check(key, value []byte) error {
	if len(key) == 0 {
		return errEmptyKey
	}
	if value == nil {
		return errNilValue
	}
	return nil
}
