package lookup

import (
	"bytes"
	"slices"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/threshold/oprf"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:   "lookup",
		Prefix: Prefix,
		Calls: []ledger.Call{
			ledger.On(KindBegin, begin), ledger.On(KindDeal, deal), ledger.On(KindVouch, vouch), ledger.On(KindAnswer, answer),
			ledger.On(KindAsk, ask), ledger.On(KindResolve, resolve), ledger.On(KindOpen, open),
			ledger.On(KindForget, forget), ledger.On(KindCard, setCard),
		},
		Queries:  queries(),
		Genesis:  genesis,
		EndBlock: advance,
		Codes:    Codes(),
		Tables:   tables(),
		Entries:  entries(),
	}
}

func ask(c *ledger.Context, m *Ask) error {
	err := mayFind(c, m.Purpose)
	if m.Use == Enrol {
		err = mayEnrol(c, m.Patient)
	}
	if err != nil {
		return err
	}
	if _, ok := Current(c.State); !ok {
		return ErrNoKey
	}
	p, who := governance.ParamsOf(c.State), c.Signer
	if who.Account != who.Member {
		if err := spend(c.State, who.Account, c.Time, p.LookupQuota); err != nil {
			return err
		}
	}
	if err := spend(c.State, who.Member, c.Time, p.LookupMemberQuota); err != nil {
		return err
	}
	e := Entry{
		ID: c.Tx, Use: m.Use, Actor: who.Account, Member: who.Member, Purpose: m.Purpose, Element: m.Element, Asked: c.Time,
		Standing: Asked, Patient: m.Patient,
	}
	if m.Use == Enrol {
		e.Standing = Enrolled
		audit.Append(c, m.Patient, audit.Event{
			Action: audit.IdentifierEnrolled, Actor: e.Actor, Member: e.Member, Purpose: uint8(e.Purpose), Ref: e.ID, Count: 1,
		})
		count(c.State, e.Member, func(n *Counts) { n.Enrolled++ })
	} else {
		count(c.State, e.Member, func(n *Counts) { n.Asked++ })
	}
	asked.Put(c.State, e.ID[:], e)
	c.Append(EntryAsked, e)
	return nil
}

func resolve(c *ledger.Context, m *Resolve) error {
	e, ok := Lookup(c.State, m.Entry)
	switch {
	case !ok:
		return ErrUnknown
	case e.Actor != c.Signer.Account:
		return ErrNotYours
	case e.Use != Find || e.Standing != Asked || !e.Live(c.Time):
		return ErrExpired
	}
	for i := range m.Pointers {
		p := m.Pointers[i].Sealed()
		if p.Validate(Label(c.Chain)) != nil {
			return ErrPointers
		}
	}
	e.Standing = Opening
	asked.Put(c.State, e.ID[:], e)
	opening.Put(c.State, e.ID[:], *m)
	c.Append(EntryResolve, *m)
	return nil
}

func open(c *ledger.Context, m *Open) error {
	k, ok := Current(c.State)
	if !ok || k.Number != m.Key {
		return ErrPart
	}
	i, err := seat(c, k.Members)
	if err != nil {
		return err
	}
	task, ok := opening.Get(c.State, m.Entry[:])
	if !ok {
		return ErrUnknown
	}
	if p, ok := parts.Get(c.State, partOf(m.Entry, i)); ok && p.Key == k.Number {
		return ErrAgain
	}
	if len(m.Parts) != len(task.Pointers) {
		return ErrPart
	}
	for q := range m.Parts {
		p := partial(i, &m.Parts[q])
		if k.Openers().VerifyPartial(oprf.Element(task.Pointers[q].Seal), &p) != nil {
			return ErrPart
		}
	}
	parts.Put(c.State, partOf(m.Entry, i), *m)
	return conclude(c, k, &task)
}

func partial(index int, p *Part) oprf.Partial {
	return oprf.Partial{Index: index, Element: oprf.Element(p.Element), Proof: oprf.Proof(p.Proof)}
}

// conclude opens the pointers if t custodians have done their part, and writes the
// lookup into the chain of every patient that it led to, in this very block.
func conclude(c *ledger.Context, k Key, task *Resolve) error {
	var done []int
	var got []Open
	for i := range k.Members {
		if p, ok := parts.Get(c.State, partOf(task.Entry, i+1)); ok && p.Key == k.Number {
			done, got = append(done, i+1), append(got, p)
		}
	}
	if len(done) < int(k.T) {
		return nil
	}
	e, ok := Lookup(c.State, task.Entry)
	if !ok {
		panic("lookup: corrupt state: opening without an entry")
	}
	for q := range task.Pointers {
		p := task.Pointers[q].Sealed()
		list := make([]oprf.Partial, len(done))
		for x := range done {
			list[x] = partial(done[x], &got[x].Parts[q])
		}
		whole, _, err := k.Openers().Combine(p.Seal, list)
		if err != nil {
			continue // the parts add up to nothing: so does the pointer
		}
		if patient, ok := leadsTo(c, p.Open(whole)); ok && !slices.Contains(e.Found, patient) {
			e.Found = append(e.Found, patient)
		}
	}
	slices.SortFunc(e.Found, func(a, b tx.Account) int { return bytes.Compare(a[:], b[:]) })
	for _, patient := range e.Found {
		audit.Append(c, patient, audit.Event{
			Action: audit.LookedUp, Actor: e.Actor, Member: e.Member, Purpose: uint8(e.Purpose), Ref: e.ID, Count: 1,
		})
	}
	e.Standing = Resolved
	asked.Put(c.State, e.ID[:], e)
	opening.Delete(c.State, e.ID[:])
	for i := range 64 { // also those of a committee before
		parts.Delete(c.State, partOf(e.ID, i+1))
	}
	count(c.State, e.Member, func(n *Counts) { n.Resolved++; n.Found += uint64(len(e.Found)) })
	c.Append(EntryResolved, e)
	return nil
}

// leadsTo returns the patient of an enrolment that is in force. A pointer that somebody
// made up leads nowhere.
func leadsTo(c *ledger.Context, enrolment tx.Hash) (tx.Account, bool) {
	e, ok := Lookup(c.State, enrolment)
	if !ok || e.Standing != Enrolled {
		return tx.Account{}, false
	}
	p, ok := identity.Lookup(c.State, e.Patient)
	return e.Patient, ok && p.Active
}

func forget(c *ledger.Context, m *Forget) error {
	e, ok := Lookup(c.State, m.Entry)
	switch {
	case !ok || e.Use != Enrol:
		return ErrUnknown
	case c.Signer.Account != e.Patient && c.Signer.Account != e.Member:
		return ErrNotYours
	case e.Standing != Enrolled:
		return ErrAgain
	}
	e.Standing = Withdrew
	asked.Put(c.State, e.ID[:], e)
	count(c.State, e.Member, func(n *Counts) { n.Forgot++ })
	c.Append(EntryForgot, *m)
	audit.Append(c, e.Patient, audit.Event{
		Action: audit.IdentifierForgotten, Actor: c.Signer.Account, Member: e.Member, Ref: e.ID, Count: 1,
	})
	return nil
}

func setCard(c *ledger.Context, m *SetCard) error {
	p, ok := identity.Lookup(c.State, m.Patient)
	if !ok || p.Class != ledger.ClassPatient || !p.Active {
		return ErrPatient
	}
	if c.Signer.Account != m.Patient {
		return ErrNotYours
	}
	old, known := LookupCard(c.State, m.Card)
	if known != m.Revoke || known && (old.Patient != m.Patient || old.Revoked) {
		return ErrCard
	}
	cards.Put(c.State, m.Card[:], Card{Patient: m.Patient, Revoked: m.Revoke})
	e := audit.Event{Action: audit.CardIssued, Actor: m.Patient, Member: p.Member, Ref: m.Card, Count: 1}
	if m.Revoke {
		e.Action = audit.CardRevoked
	}
	audit.Append(c, m.Patient, e)
	return nil
}
