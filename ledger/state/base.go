package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/bloom"
	"github.com/transparency-dev/merkle/compact"
)

// The first byte of a database key says what lies there; numbers are big endian.
const (
	spaceMeta  = 'm' //                     version of the format, the last Meta
	spaceRow   = 'r' // key              -> value
	spacePage  = 't' // depth, path      -> page of the tree, see page.append
	spaceEntry = 'l' // index[8]         -> log entry
	spaceNode  = 'n' // level, index[8]  -> hash of a perfect subtree of the log
	spaceSide  = 's' // key              -> local index row
)

var (
	errMissing = errors.New("missing")
	errLength  = errors.New("wrong length")
)

// A base is an open database with what its one writer needs.
type base struct {
	db     *pebble.DB
	blocks *pebble.Cache
	pages  *pageCache
	tree   *tree // of the one draft
}

func openBase(dir string, o Options, wal bool) (*base, error) {
	b := &base{blocks: pebble.NewCache(o.BlockCache), pages: newPageCache(o.PageCache)}
	po := &pebble.Options{
		FS:                    o.FS,
		Cache:                 b.blocks,
		DisableWAL:            !wal,
		MemTableSize:          uint64(o.MemTable),
		FormatMajorVersion:    pebble.FormatNewest,
		MaxOpenFiles:          512,
		Logger:                silent{},
		L0CompactionThreshold: 8,
		LBaseMaxBytes:         512 << 20, // a level less to sort every written row through again
		Levels:                make([]pebble.LevelOptions, 7),
	}
	for i := range po.Levels {
		po.Levels[i] = pebble.LevelOptions{
			FilterPolicy:   bloom.FilterPolicy(10),
			TargetFileSize: 4 << 20 << min(i, 4),
			Compression:    pebble.NoCompression, // hashes do not compress
		}
	}
	db, err := openPebble(dir, po)
	if err != nil {
		b.blocks.Unref()
		return nil, err
	}
	b.db = db
	b.tree = &tree{pages: b.pages, read: func(k pageKey, p *page) error { return readPageInto(db, k, p) }}
	return b, nil
}

// openPebble makes an error of the panics by which Pebble reports damage.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("%w: the database: %v", ErrCorrupt, r)
		}
	}()
	return pebble.Open(dir, o)
}

func (b *base) close() error {
	err := b.db.Close()
	b.blocks.Unref()
	return err
}

// silent is a logger for a package that does not log. What Pebble cannot go on
// after becomes a panic: Commit catches its own, any other halts the node.
type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Errorf(format, a...)) }

// read returns a copy of the value under a database key.
func read(r pebble.Reader, key []byte) ([]byte, error) {
	v, c, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, errMissing
	}
	if err != nil {
		return nil, err
	}
	b := append([]byte{}, v...)
	return b, c.Close()
}

// readPage reads a page of the tree.
func readPage(r pebble.Reader, k pageKey) (*page, error) {
	p := new(page)
	return p, readPageInto(r, k, p)
}

func readPageInto(r pebble.Reader, k pageKey, p *page) error {
	var buf [40]byte
	v, c, err := r.Get(k.append(buf[:0]))
	if errors.Is(err, pebble.ErrNotFound) {
		return fmt.Errorf("tree page: %w", errMissing)
	}
	if err != nil {
		return fmt.Errorf("tree page: %w", err)
	}
	return errors.Join(decodePage(v, p), c.Close())
}

// A rowChange is what becomes of a row.
type rowChange struct {
	key, value []byte
	gone       bool
}

// A draft is the next version while it is made: everything it changes is in one
// batch.
type draft struct {
	base  *base
	batch *pebble.Batch
	root  [32]byte
	log   *compact.Range
	pages []draftPage
	key   []byte // scratch
}

// A draftPage is a changed page, nil if it is no more.
type draftPage struct {
	key  pageKey
	page *page
}

// draft begins the version after the one with that root and log. There is one
// at a time.
func (b *base) draft(root [32]byte, log *compact.Range) *draft {
	return &draft{base: b, batch: b.db.NewBatch(), root: root, log: cloneRange(log)}
}

// page notes a changed page.
func (d *draft) page(k pageKey, p *page) { d.pages = append(d.pages, draftPage{k, p}) }

// writePages puts the changed pages into the batch, in the order of their keys:
// Pebble takes sorted keys in faster.
func (d *draft) writePages() {
	slices.SortStableFunc(d.pages, func(a, b draftPage) int { return cmp.Compare(a.key.n, b.key.n) })
	for i := range d.pages {
		p := &d.pages[i]
		d.key = p.key.append(d.key[:0])
		if p.page == nil {
			d.del(d.key)
			continue
		}
		// Straight into the batch: pages are most of what is written.
		op := d.batch.SetDeferred(len(d.key), p.page.length())
		copy(op.Key, d.key)
		p.page.append(op.Value[:0])
		if err := op.Finish(); err != nil {
			panic("state: internal error: " + err.Error())
		}
	}
}

// set changes the batch. An error can only be that it was committed.
func (d *draft) set(key, value []byte) {
	if err := d.batch.Set(key, value, nil); err != nil {
		panic("state: internal error: " + err.Error())
	}
}

func (d *draft) del(key []byte) {
	if err := d.batch.Delete(key, nil); err != nil {
		panic("state: internal error: " + err.Error())
	}
}

// rows applies changes, of different keys, to rows and tree. Changes that
// change nothing are not written.
func (d *draft) rows(changes []rowChange) error {
	ops := make([]op, len(changes))
	for i := range changes {
		ops[i].set(&changes[i])
		ops[i].row = i
	}
	sortOps(ops)
	changed := make([]bool, len(changes))
	t := d.base.tree
	t.write = d.page
	t.effect = func(o *op) { changed[o.row] = true }
	root, err := t.apply(d.root, ops)
	if err != nil {
		return err
	}
	d.root = root
	d.writePages()
	for i := range changes {
		if !changed[i] {
			continue
		}
		c := &changes[i]
		d.key = append(append(d.key[:0], spaceRow), c.key...)
		if c.gone {
			d.del(d.key)
		} else {
			d.set(d.key, c.value)
		}
	}
	return nil
}

// append adds an entry to the log.
func (d *draft) append(entry []byte) error {
	d.key = entryKey(d.key[:0], d.log.End())
	d.set(d.key, entry)
	return d.log.Append(logHasher.HashLeaf(entry), func(id compact.NodeID, hash []byte) {
		d.key = nodeKey(d.key[:0], id)
		d.set(d.key, hash)
	})
}

// commit makes the draft durable, if o says so, and its pages the writer's.
func (d *draft) commit(o *pebble.WriteOptions) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("state: commit: %v", r)
		}
	}()
	if err := d.batch.Commit(o); err != nil {
		return fmt.Errorf("state: commit: %w", err)
	}
	for _, p := range d.pages {
		if p.page == nil {
			d.base.pages.drop(p.key)
		} else {
			d.base.pages.put(p.key, p.page)
		}
	}
	d.pages = nil
	return d.batch.Close()
}

// discard drops the draft.
func (d *draft) discard() error { return d.batch.Close() }

// formatVersion is the first byte of the meta row.
const formatVersion = 1

// encodeMeta returns the meta row: the version of the format, height, time,
// tree root, log root, log size.
func encodeMeta(m Meta) []byte {
	b := []byte{formatVersion}
	b = binary.BigEndian.AppendUint64(b, uint64(m.Height))
	b = binary.BigEndian.AppendUint64(b, m.Time)
	b = append(b, m.TreeRoot[:]...)
	b = append(b, m.LogRoot[:]...)
	return binary.BigEndian.AppendUint64(b, m.LogSize)
}

func decodeMeta(b []byte) (m Meta, err error) {
	if len(b) == 0 || b[0] != formatVersion {
		return m, fmt.Errorf("%w: meta: unknown version of the format", ErrCorrupt)
	}
	if len(b) != 1+8+8+32+32+8 {
		return m, fmt.Errorf("%w: meta: %w", ErrCorrupt, errLength)
	}
	m.Height = int64(binary.BigEndian.Uint64(b[1:]))
	m.Time = binary.BigEndian.Uint64(b[9:])
	copy(m.TreeRoot[:], b[17:])
	copy(m.LogRoot[:], b[49:])
	m.LogSize = binary.BigEndian.Uint64(b[81:])
	m.AppHash = m.Roots().AppHash()
	return m, nil
}

// emptyMeta describes the version before the first block.
func emptyMeta() Meta {
	m := Meta{LogRoot: logRoot(logFactory.NewEmptyRange(0))}
	m.AppHash = m.Roots().AppHash()
	return m
}

// after returns the least key above all that begin with prefix; nil for none.
func after(prefix []byte) []byte {
	b := bytes.Clone(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}
