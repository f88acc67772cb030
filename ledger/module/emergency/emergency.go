// Package emergency keeps what breaking the glass may open and what it obliges
// to: each patient's directive, the cases that practitioners declared, the
// attestation and the review that each of them owes, and who may not declare
// another because one is overdue.
//
// A directive says, as slot masks, what the first step of an emergency opens
// (the emergency set), what the second, explicit step adds, and what the patient
// excluded from both. It does not hang on any grant: revoking every consent does
// not change it. Its three masks have constant numbers of bits, as those of
// grants have (spec/consent.md section 1).
//
// A case is one declaration: who, about whom, for which coded reason. It is
// granted at once, ends by block time, may be extended once by another
// clinician, is attested by who declared it and reviewed by somebody else. An
// obligation that is not met by its time suspends its practitioner's emergency
// privilege by itself, until it is met.
//
// Contract: Reach is what a custodian's decision asks, at every release. Module
// access opens the sessions and calls Declare, Widen, Extend and Close with
// them; nobody else does. Deny by default: no directive, no slots.
//
// The module must never keep a text about the patient or the emergency, only
// codes and salted commitments, and never let somebody review her own case.
package emergency

import (
	"errors"

	"salus/ledger"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x09

// window is in which the declarations of one practitioner are counted, seconds.
const window = 24 * 60 * 60

// A Reason is why the glass is broken: a code of HL7 v3 ActReason, value set
// ActConsentInformationAccessOverrideReason.
type Reason uint8

// The reasons. Numbers are unique for ever.
const (
	OVRER     Reason = 1 // emergency treatment
	OVRINCOMP Reason = 2 // the patient is not able to decide
	OVRPJ     Reason = 3 // professional judgment
	OVRPS     Reason = 4 // public safety
	OVRTPS    Reason = 5 // safety of a third party
)

var reasonNames = [...]string{OVRER: "OVRER", OVRINCOMP: "OVRINCOMP", OVRPJ: "OVRPJ", OVRPS: "OVRPS", OVRTPS: "OVRTPS"}

// Known reports whether r is one of the reasons.
func (r Reason) Known() bool { return r >= OVRER && r <= OVRTPS }

// String returns the HL7 code.
func (r Reason) String() string {
	if !r.Known() {
		return "unknown"
	}
	return reasonNames[r]
}

// MarshalText writes the HL7 code; it fails for an unknown reason.
func (r Reason) MarshalText() ([]byte, error) {
	if !r.Known() {
		return nil, errReason
	}
	return []byte(reasonNames[r]), nil
}

// UnmarshalText reads an HL7 code.
func (r *Reason) UnmarshalText(b []byte) error {
	for i := OVRER; i <= OVRTPS; i++ {
		if reasonNames[i] == string(b) {
			*r = i
			return nil
		}
	}
	return errReason
}

// ParseReason reads an HL7 code.
func ParseReason(s string) (r Reason, err error) { return r, r.UnmarshalText([]byte(s)) }

var errReason = errors.New("emergency: a reason is OVRER, OVRINCOMP, OVRPJ, OVRPS or OVRTPS")

// A Verdict is what a review found.
type Verdict uint8

// The verdicts; zero is none yet.
const (
	Justified    Verdict = 1
	Unjustified  Verdict = 2
	Inconclusive Verdict = 3
)

var verdictNames = [...]string{0: "none", Justified: "justified", Unjustified: "unjustified", Inconclusive: "inconclusive"}

// Known reports whether v is one of the verdicts.
func (v Verdict) Known() bool { return v >= Justified && v <= Inconclusive }

// String returns the verdict as a word.
func (v Verdict) String() string {
	if v > Inconclusive {
		return "unknown"
	}
	return verdictNames[v]
}

// MarshalText writes the verdict as a word.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a verdict from its word.
func (v *Verdict) UnmarshalText(b []byte) error {
	for i, name := range verdictNames {
		if name == string(b) {
			*v = Verdict(i)
			return nil
		}
	}
	return errors.New("emergency: a verdict is justified, unjustified or inconclusive")
}

// A Directive is what an emergency may open of one patient's records.
type Directive struct {
	Version uint64     `cbor:"1,keyasint" json:"version"` // 1, 2, 3 ...
	Set     uint64     `cbor:"2,keyasint" json:"set"`     // slots of the first step; exactly 32 bits set
	More    uint64     `cbor:"3,keyasint" json:"more"`    // slots that the second step adds; exactly 32 bits set
	Except  uint64     `cbor:"4,keyasint" json:"except"`  // slots that no step opens; exactly 24 bits set
	By      tx.Account `cbor:"5,keyasint" json:"by"`      // the patient, or her steward before she sets one herself
	Height  uint64     `cbor:"6,keyasint" json:"height"`
}

// Mask returns the slots that a case in its first or second step may open.
func (d Directive) Mask(widened bool) uint64 {
	m := d.Set
	if widened {
		m |= d.More
	}
	return m &^ d.Except
}

// A Case is one declared emergency. Its id is the id of the session it opened.
type Case struct {
	ID       tx.Hash    `cbor:"1,keyasint" json:"id"`
	Patient  tx.Account `cbor:"2,keyasint" json:"patient"`
	Actor    tx.Account `cbor:"3,keyasint" json:"actor"`
	Member   tx.Account `cbor:"4,keyasint" json:"member"` // the actor's
	Reason   Reason     `cbor:"5,keyasint" json:"reason"`
	Declared uint64     `cbor:"6,keyasint" json:"declared"` // unix seconds, as are all times
	Until    uint64     `cbor:"7,keyasint" json:"until"`    // end of access, exclusive; earlier if the session is closed
	Widened  uint64     `cbor:"8,keyasint" json:"widened"`  // time of the second step; 0 if it was not taken
	Extender tx.Account `cbor:"9,keyasint" json:"extender"` // the second clinician; zero if it was not extended
	AttestBy uint64     `cbor:"10,keyasint" json:"attestBy"`
	Attested uint64     `cbor:"11,keyasint" json:"attested"` // 0 if it is not
	Account  tx.Hash    `cbor:"12,keyasint" json:"account"`  // salted commitment to the actor's account of it
	ReviewBy uint64     `cbor:"13,keyasint" json:"reviewBy"`
	Reviewed uint64     `cbor:"14,keyasint" json:"reviewed"` // 0 if it is not, or not again after a dispute
	Reviewer tx.Account `cbor:"15,keyasint" json:"reviewer"` // the last; kept when a dispute asks for another
	Verdict  Verdict    `cbor:"16,keyasint" json:"verdict"`  // of the last review
	Findings tx.Hash    `cbor:"17,keyasint" json:"findings"` // salted commitment to the last review's reasons
	Disputed uint64     `cbor:"18,keyasint" json:"disputed"` // 0 if it is not
	Overdue  uint8      `cbor:"19,keyasint" json:"overdue"`  // obligations not met in time and still not met: 1 attestation, 2 review
}

// Obligations of a case, as bits of Case.Overdue.
const (
	Attestation uint8 = 1
	Review      uint8 = 2
)

// Closed reports whether the case owes nothing any more.
func (c Case) Closed() bool { return c.Reviewed != 0 }

// A Conduct is where one practitioner stands.
type Conduct struct {
	Recent  []uint64 `cbor:"1,keyasint" json:"recent"`  // times of the declarations of the last 24 hours, ascending; at most the quota
	Overdue uint32   `cbor:"2,keyasint" json:"overdue"` // cases with an overdue obligation; above 0 the privilege is suspended
}

// Counts are what everybody may know of one member's emergencies since ever.
type Counts struct {
	Declared     uint64 `cbor:"1,keyasint" json:"declared"`
	Widened      uint64 `cbor:"2,keyasint" json:"widened"`
	Extended     uint64 `cbor:"3,keyasint" json:"extended"`
	Attested     uint64 `cbor:"4,keyasint" json:"attested"`
	Justified    uint64 `cbor:"5,keyasint" json:"justified"`
	Unjustified  uint64 `cbor:"6,keyasint" json:"unjustified"`
	Inconclusive uint64 `cbor:"7,keyasint" json:"inconclusive"`
	Overdue      uint64 `cbor:"8,keyasint" json:"overdue"` // obligations that were not met in time
	Disputed     uint64 `cbor:"9,keyasint" json:"disputed"`
}

// Log entries of this module. The life of a case is in its patient's audit
// chain; this keeps the terms of each directive.
const EntryDirective ledger.EntryKind = Prefix<<8 | 1

// Set is the payload of an EntryDirective.
type Set struct {
	Patient   tx.Account `cbor:"1,keyasint" json:"patient"`
	Directive Directive  `cbor:"2,keyasint" json:"directive"`
}

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{{Kind: EntryDirective, Name: "emergency.directive", Payload: Set{}}}
}
