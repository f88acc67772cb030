package main

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/ledger/module/access"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/record"
)

type accessEmergency struct {
	Patient string        `arg:"" optional:"" help:"Pseudonym."`
	Card    string        `help:"File with the text of the patient's emergency card, instead of the pseudonym." type:"existingfile"`
	As      string        `help:"Name of the practitioner's key." required:""`
	Reason  string        `help:"HL7 v3 ActReason: OVRER emergency treatment, OVRINCOMP the patient cannot decide, OVRPJ professional judgment, OVRPS public safety, OVRTPS a third party's safety." required:""`
	For     time.Duration `help:"How long it may last." default:"1h"`
}

func (c *accessEmergency) Run(e *env) error {
	if (c.Patient == "") == (c.Card == "") {
		return usageError{"name the patient by her pseudonym or by --card"}
	}
	a, err := c.whom(e)
	if err != nil {
		return err
	}
	if _, err := emergency.ParseReason(c.Reason); err != nil {
		return usageError{err.Error()}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var s gateway.SessionInfo
	if err := api.JSON(e.ctx, "POST", "/v1/sessions", gateway.OpenSession{As: c.As, Patient: a, Purpose: consent.BTG, Reason: c.Reason, Seconds: uint64(c.For / time.Second)}, &s); err != nil {
		return err
	}
	if err := e.show(s, "", func(add func(...any)) {
		add("session", s.ID)
		add("block", s.Height)
		add("until", when(s.Expires))
	}); err != nil {
		return err
	}
	e.say("The patient's log shows it. Give account of it: salus access attest %s --as %s --statement FILE", s.ID, c.As)
	return nil
}

func (c *accessEmergency) whom(e *env) (tx.Account, error) {
	if c.Card != "" {
		return cardHolder(e, c.Card)
	}
	return account(c.Patient)
}

// caseArg names a case: the session that it opened.
type caseArg struct {
	Session string `arg:"" help:"Session id of the emergency."`
}

func (c *caseArg) id() (tx.Hash, error) {
	id, err := tx.ParseHash(c.Session)
	if err != nil {
		return id, usageError{"a session id is 64 hex digits"}
	}
	return id, nil
}

type accessWiden struct{ caseArg }

func (c *accessWiden) Run(e *env) error {
	if _, err := c.id(); err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	return api.JSON(e.ctx, "POST", "/v1/sessions/"+c.Session+"/widen", nil, nil)
}

type accessExtend struct {
	caseArg
	As string `help:"Name of another practitioner's key than the one that declared it." required:""`
}

func (c *accessExtend) Run(e *env) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	return e.submitAs(c.As, access.KindExtend, &access.Extend{Session: id})
}

// submitAs signs a message as one of the organisation's staff.
func (e *env) submitAs(as string, kind tx.Kind, m tx.Message) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var got client.Committed
	if err := api.JSON(e.ctx, "POST", "/v1/submit/"+string(kind)+"?as="+url.QueryEscape(as), m, &got); err != nil {
		return err
	}
	return e.committed(got)
}

// statement commits to a written text, which stays with the organisation.
type statement struct {
	Statement string `help:"File with what is to be said. It stays here: the ledger gets a salted commitment." required:"" type:"existingfile"`
	Salt      string `help:"File that gets the salt; keep it with the statement. Default: the statement's name with .salt." type:"path"`
}

// commit draws a salt, keeps it durably, and returns the commitment. A salt that is there
// already is used again: a repeated command says the same.
func (s *statement) commit() (tx.Hash, error) {
	text, err := os.ReadFile(s.Statement)
	if err != nil {
		return tx.Hash{}, fmt.Errorf("salus: %w", err)
	}
	if len(text) == 0 {
		return tx.Hash{}, usageError{"the statement is empty"}
	}
	path := s.Salt
	if path == "" {
		path = s.Statement + ".salt"
	}
	var salt [32]byte
	if b, err := os.ReadFile(path); err == nil {
		if n, err := hex.Decode(salt[:], b[:min(len(b), 64)]); err != nil || n != 32 {
			return tx.Hash{}, usageError{"the salt file does not hold a salt"}
		}
		return record.Statement(salt, text), nil
	}
	if _, err := rand.Read(salt[:]); err != nil {
		return tx.Hash{}, fmt.Errorf("salus: random numbers: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return tx.Hash{}, fmt.Errorf("salus: %w", err)
	}
	_, err = f.WriteString(hex.EncodeToString(salt[:]) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return tx.Hash{}, fmt.Errorf("salus: %w", err)
	}
	return record.Statement(salt, text), nil
}

type accessAttest struct {
	caseArg
	statement
	As string `help:"Name of the practitioner's key that declared it." required:""`
}

func (c *accessAttest) Run(e *env) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	h, err := c.commit()
	if err != nil {
		return err
	}
	return e.submitAs(c.As, emergency.KindAttest, &emergency.Attest{Case: id, Account: h})
}

type accessReview struct {
	caseArg
	statement
	As      string `help:"Name of the reviewer's key." required:""`
	Verdict string `help:"What was found." enum:"justified,unjustified,inconclusive" required:""`
}

func (c *accessReview) Run(e *env) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	m := &emergency.Judge{Case: id}
	if err := m.Verdict.UnmarshalText([]byte(c.Verdict)); err != nil {
		return usageError{err.Error()}
	}
	if m.Findings, err = c.commit(); err != nil {
		return err
	}
	return e.submitAs(c.As, emergency.KindReview, m)
}

type accessDispute struct {
	caseArg
	Wallet string `help:"The patient's wallet." required:"" type:"existingfile"`
}

func (c *accessDispute) Run(e *env) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	_, _, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	got, err := by.Submit(e.ctx, emergency.KindDispute, &emergency.Dispute{Case: id})
	if err != nil {
		return err
	}
	return e.committed(got)
}

type governanceDisaster struct {
	For   time.Duration `help:"How long, at most 72h, from the block in which it passes; 0 ends the one that is on." required:""`
	Class string        `help:"Only for organisations of this class; without it, for all clinical ones."`
}

func (c *governanceDisaster) Run(e *env) error {
	if c.For < 0 {
		return usageError{"a disaster does not last a negative time"}
	}
	return propose(e, governance.Action{Disaster: &governance.Disaster{Class: governance.Class(c.Class), Seconds: uint64(c.For / time.Second)}})
}

type accessWaiting struct {
	Member string `arg:"" help:"Account, name or class of an organisation."`
}

func (c *accessWaiting) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	m, err := findMember(e, api, c.Member)
	if err != nil {
		return err
	}
	var out struct {
		emergency.Waiting
		Counts    emergency.Counts    `json:"counts"`
		Escalated emergency.Escalated `json:"escalated"`
		Flags     [][]string          `json:"flags"` // of each case
	}
	by := emergency.ByAccount{Account: m.Account}
	if err := ask(e, api, "emergency/waiting", by, &out.Waiting); err != nil {
		return err
	}
	if err := ask(e, api, "emergency/counts", by, &out.Counts); err != nil {
		return err
	}
	if err := ask(e, api, "emergency/escalated", by, &out.Escalated); err != nil {
		return err
	}
	for _, x := range out.Cases {
		var f emergency.Flagged
		if err := ask(e, api, "emergency/flags", emergency.ByCase{Case: x.ID}, &f); err != nil {
			return err
		}
		out.Flags = append(out.Flags, f.Flags.Strings())
	}
	if err := e.show(out, "session practitioner reason declared attested review-by flags", func(add func(...any)) {
		for i, x := range out.Cases {
			attested := "no"
			if x.Attested != 0 {
				attested = when(x.Attested)
			}
			add(x.ID, x.Actor, x.Reason, when(x.Declared), attested, when(x.ReviewBy), cmp.Or(strings.Join(out.Flags[i], ","), "-"))
		}
	}); err != nil {
		return err
	}
	n := out.Counts
	e.say("%d declared, %d justified, %d unjustified, %d inconclusive, %d overdue, %d disputed, %d escalated", n.Declared, n.Justified, n.Unjustified, n.Inconclusive, n.Overdue, n.Disputed, out.Escalated.Cases)
	return nil
}

// emergencyWords says for the patient what happened; "" if it was no emergency.
func emergencyWords(r audit.Record) string {
	switch r.Action {
	case audit.EmergencyDeclared:
		return "emergency access without your consent: " + reasonWords[emergency.Reason(r.Count)]
	case audit.EmergencyWidened:
		return "emergency access opened to all but what you excluded"
	case audit.EmergencyExtended:
		return "emergency access made longer by a second clinician"
	case audit.EmergencyAttested:
		return "emergency access: an account was given"
	case audit.EmergencyReviewed:
		return "emergency access reviewed: " + emergency.Verdict(r.Count).String()
	case audit.EmergencyOverdue:
		what := "its account"
		if uint8(r.Count) == emergency.Review {
			what = "its review"
		}
		return "emergency access: " + what + " is overdue, and no other is possible until it is made good"
	case audit.EmergencyDisputed:
		return "emergency access disputed"
	case audit.EmergencyDirective:
		return "set what an emergency may open"
	}
	return ""
}

var reasonWords = map[emergency.Reason]string{
	emergency.OVRER: "emergency treatment", emergency.OVRINCOMP: "you could not decide", emergency.OVRPJ: "professional judgment",
	emergency.OVRPS: "public safety", emergency.OVRTPS: "the safety of somebody else",
}
