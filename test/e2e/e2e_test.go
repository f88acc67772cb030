// Package e2e runs the salus binary as a member runs it: one operating-system process per
// organisation, from the files that `salus devnet init` and `salus node init` write, with real
// kills, interrupts and restarts. It must never reach into a process but through its API.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/internal/devnet"
	"salus/internal/devnet/process"
	"salus/ledger/module/identity"
	"salus/record"
)

// binary is the salus command, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "salus-e2e-")
	if err != nil {
		panic(err)
	}
	if binary, err = process.Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// patience is the deadline of every condition.
const patience = 60 * time.Second

// network is a network of processes in a test: what fails there, fails the test.
type network struct {
	*process.Network
	t *testing.T
}

// newNetwork writes four homes with `salus devnet init`; params are genesis parameters in JSON.
func newNetwork(t *testing.T, params string) *network {
	t.Helper()
	const size, first, last = 60, 10000, 19960 // below the ports that the kernel hands out
	port, err := process.FreePorts(first, last, size, os.Getpid()*7+int(blocks.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := process.Init(ctx, binary, filepath.Join(t.TempDir(), "net"), port, params)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{p, t}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		for _, o := range devnet.Orgs() {
			if t.Failed() {
				t.Logf("log of %s:\n%s", o.Name, process.Tail(n.Log(o.Name)))
			}
		}
	})
	return n
}

func (n *network) home(org string) string { return n.Home(org) }

// run runs the binary to its end and wants that exit code; it returns standard output.
func (n *network) run(org string, want int, args ...string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	r, err := n.CLI(ctx, org, args...)
	if err != nil {
		n.t.Fatal(err)
	}
	if r.Code != want {
		n.t.Fatalf("salus %s: got exit code %d, want %d\n%s%s", strings.Join(args, " "), r.Code, want, r.Out, r.Err)
	}
	return r.Out
}

// runJSON runs the binary with -o json and decodes what it prints.
func (n *network) runJSON(org string, out any, args ...string) {
	n.t.Helper()
	if err := json.Unmarshal([]byte(n.run(org, 0, append([]string{"-o", "json"}, args...)...)), out); err != nil {
		n.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
}

// each does something to organisations, one after the other.
func (n *network) each(orgs []string, do func(context.Context, string) error) {
	n.t.Helper()
	for _, org := range orgs {
		ctx, cancel := context.WithTimeout(n.t.Context(), patience)
		if err := do(ctx, org); err != nil {
			n.t.Fatalf("%v\n%s", err, process.Tail(n.Log(org)))
		}
		cancel()
	}
}

// start starts organisations as processes of their own.
func (n *network) start(orgs ...string) {
	n.t.Helper()
	n.each(orgs, func(_ context.Context, org string) error { return n.Start(org) })
}

// ready waits until organisations take part in consensus.
func (n *network) ready(orgs ...string) { n.t.Helper(); n.each(orgs, n.Ready) }

// alive waits until an organisation's gateway answers at all.
func (n *network) alive(org string) { n.t.Helper(); n.each([]string{org}, n.Alive) }

// kill ends processes as a power cut would.
func (n *network) kill(orgs ...string) {
	n.t.Helper()
	n.each(orgs, func(_ context.Context, org string) error { return n.Kill(org) })
}

// stopTime is what a Ctrl-C may take.
const stopTime = 10 * time.Second

// interrupt sends Ctrl-C to processes, all at once: each ends in time with exit code 0.
func (n *network) interrupt(orgs ...string) {
	n.t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(n.t.Context(), 2*stopTime)
	defer cancel()
	if err := n.Interrupt(ctx, orgs...); err != nil {
		n.t.Fatal(err)
	}
	if took := time.Since(start); took > stopTime {
		n.t.Errorf("Ctrl-C took %s, want at most %s", took, stopTime)
	}
}

func (n *network) api(org string) *client.API {
	n.t.Helper()
	api, err := n.API(org)
	if err != nil {
		n.t.Fatal(err)
	}
	return api
}

// call sends a request that must succeed.
func (n *network) call(org, method, path string, in, out any) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	if err := n.api(org).JSON(ctx, method, path, in, out); err != nil {
		n.t.Fatalf("%s: %s %s: %v", org, method, path, err)
	}
}

// until waits for a condition, asking again after each block of org's ledger.
func (n *network) until(org, what string, ok func() bool) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	api := n.api(org)
	for {
		head, err := api.Head(ctx)
		if err == nil && ok() {
			return
		}
		if err == nil {
			err = api.WaitChange(ctx, head.Height)
		}
		if err != nil {
			n.t.Fatalf("%s: %s: %v", org, what, err)
		}
	}
}

// agree waits until all of the organisations have the same app hash at the same height.
func (n *network) agree(orgs ...string) gateway.Status {
	n.t.Helper()
	var first gateway.Status
	n.until(orgs[0], "the same app hash on all nodes", func() bool {
		n.call(orgs[0], "GET", "/v1/status", nil, &first)
		for _, org := range orgs[1:] {
			var s gateway.Status
			n.call(org, "GET", "/v1/status", nil, &s)
			if s.Height == first.Height && s.AppHash != first.AppHash {
				n.t.Fatalf("%s and %s differ at height %d: a fork", orgs[0], org, s.Height)
			}
			if s.Height != first.Height {
				return false
			}
		}
		return true
	})
	return first
}

// enlist registers the practitioners that come with the sample organisations.
func (n *network) enlist() {
	n.t.Helper()
	for _, o := range devnet.Orgs() {
		n.call(o.Name, "POST", "/v1/staff/"+o.Staff.Name, gateway.Registration{Roles: o.Staff.Roles, Privileges: o.Staff.Privileges}, nil)
	}
}

// load submits count transactions, which make about as many blocks.
func (n *network) load(org, staff string, count int) {
	n.t.Helper()
	u := n.member(org, staff)
	for i := range count {
		u.Active = i%2 == 1
		n.call(org, "POST", "/v1/submit/"+string(identity.KindUpdate), u, nil)
	}
}

// member is one of an organisation's staff, as an update that changes nothing.
func (n *network) member(org, staff string) identity.Update {
	n.t.Helper()
	var known []gateway.Practitioner
	n.call(org, "GET", "/v1/staff", nil, &known)
	for _, p := range known {
		if p.Name == staff {
			return identity.Update{Account: p.Account, Roles: p.Roles, Privileges: p.Privileges, Active: true}
		}
	}
	n.t.Fatalf("%s has no %s", org, staff)
	return identity.Update{}
}

// records lists what an organisation wrote about a patient.
func (n *network) records(org, patient string) []record.Owned {
	n.t.Helper()
	var rs []record.Owned
	n.call(org, "GET", "/v1/patients/"+patient+"/records", nil, &rs)
	return rs
}

// allActive waits until every record of an organisation about a patient is active.
func (n *network) allActive(org, patient string) int {
	n.t.Helper()
	count := 0
	n.until(org, "all records active", func() bool {
		rs := n.records(org, patient)
		count = 0
		for _, r := range rs {
			if !strings.HasPrefix(r.Type, "x-") && !slices.Contains(r.Labels, string(record.EmergencyLabel)) {
				count++
			}
			if r.Status != record.Active.String() {
				return false
			}
		}
		return true
	})
	return count
}

func (n *network) write(name string, b []byte) string {
	n.t.Helper()
	path := filepath.Join(n.Dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// blocks counts the networks of this process, for their ports.
var blocks atomic.Int64

// rpc asks CometBFT's RPC of the i-th sample organisation.
func (n *network) rpc(i int, path string, out any) error {
	return n.RPC(n.t.Context(), i, path, out)
}
