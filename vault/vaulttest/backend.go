package vaulttest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/vault"
)

// TestBackend checks the contract of vault.Backend. fresh returns an empty one.
func TestBackend(t *testing.T, fresh func(t *testing.T) vault.Backend) {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	create := func(t *testing.T, b vault.Backend, name, text string) vault.File {
		t.Helper()
		f, err := b.Create(name)
		must(t, err)
		t.Cleanup(func() { f.Close() })
		_, err = f.WriteAt([]byte(text), 0)
		must(t, err)
		must(t, f.Sync())
		return f
	}
	read := func(t *testing.T, f vault.File) string {
		t.Helper()
		n, err := f.Size()
		must(t, err)
		b, err := io.ReadAll(io.NewSectionReader(f, 0, n))
		must(t, err)
		return string(b)
	}
	t.Run("NamesAreListedSorted", func(t *testing.T) {
		b := fresh(t)
		create(t, b, "b", "1")
		create(t, b, "a", "2")
		got, err := b.List()
		must(t, err)
		if d := cmp.Diff([]string{"a", "b"}, got); d != "" {
			t.Error(d)
		}
	})
	t.Run("CreateRefusesTakenName", func(t *testing.T) {
		b := fresh(t)
		create(t, b, "a", "1")
		if _, err := b.Create("a"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("got %v, want fs.ErrExist", err)
		}
	})
	t.Run("OpenAndRemoveRefuseMissingName", func(t *testing.T) {
		b := fresh(t)
		if _, err := b.Open("a"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open: got %v, want fs.ErrNotExist", err)
		}
		if err := b.Remove("a"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("remove: got %v, want fs.ErrNotExist", err)
		}
		if err := b.Rename("a", "b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("rename: got %v, want fs.ErrNotExist", err)
		}
	})
	t.Run("ReadsStopAtTheEnd", func(t *testing.T) {
		f := create(t, fresh(t), "a", "hello")
		b := make([]byte, 4)
		if n, err := f.ReadAt(b, 3); n != 2 || !errors.Is(err, io.EOF) {
			t.Errorf("got %d, %v, want 2, EOF", n, err)
		}
		if n, err := f.ReadAt(b, 9); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("past the end: got %d, %v, want 0, EOF", n, err)
		}
		if n, err := f.ReadAt(b, 1); n != 4 || err != nil || !bytes.Equal(b, []byte("ello")) {
			t.Errorf("got %d, %v, %q", n, err, b)
		}
	})
	t.Run("WritesAndTruncationsShowInOtherHandles", func(t *testing.T) {
		b := fresh(t)
		f := create(t, b, "a", "hello")
		g, err := b.Open("a")
		must(t, err)
		defer g.Close()
		_, err = f.WriteAt([]byte("XY"), 4)
		must(t, err)
		if got := read(t, g); got != "hellXY" {
			t.Errorf("got %q, want hellXY", got)
		}
		must(t, g.Truncate(2))
		if got := read(t, f); got != "he" {
			t.Errorf("got %q, want he", got)
		}
		_, err = f.WriteAt([]byte("Z"), 3)
		must(t, err)
		if got := read(t, f); got != "he\x00Z" {
			t.Errorf("got %q: a hole is not zero", got)
		}
	})
	t.Run("RenameReplacesAndKeepsHandles", func(t *testing.T) {
		b := fresh(t)
		f := create(t, b, "a", "new")
		g := create(t, b, "b", "old")
		must(t, b.Rename("a", "b"))
		if got := read(t, f); got != "new" {
			t.Errorf("got %q, want new", got)
		}
		if got := read(t, g); got != "old" {
			t.Errorf("got %q, want old", got)
		}
		h, err := b.Open("b")
		must(t, err)
		defer h.Close()
		if got := read(t, h); got != "new" {
			t.Errorf("got %q, want new", got)
		}
		names, _ := b.List()
		if d := cmp.Diff([]string{"b"}, names); d != "" {
			t.Error(d)
		}
	})
	t.Run("RemovedFilesStayReadableWhileOpen", func(t *testing.T) {
		b := fresh(t)
		f := create(t, b, "a", "text")
		must(t, b.Remove("a"))
		if got := read(t, f); got != "text" {
			t.Errorf("got %q, want text", got)
		}
		create(t, b, "a", "other")
		if got := read(t, f); got != "text" {
			t.Errorf("got %q, want text", got)
		}
	})
	t.Run("FreeIsKnown", func(t *testing.T) {
		if n, err := fresh(t).Free(); err != nil || n <= 0 {
			t.Errorf("got %d, %v", n, err)
		}
	})
}
