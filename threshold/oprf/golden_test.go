package oprf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"salus/threshold"
)

// golden holds SHA-256 over all that a key's life makes, by the number of custodians. It was
// computed with github.com/gtank/ristretto255, another implementation of the group than that of today.
var golden = map[int]string{
	1: "fd539628173ce639141c6c9723d984f9ba50cdf83e57378cd603b9d5f76a98fa",
	4: "52e667b87d680ce1a16f52a102bdf238d74b23c16c9dfa1ec2cecd9748ec192a",
	7: "f2a80f87d9620b7f6d21ff52c5edb9aa6849593efc1028f68477a87337c7b686",
}

func TestALifeOfAKeyIsThatOfTheOtherImplementation(t *testing.T) {
	for n, want := range golden {
		if got := hex.EncodeToString(lifeOfAKey(t, n)); got != want {
			t.Errorf("%d custodians: got %s, want %s", n, got, want)
		}
	}
}

// lifeOfAKey makes a key, passes it on to ten custodians, seals a pointer and evaluates it.
func lifeOfAKey(t *testing.T, n int) []byte {
	rand := stream(fmt.Sprint("golden ", n))
	_, th, _ := threshold.Quorum(n)
	c, shares := ceremony(t, rand, n, th)
	h := sha256.New()
	put := func(c *Committee, shares []threshold.Share) {
		h.Write(c.Key[:])
		for j := range shares {
			h.Write(c.Shares[j][:])
			h.Write(shares[j][:])
		}
	}
	put(c, shares)
	var who []int
	var publics [][]Element
	got := make([][]threshold.Share, 10)
	for i := n - th + 1; i <= n; i++ {
		d, err := Redeal(rand, shares[i-1], 10, 7)
		if err != nil {
			t.Fatal(err)
		}
		who, publics = append(who, i), append(publics, d.Commitments)
		for j := range got {
			got[j] = append(got[j], d.Shares[j])
		}
	}
	next, err := Carry(10, who, publics)
	if err != nil {
		t.Fatal(err)
	}
	moved := make([]threshold.Share, 10)
	for j := range moved {
		if moved[j], err = CarryShares(who, got[j]); err != nil {
			t.Fatal(err)
		}
	}
	put(next, moved)
	p, err := SealPointer(rand, next.Key, []byte("label"), [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{p.Seal[:], p.Twin[:], p.Body[:], p.Proof[:]} {
		h.Write(b)
	}
	var parts []Partial
	for _, j := range []int{1, 2, 3, 4, 8, 9, 10} {
		part, err := EvaluatePartial(rand, j, moved[j-1], p.Seal)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(part.Element[:])
		h.Write(part.Proof[:])
		parts = append(parts, part)
	}
	whole, blamed, err := next.Combine(p.Seal, parts)
	if err != nil || len(blamed) != 0 {
		t.Fatal(blamed, err)
	}
	h.Write(whole[:])
	return h.Sum(nil)
}
