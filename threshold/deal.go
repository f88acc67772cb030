package threshold

import (
	"fmt"
	"io"
)

// A Dealing is a batch of fresh secrets and their shares.
type Dealing struct {
	// Secrets holds one secret per record.
	Secrets []Secret
	// Shares holds, for custodian i at Shares[i-1], the blinding share at 0 and the
	// share of secret r (0-based) at r+1.
	Shares [][]Share
	// Commitments holds one vector-Pedersen commitment per coefficient, t in all. They
	// are public and hide the secrets perfectly, also from a quantum computer.
	Commitments [][32]byte
}

// Deal draws count random secrets (1 to [MaxSecrets]) and shares them t of n. It reads
// 64·t·(count+1) bytes from rand, polynomial by polynomial from the blinding one on,
// coefficients from the constant term up.
func Deal(rand io.Reader, count, n, t int) (*Dealing, error) {
	if err := CheckParams(n, t); err != nil {
		return nil, err
	}
	if count < 1 || count > MaxSecrets {
		return nil, fmt.Errorf("%w: %d secrets, want 1 to %d", ErrParams, count, MaxSecrets)
	}
	buf := make([]byte, 64*t)
	defer clear(buf)
	polys := make([]polynomial, count+1)
	for r := range polys {
		p, err := randomPolynomial(rand, buf, t)
		if err != nil {
			return nil, err
		}
		polys[r] = p
	}
	d := &Dealing{Secrets: make([]Secret, count), Shares: evaluate(polys, n), Commitments: commit(polys)}
	for r := range d.Secrets {
		copy(d.Secrets[r][:], polys[r+1][0].Bytes())
	}
	wipe(polys)
	return d, nil
}

// evaluate returns the values of all polynomials at 1..n.
func evaluate(polys []polynomial, n int) [][]Share {
	out := make([][]Share, n)
	for i := range out {
		x := scalarOf(i + 1)
		out[i] = make([]Share, len(polys))
		for r, p := range polys {
			copy(out[i][r][:], p.at(x).Bytes())
		}
	}
	return out
}

// wipe forgets coefficients as far as the language lets us: copies that the
// arithmetic made are beyond reach.
func wipe(polys []polynomial) {
	for _, p := range polys {
		clear(p)
	}
}
