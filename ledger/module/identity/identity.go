// Package identity keeps who may act: practitioners and devices, registered by
// their member organisation with role codes and privileges, and patients, who
// are random pseudonyms with keys of their own.
//
// Keys are judged by height. A key added or revoked in block h counts from
// block h+1, so every signature of a block is judged by the keys the block
// began with; KeyAt answers for any height of the past, and rotation leaves
// what was signed before verifiable.
//
// A practitioner or device stands and falls with its member: an inactive
// member suspends all of its own. A patient does not: her steward leaving the
// network takes no right from her.
//
// The module must never learn a name, a licence number or anything about a
// patient but a pseudonym, public keys and commitments, and never leave a
// patient who had a key without one.
package identity

import (
	"slices"

	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x03

// Key is a public key with the heights at which it counts.
type Key = governance.Key

// Ring is the keys of one account.
type Ring = governance.Ring

// Privileges are what a practitioner or device may do at all, as bits. They
// never replace a patient's consent.
const (
	PrivRead      uint32 = 1  // open sessions
	PrivWrite     uint32 = 2  // author records in its member's name
	PrivEmergency uint32 = 4  // ask for ETREAT and BTG; only for clinical members
	PrivAdmin     uint32 = 8  // administer its member's gateway
	PrivResearch  uint32 = 16 // work on research data
	PrivReview    uint32 = 32 // review emergency access of others
	PrivReproof   uint32 = 64 // prove a patient's identity anew, record a death
	privAll              = PrivRead | PrivWrite | PrivEmergency | PrivAdmin | PrivResearch | PrivReview | PrivReproof
)

// Limits of a principal.
const (
	MaxRoles   = 16
	MaxKeys    = governance.MaxKeys
	maxRoleLen = 64
)

// A Principal is an account that may sign.
type Principal struct {
	Account    tx.Account   `cbor:"1,keyasint" json:"account"`
	Class      ledger.Class `cbor:"2,keyasint" json:"class"`
	Member     tx.Account   `cbor:"3,keyasint" json:"member"`     // whose practitioner or device it is; a patient's steward; a member itself
	Active     bool         `cbor:"4,keyasint" json:"active"`     // its own switch; see Standing for its member's
	Roles      []string     `cbor:"5,keyasint" json:"roles"`      // codes in ascending order, at most 16
	Privileges uint32       `cbor:"6,keyasint" json:"privileges"` // Priv bits
	Credential tx.Hash      `cbor:"7,keyasint" json:"credential"` // salted commitment to its licence credential; zero if none
	Keys       Ring         `cbor:"8,keyasint" json:"keys"`       // live keys, and those that ended in the last change
	Claim      tx.Hash      `cbor:"9,keyasint" json:"claim"`      // ClaimCommit of an unused claim secret; zero if none
	Height     uint64       `cbor:"10,keyasint" json:"height"`    // of its registration or enrolment
}

// Has reports whether the principal has all of those privileges.
func (p Principal) Has(privileges uint32) bool { return p.Privileges&privileges == privileges }

// HasRole reports whether the principal has that role code.
func (p Principal) HasRole(code string) bool {
	return slices.Contains(p.Roles, code)
}

// Log entries of this module. Patients' entries are audit's.
const (
	// EntryRegistered has the Register message and its member as payload.
	EntryRegistered ledger.EntryKind = Prefix<<8 | 1
	// EntryUpdated has the Update message as payload.
	EntryUpdated ledger.EntryKind = Prefix<<8 | 2
	// EntryRotated has the Rotate message of a practitioner or device as payload.
	EntryRotated ledger.EntryKind = Prefix<<8 | 3
)

// Registered is the payload of an EntryRegistered.
type Registered struct {
	Member  tx.Account `cbor:"1,keyasint" json:"member"`
	Message Register   `cbor:"2,keyasint" json:"message"`
}

// Lookup returns the principal of that account, active or not. A member's own
// account is one too: its row is governance's, and it holds no privileges.
func Lookup(r state.Reader, account tx.Account) (Principal, bool) {
	if p, ok := principals.Shared(r, account[:]); ok {
		return p, true
	}
	m, ok := governance.LookupMember(r, account)
	if !ok {
		return Principal{}, false
	}
	return Principal{
		Account: account,
		Class:   ledger.ClassMember,
		Member:  account,
		Active:  m.Active,
		Keys:    m.Keys,
		Height:  m.Joined,
	}, true
}

// Standing returns a principal that may act now, with its member: itself
// active, and its member active too unless it is a patient. ok is false for
// anyone else.
func Standing(r state.Reader, account tx.Account) (p Principal, m governance.Member, ok bool) {
	p, ok = Lookup(r, account)
	if !ok || !p.Active {
		return p, m, false
	}
	m, ok = governance.LookupMember(r, p.Member)
	return p, m, ok && (m.Active || p.Class == ledger.ClassPatient)
}

// KeyAt returns the key of that id if it was live in the account at height.
func KeyAt(r state.Reader, account tx.Account, id tx.KeyID, height uint64) (Key, bool) {
	p, ok := principals.Get(r, account[:])
	if !ok {
		return governance.KeyAt(r, account, id, height)
	}
	if k, ok := p.Keys.Find(id); ok {
		return k, k.LiveAt(height)
	}
	k, ok := ended.Get(r, keyID(account, id))
	return k, ok && k.LiveAt(height)
}

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{
		{Kind: EntryRegistered, Name: "identity.registered", Payload: Registered{}},
		{Kind: EntryUpdated, Name: "identity.updated", Payload: Update{}},
		{Kind: EntryRotated, Name: "identity.rotated", Payload: Rotate{}},
	}
}
