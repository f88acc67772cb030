package reshare

import (
	"encoding/binary"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// What custodians commit to, and how anybody checks it. Hashes are seal.Sum: the label and
// every part with its length before it. Trees are those of RFC 6962 section 2.1.

// ShareSum commits a dealer to the share vector that it deals to one new custodian. The
// shares are uniformly random, so the hash tells nothing.
func ShareSum(shares []threshold.Share) tx.Hash {
	b := make([]byte, 0, 32*len(shares))
	for i := range shares {
		b = append(b, shares[i][:]...)
	}
	defer clear(b)
	return seal.Sum("subshares", b)
}

// DealtLeaf is the leaf of one batch in a dealer's tree: to whom it belongs, the commitments
// and the sums of the n' share vectors. Without commitments it says: I do not hold this batch.
func DealtLeaf(header tx.Hash, commitments [][32]byte, sums []tx.Hash) tx.Hash {
	parts := [][]byte{header[:], binary.BigEndian.AppendUint32(nil, uint32(len(commitments)))}
	for i := range commitments {
		parts = append(parts, commitments[i][:])
	}
	for i := range sums {
		parts = append(parts, sums[i][:])
	}
	return seal.Sum("subdealing", parts...)
}

// NextLeaf is the leaf of one batch in the tree over the commitments that follow; with no
// commitments it says that the batch is erased.
func NextLeaf(header tx.Hash, commitments [][32]byte) tx.Hash {
	sum := seal.CommitmentsHash(commitments)
	return seal.Sum("next-commitments", header[:], sum[:])
}

// A Tree is a Merkle tree with all its nodes, to give paths without hashing anew.
type Tree struct{ levels [][]tx.Hash } // leaves first

// NewTree builds the tree over these leaves, in this order. It takes 64 bytes per leaf.
func NewTree(leaves []tx.Hash) *Tree {
	level := make([]tx.Hash, len(leaves))
	for i := range leaves {
		level[i] = tx.Hash(rfc6962.DefaultHasher.HashLeaf(leaves[i][:]))
	}
	t := &Tree{levels: [][]tx.Hash{level}}
	for len(level) > 1 {
		up := make([]tx.Hash, 0, (len(level)+1)/2)
		for i := 0; i < len(level); i += 2 {
			if i+1 == len(level) {
				up = append(up, level[i]) // as RFC 6962 has it: the rest stands alone
				break
			}
			up = append(up, tx.Hash(rfc6962.DefaultHasher.HashChildren(level[i][:], level[i+1][:])))
		}
		t.levels, level = append(t.levels, up), up
	}
	return t
}

// Root is the tree's root; that of no leaves is the hash of nothing.
func (t *Tree) Root() tx.Hash {
	top := t.levels[len(t.levels)-1]
	if len(top) == 0 {
		return tx.Hash(rfc6962.DefaultHasher.EmptyRoot())
	}
	return top[0]
}

// Path is the audit path of leaf i (RFC 6962 section 2.1.1).
func (t *Tree) Path(i int) []tx.Hash {
	var path []tx.Hash
	for _, level := range t.levels[:len(t.levels)-1] {
		if s := i ^ 1; s < len(level) {
			path = append(path, level[s])
		}
		i /= 2
	}
	return path
}

// VerifyPath reports whether leaf is number i of size under root.
func VerifyPath(root, leaf tx.Hash, i, size uint64, path []tx.Hash) bool {
	steps := make([][]byte, len(path))
	for k := range path {
		steps[k] = path[k][:]
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, i, size, rfc6962.DefaultHasher.HashLeaf(leaf[:]), steps, root[:]) == nil
}
