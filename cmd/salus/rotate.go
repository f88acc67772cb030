package main

import (
	"fmt"

	"salus/client"
	"salus/gateway"
	"salus/ledger/module/governance"
	"salus/node"
)

type nodeRotateValidator struct{}

func (*nodeRotateValidator) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var s gateway.Status
	if err := api.JSON(e.ctx, "GET", "/v1/status", nil, &s); err != nil {
		return err
	}
	m, err := findMember(e, api, c.Member.String())
	if err != nil {
		return err
	}
	msg, err := node.Handover(c, s.Chain, m)
	if err != nil {
		return err
	}
	var got client.Committed
	if err := api.JSON(e.ctx, "POST", "/v1/submit/"+string(governance.KindValidator), msg, &got); err != nil {
		return err
	}
	e.say("From block %d on the node votes with its new key; then it destroys the old one.", got.Height+2)
	return e.show(got, "", func(add func(...any)) {
		add("key", fmt.Sprintf("%x", msg.Validator))
		add("transaction", got.ID)
		add("block", got.Height)
	})
}
