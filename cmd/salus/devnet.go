package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"salus/internal/devnet"
	"salus/internal/places"
)

type devnetCmd struct {
	Init   devnetInit   `cmd:"" help:"Write the homes of four organisations."`
	Up     devnetUp     `cmd:"" help:"Start all four in this process, with sample patients, until interrupted."`
	Demo   devnetDemo   `cmd:"" help:"Tell the life of a record step by step on a fresh or running network."`
	Status devnetStatus `cmd:"" help:"Show every organisation's view."`
}

// network is where the sample network lives.
type network struct {
	Dir  string `help:"Directory of the sample network." default:".salus" type:"path"`
	Port int    `help:"First port of a fresh network; it uses forty." default:"27600"`
}

func (n *network) init() (*devnet.Manifest, error) {
	return devnet.Init(n.Dir, devnet.Options{Port: n.Port})
}

type devnetInit struct {
	network `embed:""`
	Params  string `help:"JSON file with genesis parameters other than the defaults, e.g. {\"snapshotInterval\": 1000}." type:"existingfile"`
}

func (c *devnetInit) Run(e *env) error {
	o := devnet.Options{Port: c.Port}
	if c.Params != "" {
		if err := readJSON(c.Params, &o.Params); err != nil {
			return err
		}
	}
	m, err := devnet.Init(c.Dir, o)
	if err != nil {
		return err
	}
	return e.show(m, "organisation home", func(add func(...any)) {
		for _, o := range m.Orgs {
			add(o, devnet.Home(c.Dir, o))
		}
	})
}

type devnetUp struct {
	network  `embed:""`
	Patients int  `help:"Sample patients to import at the hospital; 0 for none." default:"6"`
	Once     bool `help:"Stop as soon as everything is ready (for tests)." hidden:""`
}

func (c *devnetUp) Run(e *env) error {
	start := time.Now()
	if _, err := c.init(); err != nil {
		return err
	}
	places.Use()
	n, err := devnet.Open(c.Dir, e.logger("warn"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	e.say("Starting four organisations ...")
	if err := n.StartAll(ctx); err != nil {
		return errors.Join(err, n.StopAll())
	}
	control := make(chan error, 1)
	go func() { control <- n.Control(ctx) }()
	err = c.serve(ctx, e, n, start)
	cancel()
	e.say("\nStopping ...")
	return errors.Join(err, <-control, n.StopAll())
}

func (c *devnetUp) serve(ctx context.Context, e *env, n *devnet.Network, start time.Time) error {
	if err := bootstrap(ctx, e, c.Dir, c.Patients); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	e.say("Ready after %.1f s.\n", time.Since(start).Seconds())
	if err := printPlaces(e, c.Dir, n.Orgs()); err != nil {
		return err
	}
	if c.Once {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.Failed():
		return err
	}
}

func printPlaces(e *env, dir string, orgs []string) error {
	e.say("Homes, wallets and ports on this machine:")
	err := e.show(orgs, "organisation portal gateway members consensus home", func(add func(...any)) {
		for _, o := range orgs {
			cfg, err := devnet.LoadConfig(dir, o)
			if err != nil {
				add(o, err)
				continue
			}
			add(o, cfg.PortalOrigin(), "http://"+cfg.Gateway.Listen, cfg.Peer.Listen, cfg.Ledger.Listen, cfg.Home)
		}
	})
	if len(orgs) > 0 {
		if cfg, err := devnet.LoadConfig(dir, orgs[0]); err == nil {
			if f, err := fingerprint(cfg.GenesisFile()); err == nil {
				e.say("\nFingerprint of this network, as its portals show it: %s", f)
			}
		}
	}
	e.say("\nWallets of the sample patients: %s", devnet.WalletDir(dir))
	e.say("Next, in another terminal: `make demo`, or `bin/salus devnet status`. Ctrl-C stops the network; `make run` starts it again with everything it had.")
	return err
}

type devnetStatus struct {
	network `embed:""`
}

func (c *devnetStatus) Run(e *env) error {
	m, err := devnet.LoadManifest(c.Dir)
	if err != nil {
		return err
	}
	type line struct {
		Org, State string
		Height     int64
	}
	var lines []line
	for _, o := range m.Orgs {
		s, err := statusOf(e.ctx, devnet.Home(c.Dir, o))
		if err != nil {
			lines = append(lines, line{o, "unreachable", 0})
			continue
		}
		lines = append(lines, line{o, readiness(s), s.Height})
	}
	return e.show(lines, "organisation ready height", func(add func(...any)) {
		for _, l := range lines {
			add(l.Org, l.State, l.Height)
		}
	})
}

// bar draws a progress bar on a terminal's line.
func bar(e *env, label string, done, total int, rate float64) {
	if e.json || total == 0 {
		return
	}
	const width = 30
	full := min(done*width/total, width)
	fmt.Fprintf(e.out, "\r%-10s [%s%s] %d/%d records, %.0f/s ", label, repeat('#', full), repeat('.', width-full), done, total, rate)
}

func repeat(c byte, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = c
	}
	return string(b)
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
