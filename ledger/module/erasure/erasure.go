// Package erasure keeps which records are to be no more: requests of patients,
// orders of the members' vote, legal holds against both, tombstones, and the
// receipts by which custodians certify that they destroyed what they had.
//
// A case names one record (its manifest leaf), a batch, or all of a patient. The
// ledger does not know whose a batch is, so custodians, who do, first say of each
// case whether anything stands against it: f+1 that agree decide. Then a
// tombstone stands, for ever. From its block on nothing of the target is
// released, whoever asks. Each custodian destroys its shares and says so. While
// shares pass from one committee to another both may hold some, so each committee
// that can is counted by itself: when t of every one have destroyed what they had,
// fewer than t shares of any polynomial are left and the case is certified. It is
// done only when nobody's receipt is missing, and final, with the names of who did not
// sign, when nobody is a member any more whose receipt is missing.
//
// Contract: Erased and PatientErased are what access and custodians ask at every
// decision; there is no way to take a tombstone back. A patient's request yields
// to a legal hold and to the retention period, an order to a hold.
//
// The module must never show whose a batch is beyond what the request itself
// says, never keep the text of a ground, only a salted commitment to it, and
// never call a case done while a receipt is missing.
package erasure

import (
	"errors"
	"math/bits"

	"salus/ledger"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x0a

// MaxOpen bounds the cases of one patient that are not closed.
const MaxOpen = 64

// maxCustodians is the width of a case's bitmaps, as of a batch's.
const maxCustodians = 64

// A Scope says how much a case erases.
type Scope uint8

// The scopes.
const (
	Record  Scope = 1 // one record of a batch
	Batch   Scope = 2
	Patient Scope = 3 // all that is kept under a pseudonym, for ever
)

var scopeNames = [...]string{0: "unknown", Record: "record", Batch: "batch", Patient: "patient"}

// Known reports whether s is one of the scopes.
func (s Scope) Known() bool { return s >= Record && s <= Patient }

// String returns the scope as a word.
func (s Scope) String() string {
	if !s.Known() {
		return scopeNames[0]
	}
	return scopeNames[s]
}

// MarshalText writes the scope as a word.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a scope from its word.
func (s *Scope) UnmarshalText(b []byte) error {
	for i, name := range scopeNames {
		if i > 0 && name == string(b) {
			*s = Scope(i)
			return nil
		}
	}
	return errors.New("erasure: a scope is record, batch or patient")
}

// A Status is where a case stands.
type Status uint8

// The life of a case.
const (
	Received  Status = 1 // custodians have yet to say whether anything stands against it
	Executing Status = 2 // the tombstone stands; receipts are missing
	Certified Status = 3 // enough custodians of each committee have destroyed their shares; some receipt is missing: incomplete
	Done      Status = 4 // nobody's receipt is missing
	Refused   Status = 5 // Code says why
	Final     Status = 6 // certified, and who has not signed is a member no more: Unsigned says who
)

var statusNames = [...]string{0: "unknown", Received: "received", Executing: "executing", Certified: "incomplete", Done: "done", Refused: "refused", Final: "final"}

// String returns the status as a word; Certified is "incomplete".
func (s Status) String() string {
	if s > Final {
		return statusNames[0]
	}
	return statusNames[s]
}

// MarshalText writes the status as a word.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a status from its word.
func (s *Status) UnmarshalText(b []byte) error {
	for i, name := range statusNames {
		if i > 0 && name == string(b) {
			*s = Status(i)
			return nil
		}
	}
	return errors.New("erasure: the status is unknown")
}

// A Finding is what a custodian found when it compared a case with what it keeps.
type Finding uint8

// The findings.
const (
	Clear    Finding = 0 // nothing stands against it
	NotHers  Finding = 1 // the batch is not of this patient, or has no such record
	Retained Finding = 2 // a batch it would erase is still to be retained
	Held     Finding = 3 // a legal hold stands on a batch or on its patient
)

// Known reports whether f is one of the findings.
func (f Finding) Known() bool { return f <= Held }

// A Case is one erasure. Its id is the transaction's that requested it, or the
// proposal's that ordered it. Bit i-1 of a bitmap is custodian i: of the committee
// in force for Clear and Against, of epoch Epoch for the others.
type Case struct {
	ID         tx.Hash    `cbor:"1,keyasint" json:"id"`
	Scope      Scope      `cbor:"2,keyasint" json:"scope"`
	Patient    tx.Account `cbor:"3,keyasint" json:"patient"` // zero for an order against a batch or record
	Batch      tx.Hash    `cbor:"4,keyasint" json:"batch"`   // header hash; zero for a whole patient
	Leaf       tx.Hash    `cbor:"5,keyasint" json:"leaf"`    // manifest leaf; zero but for a record
	By         tx.Account `cbor:"6,keyasint" json:"by"`      // the patient, or the member that proposed the order
	Ordered    bool       `cbor:"7,keyasint" json:"ordered"`
	Ground     tx.Hash    `cbor:"8,keyasint" json:"ground"` // salted commitment to the written ground
	Status     Status     `cbor:"9,keyasint" json:"status"`
	Code       uint32     `cbor:"10,keyasint" json:"code"`      // of the refusal
	Requested  uint64     `cbor:"11,keyasint" json:"requested"` // unix seconds
	Clear      uint64     `cbor:"12,keyasint" json:"clear"`     // custodians that found nothing against it
	NotHers    uint64     `cbor:"13,keyasint" json:"notHers"`   // custodians that found this against it
	Retained   uint64     `cbor:"14,keyasint" json:"retained"`
	Held       uint64     `cbor:"15,keyasint" json:"held"`
	Epoch      uint64     `cbor:"16,keyasint" json:"epoch"`                      // committee whose receipts are due; 0 before the tombstone
	Height     uint64     `cbor:"17,keyasint" json:"height"`                     // of the tombstone
	Time       uint64     `cbor:"18,keyasint" json:"time"`                       // of the tombstone, unix seconds
	Due        uint64     `cbor:"19,keyasint" json:"due"`                        // custodians whose receipt for ciphertext is due
	Keys       uint64     `cbor:"20,keyasint" json:"keys"`                       // custodians that destroyed shares, envelopes and openings
	Ciphertext uint64     `cbor:"21,keyasint" json:"ciphertext"`                 // custodians that destroyed ciphertext
	Records    uint64     `cbor:"22,keyasint" json:"records"`                    // custodians that destroyed their own readable copies
	Certified  uint64     `cbor:"23,keyasint" json:"certified"`                  // height at which enough of each committee had destroyed their keys
	Closed     uint64     `cbor:"24,keyasint" json:"closed"`                     // height at which it was done, final or refused
	Others     []Others   `cbor:"25,keyasint,omitempty" json:"others,omitempty"` // by epoch and start
	// Unsigned is, of a case that is final, who has not signed for all that it had, in account order.
	Unsigned []tx.Account `cbor:"26,keyasint,omitempty" json:"unsigned,omitempty"`
}

// Others is a committee besides epoch Epoch that could hold shares at the tombstone: one that was
// being prepared, or one whose shares were not destroyed yet. Bit i-1 of a bitmap is its custodian i. Who
// sits in several committees says one thing for all of them.
type Others struct {
	Epoch      uint64 `cbor:"1,keyasint" json:"epoch"`
	Start      uint64 `cbor:"2,keyasint" json:"start"` // height at which it was prepared, or 0
	N          uint8  `cbor:"3,keyasint" json:"n"`
	T          uint8  `cbor:"4,keyasint" json:"t"`
	Due        uint64 `cbor:"5,keyasint" json:"due"` // of those who are not in epoch Case.Epoch
	Keys       uint64 `cbor:"6,keyasint" json:"keys"`
	Ciphertext uint64 `cbor:"7,keyasint" json:"ciphertext"`
	Records    uint64 `cbor:"8,keyasint" json:"records"`
}

// Open reports whether custodians still have something to do or say about it.
func (c *Case) Open() bool { return c.Status != Done && c.Status != Refused && c.Status != Final }

// Stands reports whether its tombstone stands.
func (c *Case) Stands() bool { return c.Height != 0 }

// Destroyed is how many custodians of the epoch in force at the tombstone say that they destroyed their shares.
func (c *Case) Destroyed() int { return bits.OnesCount64(c.Keys) }

// Destroyed is how many of the committee say that they destroyed their shares.
func (o *Others) Destroyed() int { return bits.OnesCount64(o.Keys) }

// A Mark is a tombstone's row.
type Mark struct {
	Case   tx.Hash `cbor:"1,keyasint" json:"case"`
	Height uint64  `cbor:"2,keyasint" json:"height"`
}

// A LegalHold is a hold that stands.
type LegalHold struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"` // or
	Batch   tx.Hash    `cbor:"2,keyasint" json:"batch"`
	Matter  tx.Hash    `cbor:"3,keyasint" json:"matter"`
	Since   uint64     `cbor:"4,keyasint" json:"since"` // unix seconds
}

// Log entries of this module.
const (
	// EntryCase has the Case as payload, whenever its status has changed.
	EntryCase ledger.EntryKind = Prefix<<8 | 1
	// EntryReceipt has a Signed as payload.
	EntryReceipt ledger.EntryKind = Prefix<<8 | 2
	// EntryHold has a Changed as payload.
	EntryHold ledger.EntryKind = Prefix<<8 | 3
)

// Signed is the payload of an EntryReceipt.
type Signed struct {
	Custodian uint8      `cbor:"1,keyasint" json:"custodian"` // 1-based index in the case's epoch; 0 if only in another committee of it
	Member    tx.Account `cbor:"2,keyasint" json:"member"`
	Message   Receipt    `cbor:"3,keyasint" json:"message"`
}

// Changed is the payload of an EntryHold. Code says why it was not carried out.
type Changed struct {
	Hold LegalHold `cbor:"1,keyasint" json:"hold"`
	Lift bool      `cbor:"2,keyasint" json:"lift"`
	Code uint32    `cbor:"3,keyasint" json:"code"`
}

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{
		{Kind: EntryCase, Name: "erasure.case", Payload: Case{}},
		{Kind: EntryReceipt, Name: "erasure.receipt", Payload: Signed{}},
		{Kind: EntryHold, Name: "erasure.hold", Payload: Changed{}},
	}
}
