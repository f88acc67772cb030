package main

import (
	"bytes"
	"fmt"
	"slices"

	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/reshare"
	"salus/ledger/tx"
)

type committeeCmd struct {
	Status  committeeStatus  `cmd:"" help:"Who the custodians are, and how far a resharing has come."`
	Reshare committeeReshare `cmd:"" help:"Propose to deal the shares of all records again, to the validators of today."`
}

type committeeReshare struct {
	Without []string `help:"Members that are about to leave: account, name or class. Give it once for each."`
}

func (c *committeeReshare) Run(e *env) error {
	a := governance.Reshare{}
	if len(c.Without) > 0 {
		api, err := e.api()
		if err != nil {
			return err
		}
		for _, name := range c.Without {
			m, err := findMember(e, api, name)
			if err != nil {
				return err
			}
			a.Without = append(a.Without, m.Account)
		}
	}
	slices.SortFunc(a.Without, func(x, y tx.Account) int { return bytes.Compare(x[:], y[:]) })
	return propose(e, governance.Action{Reshare: &a})
}

type committeeStatus struct {
	Epoch uint64 `help:"The resharing that made, or makes, this epoch; 0 is the latest."`
}

// committeeView is what the status shows.
type committeeView struct {
	Epoch     committee.Epoch `json:"epoch"`               // in force
	Resharing *reshare.Answer `json:"resharing,omitempty"` // the latest, or the one asked for
}

func (c *committeeStatus) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var out committeeView
	if err := ask(e, api, "committee/epoch", committee.ByEpoch{}, &out.Epoch); err != nil {
		return err
	}
	var r reshare.Answer
	err = ask(e, api, "reshare/status", reshare.ByEpoch{Epoch: c.Epoch}, &r)
	if code, refused := tx.CodeOf(err); refused && code == reshare.ErrUnknown.Code {
		err = nil // there never was one
	} else if err == nil {
		out.Resharing = &r
	}
	if err != nil {
		return err
	}
	return e.show(out, "", func(add func(...any)) {
		add("epoch", out.Epoch.Epoch)
		add("custodians", fmt.Sprintf("%d, %d of them open a record", out.Epoch.N, out.Epoch.T))
		for i, m := range out.Epoch.Members {
			add(fmt.Sprint("custodian ", i+1), m)
		}
		if out.Resharing != nil {
			showResharing(add, out.Resharing)
		}
	})
}

func showResharing(add func(...any), a *reshare.Answer) {
	r := &a.Resharing
	add("resharing", fmt.Sprintf("epoch %d to %d, %s", r.To-1, r.To, r.Phase))
	for i := range r.Passes {
		p := &r.Passes[i]
		root, agreed := p.Agreed()
		add(fmt.Sprint("pass ", i+1), fmt.Sprintf("%d batches, %d of %d dealt (%d needed), %d of %d confirmed (%d needed)", p.Count, len(p.Deals), r.Old, r.OldT, agreed, r.N, r.T))
		if root != (tx.Hash{}) {
			add("root", root)
		}
		for _, f := range p.Faults {
			why := "a wrong dealing"
			if f.By == 0 {
				why = "handed nothing over"
			}
			add("left out", fmt.Sprintf("%v: %s", a.Old.Members[f.Dealer-1], why))
		}
	}
	if r.Phase == reshare.Done {
		add("destroyed", fmt.Sprintf("%d of %d have destroyed the shares of epoch %d", r.Wiped(), r.Old, r.To-1))
	}
}
