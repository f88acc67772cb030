package access

import (
	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:   "access",
		Prefix: Prefix,
		Calls: []ledger.Call{
			ledger.On(KindRequest, request),
			ledger.On(KindFetch, commitFetch),
			ledger.On(KindClose, closeSession),
			ledger.On(KindReceipts, receipts),
			ledger.On(KindEmergency, declare),
			ledger.On(KindWiden, widen),
			ledger.On(KindExtend, extend),
			ledger.On(KindRecover, restore),
		},
		Queries: queries(),
		Genesis: genesis,
		Codes:   Codes(),
		Tables:  tables(),
		Entries: entries(),
	}
}

func request(c *ledger.Context, m *Request) error {
	if p, ok := identity.Lookup(c.State, m.Patient); !ok || p.Class != ledger.ClassPatient {
		return ErrPatient
	}
	actor, member, err := reader(c, m)
	switch {
	case err != nil:
		return err
	case m.TTL > governance.ParamsOf(c.State).SessionMax:
		return ErrTTL
	}
	d := consent.Evaluate(c.State, consent.Question{
		Patient:   m.Patient,
		Actor:     actor,
		Member:    member,
		Purpose:   m.Purpose,
		Requested: m.Mask,
		Now:       c.Time,
	})
	if erasure.PatientErased(c.State, m.Patient) {
		d = consent.Decision{Version: d.Version} // as of a patient without data
	}
	consent.TakeUses(c, m.Patient, d.Takes)
	s := Session{
		ID:        c.Tx,
		Patient:   m.Patient,
		Actor:     actor.Account,
		Member:    actor.Member,
		Purpose:   m.Purpose,
		Mask:      d.Allowed,
		ReaderKey: m.ReaderKey,
		Opened:    c.Time,
		Expires:   c.Time + m.TTL,
		Height:    uint64(c.Height),
		Consent:   d.Version,
		Grants:    d.Grants,
		Taken:     d.Takes,

		Delegation: delegation(c, m.Delegate),
	}
	sessions.Put(c.State, s.ID[:], s)
	if m.Count > 0 {
		fetches.Put(c.State, numbered(s.ID, 0), Fetch{Root: m.Root, Count: m.Count, Height: s.Height})
	}
	report(c, &s, audit.Event{Action: audit.SessionOpened, Mask: s.Mask, Root: m.Root, Count: m.Count})
	return nil
}

// declare opens a case and its session in one transaction: whoever is granted
// anything owes an attestation and a review from the same block on.
func declare(c *ledger.Context, m *Emergency) error {
	e, mask, err := emergency.Declare(c, emergency.Declaration{Patient: m.Patient, Reason: m.Reason, TTL: m.TTL})
	if err != nil {
		return err
	}
	if erasure.PatientErased(c.State, m.Patient) {
		mask = 0
	}
	s := Session{
		ID: c.Tx, Patient: e.Patient, Actor: e.Actor, Member: e.Member, Purpose: consent.BTG, Mask: mask, ReaderKey: m.ReaderKey,
		Opened: c.Time, Expires: e.Until, Height: uint64(c.Height), Consent: consent.HeadOf(c.State, m.Patient).Version,
	}
	sessions.Put(c.State, s.ID[:], s)
	if m.Count > 0 {
		fetches.Put(c.State, numbered(s.ID, 0), Fetch{Root: m.Root, Count: m.Count, Height: s.Height})
	}
	report(c, &s, audit.Event{Action: audit.SessionOpened, Mask: s.Mask, Root: m.Root, Count: m.Count})
	return nil
}

func widen(c *ledger.Context, m *Widen) error {
	s, err := running(c.State, m.Session, c.Time)
	if err != nil {
		return err
	}
	if s.Mask, err = emergency.Widen(c, s.ID); err != nil {
		return err
	}
	if erasure.PatientErased(c.State, s.Patient) {
		s.Mask = 0
	}
	sessions.Put(c.State, s.ID[:], s)
	return nil
}

func extend(c *ledger.Context, m *Extend) error {
	s, err := running(c.State, m.Session, c.Time)
	if err != nil {
		return err
	}
	if s.Expires, err = emergency.Extend(c, s.ID); err != nil {
		return err
	}
	sessions.Put(c.State, s.ID[:], s)
	return nil
}

// report adds an event of the session to the patient's chain.
func report(c *ledger.Context, s *Session, e audit.Event) {
	e.Purpose, e.Ref = uint8(s.Purpose), s.ID
	e.Actor, e.Member = c.Signer.Account, c.Signer.Member
	audit.Append(c, s.Patient, e)
}

func commitFetch(c *ledger.Context, m *CommitFetch) error {
	s, err := running(c.State, m.Session, c.Time)
	switch {
	case err != nil:
		return err
	case s.Actor != c.Signer.Account:
		return ErrNotYours
	case s.Fetches >= MaxFetches:
		return ErrFetches
	}
	s.Fetches++
	sessions.Put(c.State, s.ID[:], s)
	fetches.Put(c.State, numbered(s.ID, s.Fetches), Fetch{Root: m.Root, Count: m.Count, Height: uint64(c.Height)})
	report(c, &s, audit.Event{Action: audit.FetchCommitted, Mask: s.Mask, Root: m.Root, Count: m.Count})
	return nil
}

func closeSession(c *ledger.Context, m *Close) error {
	s, err := running(c.State, m.Session, c.Time)
	if err != nil {
		return err
	}
	if !mayClose(c, &s) {
		return ErrNotYours
	}
	s.Closed = true
	emergency.Close(c, s.ID)
	sessions.Put(c.State, s.ID[:], s)
	report(c, &s, audit.Event{Action: audit.SessionClosed})
	return nil
}

// mayClose says whether the signer may shut the session: the actor, the member
// it acts for, the patient or a proxy of hers. A steward shuts nothing that a
// person opened for herself.
func mayClose(c *ledger.Context, s *Session) bool {
	who := c.Signer.Account
	if who == s.Actor || who == s.Patient {
		return true
	}
	if who == s.Member {
		actor, ok := identity.Lookup(c.State, s.Actor)
		return ok && actor.Class != ledger.ClassPatient
	}
	return consent.IsProxy(c.State, s.Patient, who, c.Time)
}

func receipts(c *ledger.Context, m *Receipts) error {
	account, _, err := committee.Custodian(c)
	last := ReleasedBy(c.State, c.Signer.Account)
	if err != nil {
		// Who was a custodian still reports what it released as one.
		if last.Height == 0 || c.Signer.Class != ledger.ClassMember {
			return ErrNotCustodian
		}
		account = c.Signer.Account
	}
	if m.From != last.Next {
		return ErrSequence
	}
	released.Put(c.State, account[:], Released{Next: m.From + uint64(m.Count), Root: m.Root, Height: uint64(c.Height)})
	c.Append(EntryReceipts, Reported{Custodian: account, Message: *m})
	c.Emit("access.receipts", account.String())
	return nil
}
