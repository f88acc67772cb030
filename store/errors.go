package store

import "errors"

// Errors of reads and writes.
var (
	ErrNotFound = errors.New("store: no such resource or version")
	ErrGone     = errors.New("store: the resource is deleted")
	ErrConflict = errors.New("store: the resource is at another version")
	ErrExists   = errors.New("store: there is such a resource already")
	ErrCursor   = errors.New("store: the cursor is not one of this search")
	ErrClosed   = errors.New("store: closed")
	ErrScope    = errors.New("store: the scope has ended")
	ErrKey      = errors.New("store: the file is damaged, or encrypted under another key")
	ErrNewer    = errors.New("store: the file is of a newer version of this program")
)
