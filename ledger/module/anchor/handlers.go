package anchor

import (
	"salus/ledger"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:   "anchor",
		Prefix: Prefix,
		Calls: []ledger.Call{
			ledger.On(KindPut, put),
			ledger.On(KindReceipts, receipts),
			ledger.On(KindComplain, complain),
		},
		Queries: queries(),
		Genesis: genesis,
		Codes:   Codes(),
		Tables:  tables(),
		Entries: entries(),
	}
}

func put(c *ledger.Context, m *Put) error {
	h := &m.Header
	switch {
	case h.Chain != c.Chain:
		return ErrChain
	case c.Signer.Class != ledger.ClassMember || tx.Account(h.Author) != c.Signer.Account:
		return ErrAuthor
	}
	e, err := committee.Current(c.State)
	if err != nil {
		return ErrEpoch
	}
	if err := fits(h, e); err != nil {
		return err
	}
	id := tx.Hash(h.Hash())
	if batches.Has(c.State, id[:]) {
		return ErrKnown
	}
	batches.Put(c.State, id[:], Batch{
		Author: h.Author,
		Epoch:  h.Epoch,
		Count:  h.Count,
		Pack:   m.Pack,
		Height: uint64(c.Height),
		Time:   c.Time,
		Index:  c.Append(EntryHeader, *m),
	})
	c.Emit("anchor.put", id.String())
	return nil
}

// custodian returns the epoch in force and the signer's seat in it.
func custodian(c *ledger.Context) (committee.Epoch, int, error) {
	_, index, err := committee.Custodian(c)
	if err != nil || index > MaxCustodians {
		return committee.Epoch{}, 0, ErrNotCustodian
	}
	e, err := committee.Current(c.State)
	if err != nil {
		return committee.Epoch{}, 0, ErrNotCustodian
	}
	return e, index, nil
}

// batch returns a batch of the epoch. Seats of one epoch mean nothing in another.
func batch(c *ledger.Context, e committee.Epoch, header tx.Hash) (Batch, error) {
	b, ok := Lookup(c.State, header)
	switch {
	case !ok:
		return b, ErrUnknownBatch
	case b.Epoch != e.Epoch:
		return b, ErrEpoch
	}
	return b, nil
}

func receipts(c *ledger.Context, m *Receipts) error {
	e, index, err := custodian(c)
	if err != nil {
		return err
	}
	news := false
	var begun []Activated
	for _, r := range m.List {
		b, err := batch(c, e, r.Header)
		if err != nil {
			return err
		}
		if !b.receive(index, r.Holds) {
			continue
		}
		news = true
		if b.Active == 0 && b.complete(e) {
			b.Active = uint64(c.Height)
			begun = append(begun, Activated{Header: r.Header, Receipts: b.Receipts, Holds: b.Holds})
		}
		batches.Put(c.State, r.Header[:], b)
	}
	if !news {
		return ErrNoNews
	}
	c.Append(EntryReceipts, Receipted{Custodian: uint8(index), Epoch: e.Epoch, Message: *m})
	count(c, len(begun))
	for _, a := range begun {
		c.Append(EntryActive, a)
		c.Emit("anchor.active", a.Header.String())
	}
	return nil
}

func complain(c *ledger.Context, m *Complain) error {
	e, index, err := custodian(c)
	if err != nil {
		return err
	}
	b, err := batch(c, e, m.Header)
	if err != nil {
		return err
	}
	bit := uint64(1) << (index - 1)
	switch {
	case b.Receipts&bit != 0:
		return ErrHasReceipt
	case b.Complaints&bit != 0:
		return ErrNoNews
	}
	b.Complaints |= bit
	batches.Put(c.State, m.Header[:], b)
	c.Append(EntryComplaint, Complained{Custodian: uint8(index), Epoch: e.Epoch, Message: *m})
	c.Emit("anchor.complaint", m.Header.String())
	return nil
}
