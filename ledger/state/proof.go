package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	ics23 "github.com/cosmos/ics23/go"
	"github.com/transparency-dev/merkle/proof"
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

// maxProof bounds the ICS23 part of a KeyProof: two paths of 256 steps.
const maxProof = 40 << 10

// Verify checks that under appHash key holds value, or nothing if value is nil.
// It reads no state. Every other proof, altered in whichever byte, is ErrProof.
func (p *KeyProof) Verify(appHash [32]byte, key, value []byte) error {
	if err := p.verify(appHash, sha256.Sum256(key), value); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}

func (p *KeyProof) verify(appHash, treeKey [32]byte, value []byte) error {
	if len(p.Proof) == 0 {
		if value != nil {
			return errors.New("an empty tree holds no value")
		}
		return p.leads(nil, appHash)
	}
	if len(p.Proof) > maxProof {
		return errors.New("too long")
	}
	var c ics23.CommitmentProof
	if c.Unmarshal(p.Proof) != nil {
		return errors.New("not an ICS23 proof")
	}
	// Protobuf has many encodings of one message: only ours counts.
	if again, err := c.Marshal(); err != nil || !bytes.Equal(again, p.Proof) {
		return errors.New("not in its one encoding")
	}
	// The root is compared before ICS23 walks the paths, which are then those
	// of the tree and not the sender's.
	exist, absent := c.GetExist(), c.GetNonexist()
	switch {
	case exist != nil && value != nil:
		root, err := exist.Calculate()
		if err != nil {
			return errors.New("no root can be computed")
		}
		if err := p.leads(root, appHash); err != nil {
			return err
		}
		sum := sha256.Sum256(value)
		if !ics23.VerifyMembership(ics23.SmtSpec, root, &c, treeKey[:], sum[:]) {
			return errors.New("of another key or value")
		}
	case absent != nil && value == nil:
		root, err := absent.Calculate()
		if err != nil {
			return errors.New("no root can be computed")
		}
		if err := p.leads(root, appHash); err != nil {
			return err
		}
		// ICS23 itself leaves the name of the absent key unchecked.
		if !bytes.Equal(absent.Key, treeKey[:]) {
			return errors.New("of another key")
		}
		if !ics23.VerifyNonMembership(ics23.SmtSpec, root, &c, treeKey[:]) {
			return errors.New("absence is not shown")
		}
	default:
		return errors.New("not of the kind asked for")
	}
	return nil
}

// leads compares the app hash over a tree root, nil for the empty tree's.
func (p *KeyProof) leads(root []byte, appHash [32]byte) error {
	var tree [32]byte
	if len(root) != 0 && len(root) != len(tree) {
		return errors.New("no root can be computed")
	}
	copy(tree[:], root)
	if AppHash(tree, p.LogRoot, p.LogSize) != appHash {
		return errors.New("it leads to another app hash")
	}
	return nil
}

// Verify checks that under appHash the log holds entry at index. It reads no
// state. Every other proof is ErrProof.
func (p *EntryProof) Verify(appHash [32]byte, index uint64, entry []byte) error {
	root, err := proof.RootFromInclusionProof(logHasher, index, p.LogSize, logHasher.HashLeaf(entry), hashes(p.Path))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	if AppHash(p.TreeRoot, [32]byte(root), p.LogSize) != appHash {
		return fmt.Errorf("%w: it leads to another app hash", ErrProof)
	}
	return nil
}

// Verify checks that the log under newAppHash begins with the whole log of old,
// the roots under oldAppHash. It reads no state. Every other proof is ErrProof.
func (p *ExtensionProof) Verify(oldAppHash [32]byte, old Roots, newAppHash [32]byte) error {
	switch {
	case old.AppHash() != oldAppHash:
		return fmt.Errorf("%w: the old roots are of another app hash", ErrProof)
	case p.New.AppHash() != newAppHash:
		return fmt.Errorf("%w: the new roots are of another app hash", ErrProof)
	case old.Size == 0 && !bytes.Equal(old.Log[:], logHasher.EmptyRoot()):
		return fmt.Errorf("%w: the root of an empty log is another", ErrProof)
	}
	err := proof.VerifyConsistency(logHasher, old.Size, p.New.Size, hashes(p.Path), old.Log[:], p.New.Log[:])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}

func hashes(path [][32]byte) [][]byte {
	h := make([][]byte, len(path))
	for i := range path {
		h[i] = path[i][:]
	}
	return h
}
