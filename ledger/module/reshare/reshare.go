// Package reshare keeps how the shares of all records pass from one custody epoch to the
// next, so that members come, go, or begin again without anybody learning a key.
//
// An order of the members (governance.Reshare) starts it: the next committee is prepared and
// the shares are dealt again in two passes. The first holds every batch that is ACTIVE when
// it starts. When t of the new custodians confirm it, the new epoch comes into force. The
// second holds the batches that became ACTIVE while the first ran; the old epoch releases
// them until the second is confirmed as well. So at every height a batch belongs to one
// epoch, no batch falls between, and no write has to wait. What was not ACTIVE at the change
// lapses, and its author seals it again.
//
// In a pass each old custodian sends one transaction, however many batches there are: the
// Merkle root over what it dealt. The dealings go to the new custodians outside of the
// ledger. One that finds a dealing wrong opens it in a complaint, which the handler checks:
// if the complaint is right, the dealer is left out and everybody takes the next one. All new
// custodians combine the same dealers, those first on the ledger, and confirm the same root
// over the commitments that follow.
//
// Contract: nobody is left out by less than a checked opening or the word of more new
// custodians than may be faulty; an epoch changes only on the word of t new custodians that
// agree; a resharing that has not changed the epoch yet can be started anew, with other
// members. The module must never see a share, but for the one vector that a complaint opens.
package reshare

import (
	"math/bits"

	"salus/ledger"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x0b

// A Phase is where a resharing stands.
type Phase uint8

// The life of a resharing.
const (
	First     Phase = 1 // the batches ACTIVE at the start are dealt; the old epoch is in force
	Second    Phase = 2 // the late batches are dealt; the new epoch is in force
	Done      Phase = 3 // the old epoch holds nothing any more; its shares are to be destroyed
	Abandoned Phase = 4 // a later order took its place before the epoch changed
)

// String returns the phase as a word.
func (p Phase) String() string {
	switch p {
	case First:
		return "first pass"
	case Second:
		return "second pass"
	case Done:
		return "done"
	case Abandoned:
		return "abandoned"
	}
	return "unknown"
}

// A Resharing is the change from epoch To-1 to epoch To. Bit i-1 of a bitmap is custodian i,
// of the epoch that is named with it.
type Resharing struct {
	To        uint64 `cbor:"1,keyasint" json:"to"`         // the epoch it makes
	Start     uint64 `cbor:"2,keyasint" json:"start"`      // height; To and Start name the resharing
	Order     uint64 `cbor:"3,keyasint" json:"order"`      // number of the order
	Old       uint8  `cbor:"4,keyasint" json:"old"`        // custodians of epoch To-1
	OldT      uint8  `cbor:"5,keyasint" json:"oldT"`       // of them, how many dealers make a batch
	N         uint8  `cbor:"6,keyasint" json:"n"`          // custodians of epoch To
	T         uint8  `cbor:"7,keyasint" json:"t"`          // threshold of epoch To
	Phase     Phase  `cbor:"8,keyasint" json:"phase"`      //
	Changed   uint64 `cbor:"9,keyasint" json:"changed"`    // height at which the epoch came into force, or 0
	Closed    uint64 `cbor:"10,keyasint" json:"closed"`    // height at which it was done or abandoned, or 0
	ClosedAt  uint64 `cbor:"11,keyasint" json:"closedAt"`  // unix seconds, or 0
	Passes    []Pass `cbor:"12,keyasint" json:"passes"`    // one or two
	Destroyed uint64 `cbor:"13,keyasint" json:"destroyed"` // custodians of To-1 that have destroyed their shares
}

// A Pass deals a set of batches: those that became ACTIVE above height After up to UpTo.
type Pass struct {
	After    uint64    `cbor:"1,keyasint" json:"after"`    // height
	UpTo     uint64    `cbor:"2,keyasint" json:"upTo"`     // height
	Count    uint64    `cbor:"3,keyasint" json:"count"`    // batches
	Since    uint64    `cbor:"4,keyasint" json:"since"`    // unix seconds
	Deals    []Deal    `cbor:"5,keyasint" json:"deals"`    // in the order in which they came: the first sound ones count
	Left     uint64    `cbor:"6,keyasint" json:"left"`     // dealers of To-1 left out
	Faults   []Fault   `cbor:"7,keyasint" json:"faults"`   // why
	Reports  []Report  `cbor:"8,keyasint" json:"reports"`  // who does not hand over what it dealt
	Confirms []Confirm `cbor:"9,keyasint" json:"confirms"` // by index; each custodian's last
	Next     tx.Hash   `cbor:"10,keyasint" json:"next"`    // root over the commitments that follow; zero while open
	Late     uint64    `cbor:"11,keyasint" json:"late"`    // dealers of To-1 that had not dealt when it closed
}

// A Deal is one old custodian's commitment to all that it deals in a pass.
type Deal struct {
	Dealer uint8   `cbor:"1,keyasint" json:"dealer"` // index in epoch To-1
	Root   tx.Hash `cbor:"2,keyasint" json:"root"`
	Time   uint64  `cbor:"3,keyasint" json:"time"` // unix seconds
}

// A Fault is why a dealer was left out.
type Fault struct {
	Dealer uint8   `cbor:"1,keyasint" json:"dealer"` // index in epoch To-1
	By     uint8   `cbor:"2,keyasint" json:"by"`     // index in epoch To of who complained, 0: reported by more than may be faulty
	Header tx.Hash `cbor:"3,keyasint" json:"header"` // batch of the opened dealing, or zero
}

// A Report counts who says that a dealer does not hand over what it dealt.
type Report struct {
	Dealer uint8  `cbor:"1,keyasint" json:"dealer"` // index in epoch To-1
	By     uint64 `cbor:"2,keyasint" json:"by"`     // custodians of epoch To
}

// A Confirm is a new custodian's word that it holds the shares of every batch of the pass.
type Confirm struct {
	Custodian uint8   `cbor:"1,keyasint" json:"custodian"` // index in epoch To
	Left      uint64  `cbor:"2,keyasint" json:"left"`      // Pass.Left that it went by
	Root      tx.Hash `cbor:"3,keyasint" json:"root"`      // over the commitments that follow
}

// Open returns the pass that is open, 1 or 2, and 0 if none is.
func (r *Resharing) Open() int {
	if r.Phase == First || r.Phase == Second {
		return int(r.Phase)
	}
	return 0
}

// Sound returns the dealers of a pass that are not left out, in the order in which they dealt.
func (p *Pass) Sound() []Deal {
	var sound []Deal
	for _, d := range p.Deals {
		if p.Left&bit(d.Dealer) == 0 {
			sound = append(sound, d)
		}
	}
	return sound
}

// DealOf returns what a dealer committed to in the pass.
func (p *Pass) DealOf(dealer uint8) (Deal, bool) {
	for _, d := range p.Deals {
		if d.Dealer == dealer {
			return d, true
		}
	}
	return Deal{}, false
}

// Agreed returns the root that most of the custodians confirmed by the dealers that count
// now, and how many did.
func (p *Pass) Agreed() (root tx.Hash, n int) {
	for i, c := range p.Confirms {
		if c.Left != p.Left {
			continue
		}
		same := 0
		for _, o := range p.Confirms[i:] {
			if o.Left == p.Left && o.Root == c.Root {
				same++
			}
		}
		if same > n {
			root, n = c.Root, same
		}
	}
	return root, n
}

// Confirmed reports whether a custodian of epoch To has confirmed the pass as it stands.
func (p *Pass) Confirmed(custodian uint8) bool {
	root, _ := p.Agreed()
	if p.Next != (tx.Hash{}) {
		root = p.Next
	}
	for _, c := range p.Confirms {
		if c.Custodian == custodian {
			return c.Left == p.Left && c.Root == root
		}
	}
	return false
}

// Complete reports whether every custodian of epoch To has confirmed every pass.
func (r *Resharing) Complete() bool {
	for i := range r.Passes {
		for j := uint8(1); j <= r.N; j++ {
			if !r.Passes[i].Confirmed(j) {
				return false
			}
		}
	}
	return r.Phase == Done
}

// Spent reports whether nobody needs the shares of epoch To-1 any more at a time: the
// resharing is done, and every new custodian has confirmed or had grace seconds to do so.
func (r *Resharing) Spent(now, grace uint64) bool {
	return r.Phase == Done && (r.Complete() || now >= r.ClosedAt+grace)
}

// Wiped is how many custodians of epoch To-1 have destroyed their shares.
func (r *Resharing) Wiped() int { return bits.OnesCount64(r.Destroyed) }

func bit(index uint8) uint64 { return 1 << (index - 1) }

// Log entries of this module.
const (
	// EntryStarted has the Resharing as it starts as payload.
	EntryStarted ledger.EntryKind = Prefix<<8 | 1
	// EntryDealt has a Dealt as payload.
	EntryDealt ledger.EntryKind = Prefix<<8 | 2
	// EntryFault has a Blamed as payload.
	EntryFault ledger.EntryKind = Prefix<<8 | 3
	// EntryConfirmed has a Confirmed as payload.
	EntryConfirmed ledger.EntryKind = Prefix<<8 | 4
	// EntryPassed has the Resharing after a pass has closed as payload.
	EntryPassed ledger.EntryKind = Prefix<<8 | 5
	// EntryDestroyed has a Wiped as payload.
	EntryDestroyed ledger.EntryKind = Prefix<<8 | 6
)

// Dealt is the payload of an EntryDealt.
type Dealt struct {
	To   uint64 `cbor:"1,keyasint" json:"to"`
	Pass uint8  `cbor:"2,keyasint" json:"pass"`
	Deal Deal   `cbor:"3,keyasint" json:"deal"`
}

// Blamed is the payload of an EntryFault.
type Blamed struct {
	To     uint64     `cbor:"1,keyasint" json:"to"`
	Pass   uint8      `cbor:"2,keyasint" json:"pass"`
	Member tx.Account `cbor:"3,keyasint" json:"member"` // the dealer
	Fault  Fault      `cbor:"4,keyasint" json:"fault"`
}

// Confirmed is the payload of an EntryConfirmed.
type Confirmed struct {
	To      uint64  `cbor:"1,keyasint" json:"to"`
	Pass    uint8   `cbor:"2,keyasint" json:"pass"`
	Confirm Confirm `cbor:"3,keyasint" json:"confirm"`
}

// Wiped is the payload of an EntryDestroyed: the member holds no share of that epoch.
type Wiped struct {
	Epoch  uint64     `cbor:"1,keyasint" json:"epoch"`
	Member tx.Account `cbor:"2,keyasint" json:"member"`
}

// Lookup returns the resharing that makes, or made, an epoch: of several attempts the last.
func Lookup(r state.Reader, to uint64) (Resharing, bool) { return resharings.Get(r, number(to)) }

// Latest returns the last resharing that was started; false if there never was one.
func Latest(r state.Reader) (Resharing, bool) {
	if e, ok := committee.Coming(r); ok {
		return Lookup(r, e.Epoch)
	}
	return Lookup(r, committee.HeldNow(r).Epoch)
}

// Members returns the committees of a resharing: those who deal and those who take over.
func Members(r state.Reader, of *Resharing) (old, next committee.Epoch, err error) {
	if old, err = committee.At(r, of.To-1); err != nil {
		return old, next, err
	}
	if e, ok := committee.Coming(r); ok && e.Epoch == of.To {
		return old, e, nil
	}
	next, err = committee.At(r, of.To)
	return old, next, err
}

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{
		{Kind: EntryStarted, Name: "reshare.started", Payload: Resharing{}},
		{Kind: EntryDealt, Name: "reshare.dealt", Payload: Dealt{}},
		{Kind: EntryFault, Name: "reshare.fault", Payload: Blamed{}},
		{Kind: EntryConfirmed, Name: "reshare.confirmed", Payload: Confirmed{}},
		{Kind: EntryPassed, Name: "reshare.passed", Payload: Resharing{}},
		{Kind: EntryDestroyed, Name: "reshare.destroyed", Payload: Wiped{}},
	}
}
