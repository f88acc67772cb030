package emergency

import (
	"math/bits"

	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// Kinds of this module. An emergency itself is declared, widened and extended
// by module access, because that opens a session.
const (
	KindDirective tx.Kind = "emergency.directive"
	KindAttest    tx.Kind = "emergency.attest"
	KindReview    tx.Kind = "emergency.review"
	KindDispute   tx.Kind = "emergency.dispute"
)

// SetDirective says what an emergency may open. Signed by the patient; by her
// steward as long as she has not set one herself.
type SetDirective struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
	Version uint64     `cbor:"2,keyasint" json:"version"` // one more than the one it replaces
	Set     uint64     `cbor:"3,keyasint" json:"set"`     // slots of the first step; exactly 32 bits set
	More    uint64     `cbor:"4,keyasint" json:"more"`    // slots that the second step adds; exactly 32 bits set
	Except  uint64     `cbor:"5,keyasint" json:"except"`  // slots that no step opens; exactly 24 bits set
}

// Attest is the account of who declared the emergency. Signed by that
// practitioner.
type Attest struct {
	Case    tx.Hash `cbor:"1,keyasint" json:"case"`
	Account tx.Hash `cbor:"2,keyasint" json:"account"` // salted commitment to what was written; not zeros
}

// Judge reviews a case. Signed by a practitioner with the review privilege who
// neither declared nor extended it.
type Judge struct {
	Case     tx.Hash `cbor:"1,keyasint" json:"case"`
	Verdict  Verdict `cbor:"2,keyasint" json:"verdict"`
	Findings tx.Hash `cbor:"3,keyasint" json:"findings"` // salted commitment to the reasons; not zeros
}

// Dispute is the patient's, or her proxy's: once in the life of a case. A case
// that was reviewed before is reviewed again, by somebody else.
type Dispute struct {
	Case tx.Hash `cbor:"1,keyasint" json:"case"`
}

// Validate implements tx.Message.
func (m *SetDirective) Validate() error {
	switch {
	case m.Patient == (tx.Account{}):
		return ErrPatient
	case m.Version == 0:
		return ErrVersion
	case bits.OnesCount64(m.Set) != consent.MaskBits, bits.OnesCount64(m.More) != consent.MaskBits:
		return ErrMask
	case bits.OnesCount64(m.Except) != consent.ExceptBits:
		return ErrExcept
	}
	return nil
}

// Validate implements tx.Message.
func (m *Attest) Validate() error {
	switch (tx.Hash{}) {
	case m.Case:
		return ErrUnknown
	case m.Account:
		return ErrCommitment
	}
	return nil
}

// Validate implements tx.Message.
func (m *Judge) Validate() error {
	switch {
	case m.Case == (tx.Hash{}):
		return ErrUnknown
	case !m.Verdict.Known():
		return ErrVerdict
	case m.Findings == (tx.Hash{}):
		return ErrCommitment
	}
	return nil
}

// Validate implements tx.Message.
func (m *Dispute) Validate() error {
	if m.Case == (tx.Hash{}) {
		return ErrUnknown
	}
	return nil
}
