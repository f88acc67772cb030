package consent

import (
	"slices"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A Mandate is what an executor may do with what a patient left: the terms of a
// proxy, which module recovery appoints.
type Mandate struct {
	Account   tx.Account `cbor:"1,keyasint" json:"account"` // a person enrolled herself
	Mask      uint64     `cbor:"2,keyasint" json:"mask"`    // exactly 32 bits set
	Except    uint64     `cbor:"3,keyasint" json:"except"`  // exactly 24 bits set
	Purposes  Purposes   `cbor:"4,keyasint" json:"purposes"`
	NotBefore uint64     `cbor:"5,keyasint" json:"notBefore"` // unix seconds
	NotAfter  uint64     `cbor:"6,keyasint" json:"notAfter"`  // unix seconds; 0 = open
}

// Validate checks the mandate by itself.
func (m *Mandate) Validate() error {
	if m.Account == (tx.Account{}) {
		return ErrProxyAccount
	}
	return ValidateTerms(m.Mask, m.Except, m.Purposes, m.NotBefore, m.NotAfter)
}

// AfterDeath are the purposes for which what the patient granted in her life holds
// on when her death is recorded: bills for her care, the law's, reports of a death,
// her donation, public health. Everything else she granted rests.
func AfterDeath() Purposes { return PurposesOf(HPAYMT, HLEGAL, HDECD, DONAT, PUBHLTH) }

// Appoint makes an executor the proxy of a patient whose death is recorded, in
// place of a proxy that she may have been before. Document commits to the court's
// paper. The limit of proxies does not bind: the patient cannot end one.
func Appoint(c *ledger.Context, patient tx.Account, m Mandate, document tx.Hash) error {
	p, ok := identity.Lookup(c.State, patient)
	if !ok {
		return ErrPatient
	}
	old, replaces := LookupProxy(c.State, patient, m.Account)
	s := StandingProxy{
		Proxy: Proxy{
			Account: m.Account, Version: old.Proxy.Version + 1, Mask: m.Mask, Except: m.Except, Purposes: m.Purposes,
			NotBefore: m.NotBefore, NotAfter: m.NotAfter, Recorded: true, Document: document,
		},
		By: p.Member, Since: uint64(c.Height), Height: uint64(c.Height),
	}
	head := HeadOf(c.State, patient)
	head.Version++
	if !replaces {
		head.Proxies++
	}
	proxies.Put(c.State, pair(patient, m.Account), s)
	heads.Put(c.State, patient[:], head)
	c.Append(EntryProxy, Named{Patient: patient, Standing: s})
	audit.Append(c, patient, audit.Event{
		Action: audit.ProxyChanged, Actor: c.Signer.Account, Member: p.Member, Ref: Ref(GrantID(m.Account), s.Proxy.Version), Mask: m.Mask, Count: 1,
	})
	return nil
}

// Dismiss ends an executor, if she is still a proxy.
func Dismiss(c *ledger.Context, patient, executor tx.Account) {
	old, ok := LookupProxy(c.State, patient, executor)
	if !ok {
		return
	}
	p, _ := identity.Lookup(c.State, patient)
	head := HeadOf(c.State, patient)
	head.Version++
	head.Proxies--
	proxies.Delete(c.State, pair(patient, executor))
	heads.Put(c.State, patient[:], head)
	audit.Append(c, patient, audit.Event{
		Action: audit.ProxyChanged, Actor: c.Signer.Account, Member: p.Member, Ref: Ref(GrantID(executor), old.Proxy.Version),
	})
}

// rest cuts the consents of a deceased patient down to what still allows something:
// grants of her life for the purposes of AfterDeath, what her executor grants since,
// and her executor. What a grant denied it denies still.
func rest(c Consents, purpose Purpose, cond identity.Condition) Consents {
	if !Covers(AfterDeath(), purpose) {
		c.Grants = slices.Clone(c.Grants)
		for i := range c.Grants {
			if s := &c.Grants[i]; s.By != cond.Executor || s.Height < cond.Deceased {
				s.Grant.Mask = 0
			}
		}
	}
	c.Proxies = slices.DeleteFunc(slices.Clone(c.Proxies), func(s StandingProxy) bool {
		return s.Proxy.Account != cond.Executor && purpose.Personal()
	})
	return c
}

// mayStandIn says whether a proxy acts for the patient at all: any in her life, her
// executor after it.
func mayStandIn(r state.Reader, patient, account tx.Account) bool {
	cond := identity.ConditionOf(r, patient)
	return cond.Deceased == 0 || cond.Executor == account
}
