package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/cockroachdb/pebble/vfs"
)

// Disk is the Backend of plain files in one folder.
type Disk struct{ dir string }

// NewDisk makes the folder if need be.
func NewDisk(dir string) (*Disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &Disk{dir}, nil
}

func (d *Disk) List() ([]string, error) {
	es, err := os.ReadDir(d.dir)
	var names []string
	for _, e := range es {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

func (d *Disk) Create(name string) (File, error) {
	f, err := os.OpenFile(filepath.Join(d.dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, diskError(err)
	}
	if err := d.sync(); err != nil {
		f.Close()
		return nil, diskError(err)
	}
	return diskFile{f}, nil
}

func (d *Disk) Open(name string) (File, error) {
	f, err := os.OpenFile(filepath.Join(d.dir, name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (d *Disk) Rename(old, new string) error {
	if err := os.Rename(filepath.Join(d.dir, old), filepath.Join(d.dir, new)); err != nil {
		return diskError(err)
	}
	return d.sync()
}

func (d *Disk) Remove(name string) error {
	if err := os.Remove(filepath.Join(d.dir, name)); err != nil {
		return err
	}
	return d.sync()
}

func (d *Disk) Free() (int64, error) {
	u, err := vfs.Default.GetDiskUsage(d.dir)
	return int64(min(u.AvailBytes, 1<<62)), err
}

// sync makes the folder's names durable.
func (d *Disk) sync() error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

type diskFile struct{ *os.File }

func (f diskFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(b, off)
	return n, diskError(err)
}

func (f diskFile) Sync() error { return diskError(f.File.Sync()) }

func (f diskFile) Size() (int64, error) {
	i, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return i.Size(), nil
}

func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
