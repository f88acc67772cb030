package balp

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"salus/ledger/module/consent"
)

// years is how far back an individual may ask (164.528(a)(3)).
const years = 6

// oralDays is how long a suspension holds that an agency or official asked for by word of mouth
// (164.528(a)(2)(ii)(C)).
const oralDays = 30

// ErrPeriod is an accounting of no time at all.
var ErrPeriod = errors.New("balp: the period of an accounting ends after it begins and not after the request")

// A Study is research on 50 persons or more, which is listed instead of each disclosure
// (164.528(b)(4)(i)).
type Study struct {
	Name        string    `json:"name"`        // of the protocol
	Description string    `json:"description"` // in plain language: purpose, and the criteria for records
	Data        string    `json:"data"`        // the type of what was disclosed
	Sponsor     string    `json:"sponsor"`     // name, address, telephone
	Researcher  string    `json:"researcher"`  // the same
	From        time.Time `json:"from,omitzero"`
	Until       time.Time `json:"until,omitzero"` // of the disclosures; zero while they go on
	Last        time.Time `json:"last,omitzero"`  // disclosure in the period of an accounting
}

// A Suspension keeps disclosures to a health oversight agency or law enforcement official out of the
// accountings of one patient for a time (164.528(a)(2)).
type Suspension struct {
	Number    uint64    `json:"number"`
	Patient   string    `json:"patient"`        // "Patient/p1"
	Recipient string    `json:"recipient"`      // Who.Reference, Value or Display
	From      time.Time `json:"from"`           // of the statement
	Until     time.Time `json:"until,omitzero"` // as written; an oral one lapses after 30 days
	Oral      bool      `json:"oral"`
	By        string    `json:"by,omitempty"`   // who made an oral one (164.528(a)(2)(ii)(A))
	Ended     time.Time `json:"ended,omitzero"` // before its time
}

// LeftOut are treatment, payment and health care operations (164.501) in HL7's purposes, and what the
// individual asks for herself. HL7 has below operations what 164.512 names beside them, or what may
// be research: disclosures for legal matters, to the government, about fraud, decedents and donors, to a
// military command and to train machines are accounted for.
func LeftOut() (s consent.Purposes) {
	beside := consent.PurposesOf(consent.HLEGAL, consent.GOV, consent.FRAUD, consent.HDECD, consent.DONAT, consent.MILCDM, consent.MLTRAINING)
	tpo := consent.PurposesOf(consent.TREAT, consent.HPAYMT, consent.HOPERAT)
	for p := consent.TREAT; p.Known(); p++ {
		// Emergency treatment is treatment.
		if (p.Personal() || p.Emergency() || consent.Covers(tpo, p)) && !beside.Has(p) {
			s |= consent.PurposesOf(p)
		}
	}
	return s
}

// End is when a suspension ends.
func (s *Suspension) End() time.Time {
	until := s.Until
	if lapse := s.From.AddDate(0, 0, oralDays); s.Oral && (until.IsZero() || lapse.Before(until)) {
		until = lapse
	}
	if !s.Ended.IsZero() && s.Ended.Before(until) {
		until = s.Ended
	}
	return until
}

// withholds says whether an event is kept from the patient at a time: whatever went to whom the
// suspension names, whenever that was.
func (s *Suspension) withholds(e *Event, at time.Time) bool {
	return s.Patient == e.Patient.key() && !at.Before(s.From) && at.Before(s.End()) &&
		slices.ContainsFunc([]Who{e.Recipient, e.Organization, e.User, e.Client}, func(w Who) bool { return w.is(s.Recipient) })
}

// is says whether somebody goes by a name.
func (w Who) is(name string) bool {
	return name != "" && (w.Reference == name || w.Value == name || w.Display == name)
}

// name is what somebody is told apart by, also who has a display alone.
func (w Who) name() string { return cmp.Or(w.key(), w.Display) }

// Terms are those of one accounting.
type Terms struct {
	Patient   Who
	From, To  time.Time // [From, To); a zero From is six years before the request
	Requested time.Time
	// Self is who accounts (Who.Reference, Value or Display): what it uses itself is no
	// disclosure. "" accounts for the whole network.
	Self string
	// LeftOut are the purposes whose disclosures the rule leaves out, each named with what lies below
	// it named too; LeftOut() if 0.
	LeftOut consent.Purposes
	// Everything keeps in what the rule leaves out: a report of every access (EHDS Art. 9). Suspensions
	// withhold from it too, or she would learn by it what the accounting must not tell. Article 9 knows no
	// such suspension: an organisation that is bound by it alone has none to enter.
	Everything bool
	// Each lists every disclosure; else those to one recipient for one purpose fold (164.528(b)(3)).
	Each        bool
	Studies     map[string]Study // by Event.Study
	Suspensions []Suspension
	// Officer is set in a report for the compliance office: it says how many are withheld. An
	// individual is not told, for the number would tell her that somebody asks.
	Officer bool
	// Address is where a recipient is, "" if that is not known. May be nil.
	Address func(Who) string
}

// An Item is one disclosure, or several that fold.
type Item struct {
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	Number      int       `json:"number"`
	Recipient   string    `json:"recipient"`
	Address     string    `json:"address,omitempty"`
	Description string    `json:"description"`
	Purposes    []string  `json:"purposes"` // HL7 v3 PurposeOfUse
	Basis       Basis     `json:"basis,omitempty"`
	Events      []string  `json:"events"` // ids of the AuditEvents

	who Who
}

// An Accounting is what an individual gets.
type Accounting struct {
	Patient   Who       `json:"patient"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Requested time.Time `json:"requested"`
	Clipped   bool      `json:"clipped"` // the period was cut to six years
	Items     []Item    `json:"items"`
	Studies   []Study   `json:"studies"`            // for which her record may have been disclosed
	Withheld  int       `json:"withheld,omitempty"` // suspended for now; counted for an Officer only

	events map[string]Event
}

// Accounting makes the accounting of a patient's disclosures from both sources. It is recorded as by.
func (r *Reader) Accounting(ctx context.Context, s Subject, t Terms, by Event) (*Accounting, error) {
	if s.Ref == "" && s.Account.IsZero() {
		return nil, ErrSubject
	}
	all, err := r.entries(ctx, s, &Query{oldest: true}, &by)
	if err != nil {
		return nil, err
	}
	if r.Register != nil {
		k := r.Register.Kept()
		t.Suspensions, t.Studies, t.Address = k.Suspensions, k.Studies, k.address
	}
	a, err := t.account(all)
	if err != nil {
		return nil, err
	}
	by.Kind, by.Outcome = Operation, Success
	if by.Patient == (Who{}) {
		by.Patient = t.Patient
	}
	_, err = r.Recorder.Record(ctx, by)
	return a, err
}

// account goes through events, those that happened first before the others.
func (t *Terms) account(all []entry) (*Accounting, error) {
	a := &Accounting{Patient: t.Patient, From: t.From, To: t.To, Requested: t.Requested, Items: []Item{}, Studies: []Study{}, events: map[string]Event{}}
	if limit := t.Requested.AddDate(-years, 0, 0); a.From.Before(limit) && !t.Everything {
		a.Clipped = !a.From.IsZero()
		a.From = limit
	}
	if !a.From.Before(a.To) || a.To.After(t.Requested) {
		return nil, ErrPeriod
	}
	slices.SortStableFunc(all, func(x, y entry) int { return x.event.happened().Compare(y.event.happened()) })
	studies := map[string]Study{}
	for i := range all {
		e := &all[i].event
		if at := e.happened(); at.Before(a.From) || !at.Before(a.To) || !t.counts(e) {
			continue
		}
		if withheld(t.Suspensions, e, t.Requested) {
			if t.Officer {
				a.Withheld++
			}
			continue
		}
		if study, ok := t.Studies[e.Study]; ok && e.Study != "" {
			study.Last = e.happened()
			studies[e.Study] = study
			continue
		}
		a.take(t, e, all[i].id)
	}
	a.Studies = slices.AppendSeq(a.Studies, maps.Values(studies))
	slices.SortFunc(a.Studies, func(x, y Study) int { return cmp.Compare(x.Name, y.Name) })
	return a, nil
}

// recipient is to whom an event disclosed something.
func (e *Event) recipient() Who {
	for _, w := range []Who{e.Recipient, e.Organization, e.User, e.Client} {
		if w.known() {
			return w
		}
	}
	return Who{}
}

// counts says whether an event is in the accounting.
func (t *Terms) counts(e *Event) bool {
	if e.Outcome != Success {
		return false
	}
	if t.Everything {
		switch e.Kind {
		case Disclose, Export, Read, VRead, Search, SearchAll, History, Operation, Override:
			return true
		}
		return false
	}
	return (e.Kind == Disclose || e.Kind == Export) && t.excluded(e) == Accountable && !e.Recipient.is(t.Self)
}

// excluded is why the rule leaves an event out: what was said of it, or that each of its purposes is
// left out.
func (t *Terms) excluded(e *Event) Basis {
	if e.Basis != Accountable {
		return e.Basis
	}
	left := t.LeftOut
	if left == 0 {
		left = LeftOut()
	}
	basis := Accountable
	for _, p := range e.Purposes.List() {
		switch {
		case !left.Has(p):
			return Accountable
		case p.Personal():
			basis = cmp.Or(basis, ToIndividual)
		default:
			basis = TPO
		}
	}
	return basis
}

// take adds a disclosure, to those that it folds with.
func (a *Accounting) take(t *Terms, e *Event, id string) {
	a.events[id] = *e
	to := e.recipient()
	item := Item{First: e.happened(), Last: e.happened(), Number: 1, Recipient: cmp.Or(to.Display, to.key()), Description: cmp.Or(e.What, describe(e)), Purposes: []string{}, Events: []string{id}, who: to}
	if t.Address != nil {
		item.Address = t.Address(to)
	}
	if t.Everything {
		item.Basis = t.excluded(e)
	}
	for _, p := range e.Purposes.List() {
		item.Purposes = append(item.Purposes, p.String())
	}
	i := slices.IndexFunc(a.Items, func(o Item) bool { return o.who.name() == to.name() && slices.Equal(o.Purposes, item.Purposes) })
	if i < 0 || t.Each || len(item.Purposes) == 0 { // a purpose that nobody said is not a single one
		a.Items = append(a.Items, item)
		return
	}
	o := &a.Items[i]
	o.Last, o.Number, o.Events = e.happened(), o.Number+1, append(o.Events, id)
}

// describe says what was disclosed where nobody did: kinds of resources, never their content.
func describe(e *Event) string {
	switch {
	case e.Kind == Export:
		return "a bulk export"
	case len(e.Resources) > 0:
		return "resources of the record"
	case e.Query != "":
		return "the answer to a search"
	}
	return "parts of the record"
}
