package main

import (
	"encoding/hex"
	"errors"
	"fmt"

	"salus/client"
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/node"
)

type governanceUpgrade struct {
	Version uint64 `arg:"" help:"State-machine version: the present one plus 1."`
	Height  uint64 `help:"First block of the new rules." xor:"when" required:""`
	In      uint64 `help:"The same, as blocks from now." xor:"when" required:""`
	Name    string `help:"Name of the release, for people." required:""`
	Digest  string `help:"SHA-256 of the release or its notes, in hex." required:""`
}

func (c *governanceUpgrade) Run(e *env) error {
	digest, err := tx.ParseHash(c.Digest)
	if err != nil {
		return usageError{"a digest is 64 hex digits, as sha256sum prints them"}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	height := c.Height
	if height == 0 {
		head, err := api.Head(e.ctx)
		if err != nil {
			return err
		}
		height = uint64(head.Height) + c.In
	}
	return propose(e, governance.Action{Upgrade: &governance.Upgrade{Version: c.Version, Height: height, Name: c.Name, Digest: digest}})
}

type governanceCancel struct{}

func (*governanceCancel) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	p, ok, err := planned(e, api)
	if err != nil {
		return err
	}
	if !ok {
		return governance.ErrNoPlan
	}
	return propose(e, governance.Action{CancelUpgrade: &governance.CancelUpgrade{Proposal: p.Proposal}})
}

type governanceValidator struct {
	Member string `arg:"" help:"Account, name or class of the organisation."`
	Key    string `help:"Its new consensus key, 64 hex digits." xor:"key" required:""`
	None   bool   `help:"It votes no more in consensus." xor:"key" required:""`
}

func (c *governanceValidator) Run(e *env) error {
	key, err := hex.DecodeString(c.Key)
	if err != nil || len(key) != 32 && !c.None {
		return usageError{"a consensus key is 64 hex digits, as `salus key show -o json` and `salus node rotate-validator` print it"}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	m, err := findMember(e, api, c.Member)
	if err != nil {
		return err
	}
	return propose(e, governance.Action{SetValidator: &governance.SetValidator{Account: m.Account, Validator: key}})
}

// planned asks for the upgrade that waits.
func planned(e *env, api *client.API) (governance.Planned, bool, error) {
	var p governance.Planned
	err := ask(e, api, "governance/plan", nil, &p)
	if errors.Is(err, governance.ErrNoPlan) {
		return p, false, nil
	}
	return p, err == nil, err
}

// plannedHere asks the node of the home, or looks into the home if no node runs there.
func plannedHere(e *env) (p governance.Planned, height int64, ok bool, err error) {
	api, err := e.api()
	if err != nil {
		return p, 0, false, err
	}
	head, err := api.Head(e.ctx)
	if errors.Is(err, client.ErrUnreachable) {
		c, err := e.config()
		if err != nil {
			return p, 0, false, err
		}
		return node.Plan(c)
	}
	if err != nil {
		return p, 0, false, err
	}
	p, ok, err = planned(e, api)
	return p, head.Height, ok, err
}

func operationText(a governance.Action) string {
	switch {
	case a.Upgrade != nil:
		return fmt.Sprintf("upgrade to version %d at block %d (%s)", a.Upgrade.Version, a.Upgrade.Height, a.Upgrade.Name)
	case a.CancelUpgrade != nil:
		return "cancel upgrade " + a.CancelUpgrade.Proposal.String()
	}
	return "unknown"
}

type nodeUpgradeInfo struct{}

// upgradeInfo is what an operator must know before the block of an upgrade.
type upgradeInfo struct {
	Knows  uint64              `json:"knows"` // newest version of this program
	Height int64               `json:"height"`
	Plan   *governance.Planned `json:"plan,omitempty"`
	Ready  bool                `json:"ready"` // this program can go on
}

func (*nodeUpgradeInfo) Run(e *env) error {
	p, height, ok, err := plannedHere(e)
	if err != nil {
		return err
	}
	info := upgradeInfo{Knows: ledger.Version, Height: height, Ready: true}
	if ok {
		info.Plan, info.Ready = &p, p.Upgrade.Version <= ledger.Version
	}
	return e.show(info, "", func(add func(...any)) {
		add("this program knows", fmt.Sprintf("version %d", info.Knows))
		add("last block", info.Height)
		if info.Plan == nil {
			add("upgrade", "none is planned")
			return
		}
		u := p.Upgrade
		add("upgrade", fmt.Sprintf("version %d at block %d, in %d blocks", u.Version, u.Height, int64(u.Height)-info.Height))
		add("release", u.Name)
		add("digest", u.Digest)
		add("decided by", p.Proposal)
		if info.Ready {
			add("this program", "goes on")
		} else {
			add("this program", "stops before that block with exit code 4: install the release")
		}
	})
}
