package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/internal/devnet"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/record"
)

// A world is the four organisations of the sample network, with their own homes, ports and
// links.
type world struct {
	dir string
	net *devnet.Network // nil when they run in another process
	pid int             // of that process
	org map[string]*client.API
}

// startWorld starts the network of a directory, a fresh one if there is none.
func startWorld(ctx context.Context, dir string) (*world, error) {
	return startWorldOf(ctx, dir, devnet.Orgs())
}

// startWorldOf is startWorld with more organisations than the four.
func startWorldOf(ctx context.Context, dir string, orgs []devnet.Org) (*world, error) {
	port, err := freePort(10 * len(orgs))
	if err != nil {
		return nil, err
	}
	if _, err := devnet.Init(dir, devnet.Options{Port: port, Orgs: orgs}); err != nil {
		return nil, err
	}
	n, err := devnet.Open(dir, silent())
	if err != nil {
		return nil, err
	}
	if err := n.StartAll(ctx); err != nil {
		return nil, err
	}
	w, err := attach(dir)
	if err == nil {
		w.net = n
	}
	return w, err
}

// attach connects to a network that runs.
func attach(dir string) (*world, error) {
	w := &world{dir: dir, org: map[string]*client.API{}}
	for _, o := range devnet.Orgs() {
		api, err := devnet.API(devnet.Home(dir, o.Name))
		if err != nil {
			return nil, err
		}
		w.org[o.Name] = api
	}
	return w, nil
}

// enlist registers the organisations' staff.
func (w *world) enlist(ctx context.Context) error {
	for _, o := range devnet.Orgs() {
		err := w.org[o.Name].JSON(ctx, "POST", "/v1/staff/"+o.Staff.Name, gateway.Registration{Roles: o.Staff.Roles, Privileges: o.Staff.Privileges}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// put imports into the hospital what is new to it, and waits until everything is active.
func (w *world) put(ctx context.Context, format string, body []byte) (*gateway.ImportReport, error) {
	d, err := w.bring(ctx, format, body)
	if err == nil && d.Duplicates > 0 {
		return nil, fmt.Errorf("import: %d known before", d.Duplicates)
	}
	return d, err
}

// bring is the same of what may be known in part: bundles have their organisations in common.
func (w *world) bring(ctx context.Context, format string, body []byte) (*gateway.ImportReport, error) {
	r, err := w.org["hospital"].Do(ctx, "POST", "/v1/import?wait=active&format="+format, "application/fhir+json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	for d := json.NewDecoder(r.Body); ; {
		var l gateway.ImportLine
		if err := d.Decode(&l); err != nil {
			return nil, fmt.Errorf("import: %w", err)
		}
		switch {
		case l.Error != nil:
			return nil, fmt.Errorf("import: %w", l.Error)
		case l.Done != nil && (!l.Done.Active || len(l.Done.Rejected) > 0):
			return nil, fmt.Errorf("import: %d rejected", len(l.Done.Rejected))
		case l.Done != nil:
			_, err := io.Copy(io.Discard, r.Body) // so that the connection is used again
			return l.Done, err
		}
	}
}

// A patient is one who holds her own key.
type patient struct {
	wallet *record.Wallet
	slots  *record.SlotMap
	submit record.Submitter
}

func (w *world) claim(ctx context.Context, p tx.Account) (*patient, error) {
	api := w.org["hospital"]
	var code record.ClaimCode
	if err := api.JSON(ctx, "POST", "/v1/patients/"+p.String()+"/claim", struct{}{}, &code); err != nil {
		return nil, err
	}
	head, err := api.Head(ctx)
	if err != nil {
		return nil, err
	}
	cl := client.New(api, head.Chain)
	wallet, err := record.ClaimWallet(ctx, head.Chain, code, func(s ...tx.Signer) record.Submitter { return cl.As(s...) })
	if err != nil {
		return nil, err
	}
	slots, err := wallet.SlotMap()
	return &patient{wallet, slots, cl.As(wallet.Signer())}, err
}

// allow lets the clinic read everything for treatment.
func (w *world) allow(ctx context.Context, p *patient) (consent.GrantID, error) {
	id, err := record.NewGrantID()
	if err != nil {
		return id, err
	}
	var members []governance.Member
	if err := w.org["hospital"].JSON(ctx, "GET", "/v1/members", nil, &members); err != nil {
		return id, err
	}
	for _, m := range members {
		if m.Class == governance.Clinic {
			_, err := record.Grant(ctx, p.submit, p.wallet.Patient, p.slots, id, 0, record.Wish{
				Grantee: consent.Grantee{Kind: consent.OfMember, Account: m.Account}, Purposes: consent.PurposesOf(consent.TREAT), Until: time.Now().Add(time.Hour),
			})
			return id, err
		}
	}
	return id, errors.New("the network has no clinic")
}

func (w *world) open(ctx context.Context, p *patient) (s gateway.SessionInfo, err error) {
	return s, w.org["clinic"].JSON(ctx, "POST", "/v1/sessions", gateway.OpenSession{As: "clinic-doctor", Patient: p.wallet.Patient, Purpose: consent.TREAT, Seconds: 900}, &s)
}

// read opens records of a session; no places means all.
func (w *world) read(ctx context.Context, s gateway.SessionInfo, places ...gateway.RecordPlace) (int, error) {
	var res gateway.ReadResult
	if err := w.org["clinic"].JSON(ctx, "POST", "/v1/sessions/"+s.ID.String()+"/read", gateway.ReadRecords{Records: places}, &res); err != nil {
		return 0, err
	}
	if len(res.Bad) > 0 {
		return 0, errors.New("an honest custodian was blamed")
	}
	for _, r := range res.Records {
		if len(r.Body) == 0 {
			return 0, errors.New("a record came back empty")
		}
	}
	return len(res.Records), nil
}

// measureNetwork measures what needs the whole network, on one network. What fails takes nothing
// else along.
func measureNetwork(ctx context.Context, b *bench) (out []Result, err error) {
	w, err := startWorld(ctx, filepath.Join(b.dir, "network"))
	if err != nil {
		return nil, err
	}
	if err := w.enlist(ctx); err != nil {
		return nil, err
	}
	out, err = w.each(ctx, b, measureImport, measureWrites, measureAccess, measureReceipts, measureWriters, measureReaders)
	select {
	case end := <-w.net.Failed():
		err = errors.Join(err, end)
	default:
	}
	return out, errors.Join(err, w.net.StopAll())
}

// each measures one thing after the other.
func (w *world) each(ctx context.Context, b *bench, fs ...func(context.Context, *bench, *world) ([]Result, error)) (out []Result, err error) {
	for _, f := range fs {
		rs, ferr := f(ctx, b, w)
		out, err = append(out, rs...), errors.Join(err, ferr)
	}
	return out, err
}
