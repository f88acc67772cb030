package merge

import (
	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:    "merge",
		Prefix:  Prefix,
		Calls:   []ledger.Call{ledger.On(KindPropose, propose), ledger.On(KindApprove, approve), ledger.On(KindEnd, end)},
		Queries: queries(),
		Genesis: genesis,
		Codes:   Codes(),
		Tables:  tables(),
		Entries: entries(),
	}
}

// stewards returns the members that steward the two pseudonyms.
func stewards(r state.Reader, stays, goes tx.Account) (a, b tx.Account, ok bool) {
	p, ok1 := identity.Lookup(r, stays)
	q, ok2 := identity.Lookup(r, goes)
	return p.Member, q.Member, ok1 && ok2 && p.Class == ledger.ClassPatient && q.Class == ledger.ClassPatient
}

// registrar returns the member of a practitioner who may decide about merges at all.
func registrar(c *ledger.Context) (tx.Account, bool) {
	p, m, ok := identity.Standing(c.State, c.Signer.Account)
	return m.Account, ok && p.Class == ledger.ClassPractitioner && p.Has(identity.PrivWrite)
}

// unsettled says that other keys are asked for, or a death is recorded, of one of the two: then they stay what they are.
func unsettled(r state.Reader, pseudonyms ...tx.Account) bool {
	for _, p := range pseudonyms {
		if identity.Recovering(r, p) || identity.Deceased(r, p) {
			return true
		}
	}
	return false
}

func propose(c *ledger.Context, m *Propose) error {
	a, b, ok := stewards(c.State, m.Stays, m.Goes)
	if !ok {
		return ErrPair
	}
	if by, ok := registrar(c); !ok || by != a && by != b {
		return ErrSigner
	}
	if unsettled(c.State, m.Stays, m.Goes) {
		return ErrCondition
	}
	for _, p := range []tx.Account{m.Stays, m.Goes} {
		l, _ := links.Get(c.State, p[:])
		if len(l.Cases) >= MaxLinks {
			return ErrLinked
		}
		for _, id := range l.Cases {
			if x, ok := Lookup(c.State, id); ok && (x.other(p) == m.Stays || x.other(p) == m.Goes) {
				return ErrLinked
			}
		}
	}
	x := Case{ID: c.Tx, Stays: m.Stays, Goes: m.Goes, Proposer: c.Signer.Account, Basis: m.Basis, Standing: Proposed, Proposed: c.Time}
	link(c.State, x.Stays, x.ID)
	link(c.State, x.Goes, x.ID)
	put(c, &x, audit.MergeProposed)
	return nil
}

// put writes a case and tells both patients.
func put(c *ledger.Context, x *Case, what audit.Action) {
	cases.Put(c.State, x.ID[:], *x)
	c.Append(EntryCase, *x)
	for _, p := range []tx.Account{x.Stays, x.Goes} {
		audit.Append(c, p, audit.Event{Action: what, Actor: c.Signer.Account, Member: c.Signer.Member, Ref: x.ID, Count: 1})
	}
}

func approve(c *ledger.Context, m *Approve) error {
	x, ok := Lookup(c.State, m.Case)
	if !ok {
		return ErrUnknown
	}
	a, b, _ := stewards(c.State, x.Stays, x.Goes)
	by, may := registrar(c)
	if !may || by != a && by != b {
		return ErrSigner
	}
	first, _ := identity.Lookup(c.State, x.Proposer)
	switch {
	case x.Standing != Proposed, c.Time >= x.Proposed+governance.ParamsOf(c.State).ProposalPeriod:
		return ErrStanding
	case c.Signer.Account == x.Proposer, a != b && by == first.Member:
		return ErrSamePerson
	case unsettled(c.State, x.Stays, x.Goes):
		return ErrCondition
	}
	if err := consent.Unite(c, x.Goes, x.Stays, m.Slots); err != nil {
		return ErrTooMany
	}
	x.Approver, x.Standing, x.Merged = c.Signer.Account, Merged, c.Time
	put(c, &x, audit.Merged)
	return nil
}

func end(c *ledger.Context, m *End) error {
	x, ok := Lookup(c.State, m.Case)
	if !ok {
		return ErrUnknown
	}
	a, b, _ := stewards(c.State, x.Stays, x.Goes)
	by, may := registrar(c)
	self := c.Signer.Account == x.Stays || c.Signer.Account == x.Goes
	if !self && (!may || by != a && by != b) {
		return ErrSigner
	}
	if x.Standing == Unmerged {
		return ErrStanding
	}
	if x.Standing == Merged {
		// What was denied under the other pseudonym may become readable: nothing like that happens while other
		// keys are asked for, from whichever side it comes.
		if identity.Recovering(c.State, x.Stays) || identity.Recovering(c.State, x.Goes) {
			return ErrCondition
		}
		consent.Divide(c, x.Goes, x.Stays)
	}
	x.Ender, x.Standing, x.Ended = c.Signer.Account, Unmerged, c.Time
	unlink(c.State, x.Stays, x.ID)
	unlink(c.State, x.Goes, x.ID)
	put(c, &x, audit.Unmerged)
	return nil
}
