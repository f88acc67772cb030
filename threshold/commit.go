package threshold

import (
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"filippo.io/edwards25519"
	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// GeneratorTag is the domain of the generators: generator r is the ristretto255
// element of the uniform bytes SHA-512(GeneratorTag ‖ r), r in 4 bytes big endian.
const GeneratorTag = "salus/custody/v1/generator"

// tabled is how many generators have a table of multiples: those of the blinding polynomial and
// of eight records. With tables a commitment needs no doublings, which are most of the work of a
// small batch; in a large one they are spread over all records. A table takes 40 KiB.
const tabled = 9

func generator(r int) *curve.RistrettoPoint {
	h := sha512.Sum512(binary.BigEndian.AppendUint32([]byte(GeneratorTag), uint32(r)))
	g, _ := curve.NewRistrettoPoint().SetUniformBytes(h[:]) // 64 bytes never fail
	return g
}

// generators holds H_0 to H_1024, tables those of the first ones. They are constants, too
// costly (some 10 ms and 1 ms) to make in every process that imports the package.
var (
	generators = sync.OnceValue(func() []*curve.RistrettoPoint {
		g := make([]*curve.RistrettoPoint, MaxSecrets+1)
		for r := range g {
			g[r] = generator(r)
		}
		return g
	})
	tables = sync.OnceValue(func() []*curve.RistrettoBasepointTable {
		t := make([]*curve.RistrettoBasepointTable, tabled)
		for r := range t {
			t[r] = curve.NewRistrettoBasepointTable(generator(r))
		}
		return t
	})
)

// commitment returns Σ_r exps[r]·H_r. The exponents are secret: it takes a time that depends on
// their number alone.
func commitment(exps []scalar.Scalar) *curve.RistrettoPoint {
	sum := curve.NewRistrettoPoint()
	if len(exps) <= tabled {
		var p curve.RistrettoPoint
		for r, t := range tables()[:len(exps)] {
			sum.Add(sum, p.MulBasepoint(t, &exps[r]))
		}
		return sum
	}
	refs := make([]*scalar.Scalar, len(exps))
	for r := range exps {
		refs[r] = &exps[r]
	}
	return sum.MultiscalarMul(refs, generators()[:len(exps)])
}

// commit returns D_k = Σ_r a_{r,k}·H_r for each coefficient k.
func commit(polys []polynomial) [][32]byte {
	out, exps := make([][32]byte, len(polys[0])), make([]scalar.Scalar, len(polys))
	defer clear(exps)
	for k := range out {
		for r := range polys {
			convert(&exps[r], &polys[r][k])
		}
		out[k] = encode(commitment(exps))
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

// verifyAt compares the commitment to a share vector with what it must be.
func verifyAt(want *curve.RistrettoPoint, shares []Share) error {
	if len(shares) < 2 || len(shares) > MaxSecrets+1 {
		return fmt.Errorf("%w: %d shares, want 2 to %d", ErrParams, len(shares), MaxSecrets+1)
	}
	exps := make([]scalar.Scalar, len(shares))
	defer clear(exps)
	for r := range shares {
		if _, err := exps[r].SetCanonicalBytes(shares[r][:]); err != nil {
			return ErrScalar
		}
	}
	if commitment(exps).Equal(want) != 1 {
		return ErrShares
	}
	return nil
}

// evaluateCommitments returns Σ_k x^k·D_k, the commitment to the share vector of custodian x, by
// Horner's rule: x is at most [MaxCustodians], so each step is a few additions. All of it is
// public: variable time.
func evaluateCommitments(d []*curve.RistrettoPoint, x int) *curve.RistrettoPoint {
	v, p := curve.NewRistrettoPoint(), curve.NewRistrettoPoint()
	for _, e := range slices.Backward(d) {
		p.Set(v)
		for b := bits.Len(uint(x)) - 2; b >= 0; b-- {
			v.Add(v, v)
			if x>>b&1 == 1 {
				v.Add(v, p)
			}
		}
		v.Add(v, e)
	}
	return v
}

func decodeCommitments(commitments [][32]byte) ([]*curve.RistrettoPoint, error) {
	if len(commitments) < 1 || len(commitments) > MaxCustodians {
		return nil, fmt.Errorf("%w: %d commitments, want 1 to %d", ErrParams, len(commitments), MaxCustodians)
	}
	out := make([]*curve.RistrettoPoint, len(commitments))
	for k := range commitments {
		e, err := curve.NewRistrettoPoint().SetCompressed((*curve.CompressedRistretto)(&commitments[k]))
		if err != nil {
			return nil, ErrElement
		}
		out[k] = e
	}
	return out, nil
}

func encode(e *curve.RistrettoPoint) (b [32]byte) {
	(*curve.CompressedRistretto)(&b).SetRistrettoPoint(e)
	return b
}

func convert(dst *scalar.Scalar, s *edwards25519.Scalar) {
	_, _ = dst.SetBits(s.Bytes()) // canonical, so that no bit is lost
}
