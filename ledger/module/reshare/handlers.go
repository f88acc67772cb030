package reshare

import (
	"salus/ledger"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:   "reshare",
		Prefix: Prefix,
		Calls: []ledger.Call{
			ledger.On(KindDeal, deal),
			ledger.On(KindConfirm, confirm),
			ledger.On(KindComplain, complain),
			ledger.On(KindReport, report),
			ledger.On(KindDestroyed, destroyed),
		},
		Queries:  queries(),
		Genesis:  genesis,
		EndBlock: advance,
		Codes:    Codes(),
		Tables:   tables(),
		Entries:  entries(),
	}
}

// running returns the resharing that a message names, with its open pass.
func running(c *ledger.Context, n Name) (*Resharing, *Pass, error) {
	r, ok := Lookup(c.State, n.To)
	if !ok || r.Start != n.Start {
		return nil, nil, ErrUnknown
	}
	if r.Open() != int(n.Pass) {
		return nil, nil, ErrPass
	}
	return &r, &r.Passes[n.Pass-1], nil
}

// seat returns the signer's index in a committee.
func seat(c *ledger.Context, e committee.Epoch) (uint8, bool) {
	m, ok := governance.LookupMember(c.State, c.Signer.Account)
	i, seated := e.IndexOf(c.Signer.Account)
	return uint8(i), ok && seated && m.Active && c.Signer.Class == ledger.ClassMember
}

// prepared reports whether the signer sits in a committee that can hold shares without its epoch being in force:
// one that was prepared for epoch to and came to nothing.
func prepared(c *ledger.Context, to uint64) bool {
	for _, h := range committee.Others(c.State) {
		if _, ok := seat(c, h.Committee); ok && h.Committee.Epoch <= to {
			return true
		}
	}
	return false
}

func (r *Resharing) save(c *ledger.Context) { resharings.Put(c.State, number(r.To), *r) }

func deal(c *ledger.Context, m *DealAll) error {
	r, p, err := running(c, m.Name)
	if err != nil {
		return err
	}
	old, _, err := Members(c.State, r)
	if err != nil {
		return ErrUnknown
	}
	dealer, ok := seat(c, old)
	if !ok {
		return ErrDealer
	}
	if m.Count != p.Count {
		return ErrCount
	}
	if _, dealt := p.DealOf(dealer); dealt {
		return ErrDealt
	}
	d := Deal{Dealer: dealer, Root: m.Root, Time: c.Time}
	p.Deals = append(p.Deals, d)
	r.save(c)
	c.Append(EntryDealt, Dealt{To: r.To, Pass: m.Name.Pass, Deal: d})
	c.Emit("reshare.deal", c.Signer.Account.String())
	return nil
}

// confirm takes a new custodian's word, also after the pass has closed: one that comes late
// says when it holds everything.
func confirm(c *ledger.Context, m *ConfirmAll) error {
	r, ok := Lookup(c.State, m.Name.To)
	switch {
	case !ok || r.Start != m.Name.Start:
		return ErrUnknown
	case r.Phase == Abandoned || int(m.Name.Pass) > len(r.Passes):
		return ErrPass
	}
	p := &r.Passes[m.Name.Pass-1]
	_, next, err := Members(c.State, &r)
	if err != nil {
		return ErrUnknown
	}
	custodian, ok := seat(c, next)
	if !ok {
		return ErrCustodian
	}
	switch {
	case m.Left != p.Left:
		return ErrLeftOut
	case p.Count > 0 && len(p.Sound()) < int(r.OldT):
		return ErrTooFew
	}
	said := Confirm{Custodian: custodian, Left: m.Left, Root: m.Root}
	if !p.confirm(said) {
		return ErrNoNews
	}
	r.save(c)
	if m.Name.Pass == 1 { // it keeps nothing of what was begun before for this epoch
		erasure.Rid(c, c.Signer.Account, committee.Span{From: r.To, To: r.To, Start: r.Start})
	}
	c.Append(EntryConfirmed, Confirmed{To: r.To, Pass: m.Name.Pass, Confirm: said})
	c.Emit("reshare.confirm", c.Signer.Account.String())
	return nil
}

func complain(c *ledger.Context, m *Complain) error {
	r, p, err := running(c, m.Name)
	if err != nil {
		return err
	}
	old, next, err := Members(c.State, r)
	if err != nil {
		return ErrUnknown
	}
	by, ok := seat(c, next)
	if !ok {
		return ErrCustodian
	}
	d, ok := p.DealOf(m.Dealer)
	if !ok || p.Left&bit(m.Dealer) != 0 {
		return ErrNotDealt
	}
	id := tx.Hash(m.Header.Hash())
	b, ok := anchor.Lookup(c.State, id)
	if !ok || b.Active == 0 || b.Active <= p.After || b.Active > p.UpTo {
		return ErrBatch
	}
	root, size, moved := Before(c.State, r.To-1, &m.Header, &b)
	// Of a batch that has lost records the rest is dealt, and its commitments prove nothing any more.
	partly := erasure.ErasedRecords(c.State, id) > 0
	if err := m.upheld(r, p.Count, d.Root, by, moved, partly, root, size); err != nil {
		return err
	}
	p.leaveOut(Fault{Dealer: m.Dealer, By: by, Header: id})
	r.save(c)
	c.Append(EntryFault, Blamed{To: r.To, Pass: m.Name.Pass, Member: old.Members[m.Dealer-1], Fault: p.Faults[len(p.Faults)-1]})
	c.Emit("reshare.fault", old.Members[m.Dealer-1].String())
	return nil
}

func report(c *ledger.Context, m *ReportDealer) error {
	r, p, err := running(c, m.Name)
	if err != nil {
		return err
	}
	old, next, err := Members(c.State, r)
	if err != nil {
		return ErrUnknown
	}
	by, ok := seat(c, next)
	if !ok {
		return ErrCustodian
	}
	d, ok := p.DealOf(m.Dealer)
	switch {
	case !ok || p.Left&bit(m.Dealer) != 0:
		return ErrNotDealt
	case c.Time < d.Time+governance.ParamsOf(c.State).ReshareWait:
		return ErrTooEarly
	}
	enough, news := p.report(m.Dealer, by, next.F())
	if !news {
		return ErrNoNews
	}
	if enough {
		p.leaveOut(Fault{Dealer: m.Dealer})
		c.Append(EntryFault, Blamed{To: r.To, Pass: m.Name.Pass, Member: old.Members[m.Dealer-1], Fault: p.Faults[len(p.Faults)-1]})
		c.Emit("reshare.fault", old.Members[m.Dealer-1].String())
	}
	r.save(c)
	return nil
}

func destroyed(c *ledger.Context, m *Destroy) error {
	r, ok := Lookup(c.State, m.Epoch+1)
	if !ok {
		return ErrUnknown
	}
	if !r.Spent(c.Time, governance.ParamsOf(c.State).ReshareGrace) {
		return ErrNotDone
	}
	old, err := committee.At(c.State, m.Epoch)
	if err != nil {
		return ErrUnknown
	}
	index, ok := seat(c, old)
	if !ok && !prepared(c, r.To) {
		return ErrDealer
	}
	was := r.Destroyed
	if ok {
		r.Destroyed |= bit(index)
		r.save(c)
	}
	// Who holds nothing of the epoch holds nothing of what was begun before the change, either.
	if news := erasure.Rid(c, c.Signer.Account, committee.Span{To: r.To, Start: r.Start}); !news && r.Destroyed == was {
		return ErrNoNews
	}
	c.Append(EntryDestroyed, Wiped{Epoch: m.Epoch, Member: c.Signer.Account})
	c.Emit("reshare.destroyed", c.Signer.Account.String())
	return nil
}

// advance closes a pass that enough custodians have confirmed, and takes up an order.
func advance(c *ledger.Context) error {
	r, ok := Latest(c.State)
	if ok && r.Open() != 0 {
		closePass(c, &r)
	}
	o, ordered := governance.LastReshareOrder(c.State)
	last, _ := taken.Get(c.State, nil)
	// The epoch changes in two steps; once the first is done, the second comes before any order.
	if !ordered || o.Number == last.Order || ok && r.Phase == Second {
		return nil
	}
	if ok && r.Phase == First {
		r.Phase, r.Closed, r.ClosedAt = Abandoned, uint64(c.Height), c.Time
		c.Append(EntryPassed, r)
	}
	taken.Put(c.State, nil, mark{o.Number})
	return start(c, o)
}

func start(c *ledger.Context, o governance.ReshareOrder) error {
	old, err := committee.Current(c.State)
	if err != nil {
		return nil // no committee, nothing to deal
	}
	next := committee.Prepare(c, o.Members)
	r := Resharing{
		To: next.Epoch, Start: uint64(c.Height), Order: o.Number, Old: old.N, OldT: old.T, N: next.N, T: next.T, Phase: First,
		Passes: []Pass{{UpTo: uint64(c.Height), Count: anchor.Active(c.State), Since: c.Time}},
	}
	r.save(c)
	c.Append(EntryStarted, r)
	c.Emit("reshare.started", governanceNumber(r.To))
	return nil
}

// closePass changes the epoch after the first pass and ends the resharing after the second.
func closePass(c *ledger.Context, r *Resharing) {
	p := &r.Passes[len(r.Passes)-1]
	root, n := p.Agreed()
	if n < int(r.T) {
		return
	}
	p.close(root, r.Old)
	if r.Phase == First {
		late := anchor.Active(c.State) - p.Count
		committee.Begin(c, p.UpTo, late > 0)
		r.Changed, r.Phase = uint64(c.Height), Second
		if late > 0 {
			r.Passes = append(r.Passes, Pass{After: p.UpTo, UpTo: uint64(c.Height), Count: late, Since: c.Time})
		} else {
			r.done(c)
		}
	} else {
		committee.End(c)
		r.done(c)
	}
	r.save(c)
	c.Append(EntryPassed, *r)
	c.Emit("reshare.passed", governanceNumber(r.To))
}

func (r *Resharing) done(c *ledger.Context) {
	r.Phase, r.Closed, r.ClosedAt = Done, uint64(c.Height), c.Time
}
