package main

import (
	"errors"
	"os"
	"strings"

	"salus/client"
	"salus/gateway"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/lookup"
	"salus/ledger/tx"
	"salus/record"
)

// lookupCmd is about finding a patient (docs/finding-a-patient.md).
type lookupCmd struct {
	Begin  lookupBegin  `cmd:"" help:"Let the custodians make their lookup key, once in the life of a network."`
	Status lookupStatus `cmd:"" help:"Show the key's ceremony and how many lookups an organisation made."`
	Enrol  lookupEnrol  `cmd:"" help:"Make an identifier of a patient whom this organisation stewards lead to her."`
	Find   lookupFind   `cmd:"" help:"Find a patient by identifiers. Each costs an entry on the ledger."`
	Forget lookupForget `cmd:"" help:"Let an identifier lead nowhere from now on."`
	Card   lookupCard   `cmd:"" help:"Issue or revoke an emergency card with the patient's wallet."`
}

// identifierArgs is one identifier of a system, or traits.
type identifierArgs struct {
	ID     []string `name:"id" help:"system|value: a national id, an insurance number, a record number of an assigning authority." placeholder:"SYSTEM|VALUE"`
	Family string   `help:"Family name; with the given name, birth date and sex."`
	Given  string   `help:"Given name."`
	Born   string   `help:"Date of birth, YYYY-MM-DD."`
	Sex    string   `help:"male, female, other or unknown."`
}

func (a *identifierArgs) list() (out []gateway.Identifier, err error) {
	for _, s := range a.ID {
		i := strings.LastIndex(s, "|")
		if i < 0 {
			return nil, usageError{"an identifier is its system, a | and its value"}
		}
		out = append(out, gateway.Identifier{System: s[:i], Value: s[i+1:]})
	}
	if a.Family+a.Given+a.Born+a.Sex != "" {
		out = append(out, gateway.Identifier{Family: a.Family, Given: a.Given, Born: a.Born, Sex: a.Sex})
	}
	if len(out) == 0 {
		return nil, usageError{"name an identifier with --id, or a person with --family, --given, --born and --sex"}
	}
	return out, nil
}

type lookupBegin struct{}

func (*lookupBegin) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var last lookup.Ceremony // zeros if there was none
	if err := ask(e, api, "lookup/ceremony", lookup.Nothing{}, &last); err != nil && !errors.Is(err, lookup.ErrCeremony) {
		return err
	}
	var got client.Committed
	if err := api.JSON(e.ctx, "POST", "/v1/submit/"+string(lookup.KindBegin), &lookup.Begin{Number: last.Number + 1}, &got); err != nil {
		return err
	}
	return e.committed(got)
}

type lookupStatus struct {
	Member string `arg:"" optional:"" help:"Account, name or class of an organisation, for its counts."`
}

func (c *lookupStatus) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var out struct {
		Ceremony lookup.Ceremony `json:"ceremony"`
		Report   *lookup.Report  `json:"report,omitempty"`
	}
	if err := ask(e, api, "lookup/ceremony", lookup.Nothing{}, &out.Ceremony); err != nil {
		return err
	}
	if c.Member != "" {
		m, err := findMember(e, api, c.Member)
		if err != nil {
			return err
		}
		out.Report = &lookup.Report{}
		if err := ask(e, api, "lookup/counts", lookup.ByAccount{Account: m.Account}, out.Report); err != nil {
			return err
		}
	}
	return e.show(out, "", func(add func(...any)) {
		add("ceremony", out.Ceremony.Number)
		add("phase", []string{"-", "dealing", "vouching", "answering", "done", "failed"}[min(int(out.Ceremony.Phase), 5)])
		if r := out.Report; r != nil {
			add("asked", r.Counts.Asked)
			add("found", r.Counts.Found)
			add("enrolled", r.Counts.Enrolled)
			add("in 24 hours", r.Recent)
		}
	})
}

type lookupEnrol struct {
	Patient string `arg:"" help:"Pseudonym."`
	identifierArgs
}

func (c *lookupEnrol) Run(e *env) error {
	if _, err := account(c.Patient); err != nil {
		return err
	}
	ids, err := c.list()
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var out []gateway.EnrolledIdentifier
	for _, id := range ids {
		var one gateway.EnrolledIdentifier
		if err := api.JSON(e.ctx, "POST", "/v1/patients/"+c.Patient+"/identifiers", gateway.EnrolIdentifier{Identifier: id}, &one); err != nil {
			return err
		}
		out = append(out, one)
	}
	return e.show(out, "entry", func(add func(...any)) {
		for _, x := range out {
			add(x.Entry)
		}
	})
}

type lookupFind struct {
	identifierArgs
	As      string `help:"Name of the practitioner's key." required:""`
	Purpose string `help:"HL7 v3 PurposeOfUse. BTG needs two identifiers." default:"TREAT"`
}

func (c *lookupFind) Run(e *env) error {
	ids, err := c.list()
	if err != nil {
		return err
	}
	in := gateway.FindPatient{As: c.As, Identifiers: ids}
	if err := in.Purpose.UnmarshalText([]byte(c.Purpose)); err != nil || in.Purpose == consent.Purpose(0) {
		return usageError{"the purpose is not a code of HL7 v3 PurposeOfUse"}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var out []record.Match
	if err := api.JSON(e.ctx, "POST", "/v1/lookups", in, &out); err != nil {
		return err
	}
	return e.show(out, "patient grade score", func(add func(...any)) {
		for _, m := range out {
			add(m.Patient, m.Grade, m.Score)
		}
	})
}

type lookupForget struct {
	Entry  string `arg:"" help:"Entry of the enrolment, as enrol printed it and the patient's log shows it."`
	Wallet string `help:"The patient's wallet, if she does it herself." type:"existingfile"`
}

func (c *lookupForget) Run(e *env) error {
	id, err := tx.ParseHash(c.Entry)
	if err != nil {
		return usageError{"an entry is 64 hex digits"}
	}
	m := &lookup.Forget{Entry: id}
	if c.Wallet != "" {
		_, _, by, err := e.wallet(c.Wallet)
		if err != nil {
			return err
		}
		got, err := by.Submit(e.ctx, lookup.KindForget, m)
		if err != nil {
			return err
		}
		return e.committed(got)
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var got client.Committed
	if err := api.JSON(e.ctx, "POST", "/v1/submit/"+string(lookup.KindForget), m, &got); err != nil {
		return err
	}
	return e.committed(got)
}

type lookupCard struct {
	Wallet string `help:"The patient's wallet." required:"" type:"existingfile"`
	Out    string `help:"File that gets the text of the QR code." type:"path" xor:"what" required:""`
	Revoke string `help:"File with the text of a card that shall end." type:"existingfile" xor:"what" required:""`
}

func (c *lookupCard) Run(e *env) error {
	w, _, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	m := &lookup.SetCard{Patient: w.Patient, Revoke: c.Revoke != ""}
	if m.Revoke {
		card, err := readCard(c.Revoke)
		if err != nil {
			return err
		}
		m.Card = card.Hash()
	} else {
		card, err := record.NewCard(w.Patient)
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.Out, []byte(card.Text()+"\n"), 0o600); err != nil {
			return err
		}
		m.Card = card.Hash()
	}
	got, err := by.Submit(e.ctx, lookup.KindCard, m)
	if err != nil {
		return err
	}
	return e.committed(got)
}

func readCard(path string) (record.Card, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return record.Card{}, err
	}
	return record.ParseCard(string(b))
}

// cardHolder returns the pseudonym on a card that is valid on the ledger.
func cardHolder(e *env, path string) (tx.Account, error) {
	card, err := readCard(path)
	if err != nil {
		return tx.Account{}, err
	}
	api, err := e.api()
	if err != nil {
		return tx.Account{}, err
	}
	var row lookup.Card
	if err := ask(e, api, "lookup/card", lookup.ByCard{Card: card.Hash()}, &row); err != nil {
		return tx.Account{}, err
	}
	if row.Revoked || row.Patient != card.Patient {
		return tx.Account{}, record.ErrCard
	}
	return card.Patient, nil
}

// lookupWords says for the patient what was done with her identifiers and cards; "" if it was something else.
func lookupWords(r audit.Record) string {
	switch r.Action {
	case audit.LookedUp:
		return "found you by an identifier of yours"
	case audit.IdentifierEnrolled:
		return "made an identifier of yours lead to you"
	case audit.IdentifierForgotten:
		return "an identifier of yours leads to you no more"
	case audit.CardIssued:
		return "issued an emergency card"
	case audit.CardRevoked:
		return "revoked an emergency card"
	case audit.MergeProposed:
		return "proposed that two records of yours are one"
	case audit.Merged:
		return "two records of yours count as one"
	case audit.Unmerged:
		return "two records count as two again"
	}
	return ""
}
