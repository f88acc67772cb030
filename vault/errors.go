package vault

import (
	"errors"
	"fmt"
)

// The errors a caller can act on; compare with errors.Is.
var (
	// ErrNotFound: the store does not know this address or pack.
	ErrNotFound = errors.New("vault: not found")
	// ErrDropped: the address was erased by Drop, or the pack is no longer whole because of it. It is also an ErrNotFound.
	ErrDropped = fmt.Errorf("vault: dropped: %w", ErrNotFound)
	// ErrCorrupt: the store knows it, but its bytes are damaged or lost. Repair fetches it from a peer.
	ErrCorrupt = errors.New("vault: corrupt")
	// ErrMismatch: bytes given as a pack do not hash to the id they were given for.
	ErrMismatch = errors.New("vault: pack does not match its id")
	// ErrInvalid: bytes are not a canonical pack, or a list of blobs cannot be one.
	ErrInvalid = errors.New("vault: invalid pack")
	// ErrTooLarge: over MaxBlobs or MaxPack.
	ErrTooLarge = errors.New("vault: pack too large")
	// ErrNoSpace: the disk is full or would fall below Options.Reserve. Nothing was stored; reads go on.
	ErrNoSpace = errors.New("vault: no space")
	// ErrLocked: another process has this store open.
	ErrLocked = errors.New("vault: in use by another process")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("vault: closed")
)
