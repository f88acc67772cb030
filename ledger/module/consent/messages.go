package consent

import (
	"bytes"
	"math/bits"
	"slices"

	"salus/ledger/tx"
)

// Kinds of this module.
const (
	KindGrant  tx.Kind = "consent.grant"
	KindRevoke tx.Kind = "consent.revoke"
	KindChange tx.Kind = "consent.change"
	KindProxy  tx.Kind = "consent.proxy"
)

// Give puts a grant on the ledger, or replaces the one of the same id. Signed
// by the patient, by a proxy of hers, or by her steward with Recorded set.
type Give struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
	Grant   Grant      `cbor:"2,keyasint" json:"grant"`
}

// Revoke takes one grant away, or with the zero id every grant that this signer
// may revoke. It holds from its block on, also for sessions opened earlier.
type Revoke struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
	ID      GrantID    `cbor:"2,keyasint" json:"id"`
}

// Change takes grants away and gives others, or replaces them by their ids: all of it, or nothing. Signed
// as Give and Revoke are. No grant is in both lists; each list is in the order of its ids. The zero id, alone, revokes
// every grant that this signer may revoke, before anything is given.
type Change struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
	Revoke  []GrantID  `cbor:"2,keyasint" json:"revoke"`
	Give    []Grant    `cbor:"3,keyasint" json:"give"`
}

// SetProxy names, replaces or (with Active false) ends a proxy. Signed by the
// patient, or by her steward with Recorded set; a proxy cannot delegate. To end
// one, only Account counts.
type SetProxy struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
	Proxy   Proxy      `cbor:"2,keyasint" json:"proxy"`
	Active  bool       `cbor:"3,keyasint" json:"active"`
}

// Validate implements tx.Message. The sentence of the refusal says what to mend.
func (m *Give) Validate() error {
	if m.Patient == (tx.Account{}) {
		return ErrPatient
	}
	return m.Grant.Validate()
}

// Validate checks the grant by itself, before anything on the ledger is known.
func (g *Grant) Validate() error {
	switch {
	case g.ID == (GrantID{}):
		return ErrGrantID
	case g.Version == 0:
		return ErrVersion
	case g.Recorded && g.Document == (tx.Hash{}):
		return ErrDocument
	}
	if err := g.Grantee.Validate(); err != nil {
		return err
	}
	return ValidateTerms(g.Mask, g.Except, g.Purposes, g.NotBefore, g.NotAfter)
}

// Validate checks that the fields fit the kind.
func (g *Grantee) Validate() error {
	none := g.Account == (tx.Account{})
	switch g.Kind {
	case AnyClinical:
		if !none || g.Role != "" {
			return ErrGrantee
		}
	case OfRole:
		if !validRole(g.Role) {
			return ErrRole
		}
	case OfMember, OnePractitioner:
		if none || g.Role != "" {
			return ErrGrantee
		}
	default:
		return ErrGrantee
	}
	return nil
}

// ValidateTerms checks what grants and proxies have in common: the constant
// number of bits of both masks, the purposes and the period.
func ValidateTerms(mask, except uint64, purposes Purposes, notBefore, notAfter uint64) error {
	switch {
	case bits.OnesCount64(mask) != MaskBits:
		return ErrMask
	case bits.OnesCount64(except) != ExceptBits:
		return ErrExcept
	case !purposes.Known():
		return ErrPurposes
	case notAfter != 0 && notAfter <= notBefore:
		return ErrPeriod
	}
	return nil
}

// Validate implements tx.Message.
func (m *Revoke) Validate() error {
	if m.Patient == (tx.Account{}) {
		return ErrPatient
	}
	return nil
}

// Validate implements tx.Message.
func (m *Change) Validate() error {
	if m.Patient == (tx.Account{}) {
		return ErrPatient
	}
	for i, id := range m.Revoke {
		switch {
		case id == (GrantID{}) && len(m.Revoke) > 1:
			return ErrGrantID
		case i > 0 && compareIDs(m.Revoke[i-1], id) >= 0:
			return ErrChange
		}
	}
	for i := range m.Give {
		g := &m.Give[i]
		if err := g.Validate(); err != nil {
			return err
		}
		_, both := slices.BinarySearchFunc(m.Revoke, g.ID, compareIDs)
		if both || i > 0 && compareIDs(m.Give[i-1].ID, g.ID) >= 0 {
			return ErrChange
		}
	}
	if len(m.Revoke)+len(m.Give) == 0 {
		return ErrChange
	}
	return nil
}

func compareIDs(a, b GrantID) int { return bytes.Compare(a[:], b[:]) }

// Validate implements tx.Message.
func (m *SetProxy) Validate() error {
	p := &m.Proxy
	switch {
	case m.Patient == (tx.Account{}):
		return ErrPatient
	case p.Account == (tx.Account{}), p.Account == m.Patient:
		return ErrProxyAccount
	case p.Recorded && p.Document == (tx.Hash{}):
		return ErrDocument
	case !m.Active:
		return nil
	case p.Version == 0:
		return ErrVersion
	}
	return ValidateTerms(p.Mask, p.Except, p.Purposes, p.NotBefore, p.NotAfter)
}

// validRole accepts what identity accepts as a role code (NUCC, SNOMED CT, local
// systems, optionally a system before a '|'), never free text.
func validRole(s string) bool {
	if s == "" || len(s) > MaxRole {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-' || c == '.' || c == '_' || c == '|' || c == ':' || c == '/':
		default:
			return false
		}
	}
	return true
}
