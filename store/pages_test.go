package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"
	"pgregory.net/rapid"
)

// A plainFile is a file without locks and encryption, whose reads are counted.
type plainFile struct {
	vfs.File // nil: SQLite's locks are not asked for
	f        *os.File
	reads    int
}

func (f *plainFile) ReadAt(p []byte, off int64) (int, error) {
	f.reads++
	return f.f.ReadAt(p, off)
}
func (f *plainFile) WriteAt(p []byte, off int64) (int, error) { return f.f.WriteAt(p, off) }
func (f *plainFile) Truncate(size int64) error                { return f.f.Truncate(size) }
func (f *plainFile) Close() error                             { return f.f.Close() }

func handle(t rapid.TB, path string, wal bool) (*paged, *plainFile) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	p, done := shared(path, "", wal)
	plain := &plainFile{f: f}
	return &paged{File: plain, pages: p, done: done}, plain
}

// Whatever is written through one handle, in pieces of any size, is read through the other.
func TestPagesAreThoseOfTheFile(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		wal := rapid.Bool().Draw(t, "wal")
		path := filepath.Join(dir, "file")
		defer func() { _ = os.Remove(path) }()
		var hs [2]*paged
		for i := range hs {
			hs[i], _ = handle(t, path, wal)
			defer func() { _ = hs[i].Close() }()
		}
		var want []byte
		at := func(what string) int64 {
			n := rapid.Int64Range(0, 6).Draw(t, what+" page")
			p := hs[0].pages
			near := rapid.SampledFrom([]int64{0, 0, 0, -p.head, 24, 100, pageSize - 1, -1}).Draw(t, what+" from")
			return max(0, p.first+n*(p.head+pageSize)+p.head+near)
		}
		size := rapid.SampledFrom([]int{pageSize, pageSize, walFrame, 3 * walFrame, 2 * pageSize, 24, 16, 100, 1})
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			h := hs[rapid.IntRange(0, 1).Draw(t, "handle")]
			switch rapid.SampledFrom([]string{"read", "read", "write", "cut"}).Draw(t, "what") {
			case "read":
				off, b := at("read"), make([]byte, size.Draw(t, "size"))
				if off+int64(len(b)) > int64(len(want)) {
					continue
				}
				if _, err := h.ReadAt(b, off); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(b, want[off:off+int64(len(b))]) {
					t.Fatalf("%d bytes at %d are others than were written", len(b), off)
				}
			case "write":
				off, b := at("write"), bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, size.Draw(t, "size"))
				if off > int64(len(want)) {
					continue
				}
				if _, err := h.WriteAt(b, off); err != nil {
					t.Fatal(err)
				}
				want = append(want[:off], append(b, want[min(len(want), int(off)+len(b)):]...)...)
			case "cut":
				to := at("cut")
				if to > int64(len(want)) {
					continue
				}
				if err := h.Truncate(to); err != nil {
					t.Fatal(err)
				}
				want = want[:to]
			}
		}
	})
}

// A page is read from the file once for all handles, and again when more pages were asked for than are kept.
func TestPagesAreReadOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	a, plain := handle(t, path, false)
	b, other := handle(t, path, false)
	all := make([]byte, (maxPages+10)*pageSize)
	_, _ = rand.Read(all)
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, pageSize)
	read := func(h *paged, n int64) {
		t.Helper()
		if _, err := h.ReadAt(got, n*pageSize); err != nil || !bytes.Equal(got, all[n*pageSize:(n+1)*pageSize]) {
			t.Fatalf("page %d: %v", n, err)
		}
	}
	for range 3 {
		read(a, 0)
		read(b, 0)
	}
	if plain.reads != 1 || other.reads != 0 {
		t.Errorf("got %d and %d reads of the file, want 1 and none", plain.reads, other.reads)
	}
	for n := range int64(maxPages + 10) {
		read(a, n)
	}
	if n := len(a.pages.slots); n != maxPages {
		t.Errorf("got %d slots, want %d", n, maxPages)
	}
	if n := len(a.pages.at); n > maxPages {
		t.Errorf("got %d pages, want %d at most", n, maxPages)
	}
	for _, h := range []*paged{a, b} {
		if !slices.Contains(slices.Collect(maps.Values(caches.by)), a.pages) {
			t.Error("pages of an open file are not kept")
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Contains(slices.Collect(maps.Values(caches.by)), a.pages) {
		t.Error("pages of a closed file are kept")
	}
}

// What was read while something was written is not kept: it may be of before.
func TestPagesReadDuringAWriteAreNotKept(t *testing.T) {
	p := &pageCache{at: map[int64]int{}}
	old, now := make([]byte, pageSize), bytes.Repeat([]byte{1}, pageSize)
	for _, during := range []func(read func()){
		func(read func()) { read(); p.begin(now, 0); p.end(now, 0, true) },
		func(read func()) { p.begin(now, 0); read(); p.end(now, 0, true) },
		func(read func()) { p.begin(now, 0); read(); p.end(now, 0, false) },
	} {
		p.clear()
		var writes uint64
		during(func() { _, writes = p.take(make([]byte, pageSize), 0, 0) })
		p.keep(old, 0, writes)
		got := bytes.Clone(now)
		if ok, _ := p.take(got, 0, 0); ok && !bytes.Equal(got, now) {
			t.Error("a page of before the write is kept")
		}
	}
}

// Another key opens nothing, also while the file is open and its pages are at hand.
func TestPagesAreOfOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := OpenSQLite(t.Context(), path, [32]byte{1}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := tryPut(s, observation(1)); err != nil {
		t.Fatal(err)
	}
	if other, err := OpenSQLite(t.Context(), path, [32]byte{2}, Options{}); err == nil {
		_ = other.Close()
		t.Error("opened with another key")
	}
}

// Readers beside writes and checkpoints see each resource as it was last written, or newer.
func TestPagesUnderLoad(t *testing.T) {
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "store.db"), [32]byte{1}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	p := observation(1)
	if _, err := tryPut(s, p); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for last := int64(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				v, err := s.Read(t.Context(), p.Key)
				if err != nil || v.VID < last {
					t.Errorf("got version %d after %d: %v", v.VID, last, err)
					return
				}
				last = v.VID
			}
		})
	}
	p.Expect = Any
	for i := range 300 {
		v, err := tryPut(s, p)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(t.Context(), p.Key); err != nil || got.VID != v.VID {
			t.Fatalf("got version %d, want %d: %v", got.VID, v.VID, err)
		}
		if i%50 == 49 {
			if err := checkpoint(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	readers.Wait()
}

// checkpoint brings the write-ahead log into the database, as SQLite does when it is long.
func checkpoint(ctx context.Context, s *Store) error {
	_, err := s.db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	return err
}
