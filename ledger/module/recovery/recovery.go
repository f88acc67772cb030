// Package recovery gives a patient her pseudonym back when her keys are lost, and
// says what becomes of it when she dies.
//
// A case is one thing that is asked for: other keys, that her death is recorded,
// that a death recorded by mistake is undone, or that somebody executes what is
// left. It is carried by approvals: of M of the N guardians she named, or of two
// different practitioners of her steward who hold the privilege reproof. Keys and
// executors then wait for a time lock, in which the case stands in her chain for
// all her devices to see; any live one of them cancels it. At its end anybody
// finishes it.
//
// Guardians are commitments until they act, so that nobody learns from the ledger
// whom to press. While keys are asked for, her pseudonym is locked: nothing that
// widens what others may do is accepted from her side or from the other.
//
// Contract: no single person and no single organisation carries a case silently;
// a case is finished once; what was signed before stays verifiable by the keys of
// its height. Module identity keeps the keys, the lock and the death, module
// consent the executor's proxy; this module alone asks them to change those.
//
// The module must never keep a guardian's name, a paper or the reason of anything,
// only salted commitments.
package recovery

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x0e

// Limits.
const (
	MinThreshold = 2  // a single guardian is never enough
	MaxGuardians = 16 // commitments of one patient, dummies included
	MaxKeys      = 4  // keys that one case brings
	Staff        = 2  // practitioners who carry a case of re-proofing
)

// window is in which the cases opened by one person about one patient are
// counted, seconds.
const window = 30 * 24 * 60 * 60

// A Kind is what a case asks for.
type Kind uint8

// The kinds. Numbers are unique for ever.
const (
	Keys     Kind = 1 // other keys for a pseudonym whose own are lost
	Death    Kind = 2 // the patient's death is recorded
	Life     Kind = 3 // a death recorded by mistake is undone
	Executor Kind = 4 // somebody acts for what is left
)

var kindNames = [...]string{Keys: "keys", Death: "death", Life: "life", Executor: "executor"}

// Known reports whether k is one of the kinds.
func (k Kind) Known() bool { return k >= Keys && k <= Executor }

// String returns the kind as a word.
func (k Kind) String() string {
	if !k.Known() {
		return "unknown"
	}
	return kindNames[k]
}

// MarshalText writes the kind as a word; it fails for an unknown kind.
func (k Kind) MarshalText() ([]byte, error) {
	if !k.Known() {
		return nil, errKind
	}
	return []byte(kindNames[k]), nil
}

// UnmarshalText reads a kind from its word.
func (k *Kind) UnmarshalText(b []byte) error {
	for i := Keys; i <= Executor; i++ {
		if kindNames[i] == string(b) {
			*k = i
			return nil
		}
	}
	return errKind
}

var errKind = errors.New("recovery: a case is about keys, death, life or executor")

// A Status is where a case stands.
type Status uint8

// The life of a case. There is no way back from the last three.
const (
	Gathering Status = 1 // not enough have approved yet
	Waiting   Status = 2 // approved; the time lock runs, or has run and nobody finished it yet
	Finished  Status = 3
	Cancelled Status = 4
	Lapsed    Status = 5 // its time ended before it was finished
)

var statusNames = [...]string{Gathering: "gathering", Waiting: "waiting", Finished: "finished", Cancelled: "cancelled", Lapsed: "lapsed"}

// Running reports whether a case can still be finished.
func (s Status) Running() bool { return s == Gathering || s == Waiting }

// String returns the status as a word.
func (s Status) String() string {
	if s < Gathering || s > Lapsed {
		return "unknown"
	}
	return statusNames[s]
}

// MarshalText writes the status as a word.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a status from its word.
func (s *Status) UnmarshalText(b []byte) error {
	for i := Gathering; i <= Lapsed; i++ {
		if statusNames[i] == string(b) {
			*s = i
			return nil
		}
	}
	return errors.New("recovery: a status is gathering, waiting, finished, cancelled or lapsed")
}

// Guardians are whom a patient trusts with her pseudonym: commitments, some of
// which may be dummies, and how many of them it takes.
type Guardians struct {
	Version     uint64    `cbor:"1,keyasint" json:"version"`     // 1, 2, 3 ...
	Threshold   uint8     `cbor:"2,keyasint" json:"threshold"`   // 2..len(Commitments); 0 with none
	Commitments []tx.Hash `cbor:"3,keyasint" json:"commitments"` // ascending, at most 16
	Height      uint64    `cbor:"4,keyasint" json:"height"`
}

// Terms are all that a case asks for. Its id is their hash, so that who approves
// a case approves nothing else.
type Terms struct {
	Patient  tx.Account     `cbor:"1,keyasint" json:"patient"`
	Number   uint64         `cbor:"2,keyasint" json:"number"` // of the patient's cases: one more than the last
	Kind     Kind           `cbor:"3,keyasint" json:"kind"`
	Keys     []tx.PublicKey `cbor:"4,keyasint" json:"keys"`     // Keys: 1..4; none otherwise
	Revoke   []tx.KeyID     `cbor:"5,keyasint" json:"revoke"`   // Keys: those that end; none named means all that are live
	Document tx.Hash        `cbor:"6,keyasint" json:"document"` // salted commitment to the papers that staff saw; zeros from guardians
	// Executor is set for the kind Executor only.
	Executor *consent.Mandate `cbor:"7,keyasint,omitempty" json:"executor,omitempty"`
}

// ID is the case's id: SHA-256("salus/recovery/v1\0" ‖ 8 bytes length of the chain
// id, big-endian ‖ chain id ‖ terms in canonical CBOR). It is also what a guardian
// with a bare key signs.
func (t *Terms) ID(chain string) tx.Hash {
	h := sha256.New()
	h.Write([]byte("salus/recovery/v1\x00"))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(chain))))
	h.Write([]byte(chain))
	h.Write(tx.MustEncode(t))
	return tx.Hash(h.Sum(nil))
}

// An Approver is who approved a case.
type Approver struct {
	Who        tx.Account `cbor:"1,keyasint" json:"who"`        // an account, or the id of a guardian's bare key
	Commitment tx.Hash    `cbor:"2,keyasint" json:"commitment"` // the guardian's, now open; zeros for staff
	Height     uint64     `cbor:"3,keyasint" json:"height"`
}

// A Case is one request with its life.
type Case struct {
	ID        tx.Hash    `cbor:"1,keyasint" json:"id"`
	Terms     Terms      `cbor:"2,keyasint" json:"terms"`
	Status    Status     `cbor:"3,keyasint" json:"status"`
	Member    tx.Account `cbor:"4,keyasint" json:"member"` // whose staff carries it; zero: guardians do
	Needed    uint8      `cbor:"5,keyasint" json:"needed"` // approvals
	Approvals []Approver `cbor:"6,keyasint" json:"approvals"`
	Opened    uint64     `cbor:"7,keyasint" json:"opened"` // unix seconds, as are all times
	From      uint64     `cbor:"8,keyasint" json:"from"`   // end of the time lock; 0 while it gathers
	Until     uint64     `cbor:"9,keyasint" json:"until"`  // it lapses from then on
	Closed    uint64     `cbor:"10,keyasint" json:"closed"`
	By        tx.Account `cbor:"11,keyasint" json:"by"` // who cancelled or finished it; zero: time, or the case that came before it
}

// Log entries of this module. The life of a case is in its patient's audit chain;
// these keep the terms.
const (
	// EntryCase has an Asked as payload.
	EntryCase ledger.EntryKind = Prefix<<8 | 1
	// EntryGuardians has a Named as payload.
	EntryGuardians ledger.EntryKind = Prefix<<8 | 2
)

// Asked is the payload of an EntryCase.
type Asked struct {
	ID    tx.Hash `cbor:"1,keyasint" json:"id"`
	Terms Terms   `cbor:"2,keyasint" json:"terms"`
}

// Named is the payload of an EntryGuardians.
type Named struct {
	Patient   tx.Account `cbor:"1,keyasint" json:"patient"`
	Guardians Guardians  `cbor:"2,keyasint" json:"guardians"`
}

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{
		{Kind: EntryCase, Name: "recovery.case", Payload: Asked{}},
		{Kind: EntryGuardians, Name: "recovery.guardians", Payload: Named{}},
	}
}
