package identity

import (
	"slices"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:   "identity",
		Prefix: Prefix,
		Calls: []ledger.Call{
			ledger.On(KindRegister, register),
			ledger.On(KindUpdate, update),
			ledger.On(KindEnrol, enrol),
			ledger.On(KindClaim, claim),
			ledger.On(KindRotate, rotate),
		},
		Queries: queries(),
		Genesis: genesis,
		Codes:   Codes(),
		Tables:  tables(),
		Entries: entries(),
	}
}

// member returns the active member that signed, or ErrNotMember.
func member(c *ledger.Context) (governance.Member, error) {
	m, ok := governance.LookupMember(c.State, c.Signer.Account)
	if c.Signer.Class != ledger.ClassMember || !ok || !m.Active {
		return governance.Member{}, ErrNotMember
	}
	return m, nil
}

// own returns the signing member's practitioner or device.
func own(c *ledger.Context, account tx.Account) (Principal, governance.Member, error) {
	by, err := member(c)
	if err != nil {
		return Principal{}, by, err
	}
	p, ok := principals.Get(c.State, account[:])
	switch {
	case !ok:
		return Principal{}, by, ErrUnknown
	case p.Member != by.Account || p.Class == ledger.ClassPatient:
		return Principal{}, by, ErrNotYours
	}
	return p, by, nil
}

func register(c *ledger.Context, m *Register) error {
	by, err := member(c)
	if err != nil {
		return err
	}
	if err := assignable(by, m.Privileges); err != nil {
		return err
	}
	if _, taken := Lookup(c.State, m.Account); taken {
		return ErrTaken
	}
	principals.Put(c.State, m.Account[:], Principal{
		Account:    m.Account,
		Class:      m.Class,
		Member:     by.Account,
		Active:     true,
		Roles:      m.Roles,
		Privileges: m.Privileges,
		Credential: m.Credential,
		Keys:       governance.NewRing(uint64(c.Height)+1, m.Keys),
		Height:     uint64(c.Height),
	})
	c.Append(EntryRegistered, Registered{Member: by.Account, Message: *m})
	c.Emit("identity.registered", m.Account.String())
	return nil
}

func update(c *ledger.Context, m *Update) error {
	p, by, err := own(c, m.Account)
	if err != nil {
		return err
	}
	if err := assignable(by, m.Privileges); err != nil {
		return err
	}
	if p.Active == m.Active && p.Privileges == m.Privileges && slices.Equal(p.Roles, m.Roles) {
		return ErrNoChange
	}
	p.Active, p.Privileges, p.Roles = m.Active, m.Privileges, m.Roles
	principals.Put(c.State, p.Account[:], p)
	c.Append(EntryUpdated, *m)
	c.Emit("identity.updated", p.Account.String())
	return nil
}

func enrol(c *ledger.Context, m *Enrol) error {
	by, err := member(c)
	if err != nil {
		return err
	}
	if _, taken := Lookup(c.State, m.Patient); taken {
		return ErrTaken
	}
	principals.Put(c.State, m.Patient[:], Principal{
		Account: m.Patient,
		Class:   ledger.ClassPatient,
		Member:  by.Account,
		Active:  true,
		Keys:    governance.NewRing(uint64(c.Height)+1, m.Keys),
		Claim:   m.Claim,
		Height:  uint64(c.Height),
	})
	audit.Append(c, m.Patient, audit.Event{
		Action: audit.Enrolled,
		Actor:  by.Account,
		Member: by.Account,
		Count:  uint32(len(m.Keys)),
	})
	return nil
}

// claim runs after Authenticate has verified both keys' signatures.
func claim(c *ledger.Context, m *Claim) error {
	if c.Signer.Account != m.Patient {
		return ErrNotSelf
	}
	p, err := claimable(c.State, m)
	if err != nil {
		return err
	}
	if Recovering(c.State, m.Patient) {
		return ErrLocked
	}
	p.Claim = tx.Hash{}
	return change(c, p, audit.Claimed, governance.Rotation{Add: []tx.PublicKey{m.Key}})
}

func rotate(c *ledger.Context, m *Rotate) error {
	if c.Signer.Account != m.Account {
		p, _, err := own(c, m.Account)
		if err != nil {
			return err
		}
		return change(c, p, 0, governance.Rotation{Add: m.Add, Revoke: m.Revoke})
	}
	p, ok := principals.Get(c.State, m.Account[:])
	if !ok { // a member's own keys are governance's
		return ErrUnknown
	}
	if p.Class == ledger.ClassPatient && !c.Signer.UserVerified {
		return errUserVerification
	}
	if Recovering(c.State, m.Account) {
		return ErrLocked
	}
	return change(c, p, audit.KeysChanged, governance.Rotation{Add: m.Add, Revoke: m.Revoke, KeepOne: true})
}

// change writes a principal with its rotated keys: a patient's into her audit
// chain, anyone else's into the log.
func change(c *ledger.Context, p Principal, action audit.Action, rot governance.Rotation) error {
	rot.Height = uint64(c.Height)
	rot.Used = func(id tx.KeyID) bool {
		_, was := ended.Get(c.State, keyID(p.Account, id))
		return was
	}
	ring, end, err := p.Keys.Rotate(rot)
	if err != nil {
		return keyRefusal(err)
	}
	p.Keys = ring
	retire(c.State, p.Account, end)
	principals.Put(c.State, p.Account[:], p)
	if p.Class == ledger.ClassPatient {
		audit.Append(c, p.Account, audit.Event{
			Action: action,
			Actor:  c.Signer.Account,
			Member: p.Member,
			Count:  uint32(len(ring.Open())),
		})
		return nil
	}
	c.Append(EntryRotated, Rotate{Account: p.Account, Add: rot.Add, Revoke: rot.Revoke})
	c.Emit("identity.rotated", p.Account.String())
	return nil
}
