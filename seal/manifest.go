package seal

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// An Entry is one line of a batch's manifest. The manifest stays off the ledger, with
// the custodians; its root is in the header.
type Entry struct {
	ID         [16]byte `cbor:"1,keyasint"`          // random
	Slots      uint64   `cbor:"2,keyasint"`          // every label of the record as a slot; releasable iff Slots &^ granted == 0
	Kind       uint8    `cbor:"3,keyasint"`          // KindRecord or KindIndex
	Ciphertext [32]byte `cbor:"4,keyasint"`          // SHA-256: its address in the vault
	Meta       [32]byte `cbor:"5,keyasint,omitzero"` // H of an encrypted metadata block, or zero (then left out)
	Size       uint32   `cbor:"6,keyasint"`          // of the ciphertext in bytes
	// KeyCommit is what the key must prove to be before it decrypts. It is the front of the
	// ciphertext and under its hash, so it is no part of what the manifest says: a reader has
	// it from [Entry.Learn]. Zero: not known.
	KeyCommit [32]byte `cbor:"-"`
}

// Learn compares a ciphertext with the entry and takes the key commitment from it. It fails
// with [ErrCiphertext] if these are not the committed bytes, with [ErrAuthor] if they commit
// to no key.
func (e *Entry) Learn(ciphertext []byte) error {
	if !e.commits(ciphertext) {
		return ErrCiphertext
	}
	c := [32]byte(ciphertext)
	if c == ([32]byte{}) {
		return fmt.Errorf("%w: no key commitment", ErrAuthor)
	}
	e.KeyCommit = c
	return nil
}

// commits reports whether these are the bytes that the entry names.
func (e *Entry) commits(ciphertext []byte) bool {
	sum := sha256.Sum256(ciphertext)
	return len(ciphertext) >= commitSize && len(ciphertext) == int(e.Size) && subtle.ConstantTimeCompare(sum[:], e.Ciphertext[:]) == 1
}

// Leaf returns the manifest leaf of the entry at position i (0-based). In every hash of
// the format a record has its number, i+1: number 0 is the blinding polynomial.
func (e *Entry) Leaf(i int) [32]byte {
	return Sum("manifest", u32(i+1), e.ID[:], u64(e.Slots), []byte{e.Kind}, e.Ciphertext[:], e.Meta[:], u32(int(e.Size)))
}

// ManifestRoot returns the root that the header commits to. It is zero for no entries.
func ManifestRoot(entries []Entry) [32]byte {
	if len(entries) == 0 {
		return [32]byte{}
	}
	return merkleRoot(manifestLeaves(entries))
}

// ManifestProof returns the path of the entry at position i (0-based), nil if there is
// no such entry. A batch of one entry has an empty path.
func ManifestProof(entries []Entry, i int) [][32]byte {
	if i < 0 || i >= len(entries) {
		return nil
	}
	return merklePath(manifestLeaves(entries), i)
}

// VerifyEntry checks that e is at position i (0-based) of the count entries under root:
// a header's ManifestRoot and Count. It fails with [ErrProof].
func VerifyEntry(root [32]byte, i, count int, e *Entry, path [][32]byte) error {
	if !merkleVerify(root, e.Leaf(i), i, count, path) {
		return fmt.Errorf("%w: manifest entry", ErrProof)
	}
	return nil
}

// VerifyManifest checks a whole manifest against the header.
func VerifyManifest(h *Header, entries []Entry) error {
	if len(entries) != int(h.Count) || ManifestRoot(entries) != h.ManifestRoot {
		return fmt.Errorf("%w: manifest", ErrProof)
	}
	return nil
}

func manifestLeaves(entries []Entry) [][32]byte {
	leaves := make([][32]byte, len(entries))
	for i := range entries {
		leaves[i] = entries[i].Leaf(i)
	}
	return leaves
}
