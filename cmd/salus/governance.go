package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"time"

	"salus/client"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

type governanceCmd struct {
	Members governanceMembers `cmd:"" help:"The organisations of the network."`
	Params  governanceParams  `cmd:"" help:"The parameters in force, or propose others."`
	Admit   governanceAdmit   `cmd:"" help:"Propose to admit the organisation whose node wrote an application."`
	Remove  governanceRemove  `cmd:"" help:"Propose to remove an organisation."`
	List    governanceList    `cmd:"" help:"Proposals that wait for votes."`
	Vote    governanceVote    `cmd:"" help:"Approve or reject a proposal. A vote is final."`

	Upgrade   governanceUpgrade   `cmd:"" help:"Propose the block from which the next rules hold."`
	Cancel    governanceCancel    `cmd:"" help:"Propose to take back the upgrade that waits."`
	Validator governanceValidator `cmd:"" help:"Propose another consensus key for an organisation, or none."`
	Disaster  governanceDisaster  `cmd:"" help:"Propose a disaster with many casualties: emergencies without a quota, for a time."`
}

type governanceMembers struct{}

func (*governanceMembers) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var members []governance.Member
	if err := api.JSON(e.ctx, "GET", "/v1/members", nil, &members); err != nil {
		return err
	}
	return e.show(members, "account class standing address name", func(add func(...any)) {
		for _, m := range members {
			standing := "active"
			if !m.Active {
				standing = "removed"
			}
			if m.Active && len(m.Validator) > 0 {
				standing = "validator"
			}
			add(m.Account, m.Class, standing, m.Address, m.Name)
		}
	})
}

type governanceParams struct {
	Set string `help:"JSON file with the parameters to propose, e.g. {\"sessionMax\": 3600}." type:"existingfile"`
}

func (c *governanceParams) Run(e *env) error {
	if c.Set != "" {
		var changes governance.Changes
		if err := readJSON(c.Set, &changes); err != nil {
			return err
		}
		return propose(e, governance.Action{SetParams: &changes})
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var p governance.Params
	if err := ask(e, api, "governance/params", nil, &p); err != nil {
		return err
	}
	return e.show(p, "", func(add func(...any)) {
		for i, v := range reflect.ValueOf(p).Fields() {
			add(i.Tag.Get("json"), v.Interface())
		}
	})
}

type governanceAdmit struct {
	Application string `arg:"" help:"application.json, as 'salus node init' writes it." type:"existingfile"`
}

func (c *governanceAdmit) Run(e *env) error {
	var a governance.Admit
	if err := readJSON(c.Application, &a); err != nil {
		return err
	}
	return propose(e, governance.Action{Admit: &a})
}

type governanceRemove struct {
	Member string `arg:"" help:"Account, name or class of the organisation."`
}

func (c *governanceRemove) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	m, err := findMember(e, api, c.Member)
	if err != nil {
		return err
	}
	return propose(e, governance.Action{Remove: &governance.Remove{Account: m.Account}})
}

// propose sends an action; the id of its transaction is the proposal's.
func propose(e *env, a governance.Action) error {
	msg := &governance.Propose{Action: a}
	if err := msg.Validate(); err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var got client.Committed
	if err := api.JSON(e.ctx, "POST", "/v1/submit/"+string(governance.KindPropose), msg, &got); err != nil {
		return err
	}
	return e.show(got, "", func(add func(...any)) { add("proposal", got.ID); add("block", got.Height) })
}

type governanceList struct{}

func (*governanceList) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var l governance.ProposalList
	if err := ask(e, api, "governance/proposals", nil, &l); err != nil {
		return err
	}
	return e.show(l.Proposals, "proposal action approvals rejections until", func(add func(...any)) {
		for _, p := range l.Proposals {
			add(p.ID, actionText(p.Action), len(p.Approvals), len(p.Rejections), when(p.Deadline))
		}
	})
}

func actionText(a governance.Action) string {
	switch {
	case a.Admit != nil:
		return "admit " + a.Admit.Account.String()
	case a.Remove != nil:
		return "remove " + a.Remove.Account.String()
	case a.SetParams != nil:
		return "set parameters"
	case a.Erase != nil:
		return "erase " + scopeOf(a.Erase.Batch, a.Erase.Leaf).String()
	case a.Hold != nil && a.Hold.Lift:
		return "lift a legal hold"
	case a.Hold != nil:
		return "legal hold"
	case a.SetValidator != nil:
		return "set validator of " + a.SetValidator.Account.String()
	case a.Disaster != nil:
		return "disaster for " + (time.Duration(a.Disaster.Seconds) * time.Second).String()
	}
	return operationText(a)
}

type governanceVote struct {
	Proposal string `arg:"" help:"Id of the proposal."`
	Approve  bool   `help:"Vote for it." xor:"vote" required:""`
	Reject   bool   `help:"Vote against it." xor:"vote" required:""`
}

func (c *governanceVote) Run(e *env) error {
	id, err := tx.ParseHash(c.Proposal)
	if err != nil {
		return usageError{"a proposal's id is 64 hex digits, as `salus governance list` prints it"}
	}
	return submit(e, governance.KindVote, &governance.Vote{Proposal: id, Approve: c.Approve})
}

// readJSON reads a file strictly.
func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return usageError{err.Error()}
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return usageError{fmt.Sprintf("%s: %v", path, err)}
	}
	return nil
}
