package committee

import (
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// One committee follows another in three steps, which module reshare takes: an epoch is
// prepared while the one in force goes on; it comes into force when its custodians hold the
// shares of every batch that was ACTIVE at the cut; and the epoch before ends when they also
// hold those of the batches that became ACTIVE between the cut and the change, the late
// ones. At every height a batch belongs to one epoch: see Held and anchor.EpochOf.

// Coming returns the epoch that is being prepared. Its custodians publish custody keys and
// take over shares; nothing is released by it yet.
func Coming(r state.Reader) (Epoch, bool) { return coming.Get(r, nil) }

// Held is which batches the epoch in force holds.
type Held struct {
	Epoch uint64 // in force
	// Late says that batches which became ACTIVE under the epoch before, above height Cut,
	// still belong to that one.
	Late bool
	Cut  uint64
}

// HeldNow returns which batches the epoch in force holds; the zero value if there is none.
func HeldNow(r state.Reader) Held {
	p, _ := current.Shared(r, nil)
	return Held{Epoch: p.Epoch, Late: p.Tail, Cut: p.Cut}
}

// Prepare notes the committee that is to follow the one in force, and returns its epoch. A
// committee prepared before is forgotten. Members are in account order.
func Prepare(c *ledger.Context, members []tx.Account) Epoch {
	now, _ := current.Get(c.State, nil)
	_, t := Threshold(len(members))
	e := Epoch{Epoch: now.Epoch + 1, N: uint8(len(members)), T: uint8(t), Members: members}
	coming.Put(c.State, nil, e)
	prepared(c, e)
	return e
}

// Begin puts the prepared epoch in force. Batches that became ACTIVE above height cut stay
// with the epoch before until End.
func Begin(c *ledger.Context, cut uint64, late bool) {
	e, ok := coming.Get(c.State, nil)
	if !ok {
		panic("committee: no epoch is prepared") // a programming error of the caller
	}
	e.From = uint64(c.Height)
	coming.Delete(c.State, nil)
	epochs.Put(c.State, number(e.Epoch), e)
	p := epochPointer{Epoch: e.Epoch}
	if late {
		p.Cut, p.Tail = cut, true
	}
	current.Put(c.State, nil, p)
	c.Append(EntryEpoch, e)
}

// End gives the late batches to the epoch in force; the epoch before holds nothing any more.
func End(c *ledger.Context) {
	now, _ := current.Get(c.State, nil)
	current.Put(c.State, nil, epochPointer{Epoch: now.Epoch})
}

// keyed returns the signer's account if it may publish a custody key: a custodian of the
// epoch in force or of the coming one.
func keyed(c *ledger.Context) (tx.Account, error) {
	if account, _, err := Custodian(c); err == nil {
		return account, nil
	}
	e, ok := Coming(c.State)
	m, member := governance.LookupMember(c.State, c.Signer.Account)
	_, seated := e.IndexOf(c.Signer.Account)
	if !ok || c.Signer.Class != ledger.ClassMember || !member || !m.Active || !seated {
		return tx.Account{}, ErrNotCustodian
	}
	return m.Account, nil
}
