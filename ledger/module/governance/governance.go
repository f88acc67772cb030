// Package governance keeps who belongs to the network and how it is run: the
// member organisations, which of them validate, the parameters, and the
// proposals by which all three change.
//
// Every active member has one vote and every validator has power 1; a proposal
// executes at the end of the block in which two thirds of the members that are
// active then have approved it. Votes move nothing else: there is no stake, no
// operator and no emergency key. One thing needs no vote: a validator that is
// proven to have signed twice leaves consensus, and stays a member.
//
// A member's service keys live here and are judged by height: a key added or
// revoked in block h counts from block h+1, and a key that has ended stays
// known with the heights at which it was live, so that what it signed then
// remains verifiable.
//
// The module must never let the last active member or the last validator go,
// never let a validator, peer or service key pass from one member to another,
// and never keep anything about a person.
package governance

import (
	"slices"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x02

// A Class says what kind of organisation a member is.
type Class string

// The classes of members.
const (
	Hospital     Class = "hospital"
	Clinic       Class = "clinic"
	Lab          Class = "lab"
	Insurer      Class = "insurer"
	Pharmacy     Class = "pharmacy"
	Manufacturer Class = "manufacturer"
	Distributor  Class = "distributor"
	Research     Class = "research"
	Regulator    Class = "regulator"
)

// Classes lists every class, in the order of the documents.
func Classes() []Class {
	return []Class{Hospital, Clinic, Lab, Insurer, Pharmacy, Manufacturer, Distributor, Research, Regulator}
}

// Clinical reports whether organisations of the class treat patients. A grant
// to "any clinical member" reaches these and no others.
func (c Class) Clinical() bool {
	return c == Hospital || c == Clinic || c == Lab || c == Pharmacy
}

func (c Class) known() bool {
	return slices.Contains(Classes(), c)
}

// A Member is one organisation of the network.
type Member struct {
	Account   tx.Account `cbor:"1,keyasint" json:"account"`
	Name      string     `cbor:"2,keyasint" json:"name"`      // 1..96 bytes, for people
	Class     Class      `cbor:"3,keyasint" json:"class"`     //
	Clinical  bool       `cbor:"4,keyasint" json:"clinical"`  // follows from Class
	Validator []byte     `cbor:"5,keyasint" json:"validator"` // Ed25519 consensus key, 32 bytes; empty for a client of the ledger
	Peer      []byte     `cbor:"6,keyasint" json:"peer"`      // Ed25519 key of its TLS certificate, 32 bytes
	Address   string     `cbor:"7,keyasint" json:"address"`   // host:port of its peer API
	Active    bool       `cbor:"8,keyasint" json:"active"`    // false after removal; the row stays
	Joined    uint64     `cbor:"9,keyasint" json:"joined"`    // height of the last admission; 0 for the genesis
	Keys      Ring       `cbor:"10,keyasint" json:"keys"`     // live service keys, and those that ended in the last change
}

// IsValidator reports whether the member votes in consensus.
func (m Member) IsValidator() bool { return m.Active && len(m.Validator) > 0 }

// A Status is where a proposal stands.
type Status uint8

// The life of a proposal.
const (
	Open     Status = 1
	Executed Status = 2 // approved by two thirds, and carried out
	Rejected Status = 3 // so many votes against that it cannot pass any more
	Lapsed   Status = 4 // its period ended without a decision
	Failed   Status = 5 // approved, but it could not be carried out any more; Code says why
)

// String returns the status as a word.
func (s Status) String() string {
	switch s {
	case Open:
		return "open"
	case Executed:
		return "executed"
	case Rejected:
		return "rejected"
	case Lapsed:
		return "lapsed"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// A Proposal is an action the members vote on. Its id is the id of the
// transaction that proposed it.
type Proposal struct {
	ID         tx.Hash      `cbor:"1,keyasint" json:"id"`
	Proposer   tx.Account   `cbor:"2,keyasint" json:"proposer"`
	Action     Action       `cbor:"3,keyasint" json:"action"`
	Opened     uint64       `cbor:"4,keyasint" json:"opened"`     // height
	Deadline   uint64       `cbor:"5,keyasint" json:"deadline"`   // unix seconds; from then on it lapses
	Approvals  []tx.Account `cbor:"6,keyasint" json:"approvals"`  // in account order; the proposer approves by proposing
	Rejections []tx.Account `cbor:"7,keyasint" json:"rejections"` // in account order
	Status     Status       `cbor:"8,keyasint" json:"status"`
	Closed     uint64       `cbor:"9,keyasint" json:"closed"` // height of the decision; 0 while open
	Code       uint32       `cbor:"10,keyasint" json:"code"`  // why a failed proposal could not be carried out
}

// Log entries of this module.
const (
	// EntryDecided is appended when a proposal closes; its payload is Decided.
	EntryDecided ledger.EntryKind = Prefix<<8 | 1
	// EntryMember is appended when a member changes its own keys or address;
	// its payload is Changed.
	EntryMember ledger.EntryKind = Prefix<<8 | 2
)

// Decided is the payload of an EntryDecided: the proposal as it closed.
type Decided struct {
	Proposal Proposal `cbor:"1,keyasint" json:"proposal"`
}

// Changed is the payload of an EntryMember.
type Changed struct {
	Account tx.Account     `cbor:"1,keyasint" json:"account"`
	Address string         `cbor:"2,keyasint" json:"address"`
	Peer    []byte         `cbor:"3,keyasint" json:"peer"`
	Add     []tx.PublicKey `cbor:"4,keyasint" json:"add"`
	Revoke  []tx.KeyID     `cbor:"5,keyasint" json:"revoke"`
}

// LookupMember returns the member of that account, active or not.
func LookupMember(r state.Reader, account tx.Account) (Member, bool) {
	return members.Shared(r, account[:])
}

// Members returns all members in account order, those removed included.
func Members(r state.Reader) []Member {
	var all []Member
	members.Scan(r, nil, func(_ []byte, m Member) bool {
		all = append(all, m)
		return true
	})
	return all
}

// Active returns the members that may act and vote now, in account order.
func Active(r state.Reader) []Member {
	var active []Member
	for _, m := range Members(r) {
		if m.Active {
			active = append(active, m)
		}
	}
	return active
}

// Validators returns the members that vote in consensus, in account order.
func Validators(r state.Reader) []Member {
	var vs []Member
	for _, m := range Members(r) {
		if m.IsValidator() {
			vs = append(vs, m)
		}
	}
	return vs
}

// LookupProposal returns a proposal by its id, closed ones included.
func LookupProposal(r state.Reader, id tx.Hash) (Proposal, bool) {
	return proposals.Get(r, id[:])
}

// OpenProposals returns the undecided proposals, the one that lapses first first.
func OpenProposals(r state.Reader) []Proposal {
	var all []Proposal
	for _, id := range openIDs(r) {
		p, ok := proposals.Get(r, id[:])
		if !ok {
			panic("governance: corrupt state: open proposal without a row")
		}
		all = append(all, p)
	}
	return all
}

// KeyAt returns the member's service key of that id if it was live at height.
func KeyAt(r state.Reader, account tx.Account, id tx.KeyID, height uint64) (Key, bool) {
	m, ok := LookupMember(r, account)
	if !ok {
		return Key{}, false
	}
	if k, ok := m.Keys.Find(id); ok {
		return k, k.LiveAt(height)
	}
	k, ok := ended.Get(r, keyID(account, id))
	return k, ok && k.LiveAt(height)
}

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{
		{Kind: EntryDecided, Name: "governance.decided", Payload: Decided{}},
		{Kind: EntryMember, Name: "governance.member", Payload: Changed{}},
		{Kind: EntryUpgraded, Name: "governance.upgraded", Payload: Planned{}},
		{Kind: EntryValidator, Name: "governance.validator", Payload: ValidatorChanged{}},
		{Kind: EntryMisbehaved, Name: "governance.misbehaved", Payload: Misbehaved{}},
	}
}
