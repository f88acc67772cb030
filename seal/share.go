package seal

import (
	"fmt"

	"salus/threshold"
)

// Share leaves are H("share", batch nonce, custodian, number, share), number 0 being the
// blinding share and the record at position i having number i+1. Their root per
// custodian is under the header, so a share can be proved to be the dealt one, and a
// custodian that released another is named.

func shareLeaf(nonce [32]byte, index, number int, s *threshold.Share) [32]byte {
	return Sum("share", nonce[:], u32(index), u32(number), s[:])
}

func shareLeaves(nonce [32]byte, index int, shares []threshold.Share) [][32]byte {
	leaves := make([][32]byte, len(shares))
	for r := range shares {
		leaves[r] = shareLeaf(nonce, index, r, &shares[r])
	}
	return leaves
}

// ShareRoot returns R_index over a custodian's whole share vector (blinding share first).
func ShareRoot(nonce [32]byte, index int, shares []threshold.Share) [32]byte {
	if len(shares) == 0 {
		return [32]byte{}
	}
	return merkleRoot(shareLeaves(nonce, index, shares))
}

// ShareProof returns the path, in custodian index's share tree, of the share of the
// record at position i (0-based). shares is the whole vector, blinding share first. It
// returns nil if there is no such record.
func ShareProof(nonce [32]byte, index int, shares []threshold.Share, i int) [][32]byte {
	if i < 0 || i+1 >= len(shares) {
		return nil
	}
	return merklePath(shareLeaves(nonce, index, shares), i+1)
}

// VerifyShare checks that share is the one that was dealt to custodian index for the
// record at position i (0-based) of a batch. root is the custodian's share root, which
// the caller has checked against the header ([ShareRootsHash]); nonce and count are the
// header's. It fails with [ErrProof].
func VerifyShare(root, nonce [32]byte, index, count, i int, share threshold.Share, path [][32]byte) error {
	if i < 0 || i >= count || !merkleVerify(root, shareLeaf(nonce, index, i+1, &share), i+1, count+1, path) {
		return fmt.Errorf("%w: share", ErrProof)
	}
	return nil
}
