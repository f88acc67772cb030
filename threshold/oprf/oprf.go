// Package oprf evaluates a keyed function of something guessable without anybody
// who holds a part of the key learning the input: RFC 9497, mode VOPRF, suite
// ristretto255-SHA512, with the key shared t of n among the custodians. What one
// evaluation finds cannot be told from what a single key would find, so the RFC's
// vectors hold.
//
//	blind      hide the input                                  rfc.go
//	evaluate   with a share of the key, and prove it           rfc.go, partial.go
//	combine    t proved parts; a wrong one names its author    partial.go
//	deal       a key that nobody knows, made by all            deal.go
//	redeal     the same key for the next custodians            deal.go
//	pointer    32 bytes that t custodians open together        pointer.go
//
// Contract: pure functions; the only input that is not an argument's value is the
// randomness handed in. Work on secrets takes a time that depends on counts alone;
// variable-time arithmetic touches public values and nothing else.
// It must never know what an input is, write one or a share into an error, or print one.
//
// The construction is spec/lookup.md section 2.
package oprf

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"

	"salus/threshold"
)

// Errors of this package.
var (
	// ErrElement means bytes that are not the canonical encoding of a group element
	// other than the identity (RFC 9497 section 2.1, DeserializeElement).
	ErrElement = errors.New("oprf: not a canonical group element")
	// ErrScalar means bytes that are not a canonical scalar.
	ErrScalar = errors.New("oprf: not a canonical scalar")
	// ErrInput means an input that no honest caller uses: empty, or over 65,535 bytes.
	ErrInput = errors.New("oprf: input out of range")
	// ErrProof means an evaluation that was not made with the key it should be.
	ErrProof = errors.New("oprf: the proof does not hold")
	// ErrShare means a share that does not lie on its dealer's committed polynomial.
	ErrShare = errors.New("oprf: share does not match the dealer's commitments")
	// ErrDealer means commitments that do not continue what their dealer holds.
	ErrDealer = errors.New("oprf: dealing does not continue the dealer's share")
	// ErrTooFew means fewer sound parts than the threshold.
	ErrTooFew = errors.New("oprf: fewer sound parts than the threshold")
	// ErrParams means numbers of custodians or elements that no honest caller uses.
	ErrParams = errors.New("oprf: parameters out of range")
)

// An Element is a ristretto255 element, canonical, never the identity.
type Element [32]byte

// A Proof shows that several elements were multiplied by one scalar: challenge and
// response of RFC 9497 section 2.2, 64 bytes.
type Proof [64]byte

// An Output is what the function finds, 64 bytes. It prints as "[sealed]".
type Output [64]byte

// A Blind hides one input. It is used once and forgotten. It prints as "[sealed]".
type Blind [32]byte

const redacted = "[sealed]"

// String hides the output.
func (Output) String() string { return redacted }

// Format hides the output from every verb.
func (Output) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue hides the output from logs.
func (Output) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the output from JSON and other text forms.
func (Output) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// String hides the blind.
func (Blind) String() string { return redacted }

// Format hides the blind from every verb.
func (Blind) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue hides the blind from logs.
func (Blind) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the blind from JSON and other text forms.
func (Blind) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Validate reports ErrElement.
func (e Element) Validate() error {
	_, err := e.decode()
	return err
}

func (e Element) decode() (*curve.RistrettoPoint, error) {
	if e == (Element{}) { // zeros encode the identity
		return nil, ErrElement
	}
	out, err := curve.NewRistrettoPoint().SetCompressed((*curve.CompressedRistretto)(&e))
	if err != nil {
		return nil, ErrElement
	}
	return out, nil
}

func encode(e *curve.RistrettoPoint) (b Element) {
	(*curve.CompressedRistretto)(&b).SetRistrettoPoint(e)
	return b
}

// base returns s·G in constant time.
func base(s *scalar.Scalar) *curve.RistrettoPoint {
	return curve.NewRistrettoPoint().MulBasepoint(curve.RISTRETTO_BASEPOINT_TABLE, s)
}

// times returns s·e in constant time.
func times(s *scalar.Scalar, e *curve.RistrettoPoint) *curve.RistrettoPoint {
	return curve.NewRistrettoPoint().Mul(e, s)
}

// linear returns Σ s_i·e_i. All of it is public: variable time.
func linear(s []*scalar.Scalar, e []*curve.RistrettoPoint) *curve.RistrettoPoint {
	return curve.NewRistrettoPoint().MultiscalarMulVartime(s, e)
}

// uniform is the element of 64 bytes, RFC 9496 section 4.3.4.
func uniform(b []byte) *curve.RistrettoPoint {
	out, _ := curve.NewRistrettoPoint().SetUniformBytes(b) // 64 bytes never fail
	return out
}

// reduced is the scalar of 64 bytes.
func reduced(b []byte) *scalar.Scalar {
	s, _ := scalar.NewFromBytesModOrderWide(b) // 64 bytes never fail
	return s
}

func decodeAll(in []Element) ([]*curve.RistrettoPoint, error) {
	out := make([]*curve.RistrettoPoint, len(in))
	for i := range in {
		var err error
		if out[i], err = in[i].decode(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func decodeScalar(b []byte) (*scalar.Scalar, error) {
	s, err := scalar.NewFromCanonicalBytes(b)
	if err != nil {
		return nil, ErrScalar
	}
	return s, nil
}

// secret decodes a share that must not be zero: a zero share would evaluate to the identity.
func secret(s *threshold.Share) (*scalar.Scalar, error) {
	if *s == (threshold.Share{}) {
		return nil, ErrScalar
	}
	return decodeScalar(s[:])
}

// randomScalar draws 64 random bytes and reduces them; the bias is below 2^-250.
func randomScalar(rand io.Reader) (*scalar.Scalar, error) {
	var b [64]byte
	defer clear(b[:])
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return nil, fmt.Errorf("oprf: randomness: %w", err)
	}
	return reduced(b[:]), nil
}

func scalarOf(v int) *scalar.Scalar { return scalar.NewFromUint64(uint64(v)) }

// Public is the element of a share or key: share·G.
func Public(s threshold.Share) (Element, error) {
	k, err := secret(&s)
	if err != nil {
		return Element{}, err
	}
	return encode(base(k)), nil
}
