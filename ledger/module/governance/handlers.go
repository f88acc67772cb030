package governance

import (
	"salus/ledger"
	"salus/ledger/tx"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:   "governance",
		Prefix: Prefix,
		Calls: []ledger.Call{
			ledger.On(KindPropose, propose),
			ledger.On(KindVote, vote),
			ledger.On(KindAddress, address),
			ledger.On(KindRotate, rotate),
			ledger.On(KindValidator, replaceValidator),
		},
		Queries: queries(),
		Genesis: genesis,

		BeginBlock: begin,
		EndBlock:   end,

		Codes:   Codes(),
		Tables:  tables(),
		Entries: entries(),
	}
}

// signer returns the active member that signed, or ErrNotMember.
func signer(c *ledger.Context) (Member, error) {
	m, ok := LookupMember(c.State, c.Signer.Account)
	if c.Signer.Class != ledger.ClassMember || !ok || !m.Active {
		return Member{}, ErrNotMember
	}
	return m, nil
}

func propose(c *ledger.Context, m *Propose) error {
	by, err := signer(c)
	if err != nil {
		return err
	}
	mine := 0
	all := OpenProposals(c.State)
	for _, p := range all {
		if p.Proposer == by.Account {
			mine++
		}
	}
	if len(all) >= MaxOpen || mine >= MaxOpenOfMember {
		return ErrTooManyProposals
	}
	if err := executable(c, m.Action); err != nil {
		return err
	}
	p := Proposal{
		ID:        c.Tx,
		Proposer:  by.Account,
		Action:    m.Action,
		Opened:    uint64(c.Height),
		Deadline:  c.Time + ParamsOf(c.State).ProposalPeriod,
		Approvals: []tx.Account{by.Account},
		Status:    Open,
	}
	proposals.Put(c.State, p.ID[:], p)
	open.Put(c.State, openID(p.Deadline, p.ID), openMark{})
	c.Emit("governance.proposed", p.ID.String())
	return nil
}

func vote(c *ledger.Context, m *Vote) error {
	by, err := signer(c)
	if err != nil {
		return err
	}
	p, ok := LookupProposal(c.State, m.Proposal)
	switch {
	case !ok:
		return ErrUnknownProposal
	case p.Status != Open || c.Time >= p.Deadline:
		return ErrProposalClosed
	case voted(p, by.Account):
		return ErrVoted
	}
	if m.Approve {
		p.Approvals = with(p.Approvals, by.Account)
	} else {
		p.Rejections = with(p.Rejections, by.Account)
	}
	proposals.Put(c.State, p.ID[:], p)
	return nil
}

// end is what comes after the transactions of a block.
func end(c *ledger.Context) error {
	if err := settle(c); err != nil {
		return err
	}
	sanction(c)
	return nil
}

// settle counts at the end of each block, once for all its votes. A decision
// changes who may vote or what may still be done, so proposals are decided one
// after the other, each in the state the one before left.
func settle(c *ledger.Context) error {
	for _, p := range OpenProposals(c.State) {
		s := Outcome(p, accounts(Active(c.State)), c.Time)
		if s == Open {
			continue
		}
		open.Delete(c.State, openID(p.Deadline, p.ID))
		p.Status, p.Closed = s, uint64(c.Height)
		if s == Executed {
			if err := executable(c, p.Action); err != nil {
				p.Status = Failed
				p.Code, _ = tx.CodeOf(err)
			} else {
				execute(c, p)
				command(c, p)
			}
		}
		proposals.Put(c.State, p.ID[:], p)
		c.Append(EntryDecided, Decided{Proposal: p})
		c.Emit("governance."+p.Status.String(), p.ID.String())
	}
	return nil
}

// execute carries out what executable allowed.
func execute(c *ledger.Context, p Proposal) {
	a := p.Action
	switch {
	case a.Admit != nil:
		admit(c, a.Admit)
	case a.Remove != nil:
		m, _ := LookupMember(c.State, a.Remove.Account)
		noteSwitch(c, m, byVote)
		if m.IsValidator() {
			power(c, m.Validator, 0)
		}
		m.Active = false
		members.Put(c.State, m.Account[:], m)
	case a.SetParams != nil:
		params.Put(c.State, nil, ParamsOf(c.State).With(a.SetParams))
	case a.SetValidator != nil:
		m, _ := LookupMember(c.State, a.SetValidator.Account)
		setValidator(c, m, a.SetValidator.Validator, byVote)
	case a.Reshare != nil:
		order(c, a.Reshare)
	case a.Upgrade != nil:
		plan.Put(c.State, nil, Planned{Upgrade: *a.Upgrade, Proposal: p.ID})
	case a.CancelUpgrade != nil:
		plan.Delete(c.State, nil)
	case a.Disaster != nil:
		a.Disaster.declare(c)
	}
}

// admit writes the member's row and makes it a validator if it brings a key.
// An organisation that comes back keeps the history of its keys: those it
// names again and that were live stay so, the others end.
func admit(c *ledger.Context, a *Admit) {
	m, _ := LookupMember(c.State, a.Account)
	m.Account = a.Account
	noteSwitch(c, m, byVote)
	next := uint64(c.Height) + 1
	var ring Ring
	for _, k := range m.Keys {
		id := k.Public.ID()
		if k.Until == 0 && !named(a.Keys, id) {
			k.Until = next
			retire(c.State, a.Account, []Key{k})
		}
		ring = append(ring, k)
	}
	for _, pub := range a.Keys {
		if _, has := ring.Find(pub.ID()); !has {
			ring = append(ring, Key{Public: pub, From: next})
		}
	}
	ring.sort()
	m = Member{
		Account:   a.Account,
		Name:      a.Name,
		Class:     a.Class,
		Clinical:  a.Class.Clinical(),
		Validator: a.Validator,
		Peer:      a.Peer,
		Address:   a.Address,
		Active:    true,
		Joined:    uint64(c.Height),
		Keys:      ring,
	}
	power(c, m.Validator, 1)
	own(c, m)
	members.Put(c.State, m.Account[:], m)
}

func named(keys []tx.PublicKey, id tx.KeyID) bool {
	for _, k := range keys {
		if k.ID() == id {
			return true
		}
	}
	return false
}

// power gives a consensus key its one vote, or takes it away.
func power(c *ledger.Context, validator []byte, power int64) {
	if len(validator) == 32 {
		c.SetValidator([32]byte(validator), power)
	}
}

// own marks the member's validator and peer keys as its own for ever.
func own(c *ledger.Context, m Member) {
	if len(m.Validator) > 0 {
		validators.Put(c.State, m.Validator, owner{m.Account})
	}
	peers.Put(c.State, m.Peer, owner{m.Account})
}

func address(c *ledger.Context, m *Address) error {
	by, err := signer(c)
	if err != nil {
		return err
	}
	if by.Address == m.Address && string(by.Peer) == string(m.Peer) {
		return ErrNoChange
	}
	if err := ownable(c.State, by.Account, nil, m.Peer); err != nil {
		return err
	}
	by.Address, by.Peer = m.Address, m.Peer
	own(c, by)
	members.Put(c.State, by.Account[:], by)
	c.Append(EntryMember, Changed{Account: by.Account, Address: by.Address, Peer: by.Peer})
	c.Emit("governance.address", by.Account.String())
	return nil
}

func rotate(c *ledger.Context, m *Rotate) error {
	by, err := signer(c)
	if err != nil {
		return err
	}
	ring, end, err := by.Keys.Rotate(Rotation{
		Height: uint64(c.Height),
		Add:    m.Add,
		Revoke: m.Revoke,
		Used: func(id tx.KeyID) bool {
			_, was := ended.Get(c.State, keyID(by.Account, id))
			return was
		},
		KeepOne: true,
	})
	if err != nil {
		return keyRefusal(err)
	}
	by.Keys = ring
	retire(c.State, by.Account, end)
	members.Put(c.State, by.Account[:], by)
	c.Append(EntryMember, Changed{Account: by.Account, Address: by.Address, Peer: by.Peer, Add: m.Add, Revoke: m.Revoke})
	c.Emit("governance.rotated", by.Account.String())
	return nil
}
