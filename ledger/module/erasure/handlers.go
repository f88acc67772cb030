package erasure

import (
	"math/bits"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:   "erasure",
		Prefix: Prefix,
		Calls: []ledger.Call{
			ledger.On(KindRequest, request),
			ledger.On(KindConfirm, confirm),
			ledger.On(KindReceipt, receipt),
		},
		Queries:  queries(),
		Genesis:  genesis,
		EndBlock: obey,
		Codes:    Codes(),
		Tables:   tables(),
		Entries:  entries(),
	}
}

func ones(b uint64) int { return bits.OnesCount64(b) }

func request(c *ledger.Context, m *Request) error {
	p, ok := identity.Lookup(c.State, m.Patient)
	switch {
	case !ok || p.Class != ledger.ClassPatient || !p.Active:
		return ErrPatient
	case c.Signer.Account != m.Patient:
		return ErrSigner
	case !c.Signer.UserVerified:
		return ErrUserVerification
	}
	e := Case{
		ID: c.Tx, Scope: m.Scope, Patient: m.Patient, Batch: m.Batch, Leaf: m.Leaf, By: m.Patient, Ground: m.Ground,
		Status: Received, Requested: c.Time,
	}
	if err := against(c.State, &e, c.Time); err != nil {
		return err
	}
	if t, _ := tallies.Get(c.State, m.Patient[:]); t.Open >= MaxOpen {
		return ErrTooMany
	}
	return begin(c, &e)
}

// begin opens a case: custodians take it from the table of open cases.
func begin(c *ledger.Context, e *Case) error {
	k := pendingKey(e.Patient, e.target())
	if pending.Has(c.State, k) {
		return ErrDoubled
	}
	pending.Put(c.State, k, pointer{e.ID})
	open.Put(c.State, e.ID[:], openMark{})
	count(c, e, 1)
	save(c, e)
	report(c, e, audit.ErasureRequested)
	return nil
}

// count keeps how many cases of a patient are open.
func count(c *ledger.Context, e *Case, by int32) {
	if e.Patient.IsZero() {
		return
	}
	t, _ := tallies.Get(c.State, e.Patient[:])
	t.Open = uint32(int32(t.Open) + by)
	if t.Open == 0 {
		tallies.Delete(c.State, e.Patient[:])
		return
	}
	tallies.Put(c.State, e.Patient[:], t)
}

// save writes a case whose status has changed, and logs it as it is now.
func save(c *ledger.Context, e *Case) {
	cases.Put(c.State, e.ID[:], *e)
	c.Append(EntryCase, *e)
	c.Emit("erasure."+e.Status.String(), e.ID.String())
}

// report adds what happened to the patient's chain, if the case names her. Which
// of her records it is about is not in it.
func report(c *ledger.Context, e *Case, a audit.Action) {
	if e.Patient.IsZero() {
		return
	}
	p, _ := identity.Lookup(c.State, e.Patient)
	v := audit.Event{Action: a, Actor: e.By, Member: p.Member, Ref: e.ID, Count: uint32(e.Scope)}
	if e.Ordered {
		v.Member = e.By
	}
	audit.Append(c, e.Patient, v)
}

func confirm(c *ledger.Context, m *Confirm) error {
	e, ok := Lookup(c.State, m.Case)
	_, index, cerr := committee.Custodian(c)
	now, nerr := committee.Current(c.State)
	switch {
	case !ok:
		return ErrUnknown
	case cerr != nil, nerr != nil, index > maxCustodians:
		return ErrNotCustodian
	case e.Status != Received:
		return ErrStatus
	}
	agree, news := e.say(index, m.Finding)
	switch {
	case !news:
		return ErrNoNews
	case agree <= now.F(): // with one more, somebody honest is among them
		cases.Put(c.State, e.ID[:], e)
		return nil
	case m.Finding != Clear:
		refuse(c, &e, refusal(m.Finding))
		return nil
	}
	if err := against(c.State, &e, c.Time); err != nil {
		refuse(c, &e, err)
		return nil
	}
	entomb(c, &e, now)
	return nil
}

// refuse closes a case without a tombstone.
func refuse(c *ledger.Context, e *Case, why error) {
	e.Status, e.Closed = Refused, uint64(c.Height)
	e.Code, _ = tx.CodeOf(why)
	pending.Delete(c.State, pendingKey(e.Patient, e.target()))
	open.Delete(c.State, e.ID[:])
	count(c, e, -1)
	save(c, e)
	report(c, e, audit.ErasureRefused)
}

// entomb puts the tombstone up: from this block on the target is not there.
func entomb(c *ledger.Context, e *Case, now committee.Epoch) {
	e.Status, e.Epoch, e.Height, e.Time = Executing, now.Epoch, uint64(c.Height), c.Time
	e.Due = holders(c.State, e, now)
	e.Others = others(c.State, e, now)
	marks.Put(c.State, markKey(e.Scope, e.target()), Mark{Case: e.ID, Height: e.Height})
	if e.Scope == Record {
		p, _ := partly.Get(c.State, e.Batch[:])
		partly.Put(c.State, e.Batch[:], partial{p.Records + 1})
	}
	pending.Delete(c.State, pendingKey(e.Patient, e.target()))
	save(c, e)
	report(c, e, audit.Erased)
}

func receipt(c *ledger.Context, m *Receipt) error {
	e, ok := Lookup(c.State, m.Case)
	switch {
	case !ok:
		return ErrUnknown
	case !e.Stands():
		return ErrStatus
	}
	member, known := governance.LookupMember(c.State, c.Signer.Account)
	seats := seatsOf(c.State, &e, c.Signer.Account)
	if c.Signer.Class != ledger.ClassMember || !known || !member.Active || len(seats) == 0 {
		return ErrNotCustodian
	}
	news := false
	for _, s := range seats {
		news = s.add(m.Keys, m.Ciphertext, m.Records) || news
	}
	if !news {
		return ErrNoNews
	}
	c.Append(EntryReceipt, Signed{Custodian: index(c.State, &e, c.Signer.Account), Member: c.Signer.Account, Message: *m})
	advance(c, &e)
	return nil
}

// Rid counts for every open case that a member holds nothing any more of the committees of a
// span: who has destroyed a whole epoch has destroyed what the case names of it. It says whether that was news.
func Rid(c *ledger.Context, member tx.Account, of committee.Span) (news bool) {
	news = committee.Rid(c, member, of)
	for _, e := range OpenCases(c.State) {
		changed := false
		for _, s := range seatsOf(c.State, &e, member) {
			if of.Has(s.epoch, s.start) {
				changed = s.add(true, false, false) || changed
			}
		}
		if changed {
			advance(c, &e)
		}
	}
	return news
}

// advance moves a case on after a receipt, or when a member is removed. One that is final is done
// when who was removed comes back and signs.
func advance(c *ledger.Context, e *Case) {
	was, waited := e.Status, e.Open()
	certified, done := e.counts(c.State)
	if e.Status == Executing && certified {
		e.Status, e.Certified = Certified, uint64(c.Height)
	}
	switch left, final := unsigned(c.State, *e); {
	case e.Status != Certified && e.Status != Final:
	case done:
		e.Status, e.Unsigned = Done, nil
	case final || e.Status == Final: // who came back may have signed for a part of what it had
		e.Status, e.Unsigned = Final, left
	}
	if was != e.Status && !e.Open() {
		e.Closed = uint64(c.Height)
	}
	if waited && !e.Open() {
		open.Delete(c.State, e.ID[:])
		count(c, e, -1)
	}
	if e.Status == was {
		cases.Put(c.State, e.ID[:], *e)
		return
	}
	save(c, e)
}

// obey carries out what the members have voted in this block. Who was removed is waited for no more.
func obey(c *ledger.Context) error {
	gone := false
	for _, o := range governance.OrdersAt(c.State, uint64(c.Height)) {
		switch {
		case o.Action.Erase != nil:
			order(c, o)
		case o.Action.Hold != nil:
			hold(c, o.Action.Hold)
		case o.Action.Remove != nil:
			gone = true
		}
	}
	if gone {
		for _, e := range OpenCases(c.State) {
			if e.Stands() {
				advance(c, &e)
			}
		}
	}
	return nil
}

// order opens the case of an order; what stands against it closes it at once.
func order(c *ledger.Context, o governance.Order) {
	m := o.Action.Erase
	e := Case{
		ID: o.Proposal, Scope: Patient, Patient: m.Patient, Batch: m.Batch, Leaf: m.Leaf, By: o.Proposer, Ordered: true, Ground: m.Ground,
		Status: Received, Requested: c.Time,
	}
	switch zero := (tx.Hash{}); {
	case m.Leaf != zero:
		e.Scope = Record
	case m.Batch != zero:
		e.Scope = Batch
	}
	err := against(c.State, &e, c.Time)
	if p, ok := identity.Lookup(c.State, e.Patient); e.Scope == Patient && (!ok || p.Class != ledger.ClassPatient) {
		err = ErrPatient
		e.Patient = tx.Account{} // nobody has this chain
	}
	if err == nil {
		err = begin(c, &e)
	}
	if err != nil {
		e.Status, e.Closed = Refused, uint64(c.Height)
		e.Code, _ = tx.CodeOf(err)
		save(c, &e)
		report(c, &e, audit.ErasureRefused)
	}
}

// hold sets or lifts a legal hold. Two matters hold one target apart from each
// other; what is erased cannot be held any more.
func hold(c *ledger.Context, m *governance.Hold) {
	h := LegalHold{Patient: m.Patient, Batch: m.Batch, Matter: m.Matter, Since: c.Time}
	target := m.Batch
	if !m.Patient.IsZero() {
		target = padded(m.Patient)
	}
	k := holdKey(target, m.Matter)
	was, stands := holds.Get(c.State, k)
	v := Changed{Hold: h, Lift: m.Lift}
	switch {
	case m.Lift && !stands:
		v.Code = ErrNoHold.Code
	case m.Lift:
		v.Hold.Since = was.Since
		holds.Delete(c.State, k)
	case stands:
		v.Code = ErrHolding.Code
	case Erased(c.State, m.Batch, tx.Hash{}), PatientErased(c.State, m.Patient):
		v.Code = ErrErased.Code
	default:
		holds.Put(c.State, k, h)
	}
	c.Append(EntryHold, v)
	c.Emit("erasure.hold", m.Matter.String())
}
