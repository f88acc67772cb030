package access

import (
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/tx"
)

// Kinds of this module.
const (
	KindRequest  tx.Kind = "access.request"
	KindFetch    tx.Kind = "access.fetch"
	KindClose    tx.Kind = "access.close"
	KindReceipts tx.Kind = "access.receipts"

	KindEmergency tx.Kind = "access.emergency"
	KindWiden     tx.Kind = "access.widen"
	KindExtend    tx.Kind = "access.extend"
)

// Request opens a session. Signed by the practitioner or device that will read,
// by the patient herself, or by her proxy.
type Request struct {
	Patient   tx.Account      `cbor:"1,keyasint" json:"patient"`
	Purpose   consent.Purpose `cbor:"2,keyasint" json:"purpose"`
	Mask      uint64          `cbor:"3,keyasint" json:"mask"`      // slots asked for; all ones unless there is a reason
	ReaderKey tx.Hash         `cbor:"4,keyasint" json:"readerKey"` // SHA-256 of the HPKE public key to release to
	TTL       uint64          `cbor:"5,keyasint" json:"ttl"`       // seconds, 1 to governance's SessionMax
	Root      tx.Hash         `cbor:"6,keyasint" json:"root"`      // of the record list, exchange.List.Root; zero = none yet
	Count     uint32          `cbor:"7,keyasint" json:"count"`     // records in it; 0 = none yet
	// Delegate is an Ed25519 public key, 32 bytes, that may sign access.fetch and access.close of this
	// session, and nothing else; none if empty.
	Delegate []byte `cbor:"8,keyasint,omitempty" json:"delegate,omitempty"`
}

// CommitFetch commits to a further list of records. Signed by the session's actor, or its delegate.
type CommitFetch struct {
	Session tx.Hash `cbor:"1,keyasint" json:"session"`
	Root    tx.Hash `cbor:"2,keyasint" json:"root"`
	Count   uint32  `cbor:"3,keyasint" json:"count"` // 1..4096
}

// Close ends a session before its time. Signed by its actor or its delegate, by the member the
// actor works for, or by the patient or her proxy, who so shut an open door.
type Close struct {
	Session tx.Hash `cbor:"1,keyasint" json:"session"`
}

// Receipts reports a custodian's releases: the Merkle root over its write-ahead
// receipts From to From+Count-1. Reports leave no gap; the first begins at 1.
type Receipts struct {
	Root  tx.Hash `cbor:"1,keyasint" json:"root"`
	From  uint64  `cbor:"2,keyasint" json:"from"`
	Count uint32  `cbor:"3,keyasint" json:"count"`
}

// Emergency declares an emergency and opens its session, for purpose BTG and the
// slots that the patient's directive gives to the first step. Signed by a
// practitioner with the emergency privilege. What it obliges to is module
// emergency's.
type Emergency struct {
	Patient   tx.Account       `cbor:"1,keyasint" json:"patient"`
	Reason    emergency.Reason `cbor:"2,keyasint" json:"reason"`
	ReaderKey tx.Hash          `cbor:"3,keyasint" json:"readerKey"` // SHA-256 of the HPKE public key to release to
	TTL       uint64           `cbor:"4,keyasint" json:"ttl"`       // seconds, 1 to governance's EmergencyMax
	Root      tx.Hash          `cbor:"5,keyasint" json:"root"`      // of the record list, as in Request
	Count     uint32           `cbor:"6,keyasint" json:"count"`
}

// Widen is the second, explicit step of an emergency: all but what the patient
// excluded. Signed by who declared it.
type Widen struct {
	Session tx.Hash `cbor:"1,keyasint" json:"session"`
}

// Extend lets an emergency's session last as long again, once. Signed by another
// practitioner with the emergency privilege.
type Extend struct {
	Session tx.Hash `cbor:"1,keyasint" json:"session"`
}

// Validate implements tx.Message.
func (m *Emergency) Validate() error {
	switch {
	case m.Patient == (tx.Account{}):
		return ErrPatient
	case !m.Reason.Known():
		return emergency.ErrReason
	case m.ReaderKey == (tx.Hash{}):
		return ErrReaderKey
	case m.TTL == 0:
		return emergency.ErrTTL
	case m.Root == (tx.Hash{}) && m.Count == 0:
		return nil
	}
	return validList(m.Root, m.Count)
}

// Validate implements tx.Message.
func (m *Widen) Validate() error { return (*Close)(m).Validate() }

// Validate implements tx.Message.
func (m *Extend) Validate() error { return (*Close)(m).Validate() }

// Validate implements tx.Message.
func (m *Request) Validate() error {
	switch {
	case m.Patient == (tx.Account{}):
		return ErrPatient
	case !m.Purpose.Known():
		return ErrPurpose
	case m.Purpose == consent.BTG:
		return ErrDeclare
	case m.Mask == 0:
		return ErrMask
	case m.ReaderKey == (tx.Hash{}):
		return ErrReaderKey
	case m.TTL == 0:
		return ErrTTL
	case !validDelegate(m.Delegate):
		return ErrDelegate
	case m.Root == (tx.Hash{}) && m.Count == 0:
		return nil
	}
	return validList(m.Root, m.Count)
}

func validList(root tx.Hash, count uint32) error {
	if root == (tx.Hash{}) || count < 1 || count > MaxList {
		return ErrList
	}
	return nil
}

// Validate implements tx.Message.
func (m *CommitFetch) Validate() error {
	if m.Session == (tx.Hash{}) {
		return ErrUnknown
	}
	return validList(m.Root, m.Count)
}

// Validate implements tx.Message.
func (m *Close) Validate() error {
	if m.Session == (tx.Hash{}) {
		return ErrUnknown
	}
	return nil
}

// Validate implements tx.Message.
func (m *Receipts) Validate() error {
	switch {
	case m.Root == (tx.Hash{}):
		return ErrRoot
	case m.Count < 1 || m.Count > MaxBatch:
		return ErrCount
	case m.From == 0 || m.From > 1<<62:
		return ErrSequence
	}
	return nil
}
