package seal

import (
	"crypto/hpke"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"

	"salus/threshold"
)

// A Custody is what a custodian keeps of a batch. It prints as "[sealed]".
type Custody struct {
	Shares  []threshold.Share // number 0 is the blinding share; the record at position i has number i+1
	Opening [32]byte          // of the header's PatientCommit; erased with the batch
	Patient [16]byte
}

// Record returns the share of the record at position i (0-based).
func (c *Custody) Record(i int) threshold.Share { return c.Shares[i+1] }

// String hides the custody.
func (*Custody) String() string { return redacted }

// Format hides the custody from every verb.
func (*Custody) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue hides the custody from logs.
func (*Custody) LogValue() slog.Value { return slog.StringValue(redacted) }

// A Check is one of the checks of [OpenEnvelope]. The numbers are the reasons of a
// complaint on the ledger and never change.
type Check uint8

// The checks, in the order in which they run.
const (
	CheckHeader     Check = 1 // the header is not valid by itself
	CheckMaterial   Check = 2 // share roots or commitments are not those of the header: fetch them again
	CheckSealed     Check = 3 // the envelope does not open for this custodian, key epoch and header
	CheckLength     Check = 4 // it opens to something of another length
	CheckPatient    Check = 5 // pseudonym and opening are not those of the header
	CheckScalar     Check = 6 // a share is not a canonical scalar
	CheckShareRoot  Check = 7 // the shares are not under this custodian's share root
	CheckCommitment Check = 8 // the shares do not lie on the committed polynomials
)

// String names the check.
func (c Check) String() string {
	names := [...]string{"", "header", "material", "sealed", "length", "patient", "scalar", "share root", "commitment"}
	if int(c) < len(names) && c > 0 {
		return names[c]
	}
	return "unknown"
}

// An EnvelopeError says which check of [OpenEnvelope] failed. errors.Is finds [ErrAuthor]
// where the author is at fault, [ErrOpen] where the envelope did not open, [ErrProof]
// where the material was not the header's, and [ErrInvalid] for a bad header.
type EnvelopeError struct {
	Check Check
	err   error
}

// Error names the check.
func (e *EnvelopeError) Error() string { return "seal: envelope refused: check " + e.Check.String() }

// Unwrap returns the kind of fault.
func (e *EnvelopeError) Unwrap() error { return e.err }

// Complaint reports whether the failure is one to complain of on the ledger, given that
// the envelope is the committed one ([EnvelopesHash]) and that the custodian holds the
// private key of the envelope's key epoch. The other failures mean: not ours, or not
// the right bytes.
func (e *EnvelopeError) Complaint() bool { return e.Check >= CheckSealed }

func refuse(c Check, err error) *EnvelopeError { return &EnvelopeError{Check: c, err: err} }

// OpenEnvelope does everything a custodian must do before it signs a receipt: it opens
// its envelope under the header of the committed transaction and checks the pseudonym's
// commitment, the share root and the Pedersen commitment. The header must come from the
// custodian's own replica; share roots, commitments and envelope may come from anybody.
//
// index is the custodian's 1-based position, keyEpoch the epoch of the key sk. Errors
// are *[EnvelopeError].
func OpenEnvelope(sk hpke.PrivateKey, index int, keyEpoch uint64, h *Header, shareRoots, commitments [][32]byte, env []byte) (*Custody, error) {
	if err := h.Validate(); err != nil {
		return nil, refuse(CheckHeader, err)
	}
	if index < 1 || index > int(h.N) {
		return nil, refuse(CheckHeader, fmt.Errorf("%w: custodian %d of %d", ErrInvalid, index, h.N))
	}
	if len(shareRoots) != int(h.N) || ShareRootsHash(shareRoots) != h.ShareRoots ||
		len(commitments) != int(h.T) || CommitmentsHash(commitments) != h.VSSRoot {
		return nil, refuse(CheckMaterial, ErrProof)
	}
	plain, err := Unbox(sk, envelopeInfo(h.Hash(), index, keyEpoch), env)
	if err != nil {
		return nil, refuse(CheckSealed, err)
	}
	defer clear(plain)
	c, ok := decodeCustody(plain, int(h.Count))
	if !ok {
		return nil, refuse(CheckLength, ErrAuthor)
	}
	if pc := PatientCommit(c.Patient, c.Opening); subtle.ConstantTimeCompare(pc[:], h.PatientCommit[:]) != 1 {
		return nil, refuse(CheckPatient, ErrAuthor)
	}
	for r := range c.Shares {
		if !c.Shares[r].Canonical() {
			return nil, refuse(CheckScalar, ErrAuthor)
		}
	}
	if root := ShareRoot(h.BatchNonce, index, c.Shares); root != shareRoots[index-1] {
		return nil, refuse(CheckShareRoot, ErrAuthor)
	}
	if err := threshold.Verify(commitments, index, c.Shares); err != nil {
		return nil, refuse(CheckCommitment, fmt.Errorf("%w: %w", ErrAuthor, err))
	}
	return c, nil
}

// decodeCustody splits an envelope's plaintext: 32·(count+1) bytes of shares, 32 of
// opening, 16 of pseudonym.
func decodeCustody(plain []byte, count int) (*Custody, bool) {
	if len(plain) != envelopeSize(count) {
		return nil, false
	}
	c := &Custody{Shares: make([]threshold.Share, count+1)}
	for r := range c.Shares {
		copy(c.Shares[r][:], plain[32*r:])
	}
	copy(c.Opening[:], plain[32*(count+1):])
	copy(c.Patient[:], plain[32*(count+2):])
	return c, true
}
