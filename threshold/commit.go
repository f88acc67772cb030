package threshold

import (
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"sync"

	"filippo.io/edwards25519"
	"github.com/gtank/ristretto255"
)

// GeneratorTag is the domain of the generators: generator r is the ristretto255
// element of the uniform bytes SHA-512(GeneratorTag ‖ r), r in 4 bytes big endian.
const GeneratorTag = "salus/custody/v1/generator"

// generators holds H_0 to H_1024. They are constants, too costly (some 10 ms) to
// make in every process that imports the package.
var generators = sync.OnceValue(func() []*ristretto255.Element {
	g := make([]*ristretto255.Element, MaxSecrets+1)
	for r := range g {
		h := sha512.Sum512(binary.BigEndian.AppendUint32([]byte(GeneratorTag), uint32(r)))
		g[r] = ristretto255.NewElement().FromUniformBytes(h[:])
	}
	return g
})

// commit returns D_k = Σ_r a_{r,k}·H_r for each coefficient k. The exponents are
// secret: constant time.
func commit(polys []polynomial) [][32]byte {
	out := make([][32]byte, len(polys[0]))
	exps := make([]*ristretto255.Scalar, len(polys))
	for k := range out {
		for r := range polys {
			exps[r] = convert(&polys[r][k])
		}
		e := ristretto255.NewElement().MultiScalarMult(exps, generators()[:len(polys)])
		out[k] = encode(e)
	}
	return out
}

// Verify checks that the share vector of custodian i (blinding share first) lies on
// the committed polynomials: Σ_r s_r·H_r = Σ_k i^k·D_k. A dealer that gives any
// custodian a vector off the polynomials is caught by that custodian, unless it can
// take discrete logarithms.
//
// Errors: [ErrParams], [ErrElement] (commitments not well formed), [ErrScalar],
// [ErrShares].
func Verify(commitments [][32]byte, i int, shares []Share) error {
	if err := checkIndex(i); err != nil {
		return err
	}
	d, err := decodeCommitments(commitments)
	if err != nil {
		return err
	}
	return verifyAt(evaluateCommitments(d, i), shares)
}

// verifyAt compares the commitment to a share vector with what it must be. The
// shares are secret: constant time.
func verifyAt(want *ristretto255.Element, shares []Share) error {
	if len(shares) < 2 || len(shares) > MaxSecrets+1 {
		return fmt.Errorf("%w: %d shares, want 2 to %d", ErrParams, len(shares), MaxSecrets+1)
	}
	exps := make([]*ristretto255.Scalar, len(shares))
	for r := range shares {
		exps[r] = ristretto255.NewScalar()
		if err := exps[r].Decode(shares[r][:]); err != nil {
			return ErrScalar
		}
	}
	got := ristretto255.NewElement().MultiScalarMult(exps, generators()[:len(shares)])
	if got.Equal(want) != 1 {
		return ErrShares
	}
	return nil
}

// evaluateCommitments returns Σ_k x^k·D_k, the commitment to the share vector of
// custodian x. All of it is public: variable time.
func evaluateCommitments(d []*ristretto255.Element, x int) *ristretto255.Element {
	exps := make([]*ristretto255.Scalar, len(d))
	for k, p := range powers(x, len(d)) {
		exps[k] = convert(p)
	}
	return ristretto255.NewElement().VarTimeMultiScalarMult(exps, d)
}

func decodeCommitments(commitments [][32]byte) ([]*ristretto255.Element, error) {
	if len(commitments) < 1 || len(commitments) > MaxCustodians {
		return nil, fmt.Errorf("%w: %d commitments, want 1 to %d", ErrParams, len(commitments), MaxCustodians)
	}
	out := make([]*ristretto255.Element, len(commitments))
	for k := range commitments {
		out[k] = ristretto255.NewElement()
		if err := out[k].Decode(commitments[k][:]); err != nil {
			return nil, ErrElement
		}
	}
	return out, nil
}

func encode(e *ristretto255.Element) (b [32]byte) {
	e.Encode(b[:0])
	return b
}

func convert(s *edwards25519.Scalar) *ristretto255.Scalar {
	out := ristretto255.NewScalar()
	_ = out.Decode(s.Bytes()) // a Scalar's encoding is canonical
	return out
}
