package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"salus/config"
	"salus/gateway"
	"salus/internal/places"
	"salus/node"
)

type nodeCmd struct {
	Init    nodeInit    `cmd:"" help:"Write a home for a new member's node and print what the members vote on."`
	Start   nodeStart   `cmd:"" help:"Run the node until interrupted."`
	Status  nodeStatus  `cmd:"" help:"Show the node's view of the network."`
	Genesis nodeGenesis `cmd:"" help:"Print the fingerprint of the network's genesis, for paper: portals show the same."`
	Fsck    nodeFsck    `cmd:"" help:"Verify everything the stopped node keeps on disk."`
	Rebuild nodeRebuild `cmd:"" help:"Make the stopped node's indexes again from what they index."`

	RotateValidator nodeRotateValidator `cmd:"" help:"Replace this organisation's consensus key by a new one, without a vote."`
	Join            nodeJoin            `cmd:"" help:"Set the stopped, empty node up to join by snapshot (state sync)."`
	UpgradeInfo     nodeUpgradeInfo     `cmd:"" help:"Show the upgrade that is planned, and whether this program goes on."`
}

type nodeInit struct {
	Name    string `arg:"" help:"Short name: letters, digits and dashes."`
	Title   string `help:"Full name, for people." required:""`
	Class   string `help:"hospital, clinic, lab, insurer, pharmacy, manufacturer, distributor, research or regulator." required:""`
	Genesis string `help:"The network's genesis file." required:"" type:"existingfile"`
	Peers   string `help:"Other nodes, as <node id>@host:port, separated by commas."`
	Listen  string `help:"host:port for consensus; the next ports serve RPC, members and the gateway." default:"127.0.0.1:26656"`
}

func (c *nodeInit) Run(e *env) error {
	if _, err := os.Stat(filepath.Join(e.home, config.FileName)); err == nil {
		return usageError{"there is a node in that home already"}
	}
	application := filepath.Join(e.home, "application.json")
	admit, err := node.Init(node.InitOptions{Home: e.home, Name: c.Name, Title: c.Title, Class: c.Class, Genesis: c.Genesis, Peers: c.Peers, Listen: c.Listen})
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(admit, "", "  ")
	if err == nil {
		err = os.WriteFile(application, append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("application: %w", err)
	}
	e.say("Home written to %s. The members vote on its application:\nsend %s to one of them, who proposes it with `salus governance admit`.\n", e.home, application)
	return e.show(admit, "", func(add func(...any)) {
		add("account", admit.Account)
		add("name", admit.Name)
		add("class", admit.Class)
		add("validator", fmt.Sprintf("%x", admit.Validator))
		add("peer", fmt.Sprintf("%x", admit.Peer))
		add("address", admit.Address)
		add("key", admit.Keys[0])
	})
}

type nodeJoin struct {
	Servers []string `arg:"" help:"RPC addresses of two members or more, e.g. http://10.0.0.5:26657."`
	Height  int64    `help:"Height of the header to trust; one of just now without it."`
	Hash    string   `help:"Its hash in hex, from a member by another way: refused if the servers name another one."`
}

func (c *nodeJoin) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	if err := node.Join(e.ctx, cfg, c.Servers, c.Height, c.Hash); err != nil {
		return err
	}
	s := cfg.Ledger.StateSync
	e.say("All servers name this header. Compare it with a member by another way before you start the node.")
	return e.show(s, "", func(add func(...any)) { add("height", s.TrustHeight); add("hash", s.TrustHash) })
}

type nodeStart struct{}

func (*nodeStart) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	places.Use()
	n, err := node.New(e.ctx, c, e.logger(c.LogLevel))
	if err != nil {
		return err
	}
	e.say("%s: gateway http://%s, members %s, consensus %s. Ctrl-C stops it.", c.Name, c.Gateway.Listen, c.Peer.Listen, c.Ledger.Listen)
	return n.Run(e.ctx)
}

type nodeStatus struct{}

func (*nodeStatus) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var s gateway.Status
	if err := api.JSON(e.ctx, "GET", "/v1/status", nil, &s); err != nil {
		return err
	}
	return e.show(s, "", func(add func(...any)) {
		add("node", s.Name)
		add("account", s.Account)
		add("chain", s.Chain)
		add("height", s.Height)
		add("block time", when(s.Time))
		add("app hash", s.AppHash)
		add("ready", readiness(s))
		if s.NoQuorum > 0 {
			add("no quorum", "since "+when(s.NoQuorum)+": own records can be read and written; nothing is shared, asked or decided")
		}
		add("outbox", fmt.Sprintf("%d batches on their way, %d records in none yet", s.Outbox, s.Stored))
	})
}

func readiness(s gateway.Status) string {
	if s.Ready {
		return "yes"
	}
	return "no: " + s.Why
}

type nodeFsck struct{}

func (*nodeFsck) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	start := time.Now()
	rep, err := node.Check(e.ctx, c, e.logger("warn"), progress(e))
	if err != nil {
		return err
	}
	if serr := e.show(rep, "part state detail", func(add func(...any)) {
		for _, p := range rep.Parts {
			if p.Damage != "" {
				add(p.Name, "DAMAGED", strings.TrimSuffix(p.Damage+"; "+p.Detail, "; "))
				continue
			}
			add(p.Name, "clean", p.Detail)
		}
	}); serr != nil {
		return serr
	}
	if !rep.Clean() {
		return errors.New("the node's stores are damaged; `salus vault repair` and `salus node rebuild` mend what can be mended")
	}
	e.say("clean, in %s", time.Since(start).Round(time.Millisecond))
	return nil
}

func progress(e *env) func(string) {
	if e.json {
		return func(string) {}
	}
	return func(s string) { fmt.Fprintln(e.err, s) }
}

type nodeRebuild struct{}

func (*nodeRebuild) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	rep, err := node.Rebuild(e.ctx, c, e.logger("warn"))
	if err != nil {
		return err
	}
	return e.show(rep, "", func(add func(...any)) {
		add("vault", fmt.Sprintf("%d packs indexed", rep.Packs))
		add("custody", fmt.Sprintf("%d batches indexed", rep.Batches))
		add("record", fmt.Sprintf("%d records indexed", rep.Records))
		add("fhir", fmt.Sprintf("%d versions written again, %d of them in no record yet", rep.Versions, rep.Unrecorded))
		if rep.Unread {
			add("", "the clinical store could not be read: what it had that was in no record yet is lost")
		}
	})
}
