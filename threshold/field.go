package threshold

import (
	"encoding/binary"
	"fmt"
	"io"

	"filippo.io/edwards25519"
)

// A polynomial holds its coefficients from the constant term up.
type polynomial []edwards25519.Scalar

// randomPolynomial draws t uniform coefficients: 64 random bytes each, reduced, so
// that the bias is below 2^-250.
func randomPolynomial(rand io.Reader, buf []byte, t int) (polynomial, error) {
	buf = buf[:64*t]
	if _, err := io.ReadFull(rand, buf); err != nil {
		return nil, fmt.Errorf("threshold: randomness: %w", err)
	}
	p := make(polynomial, t)
	for k := range p {
		if _, err := p[k].SetUniformBytes(buf[64*k : 64*k+64]); err != nil {
			return nil, fmt.Errorf("threshold: internal error: %w", err)
		}
	}
	return p, nil
}

// at evaluates p at x by Horner's rule.
func (p polynomial) at(x *edwards25519.Scalar) *edwards25519.Scalar {
	v := edwards25519.NewScalar().Set(&p[len(p)-1])
	for k := len(p) - 2; k >= 0; k-- {
		v.MultiplyAdd(v, x, &p[k])
	}
	return v
}

// scalarOf returns the small public number v as a scalar.
func scalarOf(v int) *edwards25519.Scalar {
	var wide [64]byte
	binary.LittleEndian.PutUint64(wide[:], uint64(v))
	s, _ := edwards25519.NewScalar().SetUniformBytes(wide[:]) // 64 bytes never fail
	return s
}

// decodeShare accepts only the canonical encoding.
func decodeShare(dst *edwards25519.Scalar, s *Share) error {
	if _, err := dst.SetCanonicalBytes(s[:]); err != nil {
		return ErrScalar
	}
	return nil
}

// lagrange returns, for each index, the weight of its share in the value at x. The
// indices are public, distinct and in range: the caller has checked.
func lagrange(indices []int, x int) []*edwards25519.Scalar {
	out, at := make([]*edwards25519.Scalar, len(indices)), scalarOf(x)
	xs := make([]*edwards25519.Scalar, len(indices))
	for i, v := range indices {
		xs[i] = scalarOf(v)
	}
	d := edwards25519.NewScalar()
	for i := range xs {
		num, den := scalarOf(1), scalarOf(1)
		for j := range xs {
			if i != j {
				num.Multiply(num, d.Subtract(at, xs[j]))
				den.Multiply(den, d.Subtract(xs[i], xs[j]))
			}
		}
		out[i] = num.Multiply(num, den.Invert(den))
	}
	return out
}
