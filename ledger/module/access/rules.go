package access

import (
	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Open answers a custodian: may this session still read at now (unix seconds),
// and which slots? The slots are those it was granted, as far as consent, the
// actor and the actor's member still stand at now. Errors: ErrUnknown,
// ErrClosed, ErrExpired. No slots and no error means: nothing to release.
func Open(r state.Reader, id tx.Hash, now uint64) (s Session, allowed uint64, err error) {
	s, err = running(r, id, now)
	if err != nil || s.Mask == 0 {
		return s, 0, err
	}
	actor, member, ok := identity.Standing(r, s.Actor)
	if !ok || mayAsk(actor, s.Purpose) != nil {
		return s, 0, nil
	}
	d := consent.Evaluate(r, consent.Question{
		Patient:   s.Patient,
		Actor:     actor,
		Member:    member,
		Purpose:   s.Purpose,
		Requested: s.Mask,
		Now:       now,
		Again:     true,
		Taken:     s.Taken,
	})
	return s, d.Allowed & s.Mask, nil
}

// running returns a session that is neither closed nor expired.
func running(r state.Reader, id tx.Hash, now uint64) (Session, error) {
	s, ok := Lookup(r, id)
	switch {
	case !ok:
		return Session{}, ErrUnknown
	case s.Closed:
		return s, ErrClosed
	case now >= s.Expires:
		return s, ErrExpired
	}
	return s, nil
}

// mayAsk says whether somebody of this class and these privileges may open a
// session for the purpose at all, whoever the patient is.
func mayAsk(p identity.Principal, purpose consent.Purpose) error {
	switch p.Class {
	case ledger.ClassPatient:
		if !purpose.Personal() {
			return ErrPersonal
		}
	case ledger.ClassPractitioner, ledger.ClassDevice:
		if !p.Has(identity.PrivRead) {
			return ErrPrivilege
		}
		if purpose.Emergency() && !p.Has(identity.PrivEmergency) {
			return ErrEmergency
		}
	default:
		return ErrReader
	}
	return nil
}

// reader returns the signer as somebody who may ask about this patient, with
// its member. That the patient refuses is no reason here.
func reader(c *ledger.Context, m *Request) (identity.Principal, governance.Member, error) {
	actor, member, ok := identity.Standing(c.State, c.Signer.Account)
	if !ok {
		return actor, member, ErrReader
	}
	if err := mayAsk(actor, m.Purpose); err != nil {
		return actor, member, err
	}
	if actor.Class != ledger.ClassPatient {
		return actor, member, nil
	}
	if actor.Account == m.Patient {
		if m.Purpose != consent.PATRQT {
			return actor, member, ErrPersonal
		}
	} else if !consent.IsProxy(c.State, m.Patient, actor.Account, c.Time) {
		return actor, member, ErrNotProxy
	}
	if !c.Signer.UserVerified {
		return actor, member, ErrUserVerification
	}
	return actor, member, nil
}
