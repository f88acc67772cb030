package seal

import (
	"crypto/sha256"
	"crypto/subtle"
	"math/bits"
)

// Trees have the shape of RFC 9162 section 2.1 (RFC 6962). Leaves are hashed with
// [Sum], whose input begins with the byte 0, nodes with a leading byte 1: neither can
// be taken for the other.

func nodeHash(l, r *[32]byte) [32]byte {
	var b [65]byte
	b[0] = 1
	copy(b[1:33], l[:])
	copy(b[33:], r[:])
	return sha256.Sum256(b[:])
}

// split returns the largest power of two below n, for n > 1.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// merkleRoot needs at least one leaf.
func merkleRoot(leaves [][32]byte) [32]byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(len(leaves))
	l, r := merkleRoot(leaves[:k]), merkleRoot(leaves[k:])
	return nodeHash(&l, &r)
}

// merklePath returns the siblings of leaf i from the leaf upwards.
func merklePath(leaves [][32]byte, i int) [][32]byte {
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if i < k {
		return append(merklePath(leaves[:k], i), merkleRoot(leaves[k:]))
	}
	return append(merklePath(leaves[k:], i-k), merkleRoot(leaves[:k]))
}

// pathLen returns the length of the path of leaf i among n.
func pathLen(i, n int) int {
	depth := 0
	for n > 1 {
		k := split(n)
		if i < k {
			n = k
		} else {
			i, n = i-k, n-k
		}
		depth++
	}
	return depth
}

// merkleVerify reports whether leaf is number i of the n leaves under root. Index and
// count are the verifier's own: a path verifies for one position only.
func merkleVerify(root, leaf [32]byte, i, n int, path [][32]byte) bool {
	if i < 0 || i >= n || len(path) != pathLen(i, n) {
		return false
	}
	got := climb(leaf, i, n, path)
	return subtle.ConstantTimeCompare(got[:], root[:]) == 1
}

func climb(leaf [32]byte, i, n int, path [][32]byte) [32]byte {
	if n == 1 {
		return leaf
	}
	k, last := split(n), len(path)-1
	if i < k {
		l := climb(leaf, i, k, path[:last])
		return nodeHash(&l, &path[last])
	}
	r := climb(leaf, i-k, n-k, path[:last])
	return nodeHash(&path[last], &r)
}
