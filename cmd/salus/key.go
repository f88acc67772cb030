package main

import (
	"salus/ledger/module/governance"
)

type keyCmd struct {
	Show keyShow `cmd:"" help:"Public keys of this organisation as the ledger has them."`
}

type keyShow struct{}

func (*keyShow) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var members []governance.Member
	if err := api.JSON(e.ctx, "GET", "/v1/members", nil, &members); err != nil {
		return err
	}
	for _, m := range members {
		if m.Account != c.Member {
			continue
		}
		return e.show(m, "key id from until", func(add func(...any)) {
			for _, k := range m.Keys {
				add(k.Public, k.Public.ID(), k.From, k.Until)
			}
		})
	}
	return usageError{"the ledger does not know this organisation yet: its admission must be voted first"}
}
