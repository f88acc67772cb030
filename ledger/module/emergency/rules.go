package emergency

import (
	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Reach says which slots the case may open at now: what the patient's directive
// allows in the step the case is in, and nothing if the case has ended or its
// practitioner, as she stands now, may not declare one: inactive, without the
// privilege, of a member that is not active and clinical, or suspended.
func Reach(r state.Reader, c Case, now uint64) uint64 {
	if now >= c.Until || mayDeclare(r, c.Actor) != nil {
		return 0
	}
	d, ok := LookupDirective(r, c.Patient)
	if !ok {
		return 0
	}
	return d.Mask(c.Widened != 0) &^ consent.Across(r, c.Patient, func(other tx.Account) uint64 {
		d, _ := LookupDirective(r, other) // what she excluded under another pseudonym
		return d.Except
	})
}

// Suspended reports whether the account's emergency privilege is suspended.
func Suspended(r state.Reader, account tx.Account) bool {
	return ConductOf(r, account).Overdue > 0
}

// mayDeclare says whether the account may declare emergencies at all: ErrClinician
// or ErrSuspended.
func mayDeclare(r state.Reader, account tx.Account) error {
	p, m, ok := identity.Standing(r, account)
	switch {
	case !ok, p.Class != ledger.ClassPractitioner, !p.Has(identity.PrivRead | identity.PrivEmergency), !m.Clinical:
		return ErrClinician
	case Suspended(r, account):
		return ErrSuspended
	}
	return nil
}

// recent returns the declarations that count against the quota at now.
func recent(times []uint64, now uint64) []uint64 {
	for i, t := range times {
		if now < t+window {
			return times[i:]
		}
	}
	return nil
}

// mayReview says whether the account may review the case: ErrReviewer or
// ErrSamePerson.
func mayReview(r state.Reader, c *Case, account tx.Account) error {
	p, m, ok := identity.Standing(r, account)
	if !ok || p.Class != ledger.ClassPractitioner || !p.Has(identity.PrivReview) {
		return ErrReviewer
	}
	patient, _ := identity.Lookup(r, c.Patient)
	if p.Member != c.Member && p.Member != patient.Member && m.Class != governance.Regulator {
		return ErrReviewer
	}
	if account == c.Actor || account == c.Extender || account == c.Reviewer {
		return ErrSamePerson
	}
	return nil
}
