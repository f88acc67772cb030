package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"salus/client"
	"salus/fhir"
	"salus/gateway"
	"salus/gateway/intake"
	"salus/internal/devnet"
	"salus/internal/sample"
	"salus/ledger/module/consent"
	"salus/record"
)

type devnetDemo struct {
	network `embed:""`
}

// demo is one telling of the life of a record.
type demo struct {
	*env
	dir     string
	control controller
	step    int
	orgs    map[string]*client.API

	wallet  *record.Wallet
	patient string // pseudonym
	grant   consent.GrantID
	session gateway.SessionInfo
	seen    []gateway.Visible
	audit   string // path of the receipt
}

// controller starts and stops organisations, here or in the process that runs the network.
type controller interface {
	Start(ctx context.Context, org string) error
	Stop(ctx context.Context, org string) error
	Lie(ctx context.Context, org string) error
}

// local adapts a network of this process.
type local struct{ *devnet.Network }

func (l local) Start(ctx context.Context, org string) error {
	if err := l.Network.Start(ctx, org); err != nil {
		return err
	}
	return l.Ready(ctx, org)
}
func (l local) Stop(_ context.Context, org string) error { return l.Network.Stop(org) }

func (c *devnetDemo) Run(e *env) error {
	d := &demo{env: e, dir: c.Dir, orgs: map[string]*client.API{}}
	if remote, err := devnet.Attach(e.ctx, c.Dir); err == nil {
		e.say("Using the network that runs in %s.", c.Dir)
		d.control = remote
		return d.tell()
	}
	if _, err := c.init(); err != nil {
		return err
	}
	n, err := devnet.Open(c.Dir, e.logger("error"))
	if err != nil {
		return err
	}
	took, err := timed(func() error { return n.StartAll(e.ctx) })
	if err != nil {
		return errors.Join(err, n.StopAll())
	}
	e.say("Started a network of four organisations in %s.", took.Round(time.Millisecond))
	d.control = local{n}
	return errors.Join(d.tell(), n.StopAll())
}

// tell runs the story; a step that does not end as it should is an error.
func (d *demo) tell() error {
	for _, o := range devnet.Orgs() {
		api, err := devnet.API(devnet.Home(d.dir, o.Name))
		if err != nil {
			return err
		}
		d.orgs[o.Name] = api
		if err := enlist(d.ctx, api, o.Staff); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		title string
		do    func() (string, error)
	}{
		{"The hospital imports a patient's FHIR record", d.importRecord},
		{"The patient takes control with her own key", d.claim},
		{"She lets the clinic read for treatment, but nothing about mental health", d.allow},
		{"The clinic's doctor opens the record", d.open},
		{"... and reads: a committed entry first, then three of four custodians", d.read},
		{"The insurer tries, and gets nothing", d.stranger},
		{"One custodian is down", d.down},
		{"One custodian lies", d.lie},
		{"She revokes; the session of the clinic is still open", d.revoke},
		{"She looks who looked", d.log},
		{"Anybody checks the proof, offline, with the genesis file", d.verify},
	} {
		d.step++
		var said string
		took, err := timed(func() (err error) { said, err = s.do(); return err })
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", d.step, s.title, err)
		}
		d.say("\n%2d. %s  (%s)\n    %s", d.step, s.title, took.Round(time.Millisecond), said)
	}
	d.say("\nThe life of a record, told on real parts: no step was simulated.")
	return nil
}

func (d *demo) at(org string) *env {
	x := *d.env
	x.home = devnet.Home(d.dir, org)
	return &x
}

func (d *demo) importRecord() (string, error) {
	bundle, err := storyBundle()
	if err != nil {
		return "", err
	}
	r, err := d.orgs["hospital"].Do(d.ctx, "POST", "/v1/import?wait=active", "application/fhir+json", bytes.NewReader(bundle))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	rep, err := readImport(r.Body, func(intake.Progress) {})
	if err != nil {
		return "", err
	}
	if len(rep.Patients) != 1 || rep.Progress.Records == 0 {
		return "", errors.New("the sample bundle did not give one patient")
	}
	d.patient = rep.Patients[0].String()
	return fmt.Sprintf("%d resources are encrypted, their keys split 3-of-4, their commitments final.\n    The ledger knows the patient as %s.", rep.Progress.Records, d.patient), nil
}

// storyBundle draws a patient who has something that she withholds in the story, and more.
func storyBundle() ([]byte, error) {
	for {
		var seed [8]byte
		if _, err := rand.Read(seed[:]); err != nil {
			return nil, err
		}
		bundle := sample.Bundle(binary.BigEndian.Uint64(seed[:])>>16, sampleSize)
		withheld, all := 0, 0
		for it, err := range fhir.ReadBundle(bytes.NewReader(bundle)) {
			if err != nil {
				return nil, err
			}
			all++
			if slices.Contains(fhir.LabelsOf(it.Resource), "PSY") {
				withheld++
			}
		}
		if withheld > 0 && withheld < all {
			return bundle, nil
		}
	}
}

func (d *demo) claim() (string, error) {
	a, err := account(d.patient)
	if err != nil {
		return "", err
	}
	d.wallet, err = claim(d.at("hospital"), a, filepath.Join(devnet.WalletDir(d.dir), d.patient+".json"))
	return "The hospital's one-time code made a wallet; from now on the pseudonym obeys her key.", err
}

func (d *demo) submitter() record.Submitter {
	return client.New(d.orgs["hospital"], d.wallet.Chain).As(d.wallet.Signer())
}

func (d *demo) allow() (string, error) {
	slots, err := d.wallet.SlotMap()
	if err != nil {
		return "", err
	}
	clinic, err := findMember(d.env, d.orgs["hospital"], "clinic")
	if err != nil {
		return "", err
	}
	if d.grant, err = record.NewGrantID(); err != nil {
		return "", err
	}
	got, err := record.Grant(d.ctx, d.submitter(), d.wallet.Patient, slots, d.grant, 0, record.Wish{
		Grantee: consent.Grantee{Kind: consent.OfMember, Account: clinic.Account}, Purposes: consent.PurposesOf(consent.TREAT),
		Without: []fhir.Label{"PSY"}, Until: time.Now().Add(30 * 24 * time.Hour),
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Final in block %d. On the ledger it is two masks of constant weight: what she withheld shows nowhere.", got.Height), nil
}

func (d *demo) openAs(org, staff string, p consent.Purpose) (s gateway.SessionInfo, err error) {
	return s, d.orgs[org].JSON(d.ctx, "POST", "/v1/sessions", gateway.OpenSession{As: staff, Patient: d.wallet.Patient, Purpose: p, Seconds: 900}, &s)
}

func (d *demo) open() (string, error) {
	var err error
	if d.session, err = d.openAs("clinic", "clinic-doctor", consent.TREAT); err != nil {
		return "", err
	}
	if err := d.orgs["clinic"].JSON(d.ctx, "GET", "/v1/sessions/"+d.session.ID.String()+"/records", nil, &d.seen); err != nil {
		return "", err
	}
	own, err := d.hospitalCount()
	if err != nil {
		return "", err
	}
	d.seen = clinical(d.seen)
	if len(d.seen) == 0 || len(d.seen) >= own {
		return "", fmt.Errorf("the clinic sees %d of %d records", len(d.seen), own)
	}
	return fmt.Sprintf("The request is entry and decision in block %d. The clinic may open %d records;\n    the hospital holds %d, but nothing tells the clinic so.", d.session.Height, len(d.seen), own), nil
}

func (d *demo) hospitalCount() (int, error) {
	var own []record.Owned
	err := d.orgs["hospital"].JSON(d.ctx, "GET", "/v1/patients/"+d.patient+"/records", nil, &own)
	return len(own) - 1, err // without the slot map
}

func clinical(vs []gateway.Visible) (out []gateway.Visible) {
	for _, v := range vs {
		if v.Kind == 0 {
			out = append(out, v)
		}
	}
	return out
}

// readSome reads n of the session's records.
func (d *demo) readSome(vs []gateway.Visible) (*gateway.ReadResult, error) {
	var req gateway.ReadRecords
	for _, v := range vs {
		req.Records = append(req.Records, gateway.RecordPlace{Batch: v.Batch, Index: v.Index})
	}
	var res gateway.ReadResult
	return &res, d.orgs["clinic"].JSON(d.ctx, "POST", "/v1/sessions/"+d.session.ID.String()+"/read", req, &res)
}

func (d *demo) read() (string, error) {
	res, err := d.readSome(d.seen)
	if err != nil {
		return "", err
	}
	if len(res.Records) != len(d.seen) || len(res.Bad) != 0 {
		return "", fmt.Errorf("%d of %d records opened, %d custodians found bad", len(res.Records), len(d.seen), len(res.Bad))
	}
	s, _ := summary(res.Records[0].Body)
	return fmt.Sprintf("%d records opened and compared with their anchors, byte for byte. The first: %s.", len(res.Records), s.Type), nil
}

func (d *demo) stranger() (string, error) {
	s, err := d.openAs("insurer", "claims-clerk", consent.HPAYMT)
	if err != nil {
		return "", err
	}
	var vs []gateway.Visible
	if err := d.orgs["insurer"].JSON(d.ctx, "GET", "/v1/sessions/"+s.ID.String()+"/records", nil, &vs); err != nil {
		return "", err
	}
	if len(vs) != 0 {
		return "", fmt.Errorf("the insurer sees %d records", len(vs))
	}
	return "It gets what it would get of a patient without any data. The try is in her log all the same.", nil
}

func (d *demo) down() (string, error) {
	if err := d.control.Stop(d.ctx, "institute"); err != nil {
		return "", err
	}
	took, err := timed(func() error {
		res, err := d.readSome(d.seen[:1])
		if err == nil && len(res.Records) != 1 {
			err = errors.New("the record did not open")
		}
		return err
	})
	return fmt.Sprintf("The institute's node was stopped; the next record opened with the other three in %s.", took.Round(time.Millisecond)), errors.Join(err, d.control.Start(d.ctx, "institute"))
}

func (d *demo) lie() (string, error) {
	if err := d.control.Lie(d.ctx, "insurer"); err != nil {
		return "", err
	}
	res, err := d.readUntilNamed()
	restore := errors.Join(d.control.Stop(d.ctx, "insurer"), d.control.Start(d.ctx, "insurer"))
	if err = errors.Join(err, restore); err != nil {
		return "", err
	}
	if len(res.Records) != 1 || len(res.Bad) != 1 {
		return "", fmt.Errorf("%d records opened, %d custodians named", len(res.Records), len(res.Bad))
	}
	m, err := findMember(d.env, d.orgs["hospital"], res.Bad[0].Account.String())
	return fmt.Sprintf("The record opened with the honest three, and the liar is named: custodian %d, %s.", res.Bad[0].Index, m.Name), err
}

// readUntilNamed reads until the liar's answer is among the first three: a reader that has
// three good ones does not wait for the fourth, so a slow liar goes unheard.
func (d *demo) readUntilNamed() (*gateway.ReadResult, error) {
	const tries = 50
	for try := 1; ; try++ {
		res, err := d.readSome(d.seen[:1])
		if err != nil || len(res.Records) != 1 || len(res.Bad) > 0 || try == tries {
			return res, err
		}
	}
}

func (d *demo) revoke() (string, error) {
	got, err := record.Revoke(d.ctx, d.submitter(), d.wallet.Patient, d.grant)
	if err != nil {
		return "", err
	}
	res, err := d.readSome(d.seen[:1])
	if err != nil {
		return "", err
	}
	if len(res.Records) != 0 {
		return "", errors.New("a record opened after the revocation")
	}
	return fmt.Sprintf("Revoked in block %d. The clinic's next read found nothing, although its session runs on.", got.Height), nil
}

func (d *demo) log() (string, error) {
	e := d.at("hospital")
	if err := (&auditLog{Patient: d.patient}).Run(e); err != nil {
		return "", err
	}
	d.audit = filepath.Join(d.dir, "access-log.receipt")
	return "Every entry is hers, none is missing: a gap-free chain whose end the ledger's state commits to.",
		(&auditReceipt{Patient: d.patient, Out: d.audit}).Run(e)
}
