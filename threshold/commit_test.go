package threshold

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
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
	e, err := curve.NewRistrettoPoint().SetUniformBytes(h[:])
	if err != nil {
		t.Fatal(err)
	}
	b := encode(e)
	if got, want := hex.EncodeToString(b[:]), "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// RFC 9496 appendix A.2.
func TestEncodingsThatRFC9496RefusesAreRefused(t *testing.T) {
	for _, h := range []string{
		"00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
		"c34c4e1826e5d403b78e246e88aa051c36ccf0aafebffe137d148a2bf9104562",
		"c940e5a4404157cfb1628b108db051a8d439e1a421394ec4ebccb9ec92a8ac78",
		"47cfc5497c53dc8e61c91d17fd626ffb1c49e2bca94eed052281b510b1117a24",
		"f1c6165d33367351b0da8f6e4511010c68174a03b6581212c71c0e1d026c3c72",
		"87260f7a2f12495118360f02c26a470f450dadf34a413d21042b43b9d93e1309",
		"26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
		"4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f",
		"de6a7b00deadc788eb6b6c8d20c0ae96c2f2019078fa604fee5b87d6e989ad7b",
		"bcab477be20861e01e4a0e295284146a510150d9817763caf1a6f4b422d67042",
		"2a292df7e32cababbd9de088d1d1abec9fc0440f637ed2fba145094dc14bea08",
		"f4a9e534fc0d216c44b218fa0c42d99635a0127ee2e53c712f70609649fdff22",
		"8268436f8c4126196cf64b3c7ddbda90746a378625f9813dd9b8457077256731",
		"2810e5cbc2cc4d4eece54f61c6f69758e289aa7ab440b3cbeaa21995c2f4232b",
		"3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
		"a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220",
		"d483fe813c6ba647ebbfd3ec41adca1c6130c2beeee9d9bf065c8d151c5f396e",
		"8a2e1d30050198c65a54483123960ccc38aef6848e1ec8f5f780e8523769ba32",
		"32888462f8b486c68ad7dd9610be5192bbeaf3b443951ac1a8118419d9fa097b",
		"227142501b9d4355ccba290404bde41575b037693cef1f438c47f8fbf35d1165",
		"5c37cc491da847cfeb9281d407efc41e15144c876e0170b499a96a22ed31e01e",
		"445425117cb8c90edcbc7c1cc0e74f747f2c1efa5630a967c64f287792a48a4b",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		b, err := hex.DecodeString(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeCommitments([][32]byte{[32]byte(b)}); !errors.Is(err, ErrElement) {
			t.Errorf("%s: got %v, want ErrElement", h, err)
		}
	}
	if _, err := decodeCommitments([][32]byte{{}}); err != nil {
		t.Errorf("the identity: got %v, want nil", err)
	}
}

// What has tables and what has none must be the same function, also where digits carry.
func TestCommitmentsDoNotDependOnHowTheyAreComputed(t *testing.T) {
	digits := func(b byte) Share { return Share(append(bytes.Repeat([]byte{b}, 31), b&0x0f)) }
	largest := order
	largest[0]--
	r := stream("exponents")
	for _, edge := range []Share{{}, {1}, {8}, {16}, digits(0x77), digits(0x88), digits(0xff), largest} {
		for n := 1; n <= tabled+1; n++ {
			exps, want := make([]scalar.Scalar, n), curve.NewRistrettoPoint()
			for i := range exps {
				b := edge[:]
				if i%3 == 2 {
					b = randomScalar(t, r).Bytes()
				}
				if _, err := exps[i].SetCanonicalBytes(b); err != nil {
					t.Fatal(err)
				}
				want.Add(want, curve.NewRistrettoPoint().Mul(generators()[i], &exps[i]))
			}
			if got := commitment(exps); encode(got) != encode(want) {
				t.Errorf("%d exponents: got %x, want %x", n, encode(got), encode(want))
			}
		}
	}
}

func TestCommitmentsAreEvaluatedForEveryCustodian(t *testing.T) {
	d := generators()[:43]
	for x := 1; x <= MaxCustodians; x++ {
		want, p := curve.NewRistrettoPoint(), scalar.One()
		for _, e := range d {
			want.Add(want, curve.NewRistrettoPoint().Mul(e, p))
			p.Mul(p, scalar.NewFromUint64(uint64(x)))
		}
		if evaluateCommitments(d, x).Equal(want) != 1 {
			t.Errorf("custodian %d: got another commitment than Σ x^k·D_k", x)
		}
	}
}
