package oprf

import (
	"fmt"
	"io"
	"slices"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"

	"salus/threshold"
)

// A key is made by all custodians: each deals a random polynomial in public
// commitments to its coefficients (Feldman) and one secret share for each of the
// others; the key is the sum of the constant terms of all whose dealing nobody
// could complain of. Nobody knows it. The last to deal can choose among keys whose
// distribution it biases, not know one (Gennaro et al., Eurocrypt 1999 section 4:
// the discrete logarithm stays hard, which is all that is needed here).
//
// The same key goes to the next custodians by each old one dealing its own share
// again, whose element everybody knows; t of them, the same for all, count.

// A Dealing is one custodian's part of making a key, or of passing one on.
type Dealing struct {
	// Commitments holds a_k·G for each coefficient, t in all; public.
	Commitments []Element
	// Shares holds the secret share of custodian j at Shares[j-1].
	Shares []threshold.Share
}

// Deal draws a random polynomial. It reads 64·t bytes from rand.
func Deal(rand io.Reader, n, t int) (*Dealing, error) {
	a0, err := randomScalar(rand)
	if err != nil {
		return nil, err
	}
	return deal(rand, a0, n, t)
}

// Redeal deals a custodian's own share among the n next ones with threshold t. It reads
// 64·(t-1) bytes from rand. Errors: ErrScalar, threshold.ErrParams.
func Redeal(rand io.Reader, share threshold.Share, n, t int) (*Dealing, error) {
	a0, err := secret(&share)
	if err != nil {
		return nil, err
	}
	return deal(rand, a0, n, t)
}

func deal(rand io.Reader, a0 *scalar.Scalar, n, t int) (*Dealing, error) {
	if err := threshold.CheckParams(n, t); err != nil {
		return nil, err
	}
	poly := []*scalar.Scalar{a0}
	for len(poly) < t {
		a, err := randomScalar(rand)
		if err != nil {
			return nil, err
		}
		poly = append(poly, a)
	}
	d := &Dealing{Commitments: make([]Element, t), Shares: make([]threshold.Share, n)}
	for k, a := range poly {
		if d.Commitments[k] = encode(base(a)); d.Commitments[k] == (Element{}) {
			return nil, ErrScalar // probability 2^-252
		}
	}
	for j := range d.Shares {
		x, v := scalarOf(j+1), scalar.New()
		for _, a := range slices.Backward(poly) {
			v.Add(v.Mul(v, x), a)
		}
		_ = v.ToBytes(d.Shares[j][:]) // 32 bytes never fail
	}
	for _, a := range poly {
		a.Zero()
	}
	return d, nil
}

// CheckDealing checks the public part of a dealing for threshold t; continues is the
// element of the share that is dealt again, or zeros for a fresh dealing.
// Errors: ErrParams, ErrElement, ErrDealer: all of them the dealer's fault.
func CheckDealing(commitments []Element, t int, continues Element) error {
	if len(commitments) != t || t < 1 || t > threshold.MaxCustodians {
		return fmt.Errorf("%w: %d commitments, want %d", ErrParams, len(commitments), t)
	}
	if _, err := decodeAll(commitments); err != nil {
		return err
	}
	if continues != (Element{}) && commitments[0] != continues {
		return ErrDealer
	}
	return nil
}

// VerifyShare checks the share that custodian j got: share·G = Σ_k j^k·A_k. Who opens
// such a share lets anybody run this same function.
// Errors: ErrParams, ErrElement, ErrScalar, ErrShare.
func VerifyShare(commitments []Element, j int, share threshold.Share) error {
	want, err := at(commitments, j)
	if err != nil {
		return err
	}
	s, err := decodeScalar(share[:])
	if err != nil {
		return err
	}
	if base(s).Equal(want) != 1 {
		return ErrShare
	}
	return nil
}

// at is the element of the share that commitments give custodian j.
func at(commitments []Element, j int) (*curve.RistrettoPoint, error) {
	if j < 1 || j > threshold.MaxCustodians || len(commitments) == 0 {
		return nil, fmt.Errorf("%w: custodian index %d", ErrParams, j)
	}
	d, err := decodeAll(commitments)
	if err != nil {
		return nil, err
	}
	exps := make([]*scalar.Scalar, len(d))
	x := scalarOf(j)
	for k, p := 0, scalarOf(1); k < len(d); k++ {
		exps[k] = scalar.New().Set(p)
		p.Mul(p, x)
	}
	return linear(exps, d), nil
}

// Join adds up the fresh dealings of the agreed dealers: what everybody knows of the
// key that they made together, for n custodians. Errors: ErrParams, ErrElement.
func Join(n int, dealings [][]Element) (*Committee, error) {
	w := make([]*scalar.Scalar, len(dealings))
	for i := range w {
		w[i] = scalarOf(1)
	}
	return join(n, w, dealings)
}

// Carry is Join for a key that is passed on: dealers are the indices of those whose
// dealings count, as many as the old threshold.
func Carry(n int, dealers []int, dealings [][]Element) (*Committee, error) {
	if err := distinct(dealers); err != nil || len(dealers) != len(dealings) {
		return nil, ErrParams
	}
	return join(n, weights(dealers), dealings)
}

func join(n int, w []*scalar.Scalar, dealings [][]Element) (*Committee, error) {
	if len(dealings) == 0 || n < 1 || n > threshold.MaxCustodians {
		return nil, ErrParams
	}
	t := len(dealings[0])
	sum := make([]Element, t)
	for k := range sum {
		column := make([]*curve.RistrettoPoint, len(dealings))
		for i, d := range dealings {
			if len(d) != t {
				return nil, ErrParams
			}
			var err error
			if column[i], err = d[k].decode(); err != nil {
				return nil, err
			}
		}
		if sum[k] = encode(linear(w, column)); sum[k] == (Element{}) {
			return nil, ErrElement
		}
	}
	c := &Committee{T: t, Key: sum[0], Shares: make([]Element, n)}
	for j := range c.Shares {
		e, err := at(sum, j+1)
		if err != nil {
			return nil, err
		}
		if c.Shares[j] = encode(e); c.Shares[j] == (Element{}) {
			return nil, ErrElement
		}
	}
	return c, nil
}

// JoinShares adds up what one custodian got from the agreed dealers.
func JoinShares(got []threshold.Share) (threshold.Share, error) {
	w := make([]*scalar.Scalar, len(got))
	for i := range w {
		w[i] = scalarOf(1)
	}
	return sumShares(w, got)
}

// CarryShares is JoinShares for a key that is passed on.
func CarryShares(dealers []int, got []threshold.Share) (threshold.Share, error) {
	if err := distinct(dealers); err != nil || len(dealers) != len(got) {
		return threshold.Share{}, ErrParams
	}
	return sumShares(weights(dealers), got)
}

func sumShares(w []*scalar.Scalar, got []threshold.Share) (out threshold.Share, err error) {
	if len(got) == 0 {
		return out, ErrParams
	}
	sum := scalar.New()
	for i := range got {
		s, err := decodeScalar(got[i][:])
		if err != nil {
			return out, err
		}
		sum.Add(sum, s.Mul(s, w[i]))
	}
	_ = sum.ToBytes(out[:])
	return out, nil
}

func distinct(indices []int) error {
	var seen [threshold.MaxCustodians + 1]bool
	for _, i := range indices {
		if i < 1 || i > threshold.MaxCustodians || seen[i] {
			return ErrParams
		}
		seen[i] = true
	}
	return nil
}
