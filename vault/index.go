package vault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/bloom"
	"github.com/cockroachdb/pebble/vfs"
)

// The index says what is where. All of it follows from the segments, so it has no log of its own and is never fsynced for
// a put: after a crash it is an earlier state of itself, and Open reads the rest from the segments. Keys, big-endian:
//
//	m                        counts
//	s num                    gen, end, salt: the segment is indexed up to end
//	o num off                kind, size, id of the live frame there
//	p id                     num, off, size, kind, blobs: a pack's live frame
//	b addr num off           off in the frame, size: a blob in the frame at off
//	d addr                   dropped
//	x id                     damage: the pack waits for Repair
//	w num                    the segment still holds bytes of dropped blobs
type index struct {
	db     *pebble.DB
	cache  *pebble.Cache
	failed chan struct{}          // a flush or compaction failed; capacity 1
	n      counts                 // owner: the writer's turn
	shown  atomic.Pointer[counts] // a copy of n for everybody
}

var errIndex = errors.New("vault: index damaged")

type damage byte

const (
	damageSuspect damage = 1 // torn by a crash; probably never acknowledged
	damageCorrupt damage = 2 // bytes are wrong
	damageLost    damage = 3 // bytes are gone
)

type counts struct {
	Packs, Blobs, PackBytes, Live, Damaged, Dropped int64
}

// place is a pack's live frame.
type place struct {
	num, off, size uint32
	kind           byte // frameReduced as soon as one of its blobs is dropped, before the segment is rewritten
	blobs          uint32
}

type segment struct {
	gen  uint32
	end  int64 // indexed and acknowledged up to here
	salt salt
	size int64 // of the file; not stored
}

func openIndex(fs vfs.FS, dir string, cache int64, log *slog.Logger) (*index, error) {
	ix := &index{failed: make(chan struct{}, 1), cache: pebble.NewCache(cache)}
	o := &pebble.Options{
		FS: fs, Cache: ix.cache, DisableWAL: true, MemTableSize: 8 << 20, MaxOpenFiles: 256,
		FormatMajorVersion: pebble.FormatNewest, Logger: indexLog{log},
		EventListener: &pebble.EventListener{BackgroundError: func(error) {
			select {
			case ix.failed <- struct{}{}:
			default:
			}
		}},
	}
	for range 7 {
		o.Levels = append(o.Levels, pebble.LevelOptions{FilterPolicy: bloom.FilterPolicy(10)})
	}
	db, err := openPebble(dir, o)
	if err != nil {
		ix.cache.Unref()
		return nil, fmt.Errorf("%w: %w", errIndex, err)
	}
	ix.db = db
	v, ok, err := ix.get([]byte{'m'})
	if err == nil && ok && len(v) != 48 {
		err = fmt.Errorf("%w: counts row", errIndex)
	}
	if err != nil {
		ix.close()
		return nil, err
	}
	if ok {
		for i, p := range ix.n.fields() {
			*p = int64(binary.BigEndian.Uint64(v[i*8:]))
		}
	}
	n := ix.n
	ix.shown.Store(&n)
	return ix, nil
}

// openPebble turns a panic into an error: Pebble's Open panics on some damaged manifests.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("vault: index: %v", r)
		}
	}()
	return pebble.Open(dir, o)
}

// close gives the file handles back. What was not flushed is forgotten, as in a crash.
func (ix *index) close() error {
	err := ix.db.Close()
	ix.cache.Unref()
	return err
}

// flush makes the index durable, so that the next Open has less to read. On a full disk it gives up.
func (ix *index) flush() error {
	select {
	case <-ix.failed:
	default:
	}
	done, err := ix.db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ix.failed:
		return fmt.Errorf("%w: flush failed", errIndex)
	}
}

func (n *counts) fields() [6]*int64 {
	return [6]*int64{&n.Packs, &n.Blobs, &n.PackBytes, &n.Live, &n.Damaged, &n.Dropped}
}

func (ix *index) get(key []byte) ([]byte, bool, error) { return indexGet(ix.db, key) }

func indexGet(r pebble.Reader, key []byte) ([]byte, bool, error) {
	v, c, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", errIndex, err)
	}
	v = append([]byte(nil), v...)
	c.Close()
	return v, true, nil
}

// scan calls fn for each row under prefix, in key order; key comes without the prefix. Both are only valid in the call.
func indexScan(r pebble.Reader, prefix []byte, fn func(key, value []byte) error) error {
	upper := append([]byte(nil), prefix...)
	for upper[len(upper)-1] == 0xff { // every prefix begins with a letter, so this ends
		upper = upper[:len(upper)-1]
	}
	upper[len(upper)-1]++
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("%w: %w", errIndex, err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := fn(it.Key()[len(prefix):], it.Value()); err != nil {
			it.Close()
			return err
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("%w: %w", errIndex, err)
	}
	return nil
}

func key(letter byte, parts ...[]byte) []byte {
	k := append(make([]byte, 0, 48), letter)
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

func u32(v ...uint32) []byte {
	b := make([]byte, 0, 24)
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return b
}

func (p place) encode() []byte { return append(u32(p.num, p.off, p.size, p.blobs), p.kind) }

func decodePlace(v []byte) (p place, err error) {
	if len(v) != 17 {
		return p, fmt.Errorf("%w: place row", errIndex)
	}
	be := binary.BigEndian
	return place{be.Uint32(v), be.Uint32(v[4:]), be.Uint32(v[8:]), v[16], be.Uint32(v[12:])}, nil
}

func indexPack(r pebble.Reader, id PackID) (p place, ok bool, err error) {
	v, ok, err := indexGet(r, key('p', id[:]))
	if ok {
		p, err = decodePlace(v)
	}
	return p, ok && err == nil, err
}

func indexDamage(r pebble.Reader, id PackID) (d damage, err error) {
	v, ok, err := indexGet(r, key('x', id[:]))
	if ok && len(v) == 1 {
		d = damage(v[0])
	}
	return d, err
}

func (ix *index) isDropped(a Address) (bool, error) {
	_, ok, err := ix.get(key('d', a[:]))
	return ok, err
}

// blobRow is one place of a blob.
type blobRow struct {
	num, frame, off, size uint32
}

func blobRows(r pebble.Reader, a Address) (rows []blobRow, err error) {
	err = indexScan(r, key('b', a[:]), func(k, v []byte) error {
		if len(k) != 8 || len(v) != 8 {
			return fmt.Errorf("%w: blob row", errIndex)
		}
		be := binary.BigEndian
		rows = append(rows, blobRow{be.Uint32(k), be.Uint32(k[4:]), be.Uint32(v), be.Uint32(v[4:])})
		return nil
	})
	return rows, err
}

// indexFrames lists the live frames of a segment in file order.
func indexFrames(r pebble.Reader, num uint32) (fs []frame, err error) {
	err = indexScan(r, key('o', u32(num)), func(k, v []byte) error {
		if len(k) != 4 || len(v) != 37 {
			return fmt.Errorf("%w: frame row", errIndex)
		}
		f := frame{off: int64(binary.BigEndian.Uint32(k)), kind: v[32], size: binary.BigEndian.Uint32(v[33:])}
		copy(f.id[:], v)
		fs = append(fs, f)
		return nil
	})
	return fs, err
}

// ids lists the packs under 'p' (live frames) or 'x' (damaged).
func (ix *index) ids(letter byte) (ids []PackID, values [][]byte, err error) {
	err = indexScan(ix.db, key(letter), func(k, v []byte) error {
		if len(k) != 32 {
			return fmt.Errorf("%w: id row", errIndex)
		}
		ids, values = append(ids, PackID(k)), append(values, append([]byte(nil), v...))
		return nil
	})
	return ids, values, err
}

func (ix *index) segments() (map[uint32]segment, error) {
	m := map[uint32]segment{}
	err := indexScan(ix.db, key('s'), func(k, v []byte) error {
		if len(k) != 4 || len(v) != 28 {
			return fmt.Errorf("%w: segment row", errIndex)
		}
		be := binary.BigEndian
		m[be.Uint32(k)] = segment{gen: be.Uint32(v), end: int64(be.Uint64(v[4:])), salt: salt(v[12:28])}
		return nil
	})
	return m, err
}

// rewrites lists the segments that still hold bytes of dropped blobs.
func (ix *index) rewrites() (nums []uint32, err error) {
	err = indexScan(ix.db, key('w'), func(k, _ []byte) error {
		nums = append(nums, binary.BigEndian.Uint32(k))
		return nil
	})
	return nums, err
}

// indexLog hands Pebble's messages to our log. Pebble calls Fatalf when it can no longer write its own manifest; it must
// not return, and a node that stops is safer than one that goes on: the segments hold everything.
type indexLog struct{ log *slog.Logger }

func (l indexLog) Infof(string, ...any) {}

func (l indexLog) Errorf(format string, args ...any) {
	l.log.Error("index", "error", fmt.Sprintf(format, args...))
}

func (l indexLog) Fatalf(format string, args ...any) {
	panic("vault: index: " + fmt.Sprintf(format, args...))
}
