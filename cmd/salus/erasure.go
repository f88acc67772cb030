package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/internal/devnet"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/node"
)

// erasureCmd is about records that cease to be (docs/erasure.md).
type erasureCmd struct {
	Request     erasureRequest     `cmd:"" help:"As a patient, ask that a record, a batch or all of yours be erased."`
	Order       erasureOrder       `cmd:"" help:"Propose that the members order an erasure."`
	Hold        erasureHold        `cmd:"" help:"Propose a legal hold: nothing of its target is erased while it stands."`
	Release     erasureRelease     `cmd:"" help:"Propose to lift a legal hold."`
	Holds       erasureHolds       `cmd:"" help:"The legal holds that stand."`
	Status      erasureStatus      `cmd:"" help:"Where a case stands, and who is missing."`
	Certificate erasureCertificate `cmd:"" help:"Write a receipt of a case that a stranger verifies offline."`
	Recipients  erasureRecipients  `cmd:"" help:"Who took records of the patient out before the erasure and is to be told of it (GDPR Art. 19)."`
	Probe       erasureProbe       `cmd:"" help:"Try every path to what a case erased, on nodes of this machine; fails if anything is found."`
}

// target names what is to be erased.
type target struct {
	Record string `help:"Id of one record in this organisation's store." xor:"target"`
	Index  bool   `help:"With --record: not the record but the line that tells of its type, date, title and code, with those of its batch's others that the same readers see. Ask before the record is erased."`
	Batch  string `help:"Header hash of a batch." xor:"target"`
	All    bool   `help:"All that is kept under the pseudonym, for ever." xor:"target"`
}

// find returns the batch and the leaf that are meant; both are zero for all.
func (t *target) find(e *env) (batch, leaf tx.Hash, err error) {
	switch {
	case t.Index && t.Record == "":
		return batch, leaf, usageError{"--index goes with --record"}
	case t.Record != "":
		api, err := e.api()
		if err != nil {
			return batch, leaf, err
		}
		var at gateway.Place
		if err = api.JSON(e.ctx, "GET", "/v1/records/"+t.Record+"/place", nil, &at); err != nil {
			return batch, leaf, err
		}
		switch {
		case !t.Index && !at.Index.IsZero():
			e.say("A line that tells of its type, date, title and code stays: the same with --index, before this is carried out, erases that too.")
		case t.Index && at.Index.IsZero():
			return batch, leaf, usageError{"no line tells of that record any more"}
		case t.Index:
			at.Leaf = at.Index
		}
		return at.Batch, at.Leaf, nil
	case t.Batch != "":
		if batch, err = tx.ParseHash(t.Batch); err != nil {
			err = usageError{"a batch is named by the 64 hex digits of its header's hash"}
		}
		return batch, leaf, err
	case !t.All:
		return batch, leaf, usageError{"say what: --record, --batch or --all"}
	}
	return batch, leaf, nil
}

type erasureRequest struct {
	target
	Wallet string `help:"The patient's wallet." required:"" type:"existingfile"`
}

func (c *erasureRequest) Run(e *env) error {
	batch, leaf, err := c.find(e)
	if err != nil {
		return err
	}
	w, _, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	m := &erasure.Request{Patient: w.Patient, Scope: scopeOf(batch, leaf), Batch: batch, Leaf: leaf}
	got, err := by.Submit(e.ctx, erasure.KindRequest, m)
	if err != nil {
		return err
	}
	return e.opened(got)
}

func scopeOf(batch, leaf tx.Hash) erasure.Scope {
	switch {
	case !leaf.IsZero():
		return erasure.Record
	case !batch.IsZero():
		return erasure.Batch
	}
	return erasure.Patient
}

func (e *env) opened(got client.Committed) error {
	if err := e.show(got, "", func(add func(...any)) { add("case", got.ID); add("block", got.Height) }); err != nil {
		return err
	}
	e.say("Custodians look whether anything stands against it: salus erasure status %s", got.ID)
	return nil
}

type erasureOrder struct {
	target
	statement
	Patient string `help:"Pseudonym, with --all."`
}

func (c *erasureOrder) Run(e *env) error {
	m := &governance.Erase{}
	var err error
	if m.Batch, m.Leaf, err = c.find(e); err != nil {
		return err
	}
	if c.All {
		if m.Patient, err = account(c.Patient); err != nil {
			return err
		}
	}
	if m.Ground, err = c.commit(); err != nil {
		return err
	}
	return propose(e, governance.Action{Erase: m})
}

// matter names a legal hold.
type matter struct {
	statement
	Patient string `help:"Pseudonym that is held." xor:"held"`
	Batch   string `help:"Header hash of the batch that is held." xor:"held"`
}

// propose proposes to set the hold, or to lift it.
func (m *matter) propose(e *env, lift bool) error {
	h := &governance.Hold{Lift: lift}
	var err error
	if m.Patient != "" {
		h.Patient, err = account(m.Patient)
	} else if h.Batch, err = tx.ParseHash(m.Batch); err != nil {
		err = usageError{"say what: --patient or --batch with the 64 hex digits of its header's hash"}
	}
	if err == nil {
		h.Matter, err = m.commit()
	}
	if err != nil {
		return err
	}
	return propose(e, governance.Action{Hold: h})
}

type erasureHold struct{ matter }

func (c *erasureHold) Run(e *env) error { return c.propose(e, false) }

type erasureRelease struct{ matter }

func (c *erasureRelease) Run(e *env) error { return c.propose(e, true) }

type erasureHolds struct{}

func (*erasureHolds) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var l erasure.HoldList
	if err := ask(e, api, "erasure/holds", nil, &l); err != nil {
		return err
	}
	return e.show(l.Holds, "held matter since", func(add func(...any)) {
		for _, h := range l.Holds {
			held := h.Patient.String()
			if h.Patient.IsZero() {
				held = h.Batch.String()
			}
			add(held, h.Matter, when(h.Since))
		}
	})
}

// erasureCase names a case.
type erasureCase struct {
	Case string `arg:"" help:"Id of the case: of the request's transaction, or of the proposal."`
}

func (c *erasureCase) id() (tx.Hash, error) {
	id, err := tx.ParseHash(c.Case)
	if err != nil {
		return id, usageError{"a case is named by 64 hex digits"}
	}
	return id, nil
}

type erasureStatus struct {
	erasureCase
	Wait time.Duration `help:"Wait this long until it is done or refused."`
}

func (c *erasureStatus) Run(e *env) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e.ctx, c.Wait)
	defer cancel()
	var found erasure.Case
	for {
		if err := ask(e, api, "erasure/case", erasure.ByCase{Case: id}, &found); err != nil {
			return err
		}
		if !found.Open() || !pause(ctx, 200*time.Millisecond) {
			break
		}
	}
	out := struct {
		erasure.Case
		Missing []tx.Account `json:"missing"`
	}{Case: found}
	if found.Stands() {
		var cert erasure.Certificate
		if err := ask(e, api, "erasure/certificate", erasure.ByCase{Case: id}, &cert); err != nil {
			return err
		}
		out.Missing = cert.Missing
	}
	return e.show(out, "", func(add func(...any)) {
		add("status", found.Status)
		add("scope", found.Scope)
		if found.Code != 0 {
			add("refused", fmt.Sprintf("%#04x %s", found.Code, refusalText(found.Code)))
		}
		if found.Stands() {
			add("tombstone", fmt.Sprintf("block %d, %s", found.Height, when(found.Time)))
			add("destroyed keys", found.Destroyed())
			for i := range found.Others {
				o := &found.Others[i]
				add("of epoch "+fmt.Sprint(o.Epoch), fmt.Sprintf("%d of %d, %d certify", o.Destroyed(), o.N, o.T))
			}
		}
		for _, m := range out.Missing {
			add("missing", m)
		}
	})
}

func refusalText(code uint32) string {
	for _, c := range erasure.Codes() {
		if c.Code == code {
			return strings.TrimPrefix(c.Text, "erasure: ")
		}
	}
	return ""
}

// pause waits; false means that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

type erasureCertificate struct {
	erasureCase
	Out string `help:"File to write." required:"" type:"path"`
}

func (c *erasureCertificate) Run(e *env) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	return e.saveReceipt("/v1/erasure/"+id.String()+"/receipt", c.Out)
}

type erasureProbe struct {
	erasureCase
	Network string `help:"Folder of a network on this machine: probe each of its nodes." type:"existingdir"`
}

func (c *erasureProbe) Run(e *env) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	homes := []string{e.home}
	if c.Network != "" {
		m, err := devnet.LoadManifest(c.Network)
		if err != nil {
			return err
		}
		homes = homes[:0]
		for _, org := range m.Orgs {
			homes = append(homes, devnet.Home(c.Network, org))
		}
	}
	all, clean := map[string]node.Probe{}, true
	for _, home := range homes {
		api, err := devnet.API(home)
		if err != nil {
			return err
		}
		var p node.Probe
		if err := api.JSON(e.ctx, "POST", "/v1/erasure/"+id.String()+"/probe", nil, &p); err != nil {
			return err
		}
		all[filepath.Base(home)], clean = p, clean && p.Clean()
	}
	if err := e.show(all, "node tried shares blobs records store", func(add func(...any)) {
		for _, home := range homes {
			p := all[filepath.Base(home)]
			add(filepath.Base(home), p.Tried, p.Shares, p.Blobs, p.Records, p.Store)
		}
	}); err != nil {
		return err
	}
	if !clean {
		return errFound
	}
	return nil
}

var errFound = tx.Refuse(0x2601, "erasure: a node can still read what was erased")

// caseText is the claim of a receipt of a case.
func caseText(value []byte) string {
	var c erasure.Case
	if tx.Decode(value, &c) != nil {
		return "the state has this row"
	}
	if !c.Stands() {
		return fmt.Sprintf("erasure %s: %s", short(c.ID), c.Status)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "erasure of a %s, case %s: %s; %d custodians destroyed their keys, tombstone in block %d", c.Scope, short(c.ID), c.Status, c.Destroyed(), c.Height)
	for i := range c.Others {
		o := &c.Others[i]
		fmt.Fprintf(&text, "; of epoch %d, prepared in block %d, %d of %d", o.Epoch, o.Start, o.Destroyed(), o.N)
	}
	for i, m := range c.Unsigned {
		if i == 0 {
			text.WriteString("; members that were removed and did not sign for all they had:")
		}
		text.WriteString(" " + m.String())
	}
	return text.String()
}
