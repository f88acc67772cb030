package custody

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"sync"

	"salus/ledger/tx"
	"salus/seal"
)

// A ReleaseReceipt is written ahead of every release: what was released to which session,
// decided at which height. Receipts are gap-free and hash-chained; the chain's head goes to
// the ledger, so none can be dropped or added later without showing.
type ReleaseReceipt struct {
	Sequence uint64   `cbor:"1,keyasint"` // from 1
	Prev     [32]byte `cbor:"2,keyasint"`
	Session  tx.Hash  `cbor:"3,keyasint"`
	Fetch    uint32   `cbor:"4,keyasint"`
	List     [32]byte `cbor:"5,keyasint"` // root committed on the ledger
	Height   uint64   `cbor:"6,keyasint"` // of the replica at the decision
	Time     uint64   `cbor:"7,keyasint"` // block time at the decision
}

// Hash extends the chain.
func (r *ReleaseReceipt) Hash() [32]byte { return seal.Sum("release-receipt", tx.MustEncode(r)) }

// wal is the append-only file: length (4) ‖ CRC-32C (4) ‖ canonical CBOR. Concurrent
// appends share one fsync.
type wal struct {
	mu   sync.Mutex // guards everything below
	file *os.File
	w    *bufio.Writer
	seq  uint64 // of the last receipt
	head [32]byte
	// Group commit: appended counts written receipts, synced those on disk.
	appended, synced uint64
	syncing          bool
	done             *sync.Cond
	failed           error // after a failed fsync nothing may be acknowledged any more
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func openWAL(path string) (*wal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errorf("receipts", err)
	}
	w := &wal{file: f}
	w.done = sync.NewCond(&w.mu)
	end, err := w.replay(f)
	if err == nil {
		// A torn tail was never acknowledged: its reply had not left.
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(errorf("receipts", err), f.Close())
	}
	w.w = bufio.NewWriter(f)
	return w, nil
}

// errWAL means that the file was changed by somebody else than this custodian.
var errWAL = errors.New("custody: the release receipts are damaged")

func (w *wal) replay(f *os.File) (end int64, err error) {
	err = eachReceipt(f, func(r *ReleaseReceipt, size int64) error {
		if r.Sequence != w.seq+1 || r.Prev != w.head {
			return errWAL
		}
		w.seq, w.head = r.Sequence, r.Hash()
		end += size
		return nil
	})
	return end, err
}

// eachReceipt reads up to the first torn or damaged record.
func eachReceipt(f io.Reader, do func(*ReleaseReceipt, int64) error) error {
	in := bufio.NewReader(f)
	for {
		var h [8]byte
		if _, err := io.ReadFull(in, h[:]); err != nil {
			return nil
		}
		n := binary.BigEndian.Uint32(h[:])
		if n > 4096 {
			return nil
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(in, b); err != nil || crc32.Checksum(b, castagnoli) != binary.BigEndian.Uint32(h[4:]) {
			return nil
		}
		var r ReleaseReceipt
		if err := tx.Decode(b, &r); err != nil {
			return errWAL
		}
		if err := do(&r, int64(8+n)); err != nil {
			return err
		}
	}
}

// append writes the receipt, gives it its sequence, and returns after fsync.
func (w *wal) append(r *ReleaseReceipt) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return w.failed
	}
	r.Sequence, r.Prev = w.seq+1, w.head
	b := tx.MustEncode(r)
	var h [8]byte
	binary.BigEndian.PutUint32(h[:], uint32(len(b)))
	binary.BigEndian.PutUint32(h[4:], crc32.Checksum(b, castagnoli))
	if _, err := w.w.Write(append(h[:], b...)); err != nil {
		w.failed = errorf("receipts", err)
		return w.failed
	}
	w.seq, w.head = r.Sequence, r.Hash()
	w.appended++
	mine := w.appended
	for w.synced < mine && w.failed == nil {
		if w.syncing {
			w.done.Wait()
			continue
		}
		w.sync()
	}
	return w.failed
}

// sync flushes what is appended so far; the caller holds mu, which is free during the fsync.
func (w *wal) sync() {
	w.syncing = true
	upTo := w.appended
	err := w.w.Flush()
	w.mu.Unlock()
	if err == nil {
		err = w.file.Sync()
	}
	w.mu.Lock()
	w.syncing = false
	if err != nil {
		w.failed = errorf("receipts", err)
	} else {
		w.synced = upTo
	}
	w.done.Broadcast()
}

// next is the sequence of the last durable receipt; end also gives the chain's head there.
func (w *wal) next() uint64 { seq, _ := w.end(); return seq }

func (w *wal) end() (uint64, [32]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seq, w.head
}

func (w *wal) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.w.Flush(), w.file.Sync(), w.file.Close())
}
