package threshold

import (
	"fmt"

	"filippo.io/edwards25519"
)

// A Combiner interpolates shares of a fixed set of custodians. Its weights are made
// once and serve every record, which is what makes a batch cheap to open.
type Combiner struct {
	indices []int
	weights []*edwards25519.Scalar
}

// NewCombiner prepares the secrets (the values at 0) for shares of the custodians
// with these 1-based, distinct indices, in this order. That they are enough of them
// is the caller's business: fewer than t give a wrong secret, not an error.
func NewCombiner(indices []int) (*Combiner, error) { return newCombiner(indices, 0) }

// NewCombinerAt prepares the shares of custodian x instead of the secrets: with t
// sound shares it tells what the share of any other custodian must be.
func NewCombinerAt(indices []int, x int) (*Combiner, error) {
	if err := checkIndex(x); err != nil {
		return nil, err
	}
	return newCombiner(indices, x)
}

func newCombiner(indices []int, x int) (*Combiner, error) {
	if len(indices) == 0 || len(indices) > MaxCustodians {
		return nil, fmt.Errorf("%w: %d shares to combine", ErrParams, len(indices))
	}
	var seen [MaxCustodians + 1]bool
	for _, i := range indices {
		if err := checkIndex(i); err != nil {
			return nil, err
		}
		if seen[i] {
			return nil, fmt.Errorf("%w: custodian %d twice", ErrParams, i)
		}
		seen[i] = true
	}
	return &Combiner{indices: append([]int(nil), indices...), weights: lagrange(indices, x)}, nil
}

// Indices returns the custodians in the order in which shares are expected.
func (c *Combiner) Indices() []int { return append([]int(nil), c.indices...) }

// Secret combines one share per custodian, in the order of the indices. Errors:
// [ErrParams] for another number of shares, [ErrScalar]. Wrong shares give a wrong
// secret: only a commitment to the key can tell.
func (c *Combiner) Secret(shares []Share) (Secret, error) {
	if len(shares) != len(c.weights) {
		return Secret{}, fmt.Errorf("%w: %d shares of %d custodians", ErrParams, len(shares), len(c.weights))
	}
	var s edwards25519.Scalar
	sum := edwards25519.NewScalar()
	for k := range shares {
		if err := decodeShare(&s, &shares[k]); err != nil {
			return Secret{}, err
		}
		sum.MultiplyAdd(c.weights[k], &s, sum)
	}
	return Secret(sum.Bytes()), nil
}

// Canonical reports whether s is a scalar at all: if not, its sender is at fault.
func (s *Share) Canonical() bool {
	var v edwards25519.Scalar
	return decodeShare(&v, s) == nil
}
