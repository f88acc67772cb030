package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/client"
	"salus/gateway"
	"salus/internal/devnet"
	"salus/internal/devnet/process"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// patience is the deadline of whatever is waited for.
const patience = 2 * time.Minute

// A world is the network, what the load knows of it, and the log of the run.
type world struct {
	*log
	net     *process.Network
	api     map[string]*client.API
	member  map[string]tx.Account // by organisation
	chain   string
	genesis []byte
	opts    options
}

// soak starts the network, loads it, and compares at the end.
func soak(ctx context.Context, o options) (*Run, error) {
	w, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer w.net.Close()
	err = w.whole(ctx)
	if err != nil {
		for _, org := range w.run.Orgs {
			err = errors.Join(err, os.WriteFile(filepath.Join(o.dir, org+".log"), []byte(w.net.Log(org)), 0o600))
		}
	}
	return w.run, err
}

var errUsed = errors.New("soak: the folder holds an earlier run; name an empty one")

// open starts the network and registers its staff.
func open(ctx context.Context, o options) (*world, error) {
	if _, err := os.Stat(filepath.Join(o.dir, "net")); err == nil {
		return nil, fmt.Errorf("%w: %s", errUsed, o.dir)
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, fmt.Errorf("soak: %w", err)
	}
	var err error
	if o.binary == "" {
		if o.binary, err = process.Build(ctx, o.dir); err != nil {
			return nil, err
		}
	}
	if o.port == 0 {
		if o.port, err = process.FreePorts(27000, 28000, 40, os.Getpid()); err != nil {
			return nil, err
		}
	}
	n, err := process.Init(ctx, o.binary, filepath.Join(o.dir, "net"), o.port, "{}")
	if err != nil {
		return nil, err
	}
	w := &world{net: n, opts: o, api: map[string]*client.API{}, member: map[string]tx.Account{}}
	w.log = &log{begin: time.Now(), run: &Run{Seed: o.seed, Seconds: o.length.Seconds(), Every: o.every.Seconds(), Rate: o.rate, Machine: machine()}}
	if info, err := buildinfo.ReadFile(o.binary); err == nil {
		w.run.built(info)
	}
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return w, nil
}

// built notes how the command was built.
func (r *Run) built(b *buildinfo.BuildInfo) {
	for _, s := range b.Settings {
		switch s.Key {
		case "CGO_ENABLED":
			r.Cgo = s.Value == "1"
		case "vcs.revision":
			r.Commit = s.Value
		}
	}
}

func machine() string {
	return fmt.Sprintf("%s/%s, %d processors", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
}

func (w *world) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, org := range devnet.Orgs() {
		w.run.Orgs = append(w.run.Orgs, org.Name)
		if err := w.net.Start(org.Name); err != nil {
			return err
		}
	}
	for _, org := range devnet.Orgs() {
		api, err := w.net.API(org.Name)
		if err != nil {
			return err
		}
		w.api[org.Name] = api
		if err := w.net.Ready(ctx, org.Name); err != nil {
			return err
		}
	}
	var s gateway.Status
	for _, org := range devnet.Orgs() {
		if err := w.api[org.Name].JSON(ctx, "POST", "/v1/staff/"+org.Staff.Name, gateway.Registration{Roles: org.Staff.Roles, Privileges: org.Staff.Privileges}, nil); err != nil {
			return err
		}
		if err := w.api[org.Name].JSON(ctx, "GET", "/v1/status", nil, &s); err != nil {
			return err
		}
		w.member[org.Name], w.chain = s.Account, s.Chain
	}
	var members []governance.Member
	if err := w.api["hospital"].JSON(ctx, "GET", "/v1/members", nil, &members); err != nil || len(members) != len(w.run.Orgs) {
		return errors.Join(fmt.Errorf("soak: %d members, want %d", len(members), len(w.run.Orgs)), err)
	}
	var err error
	w.genesis, err = os.ReadFile(filepath.Join(w.net.Home("insurer"), "genesis.json"))
	return err
}

// whole is the run: load with kills, a time without either, and the comparison.
func (w *world) whole(ctx context.Context) error {
	w.begin = time.Now()
	fmt.Fprintf(os.Stdout, "%s: four organisations, %s of load\n", w.opts.dir, w.opts.length)
	sampling, stop := context.WithCancel(ctx)
	defer stop()
	var patients []*patient
	g, gctx := errgroup.WithContext(sampling)
	g.Go(func() error { w.sample(gctx); return nil })
	g.Go(func() (err error) {
		defer stop()
		if patients, err = w.loaded(gctx); err != nil {
			return err
		}
		w.run.Seconds = w.now()
		err = w.idle(gctx)
		w.run.Idle = w.now() - w.run.Seconds
		return err
	})
	if err := errors.Join(g.Wait(), ctx.Err()); err != nil {
		return err
	}
	w.compare(ctx, patients)
	return nil
}

// loaded drives and kills for the length of the run.
func (w *world) loaded(ctx context.Context) (patients []*patient, err error) {
	loading, stop := context.WithTimeout(ctx, w.opts.length)
	defer stop()
	g, gctx := errgroup.WithContext(loading)
	g.Go(func() error { return ended(gctx, w.kills(gctx, ctx)) })
	g.Go(func() (err error) { patients, err = w.drive(gctx, ctx); return err })
	err = g.Wait() // before patients is read
	return patients, err
}

// ended is no error when it only says that the time is over.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// pause waits; it returns false when ctx ended first.
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

// authors write; after the first third of the run they are not killed any more, so that their
// processes live long enough to show what grows.
var authors = []string{"hospital", "clinic"}

// kills kills one organisation after the other at random moments. live outlasts ctx, so that
// whoever is down when the load ends comes back.
func (w *world) kills(ctx, live context.Context) error {
	if w.opts.kill <= 0 {
		return nil
	}
	r := rand.New(rand.NewPCG(w.opts.seed, 0x6b696c6c)) //nolint:gosec // a test's choices
	for pause(ctx, time.Duration(float64(w.opts.kill)*min(3, 0.2+r.ExpFloat64()*0.8))) {
		victims := w.run.Orgs
		if w.now() > w.opts.length.Seconds()/3 {
			victims = []string{"insurer", "institute"}
		}
		o := Outage{Org: victims[r.IntN(len(victims))], Kill: w.now()}
		if err := w.net.Kill(o.Org); err != nil {
			return err
		}
		pause(ctx, time.Duration((1+9*r.Float64())*float64(time.Second)))
		if err := w.net.Start(o.Org); err != nil {
			return err
		}
		limit, cancel := context.WithTimeout(live, patience)
		err := w.net.Ready(limit, o.Org)
		cancel()
		if err != nil {
			// Not wrapped: a deadline of this wait is no end of the run.
			return fmt.Errorf("soak: %s does not come back: %s\n%s", o.Org, err.Error(), process.Tail(w.net.Log(o.Org)))
		}
		o.Ready = w.now()
		w.outage(o)
	}
	return nil
}

// idleShare of the load's time is what the network is then left alone for.
const idleShare = 0.06

// idle waits until nothing is on its way and then lets heartbeats pass.
func (w *world) idle(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, org := range w.run.Orgs {
		for {
			var s gateway.Status
			err := w.api[org].JSON(limit, "GET", "/v1/status", nil, &s)
			if err == nil && s.Stored+s.Outbox == 0 && s.Ready {
				break
			}
			if !pause(limit, 200*time.Millisecond) {
				return fmt.Errorf("soak: %s keeps %d batches in its outbox and %d records in none (%s)", org, s.Outbox, s.Stored, strings.TrimSpace(s.Why))
			}
		}
	}
	pause(ctx, time.Duration(idleShare*float64(w.opts.length)))
	return ctx.Err()
}
