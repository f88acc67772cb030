package main

import (
	"crypto/rand"
	"strings"
	"time"

	"salus/client"
	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
	"salus/record"
)

// staffCase is what two of the staff do one after the other: the first asks with papers, the
// second approves.
type staffCase struct {
	papers
	As string `help:"Name of the practitioner's key, with the privilege reproof." required:""`
}

// run approves the case of that kind if one is running, and opens it otherwise.
func (c *staffCase) run(e *env, api *client.API, t recovery.Terms, same func(recovery.Terms) bool) error {
	s, err := recoveryOf(e, api, t.Patient)
	if err != nil {
		return err
	}
	for _, k := range s.Running {
		if k.Terms.Kind != t.Kind {
			continue
		}
		if !same(k.Terms) {
			return usageError{"another case of this kind is running: `salus recovery status` shows it"}
		}
		if c.Document != "" {
			return usageError{"somebody asked for this with her papers already; approve it without --document"}
		}
		if err := e.submitAs(c.As, recovery.KindApprove, &recovery.Approve{Case: k.ID}); err != nil {
			return err
		}
		e.say("case         %s", k.ID)
		return nil
	}
	if c.Document == "" {
		return usageError{"the first of two says with --document which papers were seen"}
	}
	if t.Document, err = c.commit(); err != nil {
		return err
	}
	return (&approval{As: c.As}).open(e, t)
}

type identityDeceased struct {
	staffCase
	Patient string `arg:"" help:"Pseudonym."`
	Undo    bool   `help:"The death was recorded by mistake."`
}

func (c *identityDeceased) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	t := recovery.Terms{Patient: a, Kind: recovery.Death}
	if c.Undo {
		t.Kind = recovery.Life
	}
	return c.run(e, api, t, func(recovery.Terms) bool { return true })
}

type identityExecutor struct {
	staffCase
	Patient  string    `arg:"" help:"Pseudonym of the deceased."`
	Executor string    `arg:"" help:"Pseudonym of the executor, who is enrolled herself."`
	Purpose  []string  `help:"HL7 v3 PurposeOfUse codes." default:"PWATRNY"`
	Until    time.Time `help:"Day on which it ends, YYYY-MM-DD; open if absent." format:"2006-01-02"`
}

func (c *identityExecutor) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	x, err := account(c.Executor)
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	t := recovery.Terms{Patient: a, Kind: recovery.Executor}
	if t.Executor, err = c.mandate(e, api, a, x); err != nil {
		return err
	}
	return c.run(e, api, t, func(r recovery.Terms) bool { return r.Executor != nil && r.Executor.Account == x })
}

func (c *identityExecutor) mandate(e *env, api *client.API, patient, executor tx.Account) (*consent.Mandate, error) {
	m := &consent.Mandate{Account: executor}
	var err error
	if m.Purposes, err = purposesOf(c.Purpose); err != nil {
		return nil, err
	}
	if !c.Until.IsZero() {
		m.NotAfter = uint64(c.Until.Unix())
	}
	m.Mask, m.Except, err = masks(e, api, patient, nil)
	return m, err
}

func purposesOf(codes []string) (consent.Purposes, error) {
	var ps consent.Purposes
	for _, c := range codes {
		p, err := consent.ParsePurpose(c)
		if err != nil {
			return 0, usageError{err.Error()}
		}
		ps |= consent.PurposesOf(p)
	}
	return ps, nil
}

// masks are those of a proxy who sees all but some labels, under the map of a patient whom the
// home's organisation stewards.
func masks(e *env, api *client.API, patient tx.Account, without []fhir.Label) (mask, except uint64, err error) {
	var code record.ClaimCode
	if err := api.JSON(e.ctx, "POST", "/v1/patients/"+patient.String()+"/claim", struct{}{}, &code); err != nil {
		return 0, 0, err
	}
	slots, err := (&record.Wallet{Slots: code.Slots}).SlotMap()
	if err != nil {
		return 0, 0, err
	}
	return slots.MasksWithout(rand.Reader, without)
}

type identityProxy struct {
	papers
	Patient  string    `arg:"" help:"Pseudonym of the child, or of whoever cannot act herself."`
	Proxy    string    `arg:"" help:"Pseudonym of the parent or guardian, who is enrolled herself."`
	Majority time.Time `help:"Day on which the child comes of age, YYYY-MM-DD. The ledger gets the first day of its quarter." format:"2006-01-02" xor:"end"`
	Until    time.Time `help:"Day on which it ends, YYYY-MM-DD." format:"2006-01-02" xor:"end"`
	Purpose  []string  `help:"HL7 v3 PurposeOfUse codes." default:"FAMRQT,TREAT"`
	Without  []string  `help:"Never records with these labels; 'none' for all records. With --majority it is SEX, STD and R, which is what ADOL means, unless said otherwise."`
}

// without is what the proxy does not see.
func (c *identityProxy) without() ([]fhir.Label, error) {
	switch {
	case len(c.Without) == 0 && !c.Majority.IsZero():
		return record.Confidential(), nil
	case len(c.Without) == 1 && c.Without[0] == "none":
		return nil, nil
	}
	return labels(c.Without)
}

func (c *identityProxy) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	p, err := account(c.Proxy)
	if err != nil {
		return err
	}
	if c.Document == "" || c.Majority.IsZero() && c.Until.IsZero() {
		return usageError{"say with --document which papers were seen, and with --majority or --until when it ends"}
	}
	without, err := c.without()
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	x := consent.Proxy{Account: p, Version: 1, Recorded: true, NotAfter: uint64(c.Until.Unix())}
	if !c.Majority.IsZero() {
		x.NotAfter = uint64(record.Review(c.Majority).Unix())
	}
	if x.Purposes, err = purposesOf(c.Purpose); err != nil {
		return err
	}
	if x.Mask, x.Except, err = masks(e, api, a, without); err != nil {
		return err
	}
	if x.Document, err = c.commit(); err != nil {
		return err
	}
	all, err := grants(e, api, a)
	if err != nil {
		return err
	}
	for _, s := range all.Proxies {
		if s.Proxy.Account == p {
			x.Version = s.Proxy.Version + 1
		}
	}
	if err := submit(e, consent.KindProxy, &consent.SetProxy{Patient: a, Proxy: x, Active: true}); err != nil {
		return err
	}
	e.say("It ends by itself: %s", when(x.NotAfter))
	if len(without) > 0 {
		e.say("It is without %v", without)
	}
	return nil
}

type identityReviews struct {
	Within time.Duration `help:"List proxies that end within that time, and those that have ended." default:"2160h"`
}

// A review is a proxy that is to be looked at.
type review struct {
	Patient   tx.Account `json:"patient"`
	Reference string     `json:"reference"`
	Proxy     tx.Account `json:"proxy"`
	Ends      uint64     `json:"ends"`
	Ended     bool       `json:"ended"`
	Claimed   bool       `json:"claimed"` // the patient has a key of her own
}

func (c *identityReviews) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	head, err := api.Head(e.ctx)
	if err != nil {
		return err
	}
	var patients []record.Patient
	if err := api.JSON(e.ctx, "GET", "/v1/patients", nil, &patients); err != nil {
		return err
	}
	due := []review{}
	now := head.Time
	for _, p := range patients {
		all, err := grants(e, api, p.Patient)
		if err != nil {
			return err
		}
		for _, s := range all.Proxies {
			end := s.Proxy.NotAfter
			if end == 0 || end > now+uint64(c.Within/time.Second) {
				continue
			}
			who, err := principal(e, api, p.Patient)
			if err != nil {
				return err
			}
			due = append(due, review{Patient: p.Patient, Reference: p.Reference, Proxy: s.Proxy.Account, Ends: end, Ended: end <= now, Claimed: len(who.Keys.Open()) > 0})
		}
	}
	return e.show(due, "patient reference proxy ends claimed", func(add func(...any)) {
		for _, r := range due {
			ends := when(r.Ends)
			if r.Ended {
				ends = strings.TrimSpace(ends) + " (ended)"
			}
			add(r.Patient, r.Reference, r.Proxy, ends, map[bool]string{true: "yes", false: "no"}[r.Claimed])
		}
	})
}
