// Package consent keeps what each patient allows: grants as masks over secret
// label slots, the proxies who may act for her, and the one decision everything
// else asks for, Evaluate.
//
// A grant names who (any clinical member, a role, a member, a practitioner), for
// which purposes of use (HL7 v3 PurposeOfUse), when, and which of 64 slots. The
// slots stand for security labels through a map that only the patient's wallet
// and her steward hold; every mask has exactly 32 bits and every except exactly
// 24, filled up with dummies, so that a restriction looks like a permission and
// the ledger learns neither (EHDS Art. 8; spec/consent.md).
//
// Contract: deny by default; an except of a matching grant wins over every mask;
// ETREAT, BTG and ERTREAT are never implied by TREAT; a period ends by block
// time without a transaction; a revocation holds from its block on. Anything
// unknown allows nothing.
//
// The module must never keep a label, a diagnosis, a name or a free text, and
// never answer with more than the masks it was given.
package consent

import (
	"encoding/hex"
	"errors"
	"fmt"

	"salus/ledger"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x06

// Shape of the masks and limits per patient.
const (
	MaskBits   = 32   // bits set in every mask
	ExceptBits = 24   // bits set in every except
	MaxGrants  = 1000 // grants of one patient
	MaxProxies = 32   // proxies of one patient
	MaxRole    = 64   // bytes of a role code
)

// A GrantID names a grant of one patient. It is random; the zero id is none.
type GrantID [16]byte

// String returns the id in hex.
func (id GrantID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes the id in hex.
func (id GrantID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads 32 hex digits.
func (id *GrantID) UnmarshalText(b []byte) error {
	if hex.DecodedLen(len(b)) != len(id) {
		return errors.New("consent: a grant id is 32 hex digits")
	}
	_, err := hex.Decode(id[:], b)
	return err
}

// A GranteeKind says whom a grant is for.
type GranteeKind uint8

// The kinds of grantee.
const (
	AnyClinical     GranteeKind = 1 // any practitioner or device of an active clinical member
	OfRole          GranteeKind = 2 // holders of Role: of the member Account, or of any clinical member if it is zero
	OfMember        GranteeKind = 3 // practitioners and devices of the member Account
	OnePractitioner GranteeKind = 4 // the practitioner or device Account
)

var granteeNames = [...]string{AnyClinical: "any-clinical", OfRole: "role", OfMember: "member", OnePractitioner: "practitioner"}

// String returns the kind as a word.
func (k GranteeKind) String() string {
	if k < AnyClinical || k > OnePractitioner {
		return "unknown"
	}
	return granteeNames[k]
}

// MarshalText writes the kind as a word; it fails for an unknown kind.
func (k GranteeKind) MarshalText() ([]byte, error) {
	if k < AnyClinical || k > OnePractitioner {
		return nil, fmt.Errorf("consent: no grantee has kind %d", uint8(k))
	}
	return []byte(granteeNames[k]), nil
}

// UnmarshalText reads a kind from its word.
func (k *GranteeKind) UnmarshalText(b []byte) error {
	for i := AnyClinical; i <= OnePractitioner; i++ {
		if granteeNames[i] == string(b) {
			*k = i
			return nil
		}
	}
	return errors.New("consent: a grantee is any-clinical, role, member or practitioner")
}

// A Grantee is whom a grant is for. Account and Role are zero where the kind
// does not use them.
type Grantee struct {
	Kind    GranteeKind `cbor:"1,keyasint" json:"kind"`
	Account tx.Account  `cbor:"2,keyasint" json:"account"`
	Role    string      `cbor:"3,keyasint" json:"role"` // a role code as identity registers it, 1..64 bytes
}

// A Grant is one directive of a patient. Each version is immutable; a higher
// version replaces it.
type Grant struct {
	ID        GrantID  `cbor:"1,keyasint" json:"id"`
	Version   uint64   `cbor:"2,keyasint" json:"version"` // 1 for a new id, above the one it replaces otherwise
	Grantee   Grantee  `cbor:"3,keyasint" json:"grantee"`
	Mask      uint64   `cbor:"4,keyasint" json:"mask"`      // slots allowed; exactly 32 bits set
	Except    uint64   `cbor:"5,keyasint" json:"except"`    // slots denied, whoever allows them; exactly 24 bits set
	Purposes  Purposes `cbor:"6,keyasint" json:"purposes"`  // at least one
	NotBefore uint64   `cbor:"7,keyasint" json:"notBefore"` // unix seconds; holds from then on
	NotAfter  uint64   `cbor:"8,keyasint" json:"notAfter"`  // unix seconds; no longer holds from then on; 0 = open
	Uses      uint16   `cbor:"9,keyasint" json:"uses"`      // sessions it may open; 0 = no limit
	Recorded  bool     `cbor:"10,keyasint" json:"recorded"` // by the steward from a paper form
	Document  tx.Hash  `cbor:"11,keyasint" json:"document"` // salted commitment to the form or the FHIR Consent; zero = none
}

// A Proxy is somebody who may act for the patient: a parent, a guardian, a
// carer. What she may do ends where this row ends: its purposes, masks and
// period bound both what she reads and every grant she makes, at any later
// time. A parent's proxy ends by NotAfter when the child comes of age.
type Proxy struct {
	Account   tx.Account `cbor:"1,keyasint" json:"account"` // a person enrolled herself
	Version   uint64     `cbor:"2,keyasint" json:"version"` // 1 for a new proxy, above the one it replaces otherwise
	Mask      uint64     `cbor:"3,keyasint" json:"mask"`    // exactly 32 bits set
	Except    uint64     `cbor:"4,keyasint" json:"except"`  // exactly 24 bits set
	Purposes  Purposes   `cbor:"5,keyasint" json:"purposes"`
	NotBefore uint64     `cbor:"6,keyasint" json:"notBefore"` // unix seconds
	NotAfter  uint64     `cbor:"7,keyasint" json:"notAfter"`  // unix seconds; 0 = open
	Recorded  bool       `cbor:"8,keyasint" json:"recorded"`  // by the steward from a paper form or a court's decision
	Document  tx.Hash    `cbor:"9,keyasint" json:"document"`
}

// A Standing is a grant as it stands on the ledger.
type Standing struct {
	Grant  Grant      `cbor:"1,keyasint" json:"grant"`
	By     tx.Account `cbor:"2,keyasint" json:"by"`     // who signed it: the patient, a proxy, the steward
	Height uint64     `cbor:"3,keyasint" json:"height"` // of this version
	Left   uint16     `cbor:"4,keyasint" json:"left"`   // sessions it may still open, if Grant.Uses is not 0
}

// A StandingProxy is a proxy as it stands on the ledger.
type StandingProxy struct {
	Proxy  Proxy      `cbor:"1,keyasint" json:"proxy"`
	By     tx.Account `cbor:"2,keyasint" json:"by"`
	Since  uint64     `cbor:"3,keyasint" json:"since"`  // height from which on this account is a proxy without a break
	Height uint64     `cbor:"4,keyasint" json:"height"` // of this version
}

// A Head sums up one patient's consents. Version rises with every change, so
// an unchanged version means unchanged consents.
type Head struct {
	Version uint64 `cbor:"1,keyasint" json:"version"`
	Grants  uint32 `cbor:"2,keyasint" json:"grants"`
	Proxies uint32 `cbor:"3,keyasint" json:"proxies"`
}

// Log entries of this module. What happened when, and who did it, is in the
// patient's audit chain; these keep the terms, also after a revocation.
const (
	// EntryGrant has a Given as payload, for each version of a grant.
	EntryGrant ledger.EntryKind = Prefix<<8 | 1
	// EntryProxy has a Named as payload, for each version of a proxy.
	EntryProxy ledger.EntryKind = Prefix<<8 | 2
)

// Given is the payload of an EntryGrant.
type Given struct {
	Patient  tx.Account `cbor:"1,keyasint" json:"patient"`
	Standing Standing   `cbor:"2,keyasint" json:"standing"`
}

// Named is the payload of an EntryProxy.
type Named struct {
	Patient  tx.Account    `cbor:"1,keyasint" json:"patient"`
	Standing StandingProxy `cbor:"2,keyasint" json:"standing"`
}

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{
		{Kind: EntryGrant, Name: "consent.grant", Payload: Given{}},
		{Kind: EntryProxy, Name: "consent.proxy", Payload: Named{}},
	}
}
