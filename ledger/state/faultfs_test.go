package state_test

import (
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/vfs"
)

// fullFS takes no more writes once it is full.
type fullFS struct {
	vfs.FS
	full atomic.Bool
}

type fullFile struct {
	vfs.File
	fs *fullFS
}

func (f *fullFS) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &fullFile{file, f}, nil
}

func (f *fullFS) Create(n string) (vfs.File, error) {
	if f.full.Load() {
		return nil, syscall.ENOSPC
	}
	return f.wrap(f.FS.Create(n))
}

func (f *fullFS) ReuseForWrite(a, b string) (vfs.File, error) {
	return f.wrap(f.FS.ReuseForWrite(a, b))
}

func (f *fullFile) Write(p []byte) (int, error) {
	if f.fs.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

// cloneOf copies a directory, as a copy of the disk would.
func cloneOf(t testing.TB, from vfs.FS, dir, as string) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	if ok, err := vfs.Clone(from, to, dir, as); !ok || err != nil {
		t.Fatal(ok, err)
	}
	return to
}
