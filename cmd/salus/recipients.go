package main

import (
	"cmp"
	"slices"

	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// erasureRecipients is the list of GDPR Art. 19: to whom what is erased was disclosed.
type erasureRecipients struct {
	erasureCase
	Patient string `help:"Pseudonym, for an order against a batch or record: the ledger does not say whose that was."`
}

// A recipient is a member that took records of a patient out, for one purpose. The ledger shows how many and when, and not which:
// so of a record or a batch these are all who may have it.
type recipient struct {
	Member  tx.Account `json:"member"`
	Name    string     `json:"name"`
	Purpose string     `json:"purpose"`
	Times   int        `json:"times"`   // record lists that were committed to
	Records uint64     `json:"records"` // in all of them
	First   uint64     `json:"first"`   // unix seconds
	Last    uint64     `json:"last"`
}

func (c *erasureRecipients) Run(e *env) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var found erasure.Case
	if err := ask(e, api, "erasure/case", erasure.ByCase{Case: id}, &found); err != nil {
		return err
	}
	if !found.Stands() {
		return erasure.ErrStatus
	}
	patient := found.Patient
	if patient.IsZero() {
		if c.Patient == "" {
			return usageError{"the ledger does not say whose it was: --patient"}
		}
		if patient, err = account(c.Patient); err != nil {
			return err
		}
	}
	var l accessLog
	if err := api.JSON(e.ctx, "GET", "/v1/patients/"+patient.String()+"/log", nil, &l); err != nil {
		return err
	}
	var members []governance.Member
	if err := api.JSON(e.ctx, "GET", "/v1/members", nil, &members); err != nil {
		return err
	}
	list := recipientsOf(l.Entries, members, found.Time)
	if err := e.show(list, "who purpose times records first last", func(add func(...any)) {
		for _, r := range list {
			add(r.Name, r.Purpose, r.Times, r.Records, when(r.First), when(r.Last))
		}
	}); err != nil {
		return err
	}
	e.say("%d to be told, by a complete log of %d entries", len(list), l.Position.Seq)
	return nil
}

// recipientsOf gathers who committed to fetching records of a patient, up to a time. What she read herself is no disclosure.
func recipientsOf(log []audit.Link, members []governance.Member, until uint64) []recipient {
	out := []recipient{}
	for _, x := range log {
		r := x.Record
		// A session may be opened with its first list.
		took := r.Action == audit.FetchCommitted || r.Action == audit.SessionOpened && r.Count > 0 && r.Mask != 0
		if !took || x.Time > until || r.Actor == r.Patient {
			continue
		}
		purpose := consent.Purpose(r.Purpose).String()
		i := slices.IndexFunc(out, func(o recipient) bool { return o.Member == r.Member && o.Purpose == purpose })
		if i < 0 {
			i, out = len(out), append(out, recipient{Member: r.Member, Name: nameOf(r.Member, members), Purpose: purpose, First: x.Time})
		}
		out[i].Times, out[i].Records, out[i].Last = out[i].Times+1, out[i].Records+uint64(r.Count), x.Time
	}
	slices.SortStableFunc(out, func(a, b recipient) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
