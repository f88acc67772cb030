package governance

import (
	"encoding/binary"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Erase orders that records be erased: one target, which is a record with its
// batch, a batch, or a patient. It needs no request of the patient and is not
// bound by the retention period; a legal hold stands against it all the same.
type Erase struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"` // all of a patient's records; else zero
	Batch   tx.Hash    `cbor:"2,keyasint" json:"batch"`   // hash of the batch's header; else zero
	Leaf    tx.Hash    `cbor:"3,keyasint" json:"leaf"`    // manifest leaf of one record of it; zero: the whole batch
	Ground  tx.Hash    `cbor:"4,keyasint" json:"ground"`  // salted commitment to the written order
}

// Hold sets or lifts a legal hold: while one stands, nothing of its target is
// erased.
type Hold struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"` // or
	Batch   tx.Hash    `cbor:"2,keyasint" json:"batch"`   // hash of a batch's header
	Matter  tx.Hash    `cbor:"3,keyasint" json:"matter"`  // salted commitment to the matter it is held for
	Lift    bool       `cbor:"4,keyasint" json:"lift"`
}

// order counts the orders in the action and says whether each is well formed.
func (a *Action) order() (n int, err error) {
	zero := tx.Hash{}
	if e := a.Erase; e != nil {
		n++
		patient, batch := !e.Patient.IsZero(), e.Batch != zero
		if patient == batch || e.Leaf != zero && !batch || e.Ground == zero {
			err = ErrTarget
		}
	}
	if h := a.Hold; h != nil {
		n++
		if patient, batch := !h.Patient.IsZero(), h.Batch != zero; patient == batch || h.Matter == zero {
			err = ErrTarget
		}
	}
	return n, err
}

// An Order is a passed proposal that another module carries out, in the block in
// which it passed, or, of the removal of a member, draws its conclusions from.
type Order struct {
	Proposal tx.Hash    `cbor:"1,keyasint" json:"proposal"`
	Proposer tx.Account `cbor:"2,keyasint" json:"proposer"`
	Action   Action     `cbor:"3,keyasint" json:"action"`
}

var orders = state.NewTable[Order]("orders", Prefix, 0x18)

// command leaves an order for the module that carries it out.
func command(c *ledger.Context, p Proposal) {
	if p.Action.Erase == nil && p.Action.Hold == nil && p.Action.Remove == nil {
		return
	}
	at := binary.BigEndian.AppendUint64(nil, uint64(c.Height))
	orders.Put(c.State, append(at, p.ID[:]...), Order{Proposal: p.ID, Proposer: p.Proposer, Action: p.Action})
}

// OrdersAt returns the orders that passed in the block of that height, in the
// order of their proposals' ids.
func OrdersAt(r state.Reader, height uint64) (out []Order) {
	orders.Scan(r, binary.BigEndian.AppendUint64(nil, height), func(_ []byte, o Order) bool {
		out = append(out, o)
		return true
	})
	return out
}
