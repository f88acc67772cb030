// Package threshold shares secrets among custodians: t of n of them can put a
// secret together again, t-1 of them know nothing about it.
//
// Secrets are dealt by the batch. Record r of a batch has its own random
// polynomial f_r of degree t-1 over the integers modulo the ristretto255 group
// order; its secret is f_r(0) and custodian i (1-based) holds f_r(i). Polynomial
// 0 shares no record: it blinds one vector-Pedersen commitment per coefficient
// for the whole batch, against which every custodian checks its shares when they
// are dealt and every dealer is checked when they are dealt again to the next
// committee.
//
// Contract: pure functions; the only input that is not an argument's value is the
// randomness handed in. Work on secrets takes a time that depends on counts alone;
// variable-time arithmetic touches public commitments and nothing else.
// It must never know what a secret is for, write one into an error, or print one.
//
// The construction is spec/seal.md section 2.
package threshold

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Limits of one dealing.
const (
	// MaxCustodians is the largest committee: the ledger notes a batch's receipts in one 64-bit map.
	MaxCustodians = 64
	// MaxSecrets is the largest batch, without its blinding polynomial.
	MaxSecrets = 1024
)

// Errors of this package. Each says whose fault it is in a resharing or a dealing.
var (
	// ErrParams means numbers of custodians, secrets or coefficients that no honest caller uses.
	ErrParams = errors.New("threshold: parameters out of range")
	// ErrScalar means a share that is not a canonical scalar: whoever sent it is at fault.
	ErrScalar = errors.New("threshold: share is not a canonical scalar")
	// ErrElement means a commitment that is not a canonical ristretto255 element.
	ErrElement = errors.New("threshold: commitment is not a canonical group element")
	// ErrShares means a share vector that does not lie on the committed polynomials.
	ErrShares = errors.New("threshold: shares do not match the dealer's commitments")
	// ErrSubdealer means commitments of a resharing that do not continue the shares
	// their dealer holds. Anybody can check it, without a secret.
	ErrSubdealer = errors.New("threshold: resharing does not continue the committed shares")
	// ErrTooFew means fewer sound dealers than the threshold.
	ErrTooFew = errors.New("threshold: fewer sound dealers than the threshold")
)

// A Share is one custodian's value of one polynomial: a scalar, 32 bytes little
// endian, canonical. It prints as "[sealed]".
type Share [32]byte

// A Secret is the value of one polynomial at zero, encoded like a Share. It prints as "[sealed]".
type Secret [32]byte

const redacted = "[sealed]"

// String hides the share.
func (Share) String() string { return redacted }

// Format hides the share from every verb.
func (Share) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue hides the share from logs.
func (Share) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the share from JSON and other text forms.
func (Share) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// String hides the secret.
func (Secret) String() string { return redacted }

// Format hides the secret from every verb.
func (Secret) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue hides the secret from logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret from JSON and other text forms.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Quorum returns what follows from n equal custodians: f of them may be faulty, t
// shares open a secret, and q receipts make a batch active or a revocation certain.
// t = q = n-f, which is 2f+1 when n = 3f+1.
func Quorum(n int) (f, t, q int) {
	f = (n - 1) / 3
	return f, n - f, n - f
}

// CheckParams accepts 1 to [MaxCustodians] custodians and a threshold 2f < t <= n-f
// for f = (n-1)/3. A lower threshold lets f faulty custodians and f lagging ones
// open a record after its revocation (model/release.pml finds the run); a higher
// one lets f silent custodians close every record.
func CheckParams(n, t int) error {
	if n < 1 || n > MaxCustodians {
		return fmt.Errorf("%w: %d custodians, want 1 to %d", ErrParams, n, MaxCustodians)
	}
	f, high, _ := Quorum(n)
	if t <= 2*f || t > high {
		return fmt.Errorf("%w: threshold %d of %d custodians, want %d to %d", ErrParams, t, n, 2*f+1, high)
	}
	return nil
}

func checkIndex(i int) error {
	if i < 1 || i > MaxCustodians {
		return fmt.Errorf("%w: custodian index %d, want 1 to %d", ErrParams, i, MaxCustodians)
	}
	return nil
}
