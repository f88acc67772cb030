package main

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"salus/gateway"
	"salus/gateway/balp"
	"salus/gateway/oversight"
)

// disclosuresCmd is the privacy officer's (docs/running-a-node.md).
type disclosuresCmd struct {
	List    disclosuresList    `cmd:"" help:"List suspensions, studies and addresses of recipients."`
	Show    disclosuresShow    `cmd:"" help:"A patient's accounting, with the number of those that are withheld from her."`
	Add     disclosuresAdd     `cmd:"" help:"Record a disclosure that left by another way than this node: by letter, by telephone."`
	Suspend disclosuresSuspend `cmd:"" help:"Withhold a patient's disclosures to an agency or official from her, for a time."`
	Resume  disclosuresResume  `cmd:"" help:"End a suspension before its time."`
	Study   disclosuresStudy   `cmd:"" help:"Keep what accountings say of research on 50 persons or more, or replace it."`
	Address disclosuresAddress `cmd:"" help:"Keep where a recipient is, or forget it."`
}

type disclosuresList struct{}

func (*disclosuresList) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var k balp.Kept
	if err := api.JSON(e.ctx, "GET", "/v1/accounting", nil, &k); err != nil {
		return err
	}
	return e.show(k, "what name from until patient", func(add func(...any)) {
		now := time.Now()
		for _, s := range k.Suspensions {
			state := "suspension"
			if !s.End().After(now) {
				state = "ended"
			}
			add(fmt.Sprintf("%s %d", state, s.Number), s.Recipient, moment(s.From), moment(s.End()), s.Patient)
		}
		for _, s := range slices.Sorted(maps.Keys(k.Studies)) {
			add("study", s, moment(k.Studies[s].From), moment(k.Studies[s].Until), "-")
		}
		for _, to := range slices.Sorted(maps.Keys(k.Addresses)) {
			add("address", to+": "+k.Addresses[to], "-", "-", "-")
		}
	})
}

// moment is a time of the officer's, in UTC as she said it.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return strings.TrimSuffix(t.UTC().Format("2006-01-02T15:04Z"), "T00:00Z")
}

// instant reads a date, which begins in UTC, or a time; "" is none.
func instant(s string) (t time.Time, err error) {
	if s == "" {
		return t, nil
	}
	if t, err = time.Parse(time.DateOnly, s); err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	if err != nil {
		return t, usageError{"a time is 2026-01-31, which begins in UTC, or 2026-01-31T12:00:00Z"}
	}
	return t.UTC(), nil
}

type disclosuresShow struct {
	Patient string `arg:"" help:"Id of a Patient in the organisation's own store."`
}

func (c *disclosuresShow) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var a balp.Accounting
	q := url.Values{"patient": {c.Patient}, "_format": {"application/json"}}
	if err := api.JSON(e.ctx, "GET", "/fhir/AuditEvent/$accounting-of-disclosures?"+q.Encode(), nil, &a); err != nil {
		return err
	}
	if err := e.show(a, "first last number recipient purpose what", func(add func(...any)) {
		for _, i := range a.Items {
			add(i.First.Format(time.DateOnly), i.Last.Format(time.DateOnly), i.Number, i.Recipient, strings.Join(i.Purposes, ","), i.Description)
		}
		for _, s := range a.Studies {
			add(moment(s.From), s.Last.Format(time.DateOnly), "-", s.Sponsor, "HRESCH", s.Name)
		}
	}); err != nil {
		return err
	}
	e.say("%d more are withheld from the patient", a.Withheld)
	return nil
}

type disclosuresAdd struct {
	Patient string   `arg:"" help:"Id of a Patient in the organisation's own store."`
	To      string   `help:"Recipient." required:""`
	Address string   `help:"Where the recipient is; kept for its other disclosures too."`
	On      string   `help:"The day in UTC, 2026-01-31; today if it is left out."`
	What    string   `help:"What was disclosed, in a few words." required:""`
	Purpose []string `help:"Why: codes of PurposeOfUse, such as PUBHLTH or HLEGAL."`
	Basis   string   `help:"Why it is not accounted for, such as authorization."`
	Study   string   `help:"Name of the study that it was for."`
}

func (c *disclosuresAdd) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	if c.On == "" {
		c.On = time.Now().UTC().Format(time.DateOnly)
	}
	in := oversight.Disclosure{
		Patient: c.Patient, Recipient: c.To, Address: c.Address, On: c.On, What: c.What, Purposes: c.Purpose, Basis: balp.Basis(c.Basis), Study: c.Study,
	}
	var out gateway.Disclosed
	if err := api.JSON(e.ctx, "POST", "/v1/accounting/disclosures", in, &out); err != nil {
		return err
	}
	return e.show(out, "", func(add func(...any)) { add("AuditEvent", out.Event) })
}

type disclosuresSuspend struct {
	Patient string `arg:"" help:"Id of a Patient in the organisation's own store."`
	To      string `help:"The agency or official, as her accounting names it." required:""`
	From    string `help:"Of the statement, 2026-01-31; now if it is left out."`
	Until   string `help:"The day from which it holds no more. A written statement says it; an oral one lapses after 30 days."`
	Oral    string `help:"The statement was oral: who made it." placeholder:"NAME"`
}

func (c *disclosuresSuspend) Run(e *env) error {
	in := balp.Suspension{Patient: c.Patient, Recipient: c.To, Oral: c.Oral != "", By: c.Oral}
	var err error
	if in.From, err = instant(c.From); err != nil {
		return err
	}
	if in.Until, err = instant(c.Until); err != nil {
		return err
	}
	return e.suspension("/v1/accounting/suspensions", in)
}

// suspension sends a change of one and prints what it is then.
func (e *env) suspension(path string, in any) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var out balp.Suspension
	if err := api.JSON(e.ctx, "POST", path, in, &out); err != nil {
		return err
	}
	return e.show(out, "", func(add func(...any)) {
		add("number", out.Number)
		add("until", moment(out.End()))
	})
}

type disclosuresResume struct {
	Number uint64 `arg:"" help:"Of the suspension, as salus audit disclosures list prints it."`
}

func (c *disclosuresResume) Run(e *env) error {
	return e.suspension(fmt.Sprintf("/v1/accounting/suspensions/%d/resume", c.Number), nil)
}

type disclosuresStudy struct {
	Name        string `arg:"" help:"Of the protocol."`
	Description string `help:"In plain language: the purpose, and by which criteria records were chosen." required:""`
	Data        string `help:"What kind of data was disclosed." required:""`
	Sponsor     string `help:"Name, address, telephone." required:""`
	Researcher  string `help:"Name, address, telephone." required:""`
	From        string `help:"When disclosures began, 2026-01-31." required:""`
	Until       string `help:"When they ended; left out while they go on."`
}

func (c *disclosuresStudy) Run(e *env) error {
	in := balp.Study{Name: c.Name, Description: c.Description, Data: c.Data, Sponsor: c.Sponsor, Researcher: c.Researcher}
	var err error
	if in.From, err = instant(c.From); err != nil {
		return err
	}
	if in.Until, err = instant(c.Until); err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	return api.JSON(e.ctx, "POST", "/v1/accounting/studies", in, nil)
}

type disclosuresAddress struct {
	To      string `arg:"" help:"Recipient, as accountings name it."`
	Address string `arg:"" optional:"" help:"Where it is; left out, it is forgotten."`
}

func (c *disclosuresAddress) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	return api.JSON(e.ctx, "POST", "/v1/accounting/addresses", gateway.Address{Recipient: c.To, Address: c.Address}, nil)
}
