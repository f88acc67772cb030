package threshold

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/gtank/ristretto255"
	"pgregory.net/rapid"
)

func TestHonestDealingVerifiesForEveryCustodian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, th := drawParams(t, 16, "deal")
		d, err := Deal(stream(rapid.String().Draw(t, "label")), rapid.IntRange(1, 6).Draw(t, "count"), n, th)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i <= n; i++ {
			if err := Verify(d.Commitments, i, d.Shares[i-1]); err != nil {
				t.Fatalf("custodian %d: got %v, want nil", i, err)
			}
		}
	})
}

// P4 at the dealing: any bit of any share.
func TestAnyAlteredShareIsRefused(t *testing.T) {
	d, err := Deal(stream("altered"), 3, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		i, r := rapid.IntRange(1, 4).Draw(t, "custodian"), rapid.IntRange(0, 3).Draw(t, "number")
		bit := rapid.IntRange(0, 255).Draw(t, "bit")
		s := append([]Share(nil), d.Shares[i-1]...)
		s[r][bit/8] ^= 1 << (bit % 8)
		if err := Verify(d.Commitments, i, s); !errors.Is(err, ErrShares) && !errors.Is(err, ErrScalar) {
			t.Fatalf("share %d of custodian %d, bit %d flipped: got %v", r, i, bit, err)
		}
	})
}

func TestSharesOfAnotherCustodianOrOrderAreRefused(t *testing.T) {
	d, err := Deal(stream("swapped"), 3, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 4; i++ {
		for j := 1; j <= 4; j++ {
			if err := Verify(d.Commitments, i, d.Shares[j-1]); (err == nil) != (i == j) {
				t.Errorf("custodian %d with the shares of %d: got %v", i, j, err)
			}
		}
	}
	s := append([]Share(nil), d.Shares[0]...)
	s[1], s[2] = s[2], s[1]
	if err := Verify(d.Commitments, 1, s); !errors.Is(err, ErrShares) {
		t.Errorf("two records' shares swapped: got %v, want ErrShares", err)
	}
	for _, bad := range [][]Share{nil, s[:1], s[:3], append(s, Share{1})} {
		if err := Verify(d.Commitments, 1, bad); err == nil {
			t.Errorf("vector of %d shares: got nil, want an error", len(bad))
		}
	}
}

// P5: a dealer whose polynomials have too high a degree, so that different sets of t
// custodians open different secrets, whatever t commitments it publishes.
func TestInconsistentDealerIsRefusedByAnHonestCustodian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{4, 7, 10}).Draw(t, "n")
		f, th, _ := Quorum(n)
		r := stream(rapid.String().Draw(t, "label"))
		buf := make([]byte, 64*(n+1))
		var sound, high []polynomial
		for range 3 {
			p, err := randomPolynomial(r, buf, th+1)
			if err != nil {
				t.Fatal(err)
			}
			sound, high = append(sound, p[:th]), append(high, p)
		}
		commitments, shares := commit(sound), evaluate(high, n)
		// The dealer may serve any custodians honestly off the committed polynomials too.
		for _, i := range pick(t, n, rapid.IntRange(0, th-1).Draw(t, "served"), "served honestly") {
			shares[i-1] = evaluate(sound, n)[i-1]
		}
		refused := 0
		for i := 1; i <= n; i++ {
			if Verify(commitments, i, shares[i-1]) != nil {
				refused++
			}
		}
		if refused <= f { // f of those who refuse may be faulty and say nothing
			t.Fatalf("got %d of %d custodians refusing, want more than %d", refused, n, f)
		}
	})
}

func TestMalformedCommitmentsAreRefused(t *testing.T) {
	d, err := Deal(stream("malformed"), 1, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][][32]byte{
		"none":          nil,
		"too many":      make([][32]byte, MaxCustodians+1),
		"not canonical": {d.Commitments[0], d.Commitments[1], {31: 0xff}},
		"one missing":   d.Commitments[:2],
		"identities":    make([][32]byte, 3),
		"reordered":     {d.Commitments[1], d.Commitments[0], d.Commitments[2]},
	} {
		if err := Verify(c, 2, d.Shares[1]); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
	for _, i := range []int{0, -1, MaxCustodians + 1} {
		if err := Verify(d.Commitments, i, d.Shares[0]); !errors.Is(err, ErrParams) {
			t.Errorf("custodian %d: got %v, want ErrParams", i, err)
		}
	}
}

func TestGeneratorsAreDistinct(t *testing.T) {
	seen := map[[32]byte]bool{{}: true} // not the identity either
	for r, g := range generators() {
		b := encode(g)
		if seen[b] {
			t.Fatalf("generator %d: got one that was there before, or the identity", r)
		}
		seen[b] = true
	}
	if got, want := len(seen)-1, MaxSecrets+1; got != want {
		t.Errorf("generators: got %d, want %d", got, want)
	}
}

// RFC 9496 appendix A.3: the one-way map that makes the generators.
func TestOneWayMapIsThatOfRFC9496(t *testing.T) {
	h := sha512.Sum512([]byte("Ristretto is traditionally a short shot of espresso coffee"))
	b := encode(ristretto255.NewElement().FromUniformBytes(h[:]))
	if got, want := hex.EncodeToString(b[:]), "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
