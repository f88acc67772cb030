package custody

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"

	"salus/ledger/tx"
)

func openLog(t testing.TB, path string) *wal {
	t.Helper()
	w, err := openWAL(disk{}, path, 1)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func receipt(n uint64) *ReleaseReceipt {
	return &ReleaseReceipt{Session: digest("session"), Fetch: uint32(n), List: digest("list"), Height: n, Time: start}
}

// writeLog makes a log of n receipts in n frames and returns its bytes and where each ends.
func writeLog(t testing.TB, n int) (b []byte, ends []int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "receipts.wal")
	w := openLog(t, path)
	for i := range n {
		if err := w.append(receipt(uint64(i))); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, len(b))
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b, ends
}

// reopenLog opens a log of these bytes.
func reopenLog(t testing.TB, b []byte) (*wal, string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "receipts.wal")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := openWAL(disk{}, path, 1)
	return w, path, err
}

func TestATornTailIsCutAndNothingBefore(t *testing.T) {
	b, ends := writeLog(t, 4)
	for cut := range len(b) + 1 {
		w, path, err := reopenLog(t, b[:cut])
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		want, size := uint64(0), int64(0)
		for _, e := range ends {
			if e <= cut {
				want, size = want+1, int64(e)
			}
		}
		if info, err := os.Stat(path); err != nil || info.Size() != size {
			t.Fatalf("cut at %d: %d bytes are left, want %d", cut, info.Size(), size)
		}
		if got := w.last(); got != want {
			t.Fatalf("cut at %d: got %d receipts, want %d", cut, got, want)
		}
		if err := w.append(receipt(99)); err != nil {
			t.Fatal(err)
		}
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
		if w := openLog(t, path); w.last() != want+1 {
			t.Fatalf("cut at %d: got %d receipts after another, want %d", cut, w.last(), want+1)
		} else if err := w.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestATornTailOfZerosOrNoiseIsCut(t *testing.T) {
	b, ends := writeLog(t, 2)
	for name, tail := range map[string][]byte{
		"zeros":      make([]byte, 300),
		"noise":      bytes.Repeat([]byte{0xa5, 0x17, 0x03}, 100),
		"half":       b[ends[0] : ends[0]+40],
		"wrong half": append(bytes.Clone(b[ends[0]:ends[0]+40]), make([]byte, ends[1]-ends[0]-40)...),
	} {
		w, _, err := reopenLog(t, append(bytes.Clone(b), tail...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if w.last() != 2 {
			t.Errorf("%s: got %d receipts, want 2", name, w.last())
		}
		w.close()
	}
}

// A flipped bit before the last frame is no torn tail: nothing may be cut.
func TestDamageBeforeTheTailIsFound(t *testing.T) {
	b, ends := writeLog(t, 3)
	for i := range ends[1] {
		for _, bit := range []byte{1, 0x80} {
			c := bytes.Clone(b)
			c[i] ^= bit
			w, path, err := reopenLog(t, c)
			if err == nil {
				w.close()
				t.Fatalf("byte %d: the damage was not found", i)
			}
			if !errors.Is(err, errWAL) {
				t.Fatalf("byte %d: got %v, want %v", i, err, errWAL)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, c) {
				t.Fatalf("byte %d: the damaged log was changed", i)
			}
		}
	}
}

func TestFramesOutOfOrderAreDamage(t *testing.T) {
	b, ends := writeLog(t, 3)
	first, second, third := b[:ends[0]], b[ends[0]:ends[1]], b[ends[1]:]
	for name, c := range map[string][]byte{
		"missing first":  slices.Concat(second, third),
		"missing middle": slices.Concat(first, third),
		"repeated":       slices.Concat(first, second, second),
		"swapped":        slices.Concat(first, third, second),
	} {
		if _, _, err := reopenLog(t, c); !errors.Is(err, errWAL) {
			t.Errorf("%s: got %v, want %v", name, err, errWAL)
		}
	}
}

func TestConcurrentReceiptsAreChainedWithoutGaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "receipts.wal")
	w := openLog(t, path)
	const n = 200
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[uint64]bool{}
	for i := range n {
		wg.Go(func() {
			r := receipt(uint64(i))
			if err := w.append(r); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if seen[r.Sequence] || w.last() < r.Sequence {
				t.Errorf("sequence %d was given out twice or is not durable", r.Sequence)
			}
			seen[r.Sequence] = true
		})
	}
	wg.Wait()
	root, count := w.report(1)
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	w = openLog(t, path) // follows the chain
	defer w.close()
	if again, c := w.report(1); w.last() != n || again != root || c != count || c != n {
		t.Errorf("got %d receipts with root %x of %d, want %d, %x of %d", w.last(), again, c, n, root, count)
	}
}

func TestReportsCoverWhatTheLedgerWasNotTold(t *testing.T) {
	w := openLog(t, filepath.Join(t.TempDir(), "receipts.wal"))
	defer w.close()
	if _, count := w.report(1); count != 0 {
		t.Errorf("an empty log reports %d", count)
	}
	var leaves [][]byte
	for i := range 3 {
		r := receipt(uint64(i))
		if err := w.append(r); err != nil {
			t.Fatal(err)
		}
		h := r.Hash()
		leaves = append(leaves, rfc6962.DefaultHasher.HashLeaf(h[:]))
	}
	hash := rfc6962.DefaultHasher.HashChildren
	if root, count := w.report(1); count != 3 || !bytes.Equal(root[:], hash(hash(leaves[0], leaves[1]), leaves[2])) {
		t.Errorf("got %d receipts under %x", count, root)
	}
	if root, count := w.report(2); count != 2 || !bytes.Equal(root[:], hash(leaves[1], leaves[2])) {
		t.Errorf("from 2: got %d receipts under %x", count, root)
	}
	if _, count := w.report(4); count != 0 {
		t.Errorf("from 4: got %d receipts", count)
	}
	if _, count := w.report(1); count != 0 {
		t.Error("what was forgotten was reported again")
	}
}

// After a failed write nothing is acknowledged, not even if a later write would succeed.
func TestAFailedWriteEndsTheLog(t *testing.T) {
	w := openLog(t, filepath.Join(t.TempDir(), "receipts.wal"))
	if err := w.append(receipt(1)); err != nil {
		t.Fatal(err)
	}
	w.file.Close()
	for range 2 {
		if err := w.append(receipt(2)); err == nil {
			t.Error("a receipt that was not written was acknowledged")
		}
	}
	if w.last() != 1 {
		t.Errorf("got %d durable receipts, want 1", w.last())
	}
}

// Decodes implies re-encodes, and what a log of any bytes replays is a prefix of them.
func FuzzReplay(f *testing.F) {
	b, ends := writeLog(f, 3)
	f.Add(b)
	f.Add(b[:ends[1]+5])
	f.Add(b[ends[0]:])
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		if group, size, ok := decodeFrame(b); ok {
			var ptrs []*ReleaseReceipt
			for i := range group {
				ptrs = append(ptrs, &group[i])
			}
			if !bytes.Equal(encodeFrame(ptrs), b[:size]) {
				t.Error("a frame has two encodings")
			}
		}
		mem := &wal{first: 1}
		end, err := replay(bytes.NewReader(b), mem.follow)
		if end > int64(len(b)) || err == nil && uint64(len(mem.hashes)) != mem.seq {
			t.Errorf("replayed %d receipts to %d of %d bytes", mem.seq, end, len(b))
		}
		// What is left after a cut replays to the same.
		again := &wal{first: 1}
		if _, aerr := replay(bytes.NewReader(b[:end]), again.follow); aerr != nil || err == nil && again.head != mem.head {
			t.Errorf("a replayed prefix does not replay: %v", aerr)
		}
	})
}

func TestReceiptsHaveOneEncoding(t *testing.T) {
	r := receipt(7)
	r.Sequence = 1
	if size := len(tx.MustEncode(r)); size > 200 {
		t.Errorf("a receipt has %d bytes; maxFrame counts on 200", size)
	}
}
