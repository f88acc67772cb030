package access

import (
	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Open answers a custodian: may this session still read at now (unix seconds),
// and which slots? The slots are those it was granted, as far as consent (for a
// declared emergency: the patient's directive), the actor and the actor's member
// still stand at now. Errors: ErrUnknown,
// ErrClosed, ErrExpired. No slots and no error means: nothing to release.
func Open(r state.Reader, id tx.Hash, now uint64) (s Session, allowed uint64, err error) {
	s, err = running(r, id, now)
	if err != nil || s.Mask == 0 || erasure.PatientErased(r, s.Patient) {
		return s, 0, err
	}
	if identity.ConditionOf(r, s.Actor).Recovered >= s.Height {
		return s, 0, nil // opened by a key that a recovery has ended since
	}
	if s.Purpose == consent.BTG {
		if e, declared := emergency.Lookup(r, s.ID); declared {
			return s, s.Mask & emergency.Reach(r, e, now), nil
		}
	}
	actor, member, ok := identity.Standing(r, s.Actor)
	if !ok || mayAsk(actor, s.Purpose) != nil || s.Purpose.Emergency() && emergency.Suspended(r, s.Actor) {
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

// Asker returns somebody as she stands, with her member, if she may open a session about this patient for the
// purpose at all: who is refused here is granted nothing, whatever was consented to. Errors: ErrReader, ErrDeclare, ErrPersonal,
// ErrPrivilege, ErrEmergency, ErrNotProxy, emergency.ErrSuspended. That the patient refuses is no reason here.
func Asker(r state.Reader, patient, account tx.Account, purpose consent.Purpose, now uint64) (identity.Principal, governance.Member, error) {
	actor, member, ok := identity.Standing(r, account)
	switch {
	case !ok:
		return actor, member, ErrReader
	case purpose == consent.BTG:
		return actor, member, ErrDeclare
	}
	if err := mayAsk(actor, purpose); err != nil {
		return actor, member, err
	}
	if purpose.Emergency() && emergency.Suspended(r, actor.Account) {
		return actor, member, emergency.ErrSuspended
	}
	if actor.Class != ledger.ClassPatient {
		return actor, member, nil
	}
	if actor.Account == patient {
		if purpose != consent.PATRQT {
			return actor, member, ErrPersonal
		}
	} else if !consent.IsProxy(r, patient, actor.Account, now) {
		return actor, member, ErrNotProxy
	}
	return actor, member, nil
}

// reader returns the signer as somebody who may ask about this patient, with its member.
func reader(c *ledger.Context, m *Request) (identity.Principal, governance.Member, error) {
	actor, member, err := Asker(c.State, m.Patient, c.Signer.Account, m.Purpose, c.Time)
	if err == nil && actor.Class == ledger.ClassPatient && !c.Signer.UserVerified {
		err = ErrUserVerification
	}
	return actor, member, err
}
