package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"salus/client"
	"salus/ledger/module/audit"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
	"salus/record"
)

type recoveryCmd struct {
	Guardians recoveryGuardians `cmd:"" help:"A patient names her guardians, all at once, and gets a card for each."`
	New       recoveryNew       `cmd:"" help:"Draw the key of a new wallet for a pseudonym whose keys are lost."`
	Request   recoveryRequest   `cmd:"" help:"Ask for that key, as a guardian or as staff of the steward."`
	Approve   recoveryApprove   `cmd:"" help:"Approve a recovery, as another guardian or as other staff."`
	Cancel    recoveryCancel    `cmd:"" help:"Stop a recovery, with any live wallet of the patient or as the staff that carries it."`
	Finish    recoveryFinish    `cmd:"" help:"Carry a recovery out when its time lock has ended. Anybody may."`
	Restore   recoveryRestore   `cmd:"" help:"Get back what only the lost wallet knew."`
	Status    recoveryStatus    `cmd:"" help:"Where a patient's recoveries stand, or those of an organisation's patients."`
}

type recoveryNew struct {
	Patient string `arg:"" help:"Pseudonym."`
	Wallet  string `help:"Where to write the new wallet." required:"" type:"path"`
}

func (c *recoveryNew) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	if fileExists(c.Wallet) {
		return usageError{"there is a wallet in that place already"}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	head, err := api.Head(e.ctx)
	if err != nil {
		return err
	}
	w, err := record.NewWallet(head.Chain, a)
	if err != nil {
		return err
	}
	if err := w.Save(c.Wallet); err != nil {
		return err
	}
	key := w.Signer().Public()
	out := struct {
		Key tx.PublicKey `json:"key"`
		ID  tx.KeyID     `json:"id"`
	}{key, key.ID()}
	if err := e.show(out, "", func(add func(...any)) { add("key", key); add("id", key.ID()) }); err != nil {
		return err
	}
	e.say("Tell your guardians, or the staff that you show your papers to, this key. Whoever approves compares its id with you.")
	return nil
}

// approval says who approves a case.
type approval struct {
	As     string `help:"Name of the practitioner's key, with the privilege reproof." xor:"who"`
	Card   string `help:"The guardian's card." xor:"who" type:"existingfile"`
	Wallet string `help:"With a card: the guardian's wallet; for a card with a key of its own anybody's." type:"existingfile"`
}

func (a *approval) valid() error {
	if (a.As == "") == (a.Card == "") || (a.Card == "") != (a.Wallet == "") {
		return usageError{"say who approves: --as for staff, or --card and --wallet for a guardian"}
	}
	return nil
}

// send signs a message as who approves. fill puts a guardian's proof into it.
func (a *approval) send(e *env, id tx.Hash, kind tx.Kind, m tx.Message, fill func(*recovery.Proof)) error {
	if a.As != "" {
		return e.submitAs(a.As, kind, m)
	}
	k, err := loadCard(a.Card)
	if err != nil {
		return err
	}
	p, err := k.proof(id)
	if err != nil {
		return err
	}
	fill(p)
	_, _, by, err := e.wallet(a.Wallet)
	if err != nil {
		return err
	}
	got, err := by.Submit(e.ctx, kind, m)
	if err != nil {
		return err
	}
	return e.committed(got)
}

type recoveryRequest struct {
	approval
	papers
	Patient string   `arg:"" help:"Pseudonym."`
	Key     string   `help:"The new wallet's key, as 'salus recovery new' printed it." required:""`
	Revoke  []string `help:"Ids of the keys that end; all that are live if none is named."`
}

// papers are what staff saw.
type papers struct {
	Document string `help:"For staff: file that says which papers were seen. It stays here: the ledger gets a salted commitment." type:"existingfile"`
}

func (p *papers) commit() (tx.Hash, error) {
	s := statement{Statement: p.Document}
	return s.commit()
}

func (c *recoveryRequest) Run(e *env) error {
	if err := c.valid(); err != nil {
		return err
	}
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	t := recovery.Terms{Patient: a, Kind: recovery.Keys}
	key, err := tx.ParsePublicKey(c.Key)
	if err != nil {
		return usageError{"a key looks like ed25519:<64 hex digits>"}
	}
	t.Keys = []tx.PublicKey{key}
	for _, text := range c.Revoke {
		id, err := tx.ParseKeyID(text)
		if err != nil {
			return usageError{"the id of a key is 32 hex digits"}
		}
		t.Revoke = append(t.Revoke, id)
	}
	slices.SortFunc(t.Revoke, func(a, b tx.KeyID) int { return slices.Compare(a[:], b[:]) })
	if (c.As != "") != (c.Document != "") {
		return usageError{"staff says with --document what it saw, a guardian does not"}
	}
	if c.As != "" {
		if t.Document, err = c.commit(); err != nil {
			return err
		}
	}
	return c.open(e, t)
}

// open asks for the terms as the patient's next case.
func (a *approval) open(e *env, t recovery.Terms) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	s, err := recoveryOf(e, api, t.Patient)
	if err != nil {
		return err
	}
	head, err := api.Head(e.ctx)
	if err != nil {
		return err
	}
	t.Number = s.Number + 1
	id := t.ID(head.Chain)
	m := &recovery.Request{Terms: t}
	if err := a.send(e, id, recovery.KindRequest, m, func(p *recovery.Proof) { m.Proof = p }); err != nil {
		return err
	}
	e.say("case         %s", id)
	return nil
}

type recoveryApprove struct {
	approval
	caseOf
}

// caseOf names a case.
type caseOf struct {
	Case string `arg:"" help:"Case, as 'salus recovery status' prints it."`
}

func (c *caseOf) id() (tx.Hash, error) {
	id, err := tx.ParseHash(c.Case)
	if err != nil {
		return id, usageError{"a case is 64 hex digits"}
	}
	return id, nil
}

func (c *recoveryApprove) Run(e *env) error {
	if err := c.valid(); err != nil {
		return err
	}
	id, err := c.id()
	if err != nil {
		return err
	}
	m := &recovery.Approve{Case: id}
	return c.send(e, id, recovery.KindApprove, m, func(p *recovery.Proof) { m.Proof = p })
}

type recoveryCancel struct {
	caseOf
	Wallet string `help:"A live wallet of the patient." xor:"who" required:"" type:"existingfile"`
	As     string `help:"Name of a practitioner's key of the organisation that carries it." xor:"who" required:""`
}

func (c *recoveryCancel) Run(e *env) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	m := &recovery.Cancel{Case: id}
	if c.As != "" {
		return e.submitAs(c.As, recovery.KindCancel, m)
	}
	_, _, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	got, err := by.Submit(e.ctx, recovery.KindCancel, m)
	if err != nil {
		return err
	}
	return e.committed(got)
}

type recoveryFinish struct{ caseOf }

func (c *recoveryFinish) Run(e *env) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	return submit(e, recovery.KindFinish, &recovery.Finish{Case: id})
}

type recoveryRestore struct {
	caseOf
	Wallet string `help:"The new wallet." required:"" type:"existingfile"`
}

func (c *recoveryRestore) Run(e *env) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	w, api, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	s, err := record.OpenRecovery(e.ctx, relay{api}.reading(w.Chain), by, w.Patient, id, 10*time.Minute)
	if err != nil {
		return err
	}
	err = w.Restore(e.ctx, s)
	if err == nil {
		err = w.Save(c.Wallet)
	}
	if err = errors.Join(err, s.Close(e.ctx)); err != nil {
		return err
	}
	e.say("The wallet %s has its map of labels again: grants can be read and changed as before.", c.Wallet)
	return nil
}

type recoveryStatus struct {
	Patient string `arg:"" optional:"" help:"Pseudonym."`
	Member  string `help:"Account, name or class of an organisation: what runs about patients it stewards." xor:"about"`
	Wallet  string `help:"The patient's wallet, instead of the pseudonym." xor:"about" type:"existingfile"`
}

func (c *recoveryStatus) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	if c.Member != "" {
		m, err := findMember(e, api, c.Member)
		if err != nil {
			return err
		}
		var out recovery.Running
		if err := askAbout(e, api, "recovery/running", m.Account, &out); err != nil {
			return err
		}
		return e.show(out, "case patient about status approvals from until", func(add func(...any)) { addCases(add, out.Cases) })
	}
	a, err := (&auditLog{Patient: c.Patient, Wallet: c.Wallet}).patient()
	if err != nil {
		return err
	}
	s, err := recoveryOf(e, api, a)
	if err != nil {
		return err
	}
	if err := e.show(s, "case patient about status approvals from until", func(add func(...any)) { addCases(add, s.Running) }); err != nil {
		return err
	}
	switch {
	case s.Deceased != 0:
		e.say("Her death was recorded in block %d.", s.Deceased)
	case s.Locked:
		e.say("Keys are asked for: until that ends nothing is granted, only revoked. Not you? salus recovery cancel CASE --wallet WALLET")
	case s.Guardians.Threshold == 0:
		e.say("No guardians are named.")
	default:
		e.say("It takes %d of her guardians.", s.Guardians.Threshold)
	}
	return nil
}

func addCases(add func(...any), cases []recovery.Case) {
	for _, k := range cases {
		add(k.ID, k.Terms.Patient, k.Terms.Kind, k.Status, fmt.Sprintf("%d of %d", len(k.Approvals), k.Needed), when(k.From), when(k.Until))
	}
}

// recoveryOf asks where a patient's recoveries stand.
func recoveryOf(e *env, api *client.API, patient tx.Account) (s recovery.PatientStatus, err error) {
	return s, askAbout(e, api, "recovery/patient", patient, &s)
}

func askAbout(e *env, api *client.API, path string, who tx.Account, out any) error {
	return ask(e, api, path, recovery.ByAccount{Account: who}, out)
}

// recoveryWords says for the patient what happened; "" if it was no recovery.
func recoveryWords(r audit.Record) string {
	what := map[recovery.Kind]string{
		recovery.Keys: "new keys for you", recovery.Death: "recording your death", recovery.Life: "undoing a recorded death", recovery.Executor: "an executor",
	}[recovery.Kind(r.Count)]
	switch r.Action {
	case audit.GuardiansNamed:
		return "named guardians"
	case audit.RecoveryRequested:
		return "asked for: " + what
	case audit.RecoveryApproved:
		return "approved: " + what
	case audit.RecoveryCancelled:
		return "cancelled: " + what
	case audit.RecoveryFinished:
		return "done: " + what
	case audit.RecoveryLapsed:
		return "lapsed: " + what
	case audit.RecoverySession:
		return "session opened to get a lost wallet's contents back"
	}
	return ""
}
