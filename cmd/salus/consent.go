package main

import (
	"fmt"
	"strings"
	"time"

	"salus/client"
	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/record"
)

type consentCmd struct {
	Grant     consentGrant     `cmd:"" help:"Let somebody look, for purposes, kinds of records and a time."`
	Revoke    consentRevoke    `cmd:"" help:"End one grant, or all."`
	Emergency consentEmergency `cmd:"" help:"Show or set what an emergency may open without your consent."`
	List      consentList      `cmd:"" help:"What the ledger has of a wallet's grants."`
	Labels    consentLabels    `cmd:"" help:"The kinds of records that a grant can name."`
}

type consentGrant struct {
	Wallet       string        `help:"The patient's wallet." required:"" type:"existingfile"`
	Member       string        `help:"Account, name or class of an organisation." xor:"who"`
	Practitioner string        `help:"Account of one practitioner." xor:"who"`
	Role         string        `help:"A role code at any clinical organisation." xor:"who"`
	AnyClinical  bool          `help:"Any practitioner of any clinical organisation." xor:"who"`
	Purpose      []string      `help:"HL7 v3 PurposeOfUse codes." default:"TREAT"`
	Only         []string      `help:"Only records with these labels."`
	Without      []string      `help:"Never records with these labels."`
	For          time.Duration `help:"How long it holds, e.g. 720h; 0 for no end." default:"0"`
	Uses         uint16        `help:"Good for that many sessions; 0 for no limit."`
}

func (c *consentGrant) Run(e *env) error {
	w, api, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	slots, err := w.SlotMap()
	if err != nil {
		return err
	}
	wish := record.Wish{Uses: c.Uses}
	if wish.Grantee, err = c.grantee(e, api); err != nil {
		return err
	}
	for _, p := range c.Purpose {
		code, err := consent.ParsePurpose(p)
		if err != nil {
			return usageError{err.Error()}
		}
		wish.Purposes |= consent.PurposesOf(code)
	}
	if wish.Only, err = labels(c.Only); err != nil {
		return err
	}
	if wish.Without, err = labels(c.Without); err != nil {
		return err
	}
	if c.For > 0 {
		wish.Until = time.Now().Add(c.For)
	}
	id, err := record.NewGrantID()
	if err != nil {
		return err
	}
	got, err := record.Grant(e.ctx, by, w.Patient, slots, id, 0, wish)
	if err != nil {
		return err
	}
	out := struct {
		Grant consent.GrantID `json:"grant"`
		client.Committed
	}{id, got}
	return e.show(out, "", func(add func(...any)) { add("grant", id); add("block", got.Height) })
}

func (c *consentGrant) grantee(e *env, api *client.API) (consent.Grantee, error) {
	switch {
	case c.AnyClinical:
		return consent.Grantee{Kind: consent.AnyClinical}, nil
	case c.Role != "":
		return consent.Grantee{Kind: consent.OfRole, Role: c.Role}, nil
	case c.Practitioner != "":
		a, err := account(c.Practitioner)
		return consent.Grantee{Kind: consent.OnePractitioner, Account: a}, err
	case c.Member != "":
		m, err := findMember(e, api, c.Member)
		return consent.Grantee{Kind: consent.OfMember, Account: m.Account}, err
	}
	return consent.Grantee{}, usageError{"name who may look: --member, --practitioner, --role or --any-clinical"}
}

// findMember looks an organisation up by account or name.
func findMember(e *env, api *client.API, name string) (governance.Member, error) {
	var members []governance.Member
	if err := api.JSON(e.ctx, "GET", "/v1/members", nil, &members); err != nil {
		return governance.Member{}, err
	}
	var found []governance.Member
	for _, m := range members {
		if m.Account.String() == name {
			return m, nil
		}
		if m.Active && (strings.EqualFold(m.Name, name) || string(m.Class) == name) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return governance.Member{}, usageError{"no organisation of that name, class or account; `salus governance members` lists them"}
	}
	return governance.Member{}, usageError{"several organisations of that name or class; give the account, as `salus governance members` lists it"}
}

func labels(names []string) ([]fhir.Label, error) {
	var out []fhir.Label
	for _, n := range names {
		known := false
		for _, l := range fhir.AllLabels() {
			known = known || string(l) == n
		}
		if !known {
			return nil, usageError{fmt.Sprintf("%q is no label; `salus consent labels` lists them", n)}
		}
		out = append(out, fhir.Label(n))
	}
	return out, nil
}

type consentRevoke struct {
	Wallet string `help:"The patient's wallet." required:"" type:"existingfile"`
	Grant  string `arg:"" optional:"" help:"Grant id; without it, every grant ends."`
}

func (c *consentRevoke) Run(e *env) error {
	w, _, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	var id consent.GrantID
	if c.Grant != "" {
		if err := id.UnmarshalText([]byte(c.Grant)); err != nil {
			return usageError{err.Error()}
		}
	}
	got, err := record.Revoke(e.ctx, by, w.Patient, id)
	if err != nil {
		return err
	}
	return e.committed(got)
}

type consentList struct {
	Wallet string `help:"The patient's wallet." required:"" type:"existingfile"`
}

func (c *consentList) Run(e *env) error {
	w, api, _, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	all, err := grants(e, api, w.Patient)
	if err != nil {
		return err
	}
	return e.show(all, "grant grantee purposes until uses", func(add func(...any)) {
		for _, s := range all.Grants {
			g := s.Grant
			var ps []string
			for _, p := range g.Purposes.List() {
				ps = append(ps, p.String())
			}
			add(g.ID, g.Grantee.Kind.String()+" "+who(g.Grantee), strings.Join(ps, ","), when(g.NotAfter), g.Uses)
		}
	})
}

func who(g consent.Grantee) string {
	if g.Role != "" {
		return g.Role
	}
	if g.Account.IsZero() {
		return ""
	}
	return g.Account.String()
}

// grants asks the ledger for everything a patient granted.
func grants(e *env, api *client.API, patient tx.Account) (consent.Consents, error) {
	var out consent.Consents
	return out, ask(e, api, "consent/grants", consent.ByPatient{Patient: patient}, &out)
}

type consentLabels struct{}

func (*consentLabels) Run(e *env) error {
	return e.show(fhir.AllLabels(), "", func(add func(...any)) {
		for _, l := range fhir.AllLabels() {
			add(l)
		}
	})
}
