package custody

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"salus/ledger/module/access"
	"salus/ledger/tx"
	"salus/seal"
)

// A ReleaseReceipt is written ahead of every release: what was released to which session,
// decided at which height. Receipts are gap-free and hash-chained, and Merkle roots over
// them go to the ledger, so none can be dropped or added later without showing.
type ReleaseReceipt struct {
	Sequence uint64   `cbor:"1,keyasint"` // from 1
	Prev     [32]byte `cbor:"2,keyasint"` // hash of the receipt before; zero for the first
	Session  tx.Hash  `cbor:"3,keyasint"`
	Fetch    uint32   `cbor:"4,keyasint"`
	List     [32]byte `cbor:"5,keyasint"` // root committed on the ledger
	Height   uint64   `cbor:"6,keyasint"` // of the replica at the decision
	Time     uint64   `cbor:"7,keyasint"` // block time at the decision
}

// Hash extends the chain and is the receipt's leaf in the root on the ledger.
func (r *ReleaseReceipt) Hash() [32]byte { return seal.Sum("release-receipt", tx.MustEncode(r)) }

// wal is the append-only file of release receipts, in frames: length (4) ‖ CRC-32C (4) ‖
// canonical CBOR array of receipts. Receipts that come at the same time share a frame and
// its fsync; a frame is written only when the one before is on disk. So a crash tears at
// most the last frame, and a bad frame with a good one behind it is damage.
type wal struct {
	mu   sync.Mutex // guards everything below
	done *sync.Cond
	file file

	seq  uint64 // of the last receipt given out
	head [32]byte

	pending []*ReleaseReceipt // given out, not on disk
	syncing bool
	failed  error // after a failed write nothing may be acknowledged any more

	durable uint64 // sequence of the last receipt on disk
	// hashes are those of the durable receipts from sequence first on: what the ledger has
	// not been told.
	hashes [][32]byte
	first  uint64
}

const (
	maxGroup = 1024    // receipts of one frame
	maxFrame = 1 << 20 // bytes of one frame's payload; a receipt has fewer than 200
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	// errWAL means that the file was damaged, or changed by somebody else.
	errWAL = errors.New("custody: the release receipts are damaged")
)

// openWAL opens the receipts; from is the first sequence the ledger has not been told.
func openWAL(d disk, path string, from uint64) (*wal, error) {
	f, err := d.open(path, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return nil, errorf("receipts", err)
	}
	w := &wal{file: f, first: from}
	w.done = sync.NewCond(&w.mu)
	if err := errors.Join(d.syncDir(filepath.Dir(path)), w.recover()); err != nil {
		return nil, errors.Join(errorf("receipts", err), f.Close())
	}
	return w, nil
}

// recover replays the file and cuts a torn last frame off: it was never acknowledged, so no
// reply of it had left.
func (w *wal) recover() error {
	end, err := replay(w.file, w.follow)
	if err != nil {
		return err
	}
	w.durable = w.seq
	info, err := w.file.Stat()
	if err != nil {
		return err
	}
	if rest := info.Size() - end; rest > 8+maxFrame {
		return errWAL
	} else if rest > 0 {
		tail := make([]byte, rest)
		if _, err := w.file.ReadAt(tail, end); err != nil {
			return err
		}
		if holdsFrame(tail) {
			return errWAL
		}
		if err := errors.Join(w.file.Truncate(end), w.file.Sync()); err != nil {
			return err
		}
	}
	_, err = w.file.Seek(end, io.SeekStart)
	return err
}

// follow takes one receipt over that extends the chain.
func (w *wal) follow(r *ReleaseReceipt) error {
	begins := w.seq == 0 && r.Prev == [32]byte{} // a log may begin anew: resume
	if r.Sequence != w.seq+1 && !begins || r.Prev != w.head {
		return errWAL
	}
	w.seq, w.head = r.Sequence, r.Hash()
	if w.seq >= w.first {
		w.hashes = append(w.hashes, w.head)
	}
	return nil
}

// replay reads whole frames from the start and returns where they end.
func replay(f io.Reader, do func(*ReleaseReceipt) error) (end int64, err error) {
	in := bufio.NewReader(f)
	var frame bytes.Buffer
	for {
		frame.Reset()
		if _, err := io.CopyN(&frame, in, 8); err == nil {
			n := binary.BigEndian.Uint32(frame.Bytes())
			_, err = io.CopyN(&frame, in, int64(min(n, maxFrame)))
			if err != nil && !errors.Is(err, io.EOF) {
				return end, err
			}
		} else if !errors.Is(err, io.EOF) {
			return end, err
		}
		group, size, ok := decodeFrame(frame.Bytes())
		if !ok {
			return end, nil
		}
		for i := range group {
			if err := do(&group[i]); err != nil {
				return end, err
			}
		}
		end += int64(size)
	}
}

func encodeFrame(group []*ReleaseReceipt) []byte {
	payload := tx.MustEncode(group)
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(payload, castagnoli))
	return append(b, payload...)
}

// decodeFrame reads the frame at the beginning of b.
func decodeFrame(b []byte) (group []ReleaseReceipt, size int, ok bool) {
	if len(b) < 8 {
		return nil, 0, false
	}
	n := binary.BigEndian.Uint32(b)
	if n > maxFrame || int(n) > len(b)-8 || crc32.Checksum(b[8:8+n], castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return nil, 0, false
	}
	if tx.DecodeAny(b[8:8+n], &group, maxFrame) != nil || len(group) == 0 || len(group) > maxGroup {
		return nil, 0, false
	}
	return group, 8 + int(n), true
}

// holdsFrame looks for a whole frame anywhere in b.
func holdsFrame(b []byte) bool {
	for i := range b {
		if _, _, ok := decodeFrame(b[i:]); ok {
			return true
		}
	}
	return false
}

// append gives the receipt its sequence and returns after fsync. Whoever finds no write
// under way writes for all who wait.
func (w *wal) append(r *ReleaseReceipt) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return w.failed
	}
	r.Sequence, r.Prev = w.seq+1, w.head
	w.seq, w.head = r.Sequence, r.Hash()
	w.pending = append(w.pending, r)
	mine := r.Sequence
	for w.durable < mine && w.failed == nil {
		if w.syncing {
			w.done.Wait()
		} else {
			w.write()
		}
	}
	if w.durable >= mine {
		return nil
	}
	return w.failed
}

// write brings one group to disk; the caller holds mu, which is free meanwhile.
func (w *wal) write() {
	group := w.pending[:min(len(w.pending), maxGroup)]
	w.pending = w.pending[len(group):]
	w.syncing = true
	w.mu.Unlock()
	_, err := w.file.Write(encodeFrame(group))
	if err == nil {
		err = w.file.Sync()
	}
	w.mu.Lock()
	w.syncing = false
	if err != nil {
		w.failed = errorf("receipts", err)
	} else {
		for _, r := range group {
			if r.Sequence >= w.first {
				w.hashes = append(w.hashes, r.Hash())
			}
		}
		w.durable = group[len(group)-1].Sequence
	}
	w.done.Broadcast()
}

// resume lets an empty log begin behind the receipts that the ledger knows of.
func (w *wal) resume(next uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seq == 0 && len(w.pending) == 0 && next > 0 {
		w.seq, w.durable, w.first = next-1, next-1, next
	}
}

// last is the sequence of the last durable receipt.
func (w *wal) last() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.durable
}

// report returns what the ledger has not been told: the RFC 6962 root over the durable
// receipts from sequence from on, and their number; 0 if there are none. What came before
// is forgotten.
func (w *wal) report(from uint64) (root [32]byte, count uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if from > w.first {
		w.hashes = w.hashes[min(uint64(len(w.hashes)), from-w.first):]
		w.first = from
	}
	if from != w.first || len(w.hashes) == 0 {
		return root, 0
	}
	hashes := w.hashes[:min(len(w.hashes), access.MaxBatch)]
	r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for i := range hashes {
		_ = r.Append(rfc6962.DefaultHasher.HashLeaf(hashes[i][:]), nil) // appending cannot fail
	}
	b, err := r.GetRootHash(nil)
	if err != nil || len(b) != len(root) {
		return root, 0
	}
	return [32]byte(b), uint32(len(hashes))
}

func (w *wal) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.syncing {
		w.done.Wait()
	}
	w.failed = errors.Join(w.failed, os.ErrClosed)
	return w.file.Close()
}
