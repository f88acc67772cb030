// Package merge keeps which pseudonyms are one patient: proposed by one person,
// approved by another, taken back at any time.
//
// A merge is a link and moves nothing. Each pseudonym keeps its own records, consents,
// sessions and chain, before and after; what is written after the merge is written under
// the pseudonym it is about. A merge never widens a consent: no decision about one pseudonym
// is granted anything by the other's. What either denies is denied for both, which module consent
// sees to (Unite). Taking it back restores both, with all that came in between, because nothing was ever mixed.
//
// Contract: a pseudonym whose keys are being recovered, or whose death is recorded, is not merged. Two people of the stewards decide, of both stewards if they differ; either
// patient or either steward ends it alone. Both chains say so, each naming the case.
//
// The module must never keep why two pseudonyms are one patient, only a salted commitment
// to it, and never be asked by a decision about consent to allow more.
package merge

import (
	"salus/ledger"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x0d

// MaxLinks bounds the open cases of one pseudonym.
const MaxLinks = 8

// A Standing is where a case stands.
type Standing uint8

// The standings.
const (
	Proposed Standing = 1
	Merged   Standing = 2
	Unmerged Standing = 3 // or withdrawn before it was approved
)

// A Case is one merge of two pseudonyms. Its id is that of the proposal.
type Case struct {
	ID       tx.Hash    `cbor:"1,keyasint" json:"id"`
	Stays    tx.Account `cbor:"2,keyasint" json:"stays"` // the pseudonym to be used from now on (FHIR Patient.link replaces)
	Goes     tx.Account `cbor:"3,keyasint" json:"goes"`  // the one it replaces
	Proposer tx.Account `cbor:"4,keyasint" json:"proposer"`
	Approver tx.Account `cbor:"5,keyasint" json:"approver"` // zeros until then
	Ender    tx.Account `cbor:"6,keyasint" json:"ender"`    // zeros until then
	Basis    tx.Hash    `cbor:"7,keyasint" json:"basis"`    // salted commitment to the reasons
	Standing Standing   `cbor:"8,keyasint" json:"standing"`
	Proposed uint64     `cbor:"9,keyasint" json:"proposed"` // unix seconds, as all times
	Merged   uint64     `cbor:"10,keyasint" json:"merged"`
	Ended    uint64     `cbor:"11,keyasint" json:"ended"`
}

// Links are the open cases of one pseudonym.
type Links struct {
	Cases []tx.Hash `cbor:"1,keyasint" json:"cases"` // ascending, at most MaxLinks
}

// EntryCase has the Case as it now stands as payload.
const EntryCase ledger.EntryKind = Prefix<<8 | 1

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{{Kind: EntryCase, Name: "merge.case", Payload: Case{}}}
}
