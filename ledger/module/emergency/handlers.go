package emergency

import (
	"encoding/binary"
	"slices"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:   "emergency",
		Prefix: Prefix,
		Calls: []ledger.Call{
			ledger.On(KindDirective, setDirective),
			ledger.On(KindAttest, attest),
			ledger.On(KindReview, review),
			ledger.On(KindDispute, dispute),
		},
		Queries:  queries(),
		Genesis:  genesis,
		EndBlock: remind,
		Codes:    Codes(),
		Tables:   tables(),
		Entries:  entries(),
	}
}

func setDirective(c *ledger.Context, m *SetDirective) error {
	p, ok := identity.Lookup(c.State, m.Patient)
	if !ok || p.Class != ledger.ClassPatient || !p.Active {
		return ErrPatient
	}
	if identity.Recovering(c.State, m.Patient) {
		return ErrLocked
	}
	old, replaces := LookupDirective(c.State, m.Patient)
	switch who := c.Signer.Account; {
	case who == m.Patient:
		if !c.Signer.UserVerified {
			return ErrUserVerification
		}
	case who != p.Member || c.Signer.Class != ledger.ClassMember, replaces && old.By == m.Patient:
		return ErrSigner
	}
	if m.Version != old.Version+1 {
		return ErrVersion
	}
	d := Directive{Version: m.Version, Set: m.Set, More: m.More, Except: m.Except, By: c.Signer.Account, Height: uint64(c.Height)}
	directives.Put(c.State, m.Patient[:], d)
	c.Append(EntryDirective, Set{Patient: m.Patient, Directive: d})
	e := audit.Event{Action: audit.EmergencyDirective, Actor: d.By, Member: p.Member, Mask: d.Set, Count: 1}
	binary.BigEndian.PutUint64(e.Ref[:], d.Version)
	audit.Append(c, m.Patient, e)
	return nil
}

// A Declaration is what module access asks a case for.
type Declaration struct {
	Patient tx.Account
	Reason  Reason
	TTL     uint64 // seconds
}

// Declare opens a case for the signer, whose id is the transaction's, and
// returns it with the slots it may open.
func Declare(c *ledger.Context, d Declaration) (Case, uint64, error) {
	if p, ok := identity.Lookup(c.State, d.Patient); !ok || p.Class != ledger.ClassPatient {
		return Case{}, 0, ErrPatient
	}
	params, who := governance.ParamsOf(c.State), c.Signer.Account
	if err := mayDeclare(c.State, who); err != nil {
		return Case{}, 0, err
	}
	conduct := ConductOf(c.State, who)
	conduct.Recent = recent(conduct.Recent, c.Time)
	switch {
	case !c.Signer.UserVerified:
		return Case{}, 0, ErrUserVerification
	case !d.Reason.Known():
		return Case{}, 0, ErrReason
	case d.TTL == 0, d.TTL > params.EmergencyMax:
		return Case{}, 0, ErrTTL
	case uint64(len(conduct.Recent)) >= params.EmergencyQuota:
		if !disaster(c) {
			return Case{}, 0, ErrQuota
		}
		conduct.Recent = conduct.Recent[uint64(len(conduct.Recent))-params.EmergencyQuota+1:] // the last ones count on
	}
	if l, ok := pairs.Get(c.State, pair(who, d.Patient)); ok {
		if last, ok := Lookup(c.State, l.Case); ok && c.Time < last.Until {
			return Case{}, 0, ErrRunning
		}
	}
	e := Case{
		ID: c.Tx, Patient: d.Patient, Actor: who, Member: c.Signer.Member, Reason: d.Reason,
		Declared: c.Time, Until: c.Time + d.TTL, AttestBy: c.Time + params.AttestPeriod, ReviewBy: c.Time + params.ReviewPeriod,
	}
	flags := flagsFor(c.State, who, d.Patient, uint64(len(conduct.Recent))+1, params.EmergencyQuota, disaster(c), c.Time)
	if flags != 0 {
		e.ReviewBy = min(e.ReviewBy, e.AttestBy)
	}
	flag(c.State, &e, flags)
	cases.Put(c.State, e.ID[:], e)
	pairs.Put(c.State, pair(who, d.Patient), latest{e.ID})
	conduct.Recent = append(slices.Clip(conduct.Recent), c.Time)
	conducts.Put(c.State, who[:], conduct)
	owe(c.State, e.AttestBy, e.ID, Attestation)
	owe(c.State, e.ReviewBy, e.ID, Review)
	count(c.State, e.Member, func(n *Counts) { n.Declared++ })
	report(c, &e, audit.Event{Action: audit.EmergencyDeclared, Count: uint32(e.Reason)})
	return e, Reach(c.State, e, c.Time), nil
}

// disaster reports whether members have voted a disaster for the signer's member.
func disaster(c *ledger.Context) bool {
	m, _ := governance.LookupMember(c.State, c.Signer.Member)
	return governance.InDisaster(c.State, m.Class, c.Time)
}

// running returns a case whose access has not ended.
func running(c *ledger.Context, id tx.Hash) (Case, error) {
	e, ok := Lookup(c.State, id)
	switch {
	case !ok:
		return e, ErrUnknown
	case c.Time >= e.Until:
		return e, ErrEnded
	}
	return e, nil
}

// Widen takes the second step of the signer's own case, and returns the slots it
// may open now.
func Widen(c *ledger.Context, id tx.Hash) (uint64, error) {
	e, err := running(c, id)
	switch {
	case err != nil:
		return 0, err
	case e.Actor != c.Signer.Account:
		return 0, ErrNotYours
	case e.Widened != 0:
		return 0, ErrWidened
	}
	if err := mayDeclare(c.State, e.Actor); err != nil {
		return 0, err
	}
	if !c.Signer.UserVerified {
		return 0, ErrUserVerification
	}
	e.Widened = c.Time
	cases.Put(c.State, id[:], e)
	count(c.State, e.Member, func(n *Counts) { n.Widened++ })
	mask := Reach(c.State, e, c.Time)
	report(c, &e, audit.Event{Action: audit.EmergencyWidened, Mask: mask})
	return mask, nil
}

// Extend lets a case last as long again, once; the signer is another clinician.
// It returns the new end.
func Extend(c *ledger.Context, id tx.Hash) (until uint64, err error) {
	e, err := running(c, id)
	if err != nil {
		return 0, err
	}
	if err := mayDeclare(c.State, c.Signer.Account); err != nil {
		return 0, err
	}
	switch {
	case e.Actor == c.Signer.Account:
		return 0, ErrSamePerson
	case e.Extender != (tx.Account{}):
		return 0, ErrExtended
	case !c.Signer.UserVerified:
		return 0, ErrUserVerification
	}
	e.Extender = c.Signer.Account
	e.Until += e.Until - e.Declared
	cases.Put(c.State, id[:], e)
	count(c.State, e.Member, func(n *Counts) { n.Extended++ })
	report(c, &e, audit.Event{Action: audit.EmergencyExtended})
	return e.Until, nil
}

// Close ends a case's access with its session. What it owes stays.
func Close(c *ledger.Context, id tx.Hash) {
	if e, ok := Lookup(c.State, id); ok && c.Time < e.Until {
		e.Until = c.Time
		cases.Put(c.State, id[:], e)
	}
}

// report adds an event of the case to the patient's chain.
func report(c *ledger.Context, e *Case, v audit.Event) {
	v.Purpose, v.Ref = uint8(consent.BTG), e.ID
	v.Actor, v.Member = c.Signer.Account, c.Signer.Member
	if v.Action == audit.EmergencyOverdue {
		v.Actor, v.Member = e.Actor, e.Member
	}
	audit.Append(c, e.Patient, v)
}

func attest(c *ledger.Context, m *Attest) error {
	e, ok := Lookup(c.State, m.Case)
	switch {
	case !ok:
		return ErrUnknown
	case e.Actor != c.Signer.Account:
		return ErrNotYours
	case !c.Signer.UserVerified:
		return ErrUserVerification
	case e.Attested != 0:
		return ErrAttested
	}
	e.Attested, e.Account = c.Time, m.Account
	settle(c, &e, Attestation)
	cases.Put(c.State, e.ID[:], e)
	count(c.State, e.Member, func(n *Counts) { n.Attested++ })
	report(c, &e, audit.Event{Action: audit.EmergencyAttested, Root: m.Account})
	return nil
}

func review(c *ledger.Context, m *Judge) error {
	e, ok := Lookup(c.State, m.Case)
	switch {
	case !ok:
		return ErrUnknown
	case e.Reviewed != 0:
		return ErrReviewed
	}
	if err := mayReview(c.State, &e, c.Signer.Account); err != nil {
		return err
	}
	if !c.Signer.UserVerified {
		return ErrUserVerification
	}
	e.Reviewed, e.Reviewer, e.Verdict, e.Findings = c.Time, c.Signer.Account, m.Verdict, m.Findings
	settle(c, &e, Attestation|Review) // what was not attested the reviewer has judged
	cases.Put(c.State, e.ID[:], e)
	count(c.State, e.Member, func(n *Counts) {
		switch m.Verdict {
		case Justified:
			n.Justified++
		case Unjustified:
			n.Unjustified++
		case Inconclusive:
			n.Inconclusive++
		}
	})
	report(c, &e, audit.Event{Action: audit.EmergencyReviewed, Count: uint32(m.Verdict), Root: m.Findings})
	return nil
}

func dispute(c *ledger.Context, m *Dispute) error {
	e, ok := Lookup(c.State, m.Case)
	switch {
	case !ok:
		return ErrUnknown
	case c.Signer.Account != e.Patient && !consent.IsProxy(c.State, e.Patient, c.Signer.Account, c.Time):
		return ErrDisputer
	case !c.Signer.UserVerified:
		return ErrUserVerification
	case e.Disputed != 0:
		return ErrDisputed
	}
	e.Disputed = c.Time
	if e.Reviewed != 0 {
		e.Reviewed, e.ReviewBy = 0, c.Time+governance.ParamsOf(c.State).ReviewPeriod
		owe(c.State, e.ReviewBy, e.ID, Review)
	}
	cases.Put(c.State, e.ID[:], e)
	count(c.State, e.Member, func(n *Counts) { n.Disputed++ })
	report(c, &e, audit.Event{Action: audit.EmergencyDisputed})
	return nil
}

// settle meets obligations of a case: they leave the queue, and what was overdue
// no longer is. The case is the caller's to write.
func settle(c *ledger.Context, e *Case, what uint8) {
	if what&Attestation != 0 {
		release(c.State, e.AttestBy, e.ID, Attestation)
	}
	if what&Review != 0 {
		release(c.State, e.ReviewBy, e.ID, Review)
	}
	before := e.Overdue
	e.Overdue &^= what
	if before != 0 && e.Overdue == 0 {
		conduct := ConductOf(c.State, e.Actor)
		conduct.Overdue--
		conducts.Put(c.State, e.Actor[:], conduct)
	}
}

// remind makes overdue what is due: the timer of the module. It reads the queue
// up to the block's time and one row beyond, whatever else there is.
func remind(c *ledger.Context) error {
	type item struct {
		key []byte
		duty
	}
	var due []item
	duties.Scan(c.State, nil, func(key []byte, d duty) bool {
		if binary.BigEndian.Uint64(key) > c.Time {
			return false
		}
		due = append(due, item{append([]byte(nil), key...), d})
		return true
	})
	for _, d := range due {
		duties.Delete(c.State, d.key)
		id := tx.Hash(d.key[8:])
		e, ok := Lookup(c.State, id)
		if !ok {
			panic("emergency: corrupt state: duty without a case")
		}
		if e.Overdue == 0 {
			conduct := ConductOf(c.State, e.Actor)
			conduct.Overdue++
			conducts.Put(c.State, e.Actor[:], conduct)
		}
		e.Overdue |= d.What
		cases.Put(c.State, id[:], e)
		for _, what := range []uint8{Attestation, Review} {
			if d.What&what != 0 {
				count(c.State, e.Member, func(n *Counts) { n.Overdue++ })
				report(c, &e, audit.Event{Action: audit.EmergencyOverdue, Count: uint32(what)})
			}
		}
	}
	return nil
}
