package oprf

import (
	"fmt"
	"io"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"

	"salus/threshold"
)

// A Committee is what everybody knows of a shared key.
type Committee struct {
	// T custodians evaluate together.
	T int
	// Key is the element of the whole key, which nobody knows.
	Key Element
	// Shares holds the element of custodian i's share at Shares[i-1].
	Shares []Element
}

// A Partial is one custodian's part of an evaluation.
type Partial struct {
	Index   int // of the custodian, from 1
	Element Element
	Proof   Proof
}

// EvaluatePartial evaluates with a share and proves it against the share's element.
// It reads 64 bytes from rand. Errors: ErrScalar, ErrElement.
func EvaluatePartial(rand io.Reader, index int, share threshold.Share, in Element) (Partial, error) {
	public, err := Public(share)
	if err != nil {
		return Partial{}, err
	}
	e, err := Evaluate(share, in)
	if err != nil {
		return Partial{}, err
	}
	p, err := Prove(rand, share, public, []Element{in}, []Element{e})
	return Partial{Index: index, Element: e, Proof: p}, err
}

// VerifyPartial checks one part. Every error is the fault of the custodian whose part
// it is, and plain to everybody.
func (c *Committee) VerifyPartial(in Element, p *Partial) error {
	if p.Index < 1 || p.Index > len(c.Shares) {
		return fmt.Errorf("%w: custodian index %d", ErrParams, p.Index)
	}
	return Verify(c.Shares[p.Index-1], []Element{in}, []Element{p.Element}, p.Proof)
}

// Combine makes of t sound parts what the whole key would have evaluated, and names
// the custodians whose parts are not sound. A custodian counts once.
// Errors: ErrTooFew, with the blamed; ErrElement.
func (c *Committee) Combine(in Element, parts []Partial) (out Element, blamed []int, err error) {
	if err := in.Validate(); err != nil {
		return out, nil, err
	}
	var used []int
	var values []*curve.RistrettoPoint
	seen := make([]bool, len(c.Shares)+1)
	for k := range parts {
		p := &parts[k]
		if p.Index >= 1 && p.Index <= len(c.Shares) && seen[p.Index] {
			continue
		}
		if c.VerifyPartial(in, p) != nil {
			blamed = append(blamed, p.Index)
			continue
		}
		seen[p.Index] = true
		if len(used) < c.T {
			v, err := p.Element.decode()
			if err != nil {
				return out, blamed, err
			}
			used, values = append(used, p.Index), append(values, v)
		}
	}
	if len(used) < c.T || c.T < 1 {
		return out, blamed, fmt.Errorf("%w: %d of %d", ErrTooFew, len(used), c.T)
	}
	if out = encode(linear(weights(used), values)); out == (Element{}) {
		return out, blamed, ErrElement
	}
	return out, blamed, nil
}

// weights returns Lagrange's coefficients at zero for distinct indices.
func weights(indices []int) []*scalar.Scalar {
	out := make([]*scalar.Scalar, len(indices))
	d := scalar.New()
	for i, x := range indices {
		num, den := scalarOf(1), scalarOf(1)
		for j, y := range indices {
			if i != j {
				num.Mul(num, scalarOf(y))
				den.Mul(den, d.Sub(scalarOf(y), scalarOf(x)))
			}
		}
		out[i] = num.Mul(num, scalar.New().Invert(den))
	}
	return out
}
