package threshold

import (
	"bytes"
	"crypto/sha3"
	"errors"
	"io"
	"testing"

	"filippo.io/edwards25519"
	"pgregory.net/rapid"
)

// stream is the reproducible randomness of the tests and of spec/vectors: SHAKE128 of a label.
func stream(label string) io.Reader {
	h := sha3.NewSHAKE128()
	_, _ = h.Write([]byte(label))
	return h
}

// drawParams draws a committee and a threshold that CheckParams accepts.
func drawParams(t *rapid.T, most int, name string) (n, th int) {
	n = rapid.IntRange(1, most).Draw(t, name+" custodians")
	f, high, _ := Quorum(n)
	return n, rapid.IntRange(2*f+1, high).Draw(t, name+" threshold")
}

func pick(t *rapid.T, n, k int, name string) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return rapid.Permutation(all).Draw(t, name)[:k]
}

func column(shares [][]Share, indices []int, r int) []Share {
	out := make([]Share, len(indices))
	for k, i := range indices {
		out[k] = shares[i-1][r]
	}
	return out
}

// P1, first half.
func TestAnyTSharesGiveTheSecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, th := drawParams(t, 16, "deal")
		count := rapid.IntRange(1, 4).Draw(t, "count")
		d, err := Deal(stream(rapid.String().Draw(t, "label")), count, n, th)
		if err != nil {
			t.Fatal(err)
		}
		indices := pick(t, n, th, "openers")
		c, err := NewCombiner(indices)
		if err != nil {
			t.Fatal(err)
		}
		for r := range count {
			got, err := c.Secret(column(d.Shares, indices, r+1))
			if err != nil {
				t.Fatal(err)
			}
			if got != d.Secrets[r] {
				t.Fatalf("secret %d from custodians %v: got another one", r, indices)
			}
		}
		for x := 1; x <= n; x++ {
			at, err := NewCombinerAt(indices, x)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := at.Secret(column(d.Shares, indices, 1)); err != nil || Share(got) != d.Shares[x-1][1] {
				t.Fatalf("share of custodian %d from %v: got another one (%v)", x, indices, err)
			}
		}
	})
}

// P1, second half, on the code itself: for the shares that any t-1 custodians hold and
// ANY secret there is exactly one choice of coefficients that gives both, and Deal
// draws coefficients uniformly. So the shares say nothing about the secret.
func TestTMinusOneSharesFitEverySecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(4, 10).Draw(t, "n")
		_, th, _ := Quorum(n)
		d, err := Deal(stream(rapid.String().Draw(t, "label")), 1, n, th)
		if err != nil {
			t.Fatal(err)
		}
		known := pick(t, n, th-1, "colluders")
		other := randomScalar(t, stream(rapid.String().Draw(t, "other secret")))

		// The polynomials through the colluders' points that have the other secret, and
		// for the blinding polynomial another value at zero too.
		var randomness bytes.Buffer
		for r := range 2 {
			xs, ys := []*edwards25519.Scalar{scalarOf(0)}, []*edwards25519.Scalar{other}
			for _, i := range known {
				var y edwards25519.Scalar
				if err := decodeShare(&y, &d.Shares[i-1][r]); err != nil {
					t.Fatal(err)
				}
				xs, ys = append(xs, scalarOf(i)), append(ys, &y)
			}
			for _, c := range interpolate(xs, ys) {
				randomness.Write(c.Bytes())
				randomness.Write(make([]byte, 32)) // a reduced value, as 64 bytes
			}
		}
		d2, err := Deal(&randomness, 1, n, th)
		if err != nil {
			t.Fatal(err)
		}
		if d2.Secrets[0] != Secret(other.Bytes()) {
			t.Fatal("got another secret than the chosen one")
		}
		for _, i := range known {
			if d2.Shares[i-1][0] != d.Shares[i-1][0] || d2.Shares[i-1][1] != d.Shares[i-1][1] {
				t.Fatalf("custodian %d: got other shares under another secret", i)
			}
		}
	})
}

// P1 by counting: over a small field, with the same Horner evaluation, every (t-1)-tuple
// of shares occurs equally often for every secret.
func TestTMinusOneSharesAreExactlyUniformOverASmallField(t *testing.T) {
	const p = 7
	for _, c := range []struct{ n, t int }{{4, 3}, {5, 4}, {6, 3}} {
		total := 1
		for range c.t {
			total *= p
		}
		// Colluders are the first t-1 custodians and the last t-1.
		for _, first := range []int{1, c.n - c.t + 2} {
			seen := map[[2]int]int{} // (secret, tuple of shares) to count
			for m := range total {
				coeff, rest := make([]int, c.t), m
				for k := range coeff {
					coeff[k], rest = rest%p, rest/p
				}
				tuple := 0
				for x := first; x < first+c.t-1; x++ {
					v := coeff[c.t-1]
					for k := c.t - 2; k >= 0; k-- {
						v = (v*x + coeff[k]) % p
					}
					tuple = tuple*p + v
				}
				seen[[2]int{coeff[0], tuple}]++
			}
			if len(seen) != total { // p secrets times p^(t-1) tuples: each exactly once
				t.Errorf("%d of %d: got %d pairs of secret and shares, want %d", c.t, c.n, len(seen), total)
			}
			for k, v := range seen {
				if v != 1 {
					t.Errorf("%d of %d: got pair %v %d times, want once", c.t, c.n, k, v)
				}
			}
		}
	}
}

func TestFewerThanTSharesDoNotGiveTheSecret(t *testing.T) {
	d, err := Deal(stream("few"), 1, 7, 5)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCombiner([]int{1, 2, 3, 4})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Secret(column(d.Shares, []int{1, 2, 3, 4}, 1)); err != nil || got == d.Secrets[0] {
		t.Errorf("four of five needed shares: got the secret or %v", err)
	}
}

func TestDealFailsWithItsRandomness(t *testing.T) {
	for _, have := range []int{0, 1, 64*3*3 - 1} {
		d, err := Deal(io.LimitReader(stream("short"), int64(have)), 2, 4, 3)
		if err == nil || d != nil {
			t.Errorf("Deal with %d random bytes: got %v, want an error", have, err)
		}
	}
	if _, err := Deal(io.LimitReader(stream("short"), 64*3*3), 2, 4, 3); err != nil {
		t.Errorf("Deal with exactly enough random bytes: got %v", err)
	}
}

func TestCombinerRefusesBadSetsAndShares(t *testing.T) {
	for _, set := range [][]int{nil, {0}, {-1}, {65}, {1, 1}, {3, 2, 3}} {
		if _, err := NewCombiner(set); !errors.Is(err, ErrParams) {
			t.Errorf("NewCombiner(%v): got %v, want ErrParams", set, err)
		}
	}
	for _, x := range []int{0, 65} {
		if _, err := NewCombinerAt([]int{1, 2}, x); !errors.Is(err, ErrParams) {
			t.Errorf("NewCombinerAt(%d): got %v, want ErrParams", x, err)
		}
	}
	c, err := NewCombiner([]int{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Secret(make([]Share, 3)); !errors.Is(err, ErrParams) {
		t.Errorf("three shares for two custodians: got %v, want ErrParams", err)
	}
	if _, err := c.Secret([]Share{{}, order}); !errors.Is(err, ErrScalar) {
		t.Errorf("share equal to the group order: got %v, want ErrScalar", err)
	}
}

// order is the group order, the smallest number that is not a canonical scalar.
var order = Share{
	0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10,
}

func randomScalar(t interface{ Fatal(...any) }, r io.Reader) *edwards25519.Scalar {
	p, err := randomPolynomial(r, make([]byte, 64), 1)
	if err != nil {
		t.Fatal(err)
	}
	return &p[0]
}

// interpolate returns the coefficients of the polynomial through the points, by adding up
// Lagrange basis polynomials. It shares no code with the package's interpolation.
func interpolate(xs, ys []*edwards25519.Scalar) []*edwards25519.Scalar {
	out := make([]*edwards25519.Scalar, len(xs))
	for k := range out {
		out[k] = edwards25519.NewScalar()
	}
	for i := range xs {
		basis, den := []*edwards25519.Scalar{scalarOf(1)}, scalarOf(1)
		for j := range xs {
			if i == j {
				continue
			}
			next := make([]*edwards25519.Scalar, len(basis)+1) // basis times (X - x_j)
			for k := range next {
				next[k] = edwards25519.NewScalar()
			}
			for k := range basis {
				next[k+1].Add(next[k+1], basis[k])
				next[k].Subtract(next[k], edwards25519.NewScalar().Multiply(basis[k], xs[j]))
			}
			basis = next
			den.Multiply(den, edwards25519.NewScalar().Subtract(xs[i], xs[j]))
		}
		scale := edwards25519.NewScalar().Multiply(ys[i], den.Invert(den))
		for k := range basis {
			out[k].MultiplyAdd(basis[k], scale, out[k])
		}
	}
	return out
}
