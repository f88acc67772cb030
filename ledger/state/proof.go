package state

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// Roots are what an app hash commits to.
type Roots struct {
	Tree [32]byte `cbor:"1,keyasint"` // zero for no rows
	Log  [32]byte `cbor:"2,keyasint"` // RFC 6962 section 2.1
	Size uint64   `cbor:"3,keyasint"` // entries in the log
}

// AppHash returns the app hash of the roots.
func (r Roots) AppHash() [32]byte { return AppHash(r.Tree, r.Log, r.Size) }

// AppHash is what the members agree on after each block:
// SHA-256("salus/apphash/v1" || 0 || tree root || log root || log size as 8 bytes, big endian).
func AppHash(treeRoot, logRoot [32]byte, logSize uint64) [32]byte {
	const label = "salus/apphash/v1\x00"
	b := make([]byte, 0, len(label)+72)
	b = append(b, label...)
	b = append(b, treeRoot[:]...)
	b = append(b, logRoot[:]...)
	b = binary.BigEndian.AppendUint64(b, logSize)
	return sha256.Sum256(b)
}

// ErrProof is in the chain of the error of every Verify: the proof does not
// show what it is said to show.
var ErrProof = errors.New("state: proof does not hold")

// A KeyProof shows the value of a row, or that there is none, at an app hash.
type KeyProof struct {
	Proof   []byte   `cbor:"1,keyasint"` // ICS23 CommitmentProof for SmtSpec; empty if the tree is
	LogRoot [32]byte `cbor:"2,keyasint"`
	LogSize uint64   `cbor:"3,keyasint"`
}

// An EntryProof shows an entry of the log at an app hash.
type EntryProof struct {
	Path     [][32]byte `cbor:"1,keyasint"` // RFC 6962 section 2.1.1, from the leaf up
	TreeRoot [32]byte   `cbor:"2,keyasint"`
	LogSize  uint64     `cbor:"3,keyasint"`
}

// An ExtensionProof shows that the log at an app hash only added to an older one.
type ExtensionProof struct {
	Path [][32]byte `cbor:"1,keyasint"` // RFC 6962 section 2.1.2
	New  Roots      `cbor:"2,keyasint"`
}
