package consent

import (
	"encoding/binary"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:   "consent",
		Prefix: Prefix,
		Calls: []ledger.Call{
			ledger.On(KindGrant, give),
			ledger.On(KindRevoke, revoke),
			ledger.On(KindChange, change),
			ledger.On(KindProxy, setProxy),
		},
		Queries: queries(),
		Genesis: genesis,
		Codes:   Codes(),
		Tables:  tables(),
		Entries: entries(),
	}
}

// A capacity is in what right a signer acts for a patient.
type capacity uint8

const (
	asPatient capacity = iota + 1
	asProxy
	asSteward
)

// hand is a signer acting for a patient.
type hand struct {
	account tx.Account
	steward tx.Account // the patient's
	in      capacity
	proxy   Proxy // asProxy: the proxy in force
}

// signer returns in what right the signer acts for the patient, or ErrPatient,
// ErrSigner or ErrUserVerification.
func signer(c *ledger.Context, patient tx.Account) (hand, error) {
	p, ok := identity.Lookup(c.State, patient)
	if !ok || p.Class != ledger.ClassPatient || !p.Active && identity.ConditionOf(c.State, patient).Executor != c.Signer.Account {
		return hand{}, ErrPatient
	}
	h := hand{account: c.Signer.Account, steward: p.Member}
	switch {
	case c.Signer.Class == ledger.ClassPatient && c.Signer.Account == patient:
		h.in = asPatient
	case c.Signer.Class == ledger.ClassPatient:
		s, ok := LookupProxy(c.State, patient, c.Signer.Account)
		if !ok || !inForce(s.Proxy.NotBefore, s.Proxy.NotAfter, c.Time) {
			return hand{}, ErrSigner
		}
		h.in, h.proxy = asProxy, s.Proxy
	case c.Signer.Class == ledger.ClassMember && c.Signer.Account == p.Member:
		h.in = asSteward
		return h, nil
	default:
		return hand{}, ErrSigner
	}
	if !c.Signer.UserVerified {
		return hand{}, ErrUserVerification
	}
	return h, nil
}

// mayChange says whether the signer may replace or revoke this grant. The
// patient may change every one. Nobody else overrides what she signed herself:
// a proxy changes its own, and recorded ones within its purposes; the steward
// changes recorded ones.
func (h *hand) mayChange(s *Standing) bool {
	switch h.in {
	case asPatient:
		return true
	case asProxy:
		return s.By == h.account || s.Grant.Recorded && h.proxy.Purposes.Allows(s.Grant.Purposes)
	case asSteward:
		return s.Grant.Recorded
	}
	return false
}

func give(c *ledger.Context, m *Give) error {
	h, err := signer(c, m.Patient)
	if err != nil {
		return err
	}
	return h.put(c, m.Patient, &m.Grant)
}

// put gives one grant.
func (h *hand) put(c *ledger.Context, patient tx.Account, g *Grant) error {
	switch {
	case identity.Recovering(c.State, patient):
		return ErrLocked
	case g.Recorded != (h.in == asSteward):
		return ErrRecorded
	case g.NotAfter != 0 && g.NotAfter <= c.Time:
		return ErrEnded
	case !granteeExists(c, g.Grantee):
		return ErrUnknownGrantee
	case h.in == asProxy && !h.proxy.bounds(g):
		return ErrProxyExceeds
	}
	old, replaces := LookupGrant(c.State, patient, g.ID)
	if replaces && !h.mayChange(&old) {
		return ErrOverride
	}
	if !follows(old.Grant.Version, g.Version) {
		return ErrVersion
	}
	head := HeadOf(c.State, patient)
	action := audit.ConsentChanged
	if !replaces {
		if head.Grants >= MaxGrants {
			return ErrTooManyGrants
		}
		head.Grants++
		action = audit.ConsentGranted
	}
	head.Version++
	s := Standing{Grant: *g, By: h.account, Height: uint64(c.Height), Left: g.Uses}
	grants.Put(c.State, pair(patient, g.ID), s)
	heads.Put(c.State, patient[:], head)
	c.Append(EntryGrant, Given{Patient: patient, Standing: s})
	audit.Append(c, patient, audit.Event{
		Action: action, Actor: h.account, Member: h.steward, Ref: Ref(g.ID, g.Version), Mask: g.Mask, Count: 1,
	})
	return nil
}

func revoke(c *ledger.Context, m *Revoke) error {
	h, err := signer(c, m.Patient)
	if err != nil {
		return err
	}
	return h.end(c, m.Patient, m.ID)
}

// change revokes and gives. A refusal of any of it takes all back with the transaction.
func change(c *ledger.Context, m *Change) error {
	h, err := signer(c, m.Patient)
	if err != nil {
		return err
	}
	for _, id := range m.Revoke {
		if err := h.end(c, m.Patient, id); err != nil {
			return err
		}
	}
	for i := range m.Give {
		if err := h.put(c, m.Patient, &m.Give[i]); err != nil {
			return err
		}
	}
	return nil
}

// end takes one grant away, or with the zero id all that the signer may.
func (h *hand) end(c *ledger.Context, patient tx.Account, id GrantID) error {
	var gone []Standing
	if id == (GrantID{}) {
		for _, s := range Load(c.State, patient).Grants {
			if h.mayChange(&s) {
				gone = append(gone, s)
			}
		}
	} else if s, ok := LookupGrant(c.State, patient, id); ok {
		if !h.mayChange(&s) {
			return ErrOverride
		}
		gone = append(gone, s)
	}
	if len(gone) == 0 {
		return ErrUnknownGrant
	}
	for i := range gone {
		grants.Delete(c.State, pair(patient, gone[i].Grant.ID))
	}
	head := HeadOf(c.State, patient)
	head.Version++
	head.Grants -= uint32(len(gone))
	heads.Put(c.State, patient[:], head)
	var ref tx.Hash
	if id != (GrantID{}) {
		ref = Ref(id, gone[0].Grant.Version)
	}
	audit.Append(c, patient, audit.Event{
		Action: audit.ConsentRevoked, Actor: h.account, Member: h.steward, Ref: ref, Count: uint32(len(gone)),
	})
	return nil
}

func setProxy(c *ledger.Context, m *SetProxy) error {
	h, err := signer(c, m.Patient)
	if err != nil {
		return err
	}
	p := &m.Proxy
	switch {
	case m.Active && identity.Recovering(c.State, m.Patient):
		return ErrLocked
	case h.in == asProxy:
		return ErrDelegation
	case p.Recorded != (h.in == asSteward):
		return ErrRecorded
	}
	old, replaces := LookupProxy(c.State, m.Patient, p.Account)
	if replaces && h.in == asSteward && !old.Proxy.Recorded {
		return ErrOverride
	}
	head := HeadOf(c.State, m.Patient)
	head.Version++
	if m.Active {
		err = putProxy(c, m, h, old, &head)
	} else if !replaces {
		err = ErrUnknownProxy
	} else {
		head.Proxies--
		proxies.Delete(c.State, pair(m.Patient, p.Account))
	}
	if err != nil {
		return err
	}
	heads.Put(c.State, m.Patient[:], head)
	event := audit.Event{Action: audit.ProxyChanged, Actor: h.account, Member: h.steward, Ref: Ref(GrantID(p.Account), old.Proxy.Version)}
	if m.Active {
		event.Ref, event.Mask, event.Count = Ref(GrantID(p.Account), p.Version), p.Mask, 1
	}
	audit.Append(c, m.Patient, event)
	return nil
}

// putProxy writes a proxy that is named or replaced.
func putProxy(c *ledger.Context, m *SetProxy, h hand, old StandingProxy, head *Head) error {
	p := &m.Proxy
	person, ok := identity.Lookup(c.State, p.Account)
	switch {
	case !ok || person.Class != ledger.ClassPatient || !person.Active:
		return ErrProxyAccount
	case p.NotAfter != 0 && p.NotAfter <= c.Time:
		return ErrEnded
	case !follows(old.Proxy.Version, p.Version):
		return ErrVersion
	}
	s := StandingProxy{Proxy: *p, By: h.account, Since: old.Since, Height: uint64(c.Height)}
	if old.Proxy.Version == 0 {
		if head.Proxies >= MaxProxies {
			return ErrTooManyProxies
		}
		head.Proxies++
		s.Since = uint64(c.Height)
	}
	proxies.Put(c.State, pair(m.Patient, p.Account), s)
	c.Append(EntryProxy, Named{Patient: m.Patient, Standing: s})
	return nil
}

// follows says whether a version may come after the one that stands, 0 for
// none. A replacement of something that is gone is refused, so that a device
// which missed a revocation cannot undo it by accident.
func follows(old, next uint64) bool {
	if old == 0 {
		return next == 1
	}
	return next > old
}

// bounds says whether the proxy may sign the grant at all: no purpose beyond
// its own, no longer than itself. Its masks bound the grant in every decision.
func (p *Proxy) bounds(g *Grant) bool {
	return p.Purposes.Allows(g.Purposes) && (p.NotAfter == 0 || g.NotAfter != 0 && g.NotAfter <= p.NotAfter)
}

func granteeExists(c *ledger.Context, g Grantee) bool {
	if g.Account == (tx.Account{}) {
		return true
	}
	p, ok := identity.Lookup(c.State, g.Account)
	if g.Kind == OnePractitioner {
		return ok && (p.Class == ledger.ClassPractitioner || p.Class == ledger.ClassDevice)
	}
	return ok && p.Class == ledger.ClassMember
}

// Ref is how a grant or a proxy is named in an audit record: 16 bytes of id,
// 8 bytes of version, big-endian, 8 zero bytes.
func Ref(id GrantID, version uint64) tx.Hash {
	var h tx.Hash
	copy(h[:], id[:])
	binary.BigEndian.PutUint64(h[16:], version)
	return h
}

// TakeUses takes the uses that a decision takes, for the session that c opens.
// It is called by module access, in the block of the decision, so that of many
// requests for one use exactly one gets it.
func TakeUses(c *ledger.Context, patient tx.Account, uses []Use) {
	for _, u := range uses {
		s, ok := LookupGrant(c.State, patient, u.Grant)
		if !ok || s.Grant.Version != u.Version || s.Left == 0 {
			panic("consent: internal error: a use was decided on that is not there")
		}
		s.Left--
		grants.Put(c.State, pair(patient, u.Grant), s)
	}
}
