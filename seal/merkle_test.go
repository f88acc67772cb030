package seal

import (
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"pgregory.net/rapid"

	"salus/threshold"
)

func testLeaves(n int) [][32]byte {
	out := make([][32]byte, n)
	for i := range out {
		out[i] = Sum("leaf", u32(i))
	}
	return out
}

// P7: every position of every small tree, against every other position and leaf.
func TestNoPathVerifiesForAnotherPositionLeafOrSize(t *testing.T) {
	for n := 1; n <= 33; n++ {
		leaves := testLeaves(n)
		root := merkleRoot(leaves)
		for i := range n {
			path := merklePath(leaves, i)
			if len(path) != pathLen(i, n) {
				t.Fatalf("leaf %d of %d: got a path of %d, want %d", i, n, len(path), pathLen(i, n))
			}
			for j := -1; j <= n; j++ {
				if got := merkleVerify(root, leaves[i], j, n, path); got != (i == j) {
					t.Fatalf("leaf %d of %d as %d: got %v", i, n, j, got)
				}
			}
			for j := range n {
				if j != i && merkleVerify(root, leaves[j], i, n, path) {
					t.Fatalf("leaf %d in the place of %d of %d: got accepted", j, i, n)
				}
			}
			if n > 1 {
				if merkleVerify(root, leaves[i], i, n, path[1:]) || merkleVerify(root, leaves[i], i, n, path[:len(path)-1]) {
					t.Fatalf("leaf %d of %d: got a short path accepted", i, n)
				}
				// Second preimage: an inner node offered as a leaf of a smaller tree.
				l, r := merkleRoot(leaves[:split(n)]), merkleRoot(leaves[split(n):])
				if !merkleVerify(root, l, 0, 2, [][32]byte{r}) {
					t.Fatal("an inner node is a leaf of the tree of two: the count must be the verifier's own")
				}
				if merkleVerify(root, l, 0, n, [][32]byte{r}) && n > 2 {
					t.Fatalf("inner node of %d leaves: got accepted as leaf", n)
				}
			}
			if merkleVerify(root, leaves[i], i, n, append(path, [32]byte{})) {
				t.Fatalf("leaf %d of %d: got a long path accepted", i, n)
			}
		}
	}
}

func TestRootHasTheShapeOfRFC6962(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := testLeaves(rapid.IntRange(1, 1025).Draw(t, "leaves"))
		r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
		for i := range leaves {
			if err := r.Append(leaves[i][:], nil); err != nil {
				t.Fatal(err)
			}
		}
		want, err := r.GetRootHash(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := merkleRoot(leaves); got != [32]byte(want) {
			t.Fatalf("%d leaves: got %x, want %x", len(leaves), got, want)
		}
	})
}

func TestEntryProofBindsEveryFieldAndThePosition(t *testing.T) {
	w := newWorld(t, 4, 5, 50)
	h := &w.batch.Header
	for i := range w.batch.Entries {
		path := ManifestProof(w.batch.Entries, i)
		e := w.batch.Entries[i]
		if err := VerifyEntry(h.ManifestRoot, i, 5, &e, path); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		for name, f := range map[string]func(*Entry){
			"id": func(e *Entry) { e.ID[0] ^= 1 }, "slots": func(e *Entry) { e.Slots ^= 1 }, "kind": func(e *Entry) { e.Kind ^= 1 },
			"ciphertext": func(e *Entry) { e.Ciphertext[0] ^= 1 },
			"meta":       func(e *Entry) { e.Meta[0] ^= 1 }, "size": func(e *Entry) { e.Size++ },
		} {
			bad := e
			f(&bad)
			if VerifyEntry(h.ManifestRoot, i, 5, &bad, path) == nil {
				t.Errorf("entry %d with another %s: got accepted", i, name)
			}
		}
		for j := range w.batch.Entries {
			if j != i && VerifyEntry(h.ManifestRoot, j, 5, &e, path) == nil {
				t.Errorf("entry %d at position %d: got accepted", i, j)
			}
		}
		if VerifyEntry(h.ManifestRoot, i, 6, &e, path) == nil && pathLen(i, 6) != pathLen(i, 5) {
			t.Errorf("entry %d of 6: got accepted", i)
		}
	}
	for _, i := range []int{-1, 5} {
		if got := ManifestProof(w.batch.Entries, i); got != nil {
			t.Errorf("proof of position %d: got one", i)
		}
	}
	if VerifyManifest(h, w.batch.Entries[:4]) == nil {
		t.Error("manifest without its last entry: got accepted")
	}
}

func TestShareProofBindsCustodianBatchPositionAndShare(t *testing.T) {
	w := newWorld(t, 4, 5, 50)
	h := &w.batch.Header
	share, path := w.held[1].Record(2), ShareProof(h.BatchNonce, 2, w.held[1].Shares, 2)
	root := w.batch.ShareRoots[1]
	if err := VerifyShare(root, h.BatchNonce, 2, 5, 2, share, path); err != nil {
		t.Fatal(err)
	}
	altered := share
	altered[3] ^= 1
	nonce := h.BatchNonce
	nonce[0] ^= 1
	for name, err := range map[string]error{
		"another share":            VerifyShare(root, h.BatchNonce, 2, 5, 2, altered, path),
		"another position":         VerifyShare(root, h.BatchNonce, 2, 5, 3, share, path),
		"before the first":         VerifyShare(root, h.BatchNonce, 2, 5, -1, share, path),
		"beyond the last":          VerifyShare(root, h.BatchNonce, 2, 5, 5, share, path),
		"another custodian":        VerifyShare(root, h.BatchNonce, 1, 5, 2, share, path),
		"another custodian's root": VerifyShare(w.batch.ShareRoots[0], h.BatchNonce, 2, 5, 2, share, path),
		"another batch":            VerifyShare(root, nonce, 2, 5, 2, share, path),
		"no path":                  VerifyShare(root, h.BatchNonce, 2, 5, 2, share, nil),
	} {
		if err == nil {
			t.Errorf("%s: got accepted", name)
		}
	}
	// The blinding share is nobody's record.
	blind := ShareProof(h.BatchNonce, 2, w.held[1].Shares, -1)
	if blind != nil {
		t.Error("proof of the blinding share: got one")
	}
	if VerifyShare(root, h.BatchNonce, 2, 5, -1, w.held[1].Shares[0], merklePath(shareLeaves(h.BatchNonce, 2, w.held[1].Shares), 0)) == nil {
		t.Error("the blinding share: got accepted as a record's")
	}
	if got := ShareRoot(h.BatchNonce, 1, []threshold.Share{}); got != [32]byte{} {
		t.Error("root of no shares: got one")
	}
}
