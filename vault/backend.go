package vault

import "io"

// Backend keeps the segment files. Names are plain (no separators). Create, Rename and Remove are durable when they
// return: after a crash the name is there, moved or gone. vaulttest.TestBackend is the contract as tests.
type Backend interface {
	List() ([]string, error)          // all names, sorted
	Create(name string) (File, error) // a new empty file; fs.ErrExist if there is one
	Open(name string) (File, error)   // for reading and writing; fs.ErrNotExist
	Rename(old, new string) error     // atomic; open Files stay valid
	Remove(name string) error         // open Files stay readable until closed
	Free() (bytes int64, err error)   // what may still be written
}

// File is one segment file. ReadAt may run concurrently with everything else. A write that finds no space fails with an
// error that is ErrNoSpace; part of it may be in the file then.
type File interface {
	io.ReaderAt
	io.WriterAt
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error // data and size are durable when it returns
	Close() error
}
