package custody

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble"
)

// Key prefixes of the custodian's Pebble database. spec/custody.md section 6 lists the
// layout of every key and value.
const (
	prefixParked   = 'q' // + header hash: exchange.Parcel that waits for its header, wrapped under a root
	prefixArrived  = 'p' // + header hash: author, arrival and size of that parcel
	prefixWanted   = 'w' // + header hash: log index; on the ledger, shares not here yet
	prefixRefused  = 'x' // + header hash: reason; the envelope on the ledger is bad for ever
	prefixBatch    = 'b' // + header hash: shares and slots, sealed under the batch key
	prefixManifest = 'e' // + header hash: manifest and share roots, sealed under the batch key
	prefixRelay    = 'y' // + header hash: the whole parcel, sealed under the batch key
	prefixOwed     = 'r' // + header hash: nothing; the relay is there because a custodian may miss it
	prefixKey      = 'K' // + header hash: the batch key, wrapped under a root
	prefixPatient  = 'c' // + tag of the pseudonym + tag of the header: patientRow, wrapped under a root
	prefixPack     = 'h' // + pack id + header hash: nothing; the ledger does not show that we hold the pack
	prefixDue      = 'd' // + header hash: what is to be told to the ledger
	prefixOpening  = 'o' // + session + fetch: the opened list, wrapped under a root
	prefixSeed     = 's' // + key epoch + hash: custody key, wrapped under a root
	prefixCommit   = 'D' // + header hash: commitRow; commitments of the batch in the epoch that holds it
	prefixStaged   = 'n' // + header hash: stagedRow; shares of the epoch to be, wrapped under a root
	prefixDealing  = 'g' // + name of a pass: what its dealing is drawn from, wrapped under a root
	prefixDealt    = 'l' // + name of a pass + header hash: leaf of the dealing
	prefixPublic   = 'u' // + name of a pass + header hash: publicRow, of a batch that was erased after the pass began
	prefixMeta     = 'm' // + 'c': cursor into the ledger's log
	prefixErasure  = 't' // + case: how far a tombstone is carried out here
	prefixErased   = 'z' // + header hash: nothing; the batch was here, or never came, and is erased
	prefixLookup   = 'L' // + kind + ceremony: shares of the lookup key and what deals them, wrapped under a root
	prefixPointer  = 'P' // + address + entry of an enrolment: a sealed pointer, wrapped under a root
	prefixEnrolled = 'E' // + entry of an enrolment: its address
	prefixGuess    = 'G' // + entry of a lookup: the address that was asked for under it
	prefixBlob     = 'v' // + address: record id; the own vault must not have this blob, nor this member a readable copy
)

var (
	errAbsent  = errors.New("custody: not in the store")
	errDamaged = errors.New("custody: a row of the store is damaged")
)

// rows is the store at rest: one Pebble database and, in a file of its own, the roots.
type rows struct {
	db    *pebble.DB
	roots *roots

	// turn is held for reading from the wrapping of a row to its commit, and for writing
	// while a compaction adds a root or wraps rows again. So no row is ever committed
	// under a root that is gone, and nothing deleted comes back.
	turn sync.RWMutex
	// compacting lets one compaction run at a time.
	compacting sync.Mutex
}

func openRows(d disk, dir string, now uint64) (*rows, error) {
	cache := pebble.NewCache(16 << 20)
	defer cache.Unref()
	db, err := pebble.Open(filepath.Join(dir, "rows"), &pebble.Options{FS: d.fs, Cache: cache, Logger: quiet{}})
	if err != nil {
		return nil, errorf("open store", err)
	}
	s := &rows{db: db}
	file := filepath.Join(dir, "roots")
	if !d.exists(file) && s.holdsWrapped() {
		err = errRoots // fresh roots would turn a lost file into silent loss
	} else {
		s.roots, err = openRoots(d, file, now)
	}
	if err != nil {
		return nil, errors.Join(errorf("roots", err), db.Close())
	}
	return s, nil
}

// holdsWrapped reports whether any row needs a root to be read.
func (r *rows) holdsWrapped() bool {
	for _, prefix := range wrapped {
		if n, err := r.count(prefix); err != nil || n > 0 {
			return true
		}
	}
	return false
}

// quiet drops Pebble's event lines.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf("custody: store: "+format, a...)) }

func (r *rows) close() error { return r.db.Close() }

func rowKey(prefix byte, parts ...[]byte) []byte {
	k := []byte{prefix}
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

// update commits what f adds to the batch, all or nothing, and returns after fsync. f
// wraps what it wraps inside.
func (r *rows) update(f func(b *pebble.Batch) error) error { return r.commit(f, pebble.Sync) }

// updateLazy is update without fsync, for what a crash may undo: the next durable update
// makes it durable too.
func (r *rows) updateLazy(f func(b *pebble.Batch) error) error { return r.commit(f, pebble.NoSync) }

func (r *rows) commit(f func(b *pebble.Batch) error, o *pebble.WriteOptions) error {
	r.turn.RLock()
	defer r.turn.RUnlock()
	b := r.db.NewBatch()
	defer b.Close()
	if err := f(b); err != nil {
		return err
	}
	if b.Empty() {
		return nil
	}
	if err := b.Commit(o); err != nil {
		return errorf("store", err)
	}
	return nil
}

func (r *rows) set(k, v []byte) error {
	return r.update(func(b *pebble.Batch) error { return b.Set(k, v, nil) })
}

// setWrapped wraps v under the newest root and stores it.
func (r *rows) setWrapped(k, v []byte) error {
	return r.update(func(b *pebble.Batch) error { return b.Set(k, r.roots.wrap(k, v), nil) })
}

// drop deletes rows.
func (r *rows) drop(o func(func(*pebble.Batch) error) error, keys ...[]byte) error {
	return o(func(b *pebble.Batch) error {
		for _, k := range keys {
			if err := b.Delete(k, nil); err != nil {
				return errorf("store", err)
			}
		}
		return nil
	})
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

// unwrapped reads a row that is wrapped under a root.
func (r *rows) unwrapped(k []byte) ([]byte, error) {
	b, err := r.get(k)
	if err != nil {
		return nil, err
	}
	return r.unwrap(k, b)
}

// unwrap opens what was read of row k, perhaps a while ago: if a compaction has wrapped the
// row again since then and destroyed the root, the row is read again.
func (r *rows) unwrap(k, b []byte) ([]byte, error) {
	for {
		plain, err := r.roots.unwrap(k, b)
		if err == nil {
			return plain, nil
		}
		now, gerr := r.get(k)
		if gerr != nil {
			return nil, gerr
		}
		if bytes.Equal(now, b) {
			return nil, err
		}
		b = now
	}
}

func (r *rows) has(k []byte) bool {
	_, closer, err := r.db.Get(k)
	if err != nil {
		return false
	}
	_ = closer.Close() // releases a cached block; there is nothing to undo
	return true
}

// scan calls f with every key under prefix, without it, and its value; neither may be kept.
func (r *rows) scan(prefix []byte, f func(rest, value []byte) (more bool, err error)) error {
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: successor(prefix)})
	if err != nil {
		return errorf("read store", err)
	}
	for it.First(); it.Valid(); it.Next() {
		more, err := f(it.Key()[len(prefix):], it.Value())
		if err != nil || !more {
			return errors.Join(err, it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return errorf("read store", err)
	}
	return nil
}

// successor is the first key after all that begin with prefix; nil if there is none.
func successor(prefix []byte) []byte {
	next := append([]byte(nil), prefix...)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return nil
}

func (r *rows) count(prefix byte) (n uint64, err error) {
	err = r.scan([]byte{prefix}, func(_, _ []byte) (bool, error) { n++; return true, nil })
	return n, err
}
