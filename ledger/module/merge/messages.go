package merge

import (
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// Kinds of this module.
const (
	KindPropose tx.Kind = "merge.propose"
	KindApprove tx.Kind = "merge.approve"
	KindEnd     tx.Kind = "merge.end"
)

// Propose says that two pseudonyms are one patient. Signed by a practitioner with the write
// privilege of either's steward.
type Propose struct {
	Stays tx.Account `cbor:"1,keyasint" json:"stays"`
	Goes  tx.Account `cbor:"2,keyasint" json:"goes"`
	Basis tx.Hash    `cbor:"3,keyasint" json:"basis"` // salted commitment to the reasons; not zeros
}

// Approve merges. Signed by another such practitioner; of the other steward if there are two.
type Approve struct {
	Case tx.Hash `cbor:"1,keyasint" json:"case"`
	// Slots translates the slots of the pseudonym that goes into those of the one that stays, so that what one
	// denies is denied for both. A permutation: it says nothing about any label.
	Slots consent.Translation `cbor:"2,keyasint" json:"slots"`
}

// End takes a merge back, or a proposal. Signed by either patient, or by such a
// practitioner of either steward.
type End struct {
	Case tx.Hash `cbor:"1,keyasint" json:"case"`
}

// Validate implements tx.Message.
func (m *Propose) Validate() error {
	switch {
	case m.Stays == (tx.Account{}), m.Goes == (tx.Account{}), m.Stays == m.Goes:
		return ErrPair
	case m.Basis == (tx.Hash{}):
		return ErrBasis
	}
	return nil
}

// Validate implements tx.Message.
func (m *Approve) Validate() error {
	if m.Slots.Validate() != nil {
		return ErrSlots
	}
	return named(m.Case)
}

// Validate implements tx.Message.
func (m *End) Validate() error { return named(m.Case) }

func named(id tx.Hash) error {
	if id == (tx.Hash{}) {
		return ErrUnknown
	}
	return nil
}
