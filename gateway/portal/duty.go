package portal

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"salus/client"
	"salus/ledger"
	"salus/ledger/module/emergency"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// freshly is how long after signing in staff may prove a patient's identity anew.
const freshly = 5 * time.Minute

// A Signing signs a message with the key of one of the organisation's staff and waits for its block.
type Signing func(ctx context.Context, name string, kind tx.Kind, m tx.Message) (client.Committed, error)

// Duties is the answer of GET /api/duties: what waits for staff of this organisation, as far as she who
// asks may do something about it.
type Duties struct {
	Now         uint64           `json:"now"` // block time, unix seconds
	Self        tx.Account       `json:"self"`
	May         May              `json:"may"`
	Emergencies []Owed           `json:"emergencies"` // overdue first; to reviewers also those of other members' staff that they may review
	Recoveries  []recovery.Case  `json:"recoveries"`
	Counts      emergency.Counts `json:"counts"` // of this organisation, since ever
	Suspended   bool             `json:"suspended"`
}

// Owed is an emergency that waits, with the flags that let it be looked at sooner: "often", "again", "doubted".
type Owed struct {
	emergency.Case
	Flags []string `json:"flags"`
}

// May says which duties she who asks can have.
type May struct {
	Attest  bool `json:"attest"` // she may declare emergencies
	Review  bool `json:"review"`
	Reproof bool `json:"reproof"`
	Fresh   bool `json:"fresh"` // she signed in just now
}

func (p *Portal) has(s *session, privilege uint32) bool {
	who, ok := p.Ledger.Standing(s.account)
	return ok && who.Class == ledger.ClassPractitioner && who.Member == p.Self && who.Has(privilege)
}

func (p *Portal) fresh(s *session) bool { return p.Now().Sub(s.proved) <= freshly }

func (p *Portal) duties(w http.ResponseWriter, _ *http.Request, s *session) error {
	out := Duties{
		Now: p.Ledger.Head().Time, Self: s.account, Emergencies: []Owed{}, Recoveries: []recovery.Case{},
		May: May{p.has(s, identity.PrivEmergency), p.has(s, identity.PrivReview), p.has(s, identity.PrivReproof), p.fresh(s)},
	}
	var waiting emergency.Waiting
	var standing emergency.Standing
	for path, to := range map[string]any{"emergency/waiting": &waiting, "emergency/counts": &out.Counts} {
		if err := p.askLedger(path, emergency.ByAccount{Account: p.Self}, to); err != nil {
			return err
		}
	}
	if err := p.askLedger("emergency/conduct", emergency.ByAccount{Account: s.account}, &standing); err != nil {
		return err
	}
	out.Suspended = standing.Suspended
	if out.May.Review {
		others, err := p.elsewhere()
		if err != nil {
			return err
		}
		waiting.Cases = append(waiting.Cases, others...)
		slices.SortStableFunc(waiting.Cases, func(a, b emergency.Case) int { return cmp.Compare(inTime(a), inTime(b)) })
	}
	for _, k := range waiting.Cases {
		if !out.May.Review && k.Actor != s.account {
			continue
		}
		var f emergency.Flagged
		if err := p.askLedger("emergency/flags", emergency.ByCase{Case: k.ID}, &f); err != nil {
			return err
		}
		out.Emergencies = append(out.Emergencies, Owed{k, f.Flags.Strings()})
	}
	if out.May.Reproof {
		var running recovery.Running
		if err := p.askLedger("recovery/running", recovery.ByAccount{Account: p.Self}, &running); err != nil {
			return err
		}
		// Whom guardians help is no business of hers.
		out.Recoveries = slices.DeleteFunc(running.Cases, func(k recovery.Case) bool { return k.Member != p.Self })
		if out.Recoveries == nil {
			out.Recoveries = []recovery.Case{}
		}
	}
	return answer(w, out)
}

func inTime(k emergency.Case) int {
	if k.Overdue != 0 {
		return 0
	}
	return 1
}

// elsewhere lists what waits of other members' emergencies that staff of this one may review: about patients whom it
// stewards, and all of them if it is a regulator.
func (p *Portal) elsewhere() ([]emergency.Case, error) {
	list, err := p.memberList()
	if err != nil {
		return nil, err
	}
	regulator := slices.ContainsFunc(list, func(m governance.Member) bool { return m.Account == p.Self && m.Class == governance.Regulator })
	var out []emergency.Case
	for _, m := range list {
		if m.Account == p.Self {
			continue
		}
		var w emergency.Waiting
		if err := p.askLedger("emergency/waiting", emergency.ByAccount{Account: m.Account}, &w); err != nil {
			return nil, err
		}
		for _, k := range w.Cases {
			if patient, _ := p.Ledger.Standing(k.Patient); regulator || patient.Member == p.Self {
				out = append(out, k)
			}
		}
	}
	return out, nil
}

// signAs signs a message as she who is signed in. The ledger says who may.
func (p *Portal) signAs(w http.ResponseWriter, r *http.Request, s *session, kind tx.Kind, m tx.Message) error {
	if p.Sign == nil {
		return errUnknown
	}
	if err := m.Validate(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), commitTime)
	defer cancel()
	got, err := p.Sign(ctx, s.name, kind, m)
	if err != nil {
		return err
	}
	return answer(w, map[string]int64{"height": got.Height})
}

func (p *Portal) dutyAttest(w http.ResponseWriter, r *http.Request, s *session) error {
	var m emergency.Attest
	if err := body(r, &m); err != nil {
		return err
	}
	return p.signAs(w, r, s, emergency.KindAttest, &m)
}

func (p *Portal) dutyReview(w http.ResponseWriter, r *http.Request, s *session) error {
	var m emergency.Judge
	if err := body(r, &m); err != nil {
		return err
	}
	return p.signAs(w, r, s, emergency.KindReview, &m)
}

// Reproof is the body of POST /api/duties/reproof: a patient whose papers staff saw, the key of her new
// device, and the salted commitment to the note of what was seen.
type Reproof struct {
	Patient  tx.Account   `json:"patient"`
	Key      tx.PublicKey `json:"key"`
	Document tx.Hash      `json:"document"`
}

// dutyReproof opens a case about keys. Who does that has just signed in: a desk that somebody left is
// not enough to bring somebody else's keys.
func (p *Portal) dutyReproof(w http.ResponseWriter, r *http.Request, s *session) error {
	var in Reproof
	if err := body(r, &in); err != nil {
		return err
	}
	if err := p.reproofs(s); err != nil {
		return err
	}
	at, err := p.patientStatus(in.Patient)
	if err != nil {
		return err
	}
	return p.signAs(w, r, s, recovery.KindRequest, &recovery.Request{Terms: recovery.Terms{
		Patient: in.Patient, Number: at.Number + 1, Kind: recovery.Keys, Keys: []tx.PublicKey{in.Key}, Document: in.Document,
	}})
}

func (p *Portal) reproofs(s *session) error {
	switch {
	case !p.has(s, identity.PrivReproof):
		return errRole
	case !p.fresh(s):
		return errStale
	}
	return nil
}

// dutyApprove is the second practitioner's.
func (p *Portal) dutyApprove(w http.ResponseWriter, r *http.Request, s *session) error {
	var m recovery.Approve
	if err := body(r, &m); err != nil {
		return err
	}
	if err := p.reproofs(s); err != nil {
		return err
	}
	m.Proof = nil // staff is no guardian
	return p.signAs(w, r, s, recovery.KindApprove, &m)
}

// dutyCancel stops a case that this organisation's staff carries. To stop one needs no fresh sign-in.
func (p *Portal) dutyCancel(w http.ResponseWriter, r *http.Request, s *session) error {
	var m recovery.Cancel
	if err := body(r, &m); err != nil {
		return err
	}
	if !p.has(s, identity.PrivReproof) {
		return errRole
	}
	return p.signAs(w, r, s, recovery.KindCancel, &m)
}
