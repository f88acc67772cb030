package custody

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble"

	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// Key prefixes of the custodian's Pebble database.
const (
	prefixParked  = 'q' // + header hash: exchange.Parcel waiting for its header
	prefixWanted  = 'w' // + header hash: log index; committed, not yet ingested
	prefixBatch   = 'b' // + header hash: batchRow, sealed under its own batch key
	prefixKey     = 'K' // + header hash: the batch key, wrapped under a root
	prefixPatient = 'c' // + pseudonym + log index: header hash
	prefixPack    = 'h' // + pack id: header hash
	prefixRelay   = 'y' // + header hash: all envelopes, until every custodian has its own
	prefixDue     = 'd' // + header hash: flags of receipts to send
	prefixOpening = 'o' // + session + fetch: the list, wrapped under a root
	prefixSeed    = 's' // + key epoch: custody key, wrapped under a root
	prefixMeta    = 'm' // cursor into the ledger's log
)

// batchRow is everything the custodian keeps of one batch.
type batchRow struct {
	Index      uint8             `cbor:"1,keyasint"` // this custodian's, 1-based
	LogIndex   uint64            `cbor:"2,keyasint"`
	Patient    tx.Account        `cbor:"3,keyasint"`
	Opening    [32]byte          `cbor:"4,keyasint"` // r_b: opens the header's patient commitment
	Shares     []threshold.Share `cbor:"5,keyasint"` // 0 is the blinding share
	Entries    []seal.Entry      `cbor:"6,keyasint"`
	ShareRoots [][32]byte        `cbor:"7,keyasint"`
	Pack       [32]byte          `cbor:"8,keyasint"`
}

// seedRow is one custody key of this member.
type seedRow struct {
	Epoch  uint64   `cbor:"1,keyasint"`
	Seed   [32]byte `cbor:"2,keyasint"`
	Public []byte   `cbor:"3,keyasint"`
	Until  uint64   `cbor:"4,keyasint"` // unix seconds
}

// rows is the store at rest. Shares are sealed under one key per batch, and these keys,
// the custody keys and the openings are wrapped under a root that lives in a file of its
// own and is replaced at every compaction: what was deleted before is then beyond reach
// on this disk and in its snapshots, because the root that wrapped it is gone (B.8).
type rows struct {
	db   *pebble.DB
	file string

	mu    sync.RWMutex // guards roots; held for writing while a compaction swaps them
	roots []root       // newest last; two only while a compaction runs
}

type root struct {
	Generation uint32
	Key        [32]byte
}

var (
	errAbsent  = errors.New("custody: not in the store")
	errDamaged = errors.New("custody: a row of the store is damaged")
)

func openRows(dir string) (*rows, error) {
	cache := pebble.NewCache(16 << 20)
	defer cache.Unref()
	db, err := pebble.Open(filepath.Join(dir, "rows"), &pebble.Options{Cache: cache, Logger: quiet{}})
	if err != nil {
		return nil, errorf("open store", err)
	}
	r := &rows{db: db, file: filepath.Join(dir, "roots")}
	err = r.loadRoots()
	if errors.Is(err, fs.ErrNotExist) {
		r.roots, err = []root{newRoot(1)}, nil
		err = r.saveRoots()
	}
	if err != nil {
		return nil, errors.Join(errorf("roots", err), db.Close())
	}
	return r, nil
}

// quiet drops Pebble's event lines.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf("custody: store: "+format, a...)) }

func (r *rows) close() error { return r.db.Close() }

func newRoot(generation uint32) root {
	w := root{Generation: generation}
	_, _ = rand.Read(w.Key[:]) // crypto/rand never fails on supported systems
	return w
}

func (r *rows) loadRoots() error {
	b, err := os.ReadFile(r.file)
	if err != nil {
		return err
	}
	if len(b) == 0 || len(b)%36 != 0 || len(b) > 72 {
		return errDamaged
	}
	for ; len(b) > 0; b = b[36:] {
		r.roots = append(r.roots, root{binary.BigEndian.Uint32(b), [32]byte(b[4:36])})
	}
	return nil
}

// saveRoots replaces the file; the old bytes are overwritten first, for disks that write in place.
func (r *rows) saveRoots() error {
	var b []byte
	for _, w := range r.roots {
		b = append(binary.BigEndian.AppendUint32(b, w.Generation), w.Key[:]...)
	}
	next := r.file + ".next"
	if err := writeSync(next, b); err != nil {
		return err
	}
	if old, err := os.OpenFile(r.file, os.O_WRONLY, 0); err == nil {
		_, werr := old.Write(make([]byte, 72))
		if err := errors.Join(werr, old.Sync(), old.Close()); err != nil {
			return err
		}
	}
	if err := os.Rename(next, r.file); err != nil {
		return err
	}
	return syncDir(filepath.Dir(r.file))
}

func writeSync(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func aead(key [32]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("custody: internal error: " + err.Error()) // the key is 32 bytes
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("custody: internal error: " + err.Error())
	}
	return a
}

// wrap seals b under the newest root: generation (4) ‖ AES-256-GCM, bound to its key.
func (r *rows) wrap(k, b []byte) []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	w := r.roots[len(r.roots)-1]
	return aead(w.Key).Seal(binary.BigEndian.AppendUint32(nil, w.Generation), nil, b, k)
}

func (r *rows) unwrap(k, b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, errDamaged
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, w := range r.roots {
		if w.Generation == binary.BigEndian.Uint32(b) {
			plain, err := aead(w.Key).Open(nil, nil, b[4:], k)
			if err != nil {
				return nil, errDamaged
			}
			return plain, nil
		}
	}
	return nil, errDamaged
}

func rowKey(prefix byte, parts ...[]byte) []byte {
	k := []byte{prefix}
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

func (r *rows) get(k []byte) ([]byte, error) {
	v, closer, err := r.db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, errorf("read store", err)
	}
	out := append([]byte{}, v...)
	return out, closer.Close()
}

func (r *rows) has(k []byte) bool {
	_, err := r.get(k)
	return err == nil
}

// scan calls f with every key under prefix, without it, and its value.
func (r *rows) scan(prefix []byte, f func(rest, value []byte) (more bool, err error)) error {
	upper := append([]byte(nil), prefix...)
	upper[len(upper)-1]++ // no prefix here ends in 0xff: they begin with a letter or end in a full id scanned by bound below
	if len(prefix) > 1 {
		upper = append(append([]byte(nil), prefix...), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	}
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: upper})
	if err != nil {
		return errorf("read store", err)
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		more, err := f(it.Key()[len(prefix):], it.Value())
		if err != nil || !more {
			return err
		}
	}
	return it.Error()
}

func (r *rows) count(prefix byte) (n uint64, err error) {
	err = r.scan([]byte{prefix}, func(_, _ []byte) (bool, error) { n++; return true, nil })
	return n, err
}

// putBatch adds a batch and its fresh key to b.
func (r *rows) putBatch(b *pebble.Batch, hh [32]byte, row *batchRow) error {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return errorf("random numbers", err)
	}
	plain, err := tx.Encode(row)
	if err != nil {
		return errorf("encode", err)
	}
	kk, kb := rowKey(prefixKey, hh[:]), rowKey(prefixBatch, hh[:])
	if err := b.Set(kk, r.wrap(kk, key[:]), nil); err != nil {
		return errorf("store", err)
	}
	return b.Set(kb, aead(key).Seal(nil, nil, plain, kb), nil)
}

// batch opens one batch.
func (r *rows) batch(hh [32]byte) (*batchRow, error) {
	kk, kb := rowKey(prefixKey, hh[:]), rowKey(prefixBatch, hh[:])
	wrapped, err := r.get(kk)
	if err != nil {
		return nil, err
	}
	key, err := r.unwrap(kk, wrapped)
	if err != nil || len(key) != 32 {
		return nil, errDamaged
	}
	sealed, err := r.get(kb)
	if err != nil {
		return nil, err
	}
	plain, err := aead([32]byte(key)).Open(nil, nil, sealed, kb)
	if err != nil {
		return nil, errDamaged
	}
	row := new(batchRow)
	if err := tx.DecodeAny(plain, row, len(plain)); err != nil {
		return nil, errDamaged
	}
	return row, nil
}

// compactRoots re-wraps every key under a fresh root and destroys the old one.
func (r *rows) compactRoots() error {
	r.mu.Lock()
	if len(r.roots) == 1 {
		r.roots = append(r.roots, newRoot(r.roots[0].Generation+1))
		if err := r.saveRoots(); err != nil {
			r.roots = r.roots[:1]
			r.mu.Unlock()
			return errorf("roots", err)
		}
	}
	fresh := r.roots[1]
	r.mu.Unlock()
	for _, prefix := range []byte{prefixKey, prefixOpening, prefixSeed} {
		if err := r.rewrap(prefix, fresh.Generation); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roots = []root{fresh}
	return r.saveRoots()
}

func (r *rows) rewrap(prefix byte, generation uint32) error {
	b := r.db.NewBatch()
	defer b.Close()
	err := r.scan([]byte{prefix}, func(rest, value []byte) (bool, error) {
		if len(value) >= 4 && binary.BigEndian.Uint32(value) == generation {
			return true, nil
		}
		k := rowKey(prefix, rest)
		plain, err := r.unwrap(k, value)
		if err != nil {
			return false, err
		}
		return true, b.Set(k, r.wrap(k, plain), nil)
	})
	if err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return errorf("rewrap", err)
	}
	return nil
}
