package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"salus/client"
	"salus/gateway"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

type identityCmd struct {
	List     identityList     `cmd:"" help:"This organisation's staff, devices and patients."`
	Register identityRegister `cmd:"" help:"Register a practitioner or device and draw its key."`
	Update   identityUpdate   `cmd:"" help:"Change privileges, suspend or resume a practitioner or device."`
	Claim    identityClaim    `cmd:"" help:"Make a patient's wallet from this organisation's claim code."`
	Adopt    identityAdopt    `cmd:"" help:"Make another steward's patient known here, to write records about her."`
	Rotate   identityRotate   `cmd:"" help:"Replace the key of a wallet."`
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
	"read": identity.PrivRead, "write": identity.PrivWrite, "emergency": identity.PrivEmergency, "admin": identity.PrivAdmin, "research": identity.PrivResearch,
}

func privileges(names []string) (uint32, error) {
	var bits uint32
	for _, n := range names {
		b, ok := privilegeBits[n]
		if !ok {
			return 0, usageError{"privileges are read, write, emergency, admin and research"}
		}
		bits |= b
	}
	return bits, nil
}

type identityRegister struct {
	Name       string   `arg:"" help:"Name of the key: letters, digits and dashes."`
	Device     bool     `help:"A device or service instead of a practitioner."`
	Roles      []string `help:"Role codes, e.g. sct:59058001."`
	Privileges []string `help:"read, write, emergency, admin, research." default:"read"`
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
	if err := api.JSON(e.ctx, "POST", "/v1/staff/"+c.Name, gateway.Registration{Device: c.Device, Roles: c.Roles, Privileges: bits}, &p); err != nil {
		return err
	}
	return e.show(p, "", func(add func(...any)) { add("account", p.Account); add("name", p.Name) })
}

type identityUpdate struct {
	Account    string   `arg:"" help:"Account of the practitioner or device."`
	Roles      []string `help:"Role codes."`
	Privileges []string `help:"read, write, emergency, admin, research."`
	Suspend    bool     `help:"Suspend: open sessions release nothing more from the block on."`
}

func (c *identityUpdate) Run(e *env) error {
	a, err := account(c.Account)
	if err != nil {
		return err
	}
	bits, err := privileges(c.Privileges)
	if err != nil {
		return err
	}
	return submit(e, identity.KindUpdate, &identity.Update{Account: a, Roles: c.Roles, Privileges: bits, Active: !c.Suspend})
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

type identityClaim struct {
	Patient string `arg:"" help:"Pseudonym, as 'salus identity list' prints it."`
	Wallet  string `help:"Where to write the wallet." required:"" type:"path"`
}

func (c *identityClaim) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	if fileExists(c.Wallet) {
		return usageError{"there is a wallet in that place already"}
	}
	w, err := claim(e, a)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.Wallet), 0o700); err != nil {
		return fmt.Errorf("salus: wallet: %w", err)
	}
	if err := w.Save(c.Wallet); err != nil {
		return err
	}
	e.say("Wallet written to %s. The pseudonym %s now obeys its key.", c.Wallet, w.Patient)
	return nil
}

// claim makes a wallet from the claim code of the home's organisation.
func claim(e *env, patient tx.Account) (*record.Wallet, error) {
	api, err := e.api()
	if err != nil {
		return nil, err
	}
	var code record.ClaimCode
	if err := api.JSON(e.ctx, "POST", "/v1/patients/"+patient.String()+"/claim", struct{}{}, &code); err != nil {
		return nil, err
	}
	head, err := api.Head(e.ctx)
	if err != nil {
		return nil, err
	}
	cl := client.New(api, head.Chain)
	return record.ClaimWallet(e.ctx, head.Chain, code, func(s ...tx.Signer) record.Submitter { return cl.As(s...) })
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

type identityRotate struct {
	Wallet string `help:"The wallet." required:"" type:"existingfile"`
}

func (c *identityRotate) Run(e *env) error {
	w, _, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	next, err := record.NewWallet(w.Chain, w.Patient)
	if err != nil {
		return err
	}
	next.Slots = w.Slots
	// Both keys are in the file before the ledger changes: a crash in between locks nobody out.
	if err := next.Save(c.Wallet + ".next"); err != nil {
		return err
	}
	got, err := by.Submit(e.ctx, identity.KindRotate, &identity.Rotate{
		Account: w.Patient, Add: []tx.PublicKey{next.Signer().Public()}, Revoke: []tx.KeyID{w.Signer().Public().ID()},
	})
	if err != nil {
		return err
	}
	if err := os.Rename(c.Wallet+".next", c.Wallet); err != nil {
		return fmt.Errorf("salus: wallet: %w", err)
	}
	return e.committed(got)
}
