package store

import (
	"errors"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/adiantum"
)

// fileSystem is what SQLite's files are opened through: encrypted, and a write-ahead log is
// encrypted once for each commit.
const fileSystem = "salus"

func init() { vfs.Register(fileSystem, journals{adiantum.Wrap(vfs.Find(""), nil)}) }

// journals wraps a file system so that the write-ahead log gathers what one commit writes.
//
// SQLite writes a frame's header of 24 bytes and its page one after the other, and neither begins
// at a block of the encryption: each frame would read, decrypt, encrypt and write three blocks. In
// one piece every block is encrypted once and nothing is read.
type journals struct{ vfs.VFS }

func (j journals) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpenFilename(j.VFS, name, flags)
	if err != nil || flags&(vfs.OPEN_MAIN_DB|vfs.OPEN_WAL) == 0 {
		return f, flags, err
	}
	wal := flags&vfs.OPEN_WAL != 0
	p, done := shared(name.String(), name.URIParameter("hexkey"), wal)
	f = &paged{File: f, pages: p, done: done}
	if wal {
		f = &journal{File: f}
	}
	return f, flags, nil
}

// maxGathered is how much of a commit is held back at most.
const maxGathered = 1 << 20

// Format of a write-ahead log (SQLite, "WAL-mode file format"): a header, then frames, each of a
// header and a page.
const (
	pageSize  = 4096
	walHeader = 32
	walFrame  = 24 + pageSize
)

// A journal is a write-ahead log whose writes wait for the next sync, read, truncation or look at
// its size. Other connections read the same file by other handles, so this is right only where a
// commit is synced before anybody is told of its frames, as SQLite does with synchronous=FULL. It
// fills the last sector with copies of the last frame, syncs at the sector's end, and writes the
// rest of the last copy after that: what follows a sync within a frame is written at once.
// A write that fails does so at the sync, and the commit with it.
type journal struct {
	vfs.File
	held   []byte // what follows offset at
	at     int64
	synced bool // nothing was written since the last sync but the rest of a frame
}

func (j *journal) WriteAt(p []byte, off int64) (int, error) {
	if j.synced && off >= walHeader && (off-walHeader)%walFrame != 0 {
		return j.File.WriteAt(p, off)
	}
	j.synced = false
	if len(j.held) > 0 && off != j.at+int64(len(j.held)) || len(j.held)+len(p) > maxGathered {
		if err := j.flush(); err != nil {
			return 0, err
		}
	}
	if len(j.held) == 0 {
		j.at = off
	}
	if j.held == nil {
		j.held = make([]byte, 0, maxGathered)
	}
	j.held = append(j.held, p...)
	return len(p), nil
}

// flush writes what is held back. What fails is not tried again: SQLite undoes the commit, and its
// next one writes over it.
func (j *journal) flush() error {
	if len(j.held) == 0 {
		return nil
	}
	_, err := j.File.WriteAt(j.held, j.at)
	j.held = j.held[:0]
	return err
}

func (j *journal) ReadAt(p []byte, off int64) (int, error) {
	if err := j.flush(); err != nil {
		return 0, err
	}
	return j.File.ReadAt(p, off)
}

func (j *journal) Sync(flags vfs.SyncFlag) error {
	if err := j.flush(); err != nil {
		return err
	}
	j.synced = true
	return j.File.Sync(flags)
}

func (j *journal) Truncate(size int64) error {
	if err := j.flush(); err != nil {
		return err
	}
	return j.File.Truncate(size)
}

func (j *journal) Size() (int64, error) {
	if err := j.flush(); err != nil {
		return 0, err
	}
	return j.File.Size()
}

func (j *journal) Close() error { return errors.Join(j.flush(), j.File.Close()) }

// Unwrap implements vfs.FileUnwrap.
func (j *journal) Unwrap() vfs.File { return j.File }
