package custody

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble"
)

// Everything that must one day be gone is wrapped under a root, directly or through its
// batch's key. The root lives in a file of its own and is replaced at every compaction:
// what was deleted before is then beyond reach on this disk and in its snapshots, because
// the root that wrapped it is gone (custody.md B.8). There must be no backup of this file:
// redundancy is t of n.
type roots struct {
	disk disk
	file string
	tag  [32]byte // keys the tags of pseudonyms; lasts as long as the store

	mu   sync.RWMutex // guards list
	list []root       // newest last; two only while a compaction runs
}

type root struct {
	generation uint32
	born       uint64 // unix seconds
	key        [32]byte
	box        cipher.AEAD // of key
}

// The file: magic ‖ tag key ‖ number of roots ‖ roots ‖ SHA-256 of all before.
const (
	rootsMagic = "SCR1"
	rootSize   = 4 + 8 + 32
)

func openRoots(d disk, file string, now uint64) (*roots, error) {
	r := &roots{disk: d, file: file}
	// A leftover of a replacement that did not happen.
	if err := d.shred(file + ".next"); err != nil {
		return nil, err
	}
	b, err := d.read(file)
	if errors.Is(err, fs.ErrNotExist) {
		_, _ = rand.Read(r.tag[:]) // crypto/rand never fails on supported systems
		r.list = []root{newRoot(1, now)}
		return r, r.save()
	}
	if err != nil {
		return nil, err
	}
	return r, r.decode(b)
}

func newRoot(generation uint32, now uint64) root {
	w := root{generation: generation, born: now}
	_, _ = rand.Read(w.key[:])
	w.box = aead(w.key)
	return w
}

func (r *roots) encode() []byte {
	b := append([]byte(rootsMagic), r.tag[:]...)
	b = append(b, byte(len(r.list)))
	for _, w := range r.list {
		b = binary.BigEndian.AppendUint32(b, w.generation)
		b = binary.BigEndian.AppendUint64(b, w.born)
		b = append(b, w.key[:]...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

var errRoots = errors.New("custody: the file of roots is damaged: what it wrapped cannot be read any more")

func (r *roots) decode(b []byte) error {
	head := len(rootsMagic) + 32 + 1
	if len(b) < head+32 || string(b[:len(rootsMagic)]) != rootsMagic {
		return errRoots
	}
	n := int(b[head-1])
	if n < 1 || n > 2 || len(b) != head+n*rootSize+32 {
		return errRoots
	}
	body := b[:len(b)-32]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], b[len(body):]) {
		return errRoots
	}
	copy(r.tag[:], b[len(rootsMagic):])
	for b = body[head:]; len(b) > 0; b = b[rootSize:] {
		key := [32]byte(b[12:rootSize])
		r.list = append(r.list, root{binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[4:]), key, aead(key)})
	}
	return nil
}

// save replaces the file in one step and then overwrites the old one's bytes, for disks
// that write in place. A crash at any point leaves the old file or the new one.
func (r *roots) save() error {
	next := r.file + ".next"
	if err := r.disk.writeSync(next, r.encode()); err != nil {
		return err
	}
	old, err := r.disk.open(r.file, os.O_WRONLY)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := errors.Join(r.disk.rename(next, r.file), r.disk.syncDir(filepath.Dir(r.file))); err != nil {
		return err
	}
	if old == nil {
		return nil
	}
	return overwrite(old)
}

// overwrite zeroes an open file that no name leads to any more.
func overwrite(f file) error {
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(make([]byte, info.Size()), 0)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// shred removes a file, if it is there, and overwrites what it held.
func (d disk) shred(name string) error {
	f, err := d.open(name, os.O_WRONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.remove(name), overwrite(f))
}

func (d disk) writeSync(path string, b []byte) error {
	f, err := d.open(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
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

// wrap seals b under the newest root: generation (4) ‖ AES-256-GCM, bound to the row's key.
// The caller is inside rows.update.
func (r *roots) wrap(k, b []byte) []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	w := r.list[len(r.list)-1]
	return w.box.Seal(binary.BigEndian.AppendUint32(nil, w.generation), nil, b, k)
}

func (r *roots) unwrap(k, b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, errDamaged
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, w := range r.list {
		if w.generation == binary.BigEndian.Uint32(b) {
			plain, err := w.box.Open(nil, nil, b[4:], k)
			if err != nil {
				return nil, errDamaged
			}
			return plain, nil
		}
	}
	return nil, errDamaged
}

// born is when the newest root was drawn, unix seconds, and whether an older one is left
// over from a compaction that did not end.
func (r *roots) born() (at uint64, unfinished bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.list[len(r.list)-1].born, len(r.list) > 1
}

// tagOf names a pseudonym or header in row keys, so that a key tells nothing by itself.
func (r *roots) tagOf(what string, id []byte) []byte {
	m := hmac.New(sha256.New, r.tag[:])
	m.Write([]byte(what))
	m.Write(id)
	return m.Sum(nil)[:16]
}

// begin adds a fresh root, under which everything new is wrapped from now on.
func (r *roots) begin(now uint64) (root, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 1 {
		r.list = append(r.list, newRoot(r.list[0].generation+1, now))
		if err := r.save(); err != nil {
			r.list = r.list[:1]
			return root{}, errorf("roots", err)
		}
	}
	return r.list[1], nil
}

// end destroys all roots but the newest.
func (r *roots) end() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.list
	r.list = r.list[len(r.list)-1:]
	if err := r.save(); err != nil {
		r.list = was
		return errorf("roots", err)
	}
	return nil
}

// wrapped are the prefixes whose rows are under a root.
var wrapped = [...]byte{prefixKey, prefixPatient, prefixOpening, prefixSeed, prefixParked, prefixLookup, prefixPointer, prefixStaged, prefixDealing}

// rewrapChunk is how many rows a compaction wraps again while writers wait.
const rewrapChunk = 1024

// compact wraps everything again under a fresh root and destroys the old one. A crash in
// between leaves both roots, and the next compaction ends what this one began.
func (r *rows) compact(now uint64) error {
	r.compacting.Lock()
	defer r.compacting.Unlock()
	r.turn.Lock() // waits for whoever has wrapped and not committed
	fresh, err := r.roots.begin(now)
	r.turn.Unlock()
	if err != nil {
		return err
	}
	for _, prefix := range wrapped {
		for at := []byte{prefix}; at != nil; {
			if at, err = r.rewrap(at, fresh.generation); err != nil {
				return err
			}
		}
	}
	return r.roots.end()
}

// rewrap wraps one chunk of rows again, from the key at on, and returns where to go on;
// nil at the prefix's end. Nobody writes meanwhile: a row deleted or replaced between being
// read and written would come back.
func (r *rows) rewrap(at []byte, generation uint32) (next []byte, err error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	b := r.db.NewBatch()
	defer b.Close()
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: at, UpperBound: []byte{at[0] + 1}})
	if err != nil {
		return nil, errorf("rewrap", err)
	}
	n := 0
	for it.First(); it.Valid() && n < rewrapChunk; it.Next() {
		n++
		if v := it.Value(); len(v) < 4 || binary.BigEndian.Uint32(v) != generation {
			plain, uerr := r.roots.unwrap(it.Key(), v)
			if uerr == nil {
				uerr = b.Set(it.Key(), r.roots.wrap(it.Key(), plain), nil)
			}
			if uerr != nil {
				return nil, errors.Join(uerr, it.Close())
			}
		}
	}
	if it.Valid() {
		next = append([]byte(nil), it.Key()...)
	}
	if err := it.Close(); err != nil {
		return nil, errorf("rewrap", err)
	}
	if b.Empty() {
		return next, nil
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return nil, errorf("rewrap", err)
	}
	return next, nil
}
