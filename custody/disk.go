package custody

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/vfs"

	"salus/internal/durable"
)

// A disk holds the custodian's files: those of the operating system, or of a simulated disk
// that can crash, whose files are of the interface file.
type disk struct{ fs vfs.FS } // nil: the operating system

// A file is what the roots and the receipts need of one.
type file interface {
	io.ReadWriteSeeker
	io.ReaderAt
	io.WriterAt
	io.Closer
	Stat() (os.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

// open is os.OpenFile for the flags that this package uses.
func (d disk) open(name string, flag int) (file, error) {
	if d.fs == nil {
		f, err := os.OpenFile(name, flag, 0o600)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	open := func(name string) (vfs.File, error) { return d.fs.OpenReadWrite(name) }
	if flag&os.O_TRUNC != 0 {
		open = d.fs.Create
	} else if flag&os.O_CREATE == 0 && !d.exists(name) {
		return nil, fs.ErrNotExist
	}
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	whole, ok := f.(file)
	if !ok {
		return nil, errors.Join(errors.New("custody: the simulated disk's files cannot be cut"), f.Close())
	}
	return whole, nil
}

func (d disk) exists(name string) bool {
	var err error
	if d.fs == nil {
		_, err = os.Stat(name)
	} else {
		_, err = d.fs.Stat(name)
	}
	return !errors.Is(err, fs.ErrNotExist)
}

func (d disk) read(name string) ([]byte, error) {
	f, err := d.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

func (d disk) rename(from, to string) error {
	if d.fs == nil {
		return os.Rename(from, to)
	}
	return d.fs.Rename(from, to)
}

func (d disk) remove(name string) error {
	if d.fs == nil {
		return os.Remove(name)
	}
	return d.fs.Remove(name)
}

func (d disk) syncDir(name string) error {
	if d.fs == nil {
		return durable.SyncDir(name)
	}
	f, err := d.fs.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
