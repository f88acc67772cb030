package erasure

import "salus/ledger/tx"

// Kinds of this module.
const (
	KindRequest tx.Kind = "erasure.request"
	KindConfirm tx.Kind = "erasure.confirm"
	KindReceipt tx.Kind = "erasure.receipt"
)

// Request asks that records be erased. Signed by the patient herself, with user
// verification.
type Request struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
	Scope   Scope      `cbor:"2,keyasint" json:"scope"`
	Batch   tx.Hash    `cbor:"3,keyasint" json:"batch"`  // header hash; zero for all of the patient
	Leaf    tx.Hash    `cbor:"4,keyasint" json:"leaf"`   // manifest leaf of one record; else zero
	Ground  tx.Hash    `cbor:"5,keyasint" json:"ground"` // salted commitment to a written ground; zero if she gives none
}

// Confirm says what a custodian found about a case that is received. Signed by a
// custodian of the committee in force, once.
type Confirm struct {
	Case    tx.Hash `cbor:"1,keyasint" json:"case"`
	Finding Finding `cbor:"2,keyasint" json:"finding"`
}

// Receipt says what a custodian has destroyed for a case, beyond recovery by
// itself: it is signed after the deletion is on disk. Signed by a custodian of a
// committee of the case; it speaks for every committee that the signer sits in, and so
// for shares of every epoch, taken over or about to be. A word is not taken back; what is new is added.
type Receipt struct {
	Case       tx.Hash `cbor:"1,keyasint" json:"case"`
	Keys       bool    `cbor:"2,keyasint" json:"keys"`       // shares, envelopes, parcels, openings
	Ciphertext bool    `cbor:"3,keyasint" json:"ciphertext"` // in its vault
	Records    bool    `cbor:"4,keyasint" json:"records"`    // its own readable copies, index and history
}

// Validate implements tx.Message.
func (m *Request) Validate() error {
	zero := tx.Hash{}
	fits := m.Scope == Record && m.Batch != zero && m.Leaf != zero ||
		m.Scope == Batch && m.Batch != zero && m.Leaf == zero ||
		m.Scope == Patient && m.Batch == zero && m.Leaf == zero
	switch {
	case m.Patient.IsZero():
		return ErrPatient
	case !fits:
		return ErrScope
	}
	return nil
}

// Validate implements tx.Message.
func (m *Confirm) Validate() error {
	switch {
	case m.Case == (tx.Hash{}):
		return ErrUnknown
	case !m.Finding.Known():
		return ErrFinding
	}
	return nil
}

// Validate implements tx.Message.
func (m *Receipt) Validate() error {
	switch {
	case m.Case == (tx.Hash{}):
		return ErrUnknown
	case !m.Keys && !m.Ciphertext && !m.Records:
		return ErrNoNews
	}
	return nil
}
