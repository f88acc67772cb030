package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/vfs"
)

// Errors of state sync.
var (
	// ErrChunk: these bytes are not the chunk that the manifest lists. The
	// import goes on with the right ones.
	ErrChunk = errors.New("state: not the chunk of the manifest")
	// ErrSnapshot: the export itself is wrong. Nothing of it is left.
	ErrSnapshot = errors.New("state: not a valid export")
	// ErrNotEmpty: a store with blocks is never replaced.
	ErrNotEmpty = errors.New("state: there is a store already")
)

// An Importer builds a store from the chunks of an Export, beside its place, so
// that a crash or a lie leaves nothing. It has one owner.
type Importer struct {
	dir, temp string
	options   Options
	manifest  *manifest
	base      *base
	draft     *draft // what the chunks so far make; nil when the import ended
	next      int
	lastKey   []byte
}

// Import begins to build a store that is to stand in dir. Until Finish it lies
// in dir with ".import" added, where what is left of an earlier one is removed.
// manifest is what Export.Manifest returned; it is not trusted.
func Import(dir string, o Options, manifest []byte) (*Importer, error) {
	o = o.withDefaults()
	m, err := decodeManifest(manifest)
	if err != nil {
		return nil, err
	}
	p := &Importer{dir: dir, temp: dir + ".import", options: o, manifest: m}
	if err := o.FS.RemoveAll(p.temp); err != nil {
		return nil, fmt.Errorf("state: import: %w", err)
	}
	if p.base, err = openBase(p.temp, o, false); err != nil {
		return nil, fmt.Errorf("state: import: %w", err)
	}
	p.draft = p.base.draft(zeroHash, logFactory.NewEmptyRange(0))
	return p, nil
}

// Meta describes the version that the manifest claims to be. Of this, Finish
// checks all but height and time, which the caller compares with the block.
func (p *Importer) Meta() Meta { return p.manifest.meta() }

// Chunks returns how many chunks the manifest lists.
func (p *Importer) Chunks() int { return len(p.manifest.Chunks) }

// Next returns the number of the chunk that Add waits for.
func (p *Importer) Next() int { return p.next }

// Add takes chunk i. Chunks come in order. After ErrChunk the import goes on;
// after any other error it has ended and nothing is left.
func (p *Importer) Add(i int, chunk []byte) error {
	if p.draft == nil {
		return errors.New("state: import: ended")
	}
	if i != p.next || i >= len(p.manifest.Chunks) || len(chunk) > maxChunk ||
		sha256.Sum256(chunk) != p.manifest.Chunks[i] {
		return ErrChunk
	}
	if err := p.add(chunk); err != nil {
		return errors.Join(err, p.Abort())
	}
	p.next++
	return nil
}

func (p *Importer) add(chunk []byte) error {
	records, err := decodeChunk(chunk)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	d := p.draft
	n := 0
	for n < len(records) && records[n].key != nil {
		n++
	}
	rows := make([]rowChange, n)
	for i, r := range records[:n] {
		if d.log.End() > 0 || p.lastKey != nil && bytes.Compare(r.key, p.lastKey) <= 0 {
			return fmt.Errorf("%w: rows are out of order", ErrSnapshot)
		}
		rows[i] = rowChange{key: r.key, value: r.value}
		p.lastKey = r.key
	}
	p.lastKey = bytes.Clone(p.lastKey)
	if err := d.rows(rows); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	for _, r := range records[n:] {
		if r.key != nil {
			return fmt.Errorf("%w: rows are out of order", ErrSnapshot)
		}
		if err := d.append(r.value); err != nil {
			return fmt.Errorf("%w: log: %w", ErrSnapshot, err)
		}
	}
	if err := d.commit(pebble.NoSync); err != nil {
		return err
	}
	p.draft = p.base.draft(d.root, d.log)
	return nil
}

// Finish compares what the chunks made with the app hash want, which the caller
// knows from a verified block, puts the store in its place and opens it. dir
// must be missing, or hold a store before its first block, closed. On any error
// nothing of the import is left. Errors: ErrSnapshot, ErrNotEmpty.
func (p *Importer) Finish(want [32]byte) (*Store, error) {
	if p.draft == nil {
		return nil, errors.New("state: import: ended")
	}
	if err := p.finish(want); err != nil {
		return nil, errors.Join(err, p.Abort())
	}
	return Open(p.dir, p.options)
}

func (p *Importer) finish(want [32]byte) error {
	got := Roots{p.draft.root, logRoot(p.draft.log), p.draft.log.End()}
	switch {
	case p.next != len(p.manifest.Chunks):
		return fmt.Errorf("%w: chunks are missing", ErrSnapshot)
	case got != p.manifest.Roots:
		return fmt.Errorf("%w: the chunks do not make what the manifest says", ErrSnapshot)
	case got.AppHash() != want:
		return fmt.Errorf("%w: of another app hash", ErrSnapshot)
	}
	vacant, err := isVacant(p.dir, p.options)
	if err != nil {
		return fmt.Errorf("state: import: %w", err)
	}
	if !vacant {
		return ErrNotEmpty
	}
	p.draft.set([]byte{spaceMeta}, encodeMeta(p.manifest.meta()))
	if err := p.draft.commit(pebble.NoSync); err != nil {
		return err
	}
	p.draft = nil
	if err := p.base.db.Flush(); err != nil {
		return fmt.Errorf("state: import: %w", err)
	}
	b := p.base
	p.base = nil
	if err := b.close(); err != nil {
		return fmt.Errorf("state: import: %w", err)
	}
	return p.move()
}

// move puts the finished store in its place. A crash leaves no store or the
// whole one there.
func (p *Importer) move() error {
	disk := p.options.FS
	if err := disk.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("state: import: %w", err)
	}
	if err := disk.Rename(p.temp, p.dir); err != nil {
		return fmt.Errorf("state: import: %w", err)
	}
	if err := syncDir(disk, disk.PathDir(p.dir)); err != nil {
		return fmt.Errorf("state: import: %w", err)
	}
	return nil
}

// Abort throws an unfinished import away. After Finish it does nothing.
func (p *Importer) Abort() error {
	if p.base == nil {
		return nil
	}
	var err error
	if p.draft != nil {
		err = p.draft.discard()
		p.draft = nil
	}
	err = errors.Join(err, p.base.close())
	p.base = nil
	return errors.Join(err, p.options.FS.RemoveAll(p.temp))
}

// isVacant reports whether nothing is lost with dir: it is missing, holds no
// files, or a store before its first block.
func isVacant(dir string, o Options) (bool, error) {
	names, err := o.FS.List(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	s, err := Open(dir, o)
	if err != nil {
		return false, err
	}
	fresh := s.Last() == emptyMeta()
	return fresh, s.Close()
}

func syncDir(disk vfs.FS, dir string) error {
	if dir == "" {
		dir = "."
	}
	d, err := disk.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
