// Package audit keeps, for every pseudonym, one gap-free hash chain of all that
// happened to it: enrolment, keys, consents, sessions, committed record lists.
//
// Entries go to the ledger's append-only log; the state tree holds only where a
// chain stands (its last sequence number, head and log index). So a patient, or
// a stranger with the genesis file, verifies offline that her log is complete
// and not only genuine: VerifyChain needs no state.
//
// Beside that it keeps where each member's own journal stands (journal.go): its only
// transaction.
//
// Append is the one function by which a module writes what is not its own. It must never skip or reuse a sequence number,
// and an entry must never say more about a patient than the transaction it
// records already did.
package audit

import (
	"crypto/sha256"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x08

// An Action is what happened.
type Action uint8

// The actions. Numbers are unique for ever. A refusal is none of them: a
// session in which consent allowed nothing is a session whose mask is zero.
const (
	Enrolled       Action = 1
	Claimed        Action = 2
	KeysChanged    Action = 3
	ConsentGranted Action = 4
	ConsentChanged Action = 5
	ConsentRevoked Action = 6
	ProxyChanged   Action = 7
	SessionOpened  Action = 8
	FetchCommitted Action = 9
	SessionClosed  Action = 10

	EmergencyDeclared  Action = 11 // Count is the coded reason
	EmergencyWidened   Action = 12 // the second, explicit step
	EmergencyExtended  Action = 13 // by a second clinician
	EmergencyAttested  Action = 14
	EmergencyReviewed  Action = 15 // Count is the verdict
	EmergencyOverdue   Action = 16 // nobody signed: the block's time did it
	EmergencyDisputed  Action = 17
	EmergencyDirective Action = 18 // what an emergency may open was set

	ErasureRequested  Action = 19 // or ordered; Count is the scope, Ref the case
	Erased            Action = 20 // the tombstone stands
	ErasureRefused    Action = 21
	GuardiansNamed    Action = 50 // Count is the threshold
	RecoveryRequested Action = 51 // Count is the kind of the case, here and below
	RecoveryApproved  Action = 52
	RecoveryCancelled Action = 53
	RecoveryFinished  Action = 54
	RecoveryLapsed    Action = 55 // nobody signed: the block's time did it
	RecoverySession   Action = 56 // a session opened to bring back what only the wallet held

	LookedUp            Action = 40 // an identifier led to her; Ref is the entry of module lookup
	IdentifierEnrolled  Action = 41
	IdentifierForgotten Action = 42
	CardIssued          Action = 43 // an emergency card
	CardRevoked         Action = 44
	MergeProposed       Action = 45
	Merged              Action = 46
	Unmerged            Action = 47
)

var actions = [...]string{
	Enrolled:       "enrolled",
	Claimed:        "claimed",
	KeysChanged:    "keys changed",
	ConsentGranted: "consent granted",
	ConsentChanged: "consent changed",
	ConsentRevoked: "consent revoked",
	ProxyChanged:   "proxy changed",
	SessionOpened:  "session opened",
	FetchCommitted: "fetch committed",
	SessionClosed:  "session closed",

	EmergencyDeclared:  "emergency declared",
	EmergencyWidened:   "emergency widened",
	EmergencyExtended:  "emergency extended",
	EmergencyAttested:  "emergency attested",
	EmergencyReviewed:  "emergency reviewed",
	EmergencyOverdue:   "emergency overdue",
	EmergencyDisputed:  "emergency disputed",
	EmergencyDirective: "emergency directive set",

	ErasureRequested:  "erasure requested",
	Erased:            "erased",
	ErasureRefused:    "erasure refused",
	GuardiansNamed:    "guardians named",
	RecoveryRequested: "recovery requested",
	RecoveryApproved:  "recovery approved",
	RecoveryCancelled: "recovery cancelled",
	RecoveryFinished:  "recovery finished",
	RecoveryLapsed:    "recovery lapsed",
	RecoverySession:   "recovery session opened",

	LookedUp:            "looked up",
	IdentifierEnrolled:  "identifier enrolled",
	IdentifierForgotten: "identifier forgotten",
	CardIssued:          "emergency card issued",
	CardRevoked:         "emergency card revoked",
	MergeProposed:       "merge proposed",
	Merged:              "merged",
	Unmerged:            "unmerged",
}

// Known reports whether a is one of the actions.
func (a Action) Known() bool { return int(a) < len(actions) && actions[a] != "" }

// String returns the action in words.
func (a Action) String() string {
	if !a.Known() {
		return "unknown"
	}
	return actions[a]
}

// EntryEvent is the log entry of this module; its payload is a Record.
const EntryEvent ledger.EntryKind = Prefix<<8 | 1

// An Event is what a module reports; what does not apply is zero.
type Event struct {
	Action  Action
	Actor   tx.Account // who did it
	Member  tx.Account // for which member
	Purpose uint8      // of use, as module consent numbers them
	Ref     tx.Hash    // what it is about: a session id, a grant id padded with zeros
	Mask    uint64     // slots granted
	Count   uint32     // of records, keys or grants
	Root    tx.Hash    // of a committed record list
}

// A Record is one link of a pseudonym's chain, the payload of an EntryEvent.
type Record struct {
	Patient   tx.Account `cbor:"1,keyasint" json:"patient"`
	Seq       uint64     `cbor:"2,keyasint" json:"seq"`       // 1, 2, 3 ...
	Prev      tx.Hash    `cbor:"3,keyasint" json:"prev"`      // head before this entry; zero for the first
	PrevIndex uint64     `cbor:"4,keyasint" json:"prevIndex"` // log index of the entry before; 0 for the first
	Action    Action     `cbor:"5,keyasint" json:"action"`
	Actor     tx.Account `cbor:"6,keyasint" json:"actor"`
	Member    tx.Account `cbor:"7,keyasint" json:"member"`
	Purpose   uint8      `cbor:"8,keyasint" json:"purpose"`
	Ref       tx.Hash    `cbor:"9,keyasint" json:"ref"`
	Mask      uint64     `cbor:"10,keyasint" json:"mask"`
	Count     uint32     `cbor:"11,keyasint" json:"count"`
	Root      tx.Hash    `cbor:"12,keyasint" json:"root"`
}

// A Position is where a chain stands.
type Position struct {
	Seq   uint64  `cbor:"1,keyasint" json:"seq"`   // number of entries so far
	Head  tx.Hash `cbor:"2,keyasint" json:"head"`  // hash over all of them; zero for none
	Index uint64  `cbor:"3,keyasint" json:"index"` // log index of the last one
}

// At returns where the pseudonym's chain stands; ok is false if it has none.
func At(r state.Reader, patient tx.Account) (Position, bool) {
	return chains.Get(r, patient[:])
}

// Append extends the pseudonym's chain by one entry and returns its log index.
func Append(c *ledger.Context, patient tx.Account, e Event) (index uint64) {
	at, _ := At(c.State, patient)
	rec := Record{
		Patient:   patient,
		Seq:       at.Seq + 1,
		Prev:      at.Head,
		PrevIndex: at.Index,
		Action:    e.Action,
		Actor:     e.Actor,
		Member:    e.Member,
		Purpose:   e.Purpose,
		Ref:       e.Ref,
		Mask:      e.Mask,
		Count:     e.Count,
		Root:      e.Root,
	}
	index = c.Append(EntryEvent, rec)
	chains.Put(c.State, patient[:], Position{
		Seq:   rec.Seq,
		Head:  Extend(rec.Prev, entryBytes(c, rec)),
		Index: index,
	})
	c.Emit("audit."+e.Action.String(), patient.String())
	return index
}

// Extend is the head of a chain after one more entry:
// SHA-256("salus/audit/v1\0" ‖ previous head ‖ SHA-256(entry bytes)).
func Extend(prev tx.Hash, entry []byte) tx.Hash {
	sum := sha256.Sum256(entry)
	h := sha256.New()
	h.Write([]byte("salus/audit/v1\x00"))
	h.Write(prev[:])
	h.Write(sum[:])
	return tx.Hash(h.Sum(nil))
}

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{
		{Kind: EntryEvent, Name: "audit.event", Payload: Record{}},
		{Kind: EntryJournal, Name: "audit.journal", Payload: JournalRecord{}},
	}
}

// entryBytes is the log entry that c.Append makes of the record, byte for byte.
func entryBytes(c *ledger.Context, rec Record) []byte {
	return tx.MustEncode(ledger.Entry{Kind: EntryEvent, Height: uint64(c.Height), Time: c.Time, Tx: c.Tx, Payload: tx.MustEncode(rec)})
}
