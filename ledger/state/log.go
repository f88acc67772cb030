package state

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// The log is the Merkle tree of RFC 6962 section 2.1 over the entries. Every
// perfect subtree's hash is stored, so that a proof reads a few dozen nodes;
// the hashes of the largest ones make the root and are all that the writer
// keeps in memory.

// logHasher is RFC 6962's with SHA-256: H(0 || entry), H(1 || left || right).
var logHasher = rfc6962.DefaultHasher

var logFactory = &compact.RangeFactory{Hash: func(left, right []byte) []byte {
	var b [65]byte
	b[0] = rfc6962.RFC6962NodeHashPrefix
	copy(b[1:], left)
	copy(b[33:], right)
	h := sha256.Sum256(b[:])
	return h[:]
}}

func entryKey(b []byte, index uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, spaceEntry), index)
}

func nodeKey(b []byte, id compact.NodeID) []byte {
	return binary.BigEndian.AppendUint64(append(b, spaceNode, byte(id.Level)), id.Index)
}

// readNode reads a stored hash of the log.
func readNode(r pebble.Reader, id compact.NodeID) ([]byte, error) {
	b, err := read(r, nodeKey(nil, id))
	if err != nil {
		return nil, fmt.Errorf("log node: %w", err)
	}
	if len(b) != sha256.Size {
		return nil, fmt.Errorf("log node: %w", errLength)
	}
	return b, nil
}

// readRange reads what the writer needs to append to a log of that size.
func readRange(r pebble.Reader, size uint64) (*compact.Range, error) {
	ids := compact.RangeNodes(0, size, nil)
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		var err error
		if hashes[i], err = readNode(r, id); err != nil {
			return nil, err
		}
	}
	return logFactory.NewRange(0, size, hashes)
}

// cloneRange returns a range that can be appended to while r stays as it is.
func cloneRange(r *compact.Range) *compact.Range {
	c, err := logFactory.NewRange(0, r.End(), append([][]byte(nil), r.Hashes()...))
	if err != nil {
		panic("state: internal error: " + err.Error())
	}
	return c
}

// logRoot returns the root hash of the log.
func logRoot(r *compact.Range) [32]byte {
	if r.End() == 0 {
		return [32]byte(logHasher.EmptyRoot())
	}
	root, err := r.GetRootHash(nil)
	if err != nil {
		panic("state: internal error: " + err.Error())
	}
	return [32]byte(root)
}
