// Package lookup keeps how a patient is found who is not here with her wallet: the
// keys of the custodians' oblivious function and how they were made, who asked for
// which purpose, and what it led to.
//
// An identifier never comes near the ledger. Who looks one up commits to a blinded
// element of it, and the custodians evaluate exactly that element. What comes out
// addresses a sealed pointer that the custodians hold. The pointer is sealed once
// more, to a second key of the custodians, and they open it on the ledger and
// nowhere else: the block in which anybody learns the pseudonym is the block that
// writes the lookup into that patient's chain. It cannot be left out by whoever asks,
// nor by fewer than t custodians (spec/lookup.md section 5).
//
// Contract: one entry allows one evaluation; entries are counted by practitioner and
// by member and bounded per 24 hours; counts are public. Deny by default: without a
// key, an entry or an enrolment, nothing.
//
// The module must never keep an identifier, a hash of one, or an element that was not
// blinded; never a share of a key, but for one that its dealer had to open because a
// recipient complained.
package lookup

import (
	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/threshold/oprf"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x0c

// Limits.
const (
	// Valid is how many seconds the custodians evaluate for an entry.
	Valid = 120
	// MaxPointers bounds what one lookup may open: enrolments of one identifier.
	MaxPointers = 4
	// window is in which entries are counted, hours.
	window = 24
)

// A Use is what an entry is for.
type Use uint8

// The uses.
const (
	Find  Use = 1 // to find a patient
	Enrol Use = 2 // to make one of her identifiers lead to her
)

// A Key is the pair of keys the custodians share: one evaluates identifiers, the
// other opens pointers. Both are dealt together and pass on together.
type Key struct {
	Number  uint64       `cbor:"1,keyasint" json:"number"` // of the ceremony that dealt the shares
	Epoch   uint64       `cbor:"2,keyasint" json:"epoch"`  // of the committee
	T       uint8        `cbor:"3,keyasint" json:"t"`
	Members []tx.Account `cbor:"4,keyasint" json:"members"` // custodian i is Members[i-1]
	Eval    tx.Hash      `cbor:"5,keyasint" json:"eval"`    // element of the key that evaluates
	Open    tx.Hash      `cbor:"6,keyasint" json:"open"`    // element of the key that opens
	Evals   []tx.Hash    `cbor:"7,keyasint" json:"evals"`   // element of custodian i's share at i-1
	Opens   []tx.Hash    `cbor:"8,keyasint" json:"opens"`
	Height  uint64       `cbor:"9,keyasint" json:"height"`
}

// IndexOf returns a member's index among those who hold the key, from 1; 0 if it holds none.
func (k Key) IndexOf(member tx.Account) int { return indexOf(k.Members, member) }

// Evaluators is what evaluations are checked against.
func (k Key) Evaluators() *oprf.Committee { return holders(k.T, k.Eval, k.Evals) }

// Openers is what openings are checked against.
func (k Key) Openers() *oprf.Committee { return holders(k.T, k.Open, k.Opens) }

func holders(t uint8, key tx.Hash, shares []tx.Hash) *oprf.Committee {
	return &oprf.Committee{T: int(t), Key: oprf.Element(key), Shares: elements(shares)}
}

func elements(in []tx.Hash) []oprf.Element {
	out := make([]oprf.Element, len(in))
	for i := range in {
		out[i] = oprf.Element(in[i])
	}
	return out
}

func hashes(in []oprf.Element) []tx.Hash {
	out := make([]tx.Hash, len(in))
	for i := range in {
		out[i] = tx.Hash(in[i])
	}
	return out
}

func indexOf(members []tx.Account, member tx.Account) int {
	for i, m := range members {
		if m == member {
			return i + 1
		}
	}
	return 0
}

// A Phase is where a ceremony stands.
type Phase uint8

// The phases, in order.
const (
	Dealing   Phase = 1 // dealers commit to their polynomials
	Vouching  Phase = 2 // recipients say whose shares they hold and found sound
	Answering Phase = 3 // dealers open shares that were complained of
	Done      Phase = 4 // the key is in force
	Failed    Phase = 5 // too few dealers or recipients took part; another may begin
)

// A Ceremony makes a key, or passes the one in force on to the committee of now.
type Ceremony struct {
	Number     uint64       `cbor:"1,keyasint" json:"number"` // 1, 2, 3 ...
	Phase      Phase        `cbor:"2,keyasint" json:"phase"`
	Ends       uint64       `cbor:"3,keyasint" json:"ends"`  // when the phase ends at the latest, unix seconds
	Epoch      uint64       `cbor:"4,keyasint" json:"epoch"` // whose custodians receive
	T          uint8        `cbor:"5,keyasint" json:"t"`     // of the recipients
	Recipients []tx.Account `cbor:"6,keyasint" json:"recipients"`
	From       uint64       `cbor:"7,keyasint" json:"from"`     // number of the key that is passed on; 0: a fresh one
	Dealers    []tx.Account `cbor:"8,keyasint" json:"dealers"`  // holders of that key, or the recipients
	Dealt      uint64       `cbor:"9,keyasint" json:"dealt"`    // bit i-1: dealer i has dealt
	Vouched    uint64       `cbor:"10,keyasint" json:"vouched"` // bit j-1: recipient j has vouched
	Missing    []uint64     `cbor:"11,keyasint" json:"missing"` // of recipient j at j-1, bit i-1: it complains of dealer i
	Agreed     uint64       `cbor:"12,keyasint" json:"agreed"`  // bit i-1: dealer i's dealing counts
	Blamed     uint64       `cbor:"13,keyasint" json:"blamed"`  // bit i-1: dealer i left a complaint unanswered
}

// A Dealt is what one dealer committed to in a ceremony.
type Dealt struct {
	Eval []tx.Hash `cbor:"1,keyasint" json:"eval"` // of the key that evaluates, one element for each coefficient
	Open []tx.Hash `cbor:"2,keyasint" json:"open"`
}

// An Opened is a pair of shares that a dealer opened because its recipient complained.
type Opened struct {
	Eval tx.Hash `cbor:"1,keyasint" json:"eval"` // scalars, 32 bytes little endian
	Open tx.Hash `cbor:"2,keyasint" json:"open"`
}

// A Standing is where an entry stands.
type Standing uint8

// The standings.
const (
	Asked    Standing = 1 // may be evaluated; whether anything was found is not known here
	Opening  Standing = 2 // pointers are being opened
	Resolved Standing = 3 // they are opened; what they led to is in Found
	Enrolled Standing = 4 // leads to Patient
	Withdrew Standing = 5 // an enrolment that leads nowhere any more
)

// An Entry is one allowed evaluation. Its id is that of its transaction.
type Entry struct {
	ID       tx.Hash         `cbor:"1,keyasint" json:"id"`
	Use      Use             `cbor:"2,keyasint" json:"use"`
	Actor    tx.Account      `cbor:"3,keyasint" json:"actor"`
	Member   tx.Account      `cbor:"4,keyasint" json:"member"` // the actor's
	Purpose  consent.Purpose `cbor:"5,keyasint" json:"purpose"`
	Element  tx.Hash         `cbor:"6,keyasint" json:"element"` // ElementHash of the blinded element
	Asked    uint64          `cbor:"7,keyasint" json:"asked"`   // unix seconds
	Standing Standing        `cbor:"8,keyasint" json:"standing"`
	Patient  tx.Account      `cbor:"9,keyasint" json:"patient"` // of an enrolment; else zeros
	Found    []tx.Account    `cbor:"10,keyasint" json:"found"`  // ascending; of a lookup that is resolved
}

// Live reports whether the custodians still evaluate for the entry.
func (e Entry) Live(now uint64) bool { return now < e.Asked+Valid && e.Standing != Withdrew }

// A Usage is what one practitioner or member asked for in the last 24 hours.
type Usage struct {
	Recent []Hour `cbor:"1,keyasint" json:"recent"` // ascending, at most 24
}

// An Hour is how many entries fell into one hour.
type Hour struct {
	Hour  uint64 `cbor:"1,keyasint" json:"hour"` // unix time divided by 3600
	Count uint64 `cbor:"2,keyasint" json:"count"`
}

// Counts are what everybody may know of one member's lookups since ever.
type Counts struct {
	Asked    uint64 `cbor:"1,keyasint" json:"asked"`    // entries to find somebody
	Resolved uint64 `cbor:"2,keyasint" json:"resolved"` // of them, those that led to a pseudonym or were opened in vain
	Found    uint64 `cbor:"3,keyasint" json:"found"`    // patients they led to
	Enrolled uint64 `cbor:"4,keyasint" json:"enrolled"`
	Forgot   uint64 `cbor:"5,keyasint" json:"forgot"`
}

// A Card is an emergency card that a patient printed.
type Card struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
	Revoked bool       `cbor:"2,keyasint" json:"revoked"`
}

// Log entries of this module.
const (
	EntryCeremony ledger.EntryKind = Prefix<<8 | 1 // payload Ceremony: it began, failed or is done
	EntryKey      ledger.EntryKind = Prefix<<8 | 2 // payload Key
	EntryAsked    ledger.EntryKind = Prefix<<8 | 3 // payload Entry
	EntryResolve  ledger.EntryKind = Prefix<<8 | 4 // payload Resolve
	EntryResolved ledger.EntryKind = Prefix<<8 | 5 // payload Entry
	EntryForgot   ledger.EntryKind = Prefix<<8 | 6 // payload Forget
)

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{
		{Kind: EntryCeremony, Name: "lookup.ceremony", Payload: Ceremony{}},
		{Kind: EntryKey, Name: "lookup.key", Payload: Key{}},
		{Kind: EntryAsked, Name: "lookup.asked", Payload: Entry{}},
		{Kind: EntryResolve, Name: "lookup.resolve", Payload: Resolve{}},
		{Kind: EntryResolved, Name: "lookup.resolved", Payload: Entry{}},
		{Kind: EntryForgot, Name: "lookup.forgot", Payload: Forget{}},
	}
}
