package pcf

import (
	"context"
	"encoding/hex"
	"slices"

	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

// An Answer is what somebody may read, and by which Consents.
type Answer struct {
	Labels   []fhir.Label // of a record every label must be among them
	Consents []string     // ids of the Consents that permit it
	Denied   []string     // ids of those that match and deny something
	Withheld []fhir.Label // what consents under other pseudonyms of the patient, merged with this one, deny
}

// An Explanation is the answer as things stand and, if a Consent was posted with the question, as they
// would stand with it. It is for the patient only; of her Labels somebody else may be told who asks about himself.
type Explanation struct {
	Now, Then Answer
	Notes     []Issue
}

// An inquiry is what is asked about one patient's consents, as they stand now.
type inquiry struct {
	chart Chart
	slots *record.SlotMap
	real  uint64 // her slots that stand for a label: a grant of dummy slots alone permits nothing
}

func (s *Service) inquire(ctx context.Context, patient tx.Account) (*inquiry, error) {
	chart, err := s.Chain.Chart(ctx, patient)
	if err != nil {
		return nil, err
	}
	slots, err := s.Slots(ctx, patient)
	if err != nil {
		return nil, err
	}
	real, err := slots.Mask(fhir.AllLabels())
	if err != nil {
		return nil, ErrSlots
	}
	return &inquiry{chart, slots, real}, nil
}

// question is that of somebody as they stand now.
func (i *inquiry) question(patient tx.Account, actor identity.Principal, member governance.Member, purpose consent.Purpose) consent.Question {
	if i.chart.Erased {
		actor.Active = false
	}
	return consent.Question{Patient: patient, Actor: actor, Member: member, Purpose: purpose, Requested: i.real, Now: i.chart.Time}
}

func (i *inquiry) labels(mask uint64) (out []fhir.Label) {
	for _, l := range fhir.AllLabels() {
		if slot, ok := i.slots.Slot(l); ok && mask&(1<<slot) != 0 {
			out = append(out, l)
		}
	}
	return out
}

// answer is the ledger's decision with these consents of hers.
func (i *inquiry) answer(q consent.Question, c consent.Consents) (a Answer) {
	b := i.chart.Basis
	b.Consents = c
	d := b.Decide(q)
	a.Labels = i.labels(d.Allowed)
	if q.Actor.Active {
		a.Withheld = i.labels(b.Withheld(q))
	}
	for n := range c.Grants {
		g := &c.Grants[n].Grant
		g16 := groupOf(g.ID)
		name := hex.EncodeToString(g16[:])
		if slices.Contains(d.Grants, g.ID) && !slices.Contains(a.Consents, name) {
			a.Consents = append(a.Consents, name)
		}
		if denies(q, c, n) && !slices.Contains(a.Denied, name) {
			a.Denied = append(a.Denied, name)
		}
	}
	return a
}

// Explain answers what an actor may read for a purpose and why, by the ledger's own decision: what a request
// of hers for a session would be granted now, over every pseudonym of the patient. With a
// posted Consent (raw not nil; id "" for a new one) it also says what would follow from signing it; nothing
// is kept or submitted. Errors: those of Prepare.
func (s *Service) Explain(ctx context.Context, patient, actor tx.Account, purpose consent.Purpose, id string, raw []byte) (*Explanation, error) {
	i, err := s.inquire(ctx, patient)
	if err != nil {
		return nil, err
	}
	who, member, err := s.Chain.Asker(ctx, patient, actor, purpose)
	if err != nil {
		return nil, err
	}
	q := i.question(patient, who, member, purpose)
	out := &Explanation{Now: i.answer(q, i.chart.Consents)}
	out.Then = out.Now
	if raw == nil {
		return out, nil
	}
	silent := *s
	silent.Papers = nil // nothing is kept of a question
	plan, doc, _, err := silent.Prepare(ctx, patient, id, "", raw, false)
	if err != nil {
		return nil, err
	}
	out.Then, out.Notes = i.answer(q, plan.apply(i.chart.Consents, patient)), doc.Notes
	return out, nil
}

// denies says whether a grant matches the question and takes something real from its answer: beside one
// that permits everything it leaves less. To whom nothing can be permitted nothing is denied either.
func denies(q consent.Question, c consent.Consents, i int) bool {
	probe := consent.Standing{By: q.Patient, Grant: consent.Grant{
		Grantee: consent.Grantee{Kind: consent.OnePractitioner, Account: q.Actor.Account}, Mask: ^uint64(0), Purposes: consent.PurposesOf(q.Purpose),
	}}
	alone := consent.Decide(q, consent.Consents{Grants: []consent.Standing{probe}}).Allowed
	beside := consent.Decide(q, consent.Consents{Proxies: c.Proxies, Grants: []consent.Standing{c.Grants[i], probe}}).Allowed
	return alone&^beside != 0
}

// apply is what would stand after the plan.
func (p *Plan) apply(c consent.Consents, by tx.Account) consent.Consents {
	c.Grants = slices.DeleteFunc(slices.Clone(c.Grants), func(s consent.Standing) bool {
		return slices.Contains(p.Revoke, s.Grant.ID) || slices.ContainsFunc(p.Give, func(g consent.Grant) bool { return g.ID == s.Grant.ID })
	})
	for _, g := range p.Give {
		c.Grants = append(c.Grants, consent.Standing{Grant: g, By: by, Left: g.Uses})
	}
	return c
}
