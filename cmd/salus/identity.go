package main

import (
	"slices"
	"strings"

	"salus/client"
	"salus/gateway"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

type identityCmd struct {
	List      identityList      `cmd:"" help:"This organisation's staff, devices and patients."`
	Register  identityRegister  `cmd:"" help:"Register a practitioner or device and draw its key."`
	Update    identityUpdate    `cmd:"" help:"Change privileges, suspend or resume a practitioner or device."`
	Claim     identityClaim     `cmd:"" help:"Make a patient's wallet from this organisation's claim code."`
	ClaimCode identityClaimCode `cmd:"" help:"Print a patient's claim code and its link, for her alone."`
	Adopt     identityAdopt     `cmd:"" help:"Make another steward's patient known here, to write records about her."`
	Rotate    identityRotate    `cmd:"" help:"Replace the key of a wallet."`

	Proxy    identityProxy    `cmd:"" help:"Record a parent or guardian of a patient, until a day."`
	Reviews  identityReviews  `cmd:"" help:"Proxies of this organisation's patients that end soon, or have ended."`
	Deceased identityDeceased `cmd:"" help:"Record a patient's death, or undo it; two of the staff do it one after the other."`
	Executor identityExecutor `cmd:"" help:"Name who acts for what a patient left; two of the staff, then the time lock."`
}

type identityList struct{}

func (*identityList) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var out struct {
		Staff    []gateway.Practitioner `json:"staff"`
		Patients []record.Patient       `json:"patients"`
	}
	if err := api.JSON(e.ctx, "GET", "/v1/staff", nil, &out.Staff); err != nil {
		return err
	}
	if err := api.JSON(e.ctx, "GET", "/v1/patients", nil, &out.Patients); err != nil {
		return err
	}
	return e.show(out, "account kind name", func(add func(...any)) {
		for _, s := range out.Staff {
			state := "staff"
			if !s.Active {
				state = "staff (not active)"
			}
			add(s.Account, state, s.Name)
		}
		for _, p := range out.Patients {
			add(p.Patient, "patient", p.Reference)
		}
	})
}

var privilegeBits = map[string]uint32{
	"read": identity.PrivRead, "write": identity.PrivWrite, "emergency": identity.PrivEmergency, "admin": identity.PrivAdmin, "research": identity.PrivResearch, "review": identity.PrivReview, "reproof": identity.PrivReproof,
}

func privileges(names []string) (uint32, error) {
	var bits uint32
	for _, n := range names {
		b, ok := privilegeBits[n]
		if !ok {
			return 0, usageError{"privileges are read, write, emergency, admin, research, review and reproof"}
		}
		bits |= b
	}
	return bits, nil
}

type identityRegister struct {
	Name       string   `arg:"" help:"Name of the key: letters, digits and dashes."`
	Device     bool     `help:"A device or service instead of a practitioner."`
	Roles      []string `help:"Role codes, e.g. sct:59058001."`
	Privileges []string `help:"read, write, emergency, admin, research, review, reproof." default:"read"`
}

func (c *identityRegister) Run(e *env) error {
	bits, err := privileges(c.Privileges)
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var p gateway.Practitioner
	if err := api.JSON(e.ctx, "POST", "/v1/staff/"+c.Name, gateway.Registration{Device: c.Device, Roles: slices.Sorted(slices.Values(c.Roles)), Privileges: bits}, &p); err != nil {
		return err
	}
	return e.show(p, "", func(add func(...any)) { add("account", p.Account); add("name", p.Name) })
}

type identityUpdate struct {
	Account    string   `arg:"" help:"Account or name of the practitioner or device."`
	Roles      []string `help:"Role codes, instead of those it has."`
	Privileges []string `help:"read, write, emergency, admin, research, review, reproof; instead of those it has."`
	Suspend    bool     `help:"Suspend: open sessions release nothing more from the block on." xor:"standing"`
	Resume     bool     `help:"End a suspension." xor:"standing"`
}

func (c *identityUpdate) Run(e *env) error {
	bits, err := privileges(c.Privileges)
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var known []gateway.Practitioner
	if err := api.JSON(e.ctx, "GET", "/v1/staff", nil, &known); err != nil {
		return err
	}
	for _, p := range known {
		if p.Name != c.Account && p.Account.String() != c.Account {
			continue
		}
		// The ledger replaces everything, so what is not named stays as it is.
		u := &identity.Update{Account: p.Account, Roles: p.Roles, Privileges: p.Privileges, Active: p.Active && !c.Suspend || c.Resume}
		if c.Roles != nil {
			u.Roles = slices.Sorted(slices.Values(c.Roles))
		}
		if c.Privileges != nil {
			u.Privileges = bits
		}
		return submit(e, identity.KindUpdate, u)
	}
	return usageError{"this organisation has no practitioner or device of that name or account; `salus identity list` shows them"}
}

// submit sends a message signed by this organisation.
func submit(e *env, kind tx.Kind, msg tx.Message) error {
	if err := msg.Validate(); err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var got client.Committed
	if err := api.JSON(e.ctx, "POST", "/v1/submit/"+string(kind), msg, &got); err != nil {
		return err
	}
	return e.committed(got)
}

func (e *env) committed(got client.Committed) error {
	return e.show(got, "", func(add func(...any)) { add("transaction", got.ID); add("block", got.Height) })
}

type identityAdopt struct {
	Patient   string `arg:"" help:"Pseudonym."`
	Reference string `help:"How this organisation refers to her, e.g. Patient/123." required:""`
}

func (c *identityAdopt) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(c.Reference, "Patient/") {
		return usageError{"a reference looks like Patient/123"}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	return api.JSON(e.ctx, "POST", "/v1/patients/"+a.String()+"/adopt", map[string]string{"reference": c.Reference}, nil)
}
