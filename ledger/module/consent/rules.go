package consent

import (
	"slices"

	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A Question is what somebody wants to do with a patient's records.
type Question struct {
	Patient   tx.Account
	Actor     identity.Principal // as it stands now; inactive gets nothing
	Member    governance.Member  // the actor's, as it stands now; inactive gets nothing
	Purpose   Purpose
	Requested uint64 // slots asked for
	Now       uint64 // unix seconds, block time
	// Again is set when a session that is already open asks whether it may still
	// read: then a grant of limited use counts only if Taken names it.
	Again bool
	Taken []Use
}

// A Use is one of the sessions that a grant of limited use may open, taken.
type Use struct {
	Grant   GrantID `cbor:"1,keyasint" json:"grant"`
	Version uint64  `cbor:"2,keyasint" json:"version"`
}

// A Decision is the answer. Its zero value allows nothing.
type Decision struct {
	Allowed uint64    // slots that may be read, never more than were requested
	Grants  []GrantID // the grants that allowed them, those without a limit first; at most 64
	Takes   []Use     // those among them of which a use is to be taken
	Version uint64    // of the patient's consents
}

// Evaluate decides a question on the state r. It is a pure function: the chain,
// every custodian and the patient's wallet get the same answer.
func Evaluate(r state.Reader, q Question) Decision {
	return BasisOf(r, q.Patient).Decide(q)
}

// Decide decides a question on the consents of one pseudonym alone; Basis.Decide
// decides on everything that counts.
//
//	allowed = requested AND (OR of the masks) AND NOT (OR of the excepts)
//
// over the grants that match: in force at Now, for the purpose, for the actor.
// A grant whose uses are exhausted allows nothing more, but still denies, so
// that using it up never opens anything. A grant made by a proxy is bounded by
// that proxy as it stands now.
func Decide(q Question, c Consents) Decision {
	d := Decision{Version: c.Head.Version}
	if !q.Purpose.Known() || !q.Actor.Active {
		return d
	}
	switch q.Actor.Class {
	case ledger.ClassPatient:
		d.Allowed = personal(q, c)
	case ledger.ClassPractitioner, ledger.ClassDevice:
		if q.Member.Active && q.Member.Account == q.Actor.Member {
			decideProfessional(&d, q, c)
		}
	}
	return d
}

// personal is what the patient herself, or her proxy, may read.
func personal(q Question, c Consents) uint64 {
	if q.Actor.Account == q.Patient {
		if q.Purpose != PATRQT {
			return 0
		}
		return q.Requested
	}
	p, ok := c.proxy(q.Actor.Account)
	if !ok || !q.Purpose.Personal() || !p.Proxy.holds(q.Purpose, q.Now) {
		return 0
	}
	return q.Requested & p.Proxy.Mask &^ p.Proxy.Except
}

// term is a grant that matches a question, as far as it reaches now.
type term struct {
	use     Use
	mask    uint64
	limited bool // allows only by taking a use
}

func decideProfessional(d *Decision, q Question, c Consents) {
	var terms []term
	var denied uint64
	for _, s := range c.Grants {
		mask, except, ok := s.reach(q, c)
		if !ok {
			continue
		}
		denied |= except
		t := term{use: Use{s.Grant.ID, s.Grant.Version}, mask: mask}
		if s.Grant.Uses > 0 && !slices.Contains(q.Taken, t.use) {
			if q.Again || s.Left == 0 {
				continue
			}
			t.limited = true
		}
		terms = append(terms, t)
	}
	// Grants without a limit go first, so that no use is taken in vain.
	for _, limited := range []bool{false, true} {
		for _, t := range terms {
			adds := q.Requested & t.mask &^ denied &^ d.Allowed
			if t.limited != limited || adds == 0 {
				continue
			}
			d.Allowed |= adds
			d.Grants = append(d.Grants, t.use.Grant)
			if limited {
				d.Takes = append(d.Takes, t.use)
			}
		}
	}
}

// reach says whether the grant matches the question, and how far it reaches
// once the proxy who may have made it is taken into account.
func (s *Standing) reach(q Question, c Consents) (mask, except uint64, ok bool) {
	g := &s.Grant
	if !inForce(g.NotBefore, g.NotAfter, q.Now) || !Covers(g.Purposes, q.Purpose) || !g.Grantee.includes(q.Actor, q.Member) {
		return 0, 0, false
	}
	if g.Recorded || s.By == q.Patient {
		return g.Mask, g.Except, true
	}
	p, ok := c.proxy(s.By)
	if !ok || p.Since > s.Height || !p.Proxy.holds(q.Purpose, q.Now) {
		return 0, 0, false
	}
	return g.Mask & p.Proxy.Mask, g.Except | p.Proxy.Except, true
}

// includes says whether the grantee is, or includes, this practitioner or
// device of this active member.
func (g *Grantee) includes(a identity.Principal, m governance.Member) bool {
	switch g.Kind {
	case AnyClinical:
		return m.Class.Clinical()
	case OfRole:
		if g.Account == (tx.Account{}) {
			return m.Class.Clinical() && a.HasRole(g.Role)
		}
		return g.Account == m.Account && a.HasRole(g.Role)
	case OfMember:
		return g.Account == m.Account
	case OnePractitioner:
		return g.Account == a.Account
	}
	return false
}

// holds says whether the proxy is in force for the purpose.
func (p *Proxy) holds(purpose Purpose, now uint64) bool {
	return inForce(p.NotBefore, p.NotAfter, now) && Covers(p.Purposes, purpose)
}

func (c *Consents) proxy(account tx.Account) (StandingProxy, bool) {
	i := slices.IndexFunc(c.Proxies, func(p StandingProxy) bool { return p.Proxy.Account == account })
	if i < 0 {
		return StandingProxy{}, false
	}
	return c.Proxies[i], true
}

// inForce says whether now lies in [notBefore, notAfter); 0 leaves the end open.
func inForce(notBefore, notAfter, now uint64) bool {
	return now >= notBefore && (notAfter == 0 || now < notAfter)
}

// IsProxy reports whether the account is a proxy of the patient that is in
// force at now, for whatever purpose. After her death only her executor is.
func IsProxy(r state.Reader, patient, account tx.Account, now uint64) bool {
	s, ok := LookupProxy(r, patient, account)
	return ok && inForce(s.Proxy.NotBefore, s.Proxy.NotAfter, now) && mayStandIn(r, patient, account)
}
