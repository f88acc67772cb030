package main

import (
	"salus/gateway"
	"salus/ledger/module/merge"
	"salus/ledger/tx"
)

// mergeCmd is about two pseudonyms of one patient (docs/finding-a-patient.md).
type mergeCmd struct {
	Propose mergePropose `cmd:"" help:"Say that two pseudonyms are one patient."`
	Accept  mergeAccept  `cmd:"" help:"Approve it as a second person, of the other steward if there are two."`
	Undo    mergeUndo    `cmd:"" help:"Take a merge or a proposal back."`
	Status  mergeStatus  `cmd:"" help:"Show with which pseudonyms one is merged, and what is proposed."`
}

type mergePropose struct {
	statement
	Stays string `arg:"" help:"Pseudonym to be used from now on."`
	Goes  string `arg:"" help:"Pseudonym that it replaces."`
	As    string `help:"Name of the practitioner's key." required:""`
}

func (c *mergePropose) Run(e *env) error {
	m := &merge.Propose{}
	var err error
	if m.Stays, err = account(c.Stays); err != nil {
		return err
	}
	if m.Goes, err = account(c.Goes); err != nil {
		return err
	}
	if m.Stays == m.Goes {
		return usageError{"name two pseudonyms"}
	}
	if m.Basis, err = c.commit(); err != nil {
		return err
	}
	return e.submitAs(c.As, merge.KindPropose, m)
}

type mergeAccept struct {
	Case string `arg:"" help:"Id of the case, as 'salus merge status' shows it."`
	As   string `help:"Name of the practitioner's key." required:""`
}

func (c *mergeAccept) Run(e *env) error {
	id, err := tx.ParseHash(c.Case)
	if err != nil {
		return usageError{"a case is 64 hex digits"}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var out gateway.MergeSlots
	if err := api.JSON(e.ctx, "POST", "/v1/merges/"+id.String()+"/slots", struct{}{}, &out); err != nil {
		return err
	}
	return e.submitAs(c.As, merge.KindApprove, &merge.Approve{Case: id, Slots: out.Slots})
}

type mergeUndo struct {
	Case   string `arg:"" help:"Id of the case, as 'salus merge status' shows it."`
	As     string `help:"Name of the practitioner's key." xor:"who" required:""`
	Wallet string `help:"The patient's wallet, of either pseudonym." xor:"who" required:"" type:"existingfile"`
}

func (c *mergeUndo) Run(e *env) error {
	id, err := tx.ParseHash(c.Case)
	if err != nil {
		return usageError{"a case is 64 hex digits"}
	}
	m := &merge.End{Case: id}
	if c.Wallet == "" {
		return e.submitAs(c.As, merge.KindEnd, m)
	}
	_, _, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	got, err := by.Submit(e.ctx, merge.KindEnd, m)
	if err != nil {
		return err
	}
	return e.committed(got)
}

type mergeStatus struct {
	Patient string `arg:"" help:"Pseudonym."`
}

func (c *mergeStatus) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var out merge.Open
	if err := ask(e, api, "merge/cases", merge.ByPatient{Patient: a}, &out); err != nil {
		return err
	}
	return e.show(out, "case standing stays goes", func(add func(...any)) {
		for _, x := range out.Cases {
			add(x.ID, []string{"-", "proposed", "merged", "ended"}[min(int(x.Standing), 3)], x.Stays, x.Goes)
		}
	})
}
