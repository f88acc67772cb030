package smart

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble"

	"salus/seal"
)

// ErrKey is the error of a file that is damaged or was written under another key.
var ErrKey = errors.New("smart: a row is damaged or sealed under another key")

// Disk is a Keeper in a folder: Pebble, every row sealed with AES-256-GCM, its key as
// associated data, so that rows can be neither read, changed nor swapped.
type Disk struct {
	db   *pebble.DB
	aead cipher.AEAD
	mu   sync.Mutex // one change at a time
}

// OpenDisk opens the folder, and makes it if there is none. key is the node's store
// key; what seals the rows is derived from it. Errors: ErrKey.
func OpenDisk(dir string, key [32]byte) (*Disk, error) {
	enc := seal.Sum("smart-enc", key[:])
	block, err := aes.NewCipher(enc[:])
	if err != nil {
		return nil, fmt.Errorf("smart: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("smart: %w", err)
	}
	c := pebble.NewCache(8 << 20)
	defer c.Unref()
	db, err := pebble.Open(dir, &pebble.Options{Cache: c, Logger: quiet{}})
	if err != nil {
		return nil, fmt.Errorf("smart: open: %w", err)
	}
	d := &Disk{db: db, aead: aead}
	if err := d.check(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return d, nil
}

// check reads a row that only the right key opens: the folder must not be written
// under two.
func (d *Disk) check() error {
	const name = "check"
	_, err := d.Load(name)
	if errors.Is(err, ErrNoRow) {
		return d.Change(func(r Rows) error { return r.Put(name, []byte("{}")) })
	}
	return err
}

// Close closes the folder.
func (d *Disk) Close() error { return d.db.Close() }

// Load implements Keeper.
func (d *Disk) Load(key string) ([]byte, error) { return d.load(d.db, key) }

// Each implements Keeper.
func (d *Disk) Each(prefix string, f func(string, []byte) error) error {
	return d.each(d.db, prefix, f)
}

// Change implements Keeper.
func (d *Disk) Change(f func(Rows) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.db.NewIndexedBatch()
	defer b.Close()
	if err := f(&diskRows{d, b}); err != nil || b.Empty() {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("smart: write: %w", err)
	}
	return nil
}

func (d *Disk) load(from pebble.Reader, key string) ([]byte, error) {
	sealed, closer, err := from.Get([]byte(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrNoRow
	}
	if err != nil {
		return nil, fmt.Errorf("smart: read: %w", err)
	}
	defer closer.Close()
	return d.open(key, sealed)
}

func (d *Disk) open(key string, sealed []byte) ([]byte, error) {
	plain, err := d.aead.Open(nil, nil, sealed, []byte(key))
	if err != nil {
		return nil, ErrKey
	}
	return plain, nil
}

func (d *Disk) each(from pebble.Reader, prefix string, f func(string, []byte) error) error {
	bounds := pebble.IterOptions{LowerBound: []byte(prefix)}
	if prefix != "" {
		bounds.UpperBound = []byte(prefix) // of ASCII: the last byte has a next one
		bounds.UpperBound[len(prefix)-1]++
	}
	it, err := from.NewIter(&bounds)
	if err != nil {
		return fmt.Errorf("smart: read: %w", err)
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		key := string(it.Key())
		plain, err := d.open(key, it.Value())
		if err != nil {
			return err
		}
		if err := f(key, plain); err != nil {
			return err
		}
	}
	return it.Error()
}

type diskRows struct {
	d *Disk
	b *pebble.Batch
}

func (r *diskRows) Load(key string) ([]byte, error) { return r.d.load(r.b, key) }

func (r *diskRows) Each(prefix string, f func(string, []byte) error) error {
	return r.d.each(r.b, prefix, f)
}

func (r *diskRows) Put(key string, value []byte) error {
	return r.b.Set([]byte(key), r.d.aead.Seal(nil, nil, value, []byte(key)), nil) //nolint:gosec // it draws its nonce itself
}

func (r *diskRows) Drop(key string) error { return r.b.Delete([]byte(key), nil) }

// quiet drops Pebble's event lines.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf("smart: "+format, a...)) }
