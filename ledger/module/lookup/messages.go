package lookup

import (
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/threshold"
	"salus/threshold/oprf"
)

// Kinds of this module.
const (
	KindBegin   tx.Kind = "lookup.begin"
	KindDeal    tx.Kind = "lookup.deal"
	KindVouch   tx.Kind = "lookup.vouch"
	KindAnswer  tx.Kind = "lookup.answer"
	KindAsk     tx.Kind = "lookup.ask"
	KindResolve tx.Kind = "lookup.resolve"
	KindOpen    tx.Kind = "lookup.open"
	KindForget  tx.Kind = "lookup.forget"
	KindCard    tx.Kind = "lookup.card"
)

// Begin starts a ceremony: the first one, or one that passes the key on to the
// committee of now. Signed by a custodian of now.
type Begin struct {
	Number uint64 `cbor:"1,keyasint" json:"number"` // one more than the last one's
}

// Deal commits to a dealer's two polynomials. Signed by the dealer.
type Deal struct {
	Ceremony uint64    `cbor:"1,keyasint" json:"ceremony"`
	Eval     []tx.Hash `cbor:"2,keyasint" json:"eval"`
	Open     []tx.Hash `cbor:"3,keyasint" json:"open"`
}

// Vouch says whose shares the signing recipient holds and found sound. It complains of
// every dealer that dealt and is not among them.
type Vouch struct {
	Ceremony uint64 `cbor:"1,keyasint" json:"ceremony"`
	Sound    uint64 `cbor:"2,keyasint" json:"sound"` // bit i-1: dealer i
}

// Answer opens the shares of one recipient that complained. Signed by the dealer.
type Answer struct {
	Ceremony  uint64  `cbor:"1,keyasint" json:"ceremony"`
	Recipient uint8   `cbor:"2,keyasint" json:"recipient"` // from 1
	Eval      tx.Hash `cbor:"3,keyasint" json:"eval"`      // scalar
	Open      tx.Hash `cbor:"4,keyasint" json:"open"`
}

// Ask allows one evaluation. To find somebody it is signed by a practitioner or
// device with the read privilege, or by a member; to enrol an identifier of a patient,
// by her steward.
type Ask struct {
	Use     Use             `cbor:"1,keyasint" json:"use"`
	Purpose consent.Purpose `cbor:"2,keyasint" json:"purpose"`
	Element tx.Hash         `cbor:"3,keyasint" json:"element"` // ElementHash of the blinded element
	Patient tx.Account      `cbor:"4,keyasint" json:"patient"` // of an enrolment; else zeros
}

// A Pointer is oprf.Pointer on the wire.
type Pointer struct {
	Seal  tx.Hash `cbor:"1,keyasint" json:"seal"`
	Twin  tx.Hash `cbor:"2,keyasint" json:"twin"`
	Body  tx.Hash `cbor:"3,keyasint" json:"body"`
	Proof []byte  `cbor:"4,keyasint" json:"proof"` // 64 bytes
}

// PointerOf puts a pointer on the wire.
func PointerOf(p oprf.Pointer) Pointer {
	return Pointer{Seal: tx.Hash(p.Seal), Twin: tx.Hash(p.Twin), Body: tx.Hash(p.Body), Proof: p.Proof[:]}
}

// Sealed takes a pointer from the wire; its proof must have 64 bytes.
func (p *Pointer) Sealed() oprf.Pointer {
	return oprf.Pointer{Seal: oprf.Element(p.Seal), Twin: oprf.Element(p.Twin), Body: p.Body, Proof: oprf.Proof(p.Proof)}
}

// Resolve asks the custodians to open what the evaluation addressed. Signed by the
// actor of the entry.
type Resolve struct {
	Entry    tx.Hash   `cbor:"1,keyasint" json:"entry"`
	Pointers []Pointer `cbor:"2,keyasint" json:"pointers"` // 1..MaxPointers
}

// A Part is a custodian's part in opening one pointer.
type Part struct {
	Element tx.Hash `cbor:"1,keyasint" json:"element"`
	Proof   []byte  `cbor:"2,keyasint" json:"proof"` // 64 bytes
}

// Open is one custodian's part in opening all pointers of an entry. Signed by the custodian.
type Open struct {
	Entry tx.Hash `cbor:"1,keyasint" json:"entry"`
	Key   uint64  `cbor:"2,keyasint" json:"key"` // number of the key it was made with
	Parts []Part  `cbor:"3,keyasint" json:"parts"`
}

// Forget withdraws an enrolment. Signed by the patient, or by the member that enrolled.
type Forget struct {
	Entry tx.Hash `cbor:"1,keyasint" json:"entry"`
}

// SetCard makes an emergency card valid, or ends it. Signed by the patient.
type SetCard struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
	Card    tx.Hash    `cbor:"2,keyasint" json:"card"` // CardHash of the card's public key
	Revoke  bool       `cbor:"3,keyasint" json:"revoke"`
}

// Validate implements tx.Message.
func (m *Begin) Validate() error {
	if m.Number == 0 {
		return ErrCeremony
	}
	return nil
}

// Validate implements tx.Message.
func (m *Deal) Validate() error {
	n := len(m.Eval)
	if m.Ceremony == 0 || n == 0 || n > threshold.MaxCustodians || len(m.Open) != n {
		return ErrDealing
	}
	return nil
}

// Validate implements tx.Message.
func (m *Vouch) Validate() error {
	if m.Ceremony == 0 {
		return ErrCeremony
	}
	return nil
}

// Validate implements tx.Message.
func (m *Answer) Validate() error {
	if m.Ceremony == 0 || m.Recipient == 0 || m.Recipient > threshold.MaxCustodians {
		return ErrCeremony
	}
	return nil
}

// Validate implements tx.Message.
func (m *Ask) Validate() error {
	switch {
	case m.Use != Find && m.Use != Enrol, (m.Use == Enrol) == (m.Patient == tx.Account{}):
		return ErrUse
	case !m.Purpose.Known():
		return ErrPurpose
	case m.Element == tx.Hash{}:
		return ErrElement
	}
	return nil
}

// Validate implements tx.Message.
func (m *Resolve) Validate() error {
	if len(m.Pointers) == 0 || len(m.Pointers) > MaxPointers {
		return ErrPointers
	}
	for i := range m.Pointers {
		if len(m.Pointers[i].Proof) != len(oprf.Proof{}) {
			return ErrPointers
		}
	}
	return nil
}

// Validate implements tx.Message.
func (m *Open) Validate() error {
	if len(m.Parts) == 0 || len(m.Parts) > MaxPointers {
		return ErrPart
	}
	for i := range m.Parts {
		if len(m.Parts[i].Proof) != len(oprf.Proof{}) {
			return ErrPart
		}
	}
	return nil
}

// Validate implements tx.Message.
func (m *Forget) Validate() error {
	if m.Entry == (tx.Hash{}) {
		return ErrUnknown
	}
	return nil
}

// Validate implements tx.Message.
func (m *SetCard) Validate() error {
	if m.Patient == (tx.Account{}) || m.Card == (tx.Hash{}) {
		return ErrCard
	}
	return nil
}
