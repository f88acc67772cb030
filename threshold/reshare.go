package threshold

import (
	"fmt"
	"io"

	"filippo.io/edwards25519"
	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// Resharing moves a batch from one committee to the next without anybody learning a
// secret. Each old custodian deals its own shares afresh ([Subdeal]); the constant
// terms of its commitments must be the commitment to the shares it holds, which
// anybody computes from the old commitments, so it cannot deal something else. New
// custodians check ([VerifySubdeal]), combine the same t dealers ([CombineSubdeals])
// and all know the new commitments ([NextCommitments]).

// A Subdealing is one old custodian's resharing of its share vector.
type Subdealing struct {
	// Commitments holds the t' commitments, public; the first one commits to the dealer's own shares.
	Commitments [][32]byte
	// Shares holds the vector for new custodian j at Shares[j-1], blinding share first.
	Shares [][]Share
}

// Subdeal shares a custodian's whole share vector (blinding share first, all of the
// batch) among n new custodians with threshold t. It reads 64·t bytes per share.
func Subdeal(rand io.Reader, shares []Share, n, t int) (*Subdealing, error) {
	if err := CheckParams(n, t); err != nil {
		return nil, err
	}
	if len(shares) < 2 || len(shares) > MaxSecrets+1 {
		return nil, fmt.Errorf("%w: %d shares, want 2 to %d", ErrParams, len(shares), MaxSecrets+1)
	}
	buf := make([]byte, 64*t)
	defer clear(buf)
	polys := make([]polynomial, len(shares))
	for r := range polys {
		p, err := randomPolynomial(rand, buf, t)
		if err != nil {
			return nil, err
		}
		if err := decodeShare(&p[0], &shares[r]); err != nil {
			return nil, err
		}
		polys[r] = p
	}
	out := &Subdealing{Commitments: commit(polys), Shares: evaluate(polys, n)}
	wipe(polys)
	return out, nil
}

// VerifySubdealer checks the public part of a resharing: that the commitments of old
// custodian from continue the shares it holds under the previous commitments.
// [ErrSubdealer] and [ErrElement] are from's fault and plain to everybody.
func VerifySubdealer(previous [][32]byte, from int, commitments [][32]byte) error {
	_, err := verifySubdealer(previous, from, commitments)
	return err
}

func verifySubdealer(previous [][32]byte, from int, commitments [][32]byte) ([]*curve.RistrettoPoint, error) {
	if err := checkIndex(from); err != nil {
		return nil, err
	}
	old, err := decodeCommitments(previous)
	if err != nil {
		return nil, fmt.Errorf("%w: previous commitments: %w", ErrParams, err)
	}
	d, err := decodeCommitments(commitments)
	if err != nil {
		return nil, err
	}
	if d[0].Equal(evaluateCommitments(old, from)) != 1 {
		return nil, ErrSubdealer
	}
	return d, nil
}

// VerifySubdeal checks all that new custodian to received from old custodian from.
// [ErrSubdealer], [ErrElement], [ErrScalar] and [ErrShares] are from's fault. The
// last two only to knows, until it opens this one vector in a complaint; then
// anybody runs this same function.
func VerifySubdeal(previous [][32]byte, from int, commitments [][32]byte, to int, shares []Share) error {
	if err := checkIndex(to); err != nil {
		return err
	}
	d, err := verifySubdealer(previous, from, commitments)
	if err != nil {
		return err
	}
	return verifyAt(evaluateCommitments(d, to), shares)
}

// A Received is what one new custodian got from old custodian From.
type Received struct {
	From        int
	Commitments [][32]byte
	Shares      []Share
}

// A Reshared is one new custodian's result.
type Reshared struct {
	// Shares is its share vector under the next commitments, blinding share first.
	Shares []Share
	// Used holds the t dealers combined, in the order given.
	Used []int
	// Blamed holds the dealers whose dealing failed a check, in the order given.
	Blamed []int
}

// CombineSubdeals makes the share vector of new custodian to. It takes the first t
// sound dealers in the order given, t being the number of previous commitments, and
// names the others that failed. All new custodians must combine the same dealers: the
// ledger fixes the set, so a caller hands in exactly those and treats any blame as a
// complaint to be made, not as a set to be chosen by itself.
//
// width is the threshold t' of the next committee, size the number of shares of the
// vector (blinding included). With [ErrTooFew] the result still names the blamed.
func CombineSubdeals(previous [][32]byte, to, width, size int, subs []Received) (*Reshared, error) {
	if err := checkIndex(to); err != nil {
		return nil, err
	}
	if _, err := decodeCommitments(previous); err != nil {
		return nil, fmt.Errorf("%w: previous commitments: %w", ErrParams, err) // nobody's fault but ours
	}
	out := &Reshared{}
	var sound []*Received
	var seen [MaxCustodians + 1]bool
	for k := range subs {
		s := &subs[k]
		if err := checkIndex(s.From); err != nil {
			return nil, err
		}
		if seen[s.From] {
			return nil, fmt.Errorf("%w: dealer %d twice", ErrParams, s.From)
		}
		seen[s.From] = true
		if len(s.Commitments) != width || len(s.Shares) != size || VerifySubdeal(previous, s.From, s.Commitments, to, s.Shares) != nil {
			out.Blamed = append(out.Blamed, s.From)
			continue
		}
		if len(sound) < len(previous) {
			sound = append(sound, s)
			out.Used = append(out.Used, s.From)
		}
	}
	if len(sound) < len(previous) {
		return out, fmt.Errorf("%w: %d of %d", ErrTooFew, len(sound), len(previous))
	}
	weights := lagrange(out.Used, 0)
	out.Shares = make([]Share, size)
	var v edwards25519.Scalar
	for r := range out.Shares {
		sum := edwards25519.NewScalar()
		for k, s := range sound {
			if err := decodeShare(&v, &s.Shares[r]); err != nil {
				return nil, err
			}
			sum.MultiplyAdd(weights[k], &v, sum)
		}
		copy(out.Shares[r][:], sum.Bytes())
	}
	return out, nil
}

// NextCommitments returns the commitments of the next epoch from those of the dealers
// used, in the same order: D'_k = Σ_i λ_i·D_{i,k}. Anybody can compute them.
func NextCommitments(used []int, commitments [][][32]byte) ([][32]byte, error) {
	if len(used) == 0 || len(used) != len(commitments) {
		return nil, fmt.Errorf("%w: %d dealers, %d commitment lists", ErrParams, len(used), len(commitments))
	}
	c, err := newCombiner(used, 0)
	if err != nil {
		return nil, err
	}
	width := len(commitments[0])
	rows := make([][]*curve.RistrettoPoint, len(used))
	for q := range commitments {
		if len(commitments[q]) != width {
			return nil, fmt.Errorf("%w: dealers disagree on the threshold", ErrParams)
		}
		if rows[q], err = decodeCommitments(commitments[q]); err != nil {
			return nil, err
		}
	}
	weights := make([]*scalar.Scalar, len(used))
	for q := range used {
		weights[q] = scalar.New()
		convert(weights[q], c.weights[q])
	}
	out, column := make([][32]byte, width), make([]*curve.RistrettoPoint, len(used))
	for k := range out {
		for q := range rows {
			column[q] = rows[q][k]
		}
		out[k] = encode(curve.NewRistrettoPoint().MultiscalarMulVartime(weights, column))
	}
	return out, nil
}

// CombineVerified makes a new custodian's share vector out of dealings that it has verified
// one by one ([VerifySubdeal]), all of them, with the weights of their dealers.
func CombineVerified(subs []Received) ([]Share, error) {
	if len(subs) == 0 {
		return nil, fmt.Errorf("%w: nothing to combine", ErrParams)
	}
	var from []int
	for i := range subs {
		if err := checkIndex(subs[i].From); err != nil {
			return nil, err
		}
		if len(subs[i].Shares) != len(subs[0].Shares) {
			return nil, fmt.Errorf("%w: vectors of different lengths", ErrParams)
		}
		from = append(from, subs[i].From)
	}
	c, err := newCombiner(from, 0)
	if err != nil {
		return nil, err
	}
	out := make([]Share, len(subs[0].Shares))
	var v edwards25519.Scalar
	for r := range out {
		sum := edwards25519.NewScalar()
		for k := range subs {
			if err := decodeShare(&v, &subs[k].Shares[r]); err != nil {
				return nil, err
			}
			sum.MultiplyAdd(c.weights[k], &v, sum)
		}
		copy(out[r][:], sum.Bytes())
	}
	return out, nil
}
