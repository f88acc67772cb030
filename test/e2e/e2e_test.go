// Package e2e runs the salus binary as a member runs it: one operating-system process per
// organisation, from the files that `salus devnet init` and `salus node init` write, with real
// kills, interrupts and restarts. It must never reach into a process but through its API.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/internal/devnet"
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
	binary = filepath.Join(dir, "salus")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", binary, "salus/cmd/salus").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n%v\n", out, err)
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

// network is a directory of homes and the processes that run from them.
type network struct {
	t     *testing.T
	dir   string
	port  int
	procs map[string]*process
}

// process is one `salus node start`.
type process struct {
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan error
}

// newNetwork writes four homes with `salus devnet init`; params are genesis parameters in JSON.
func newNetwork(t *testing.T, params string) *network {
	t.Helper()
	n := &network{t: t, dir: filepath.Join(t.TempDir(), "net"), port: freePorts(t), procs: map[string]*process{}}
	file := filepath.Join(t.TempDir(), "params.json")
	if err := os.WriteFile(file, []byte(params), 0o600); err != nil {
		t.Fatal(err)
	}
	n.run("", 0, "devnet", "init", "--dir", n.dir, "--port", strconv.Itoa(n.port), "--params", file)
	t.Cleanup(func() {
		for org, p := range n.procs {
			_ = p.cmd.Process.Kill() // gone already when all went well
			<-p.done
			if t.Failed() {
				t.Logf("log of %s:\n%s", org, tail(p.log.String()))
			}
		}
	})
	return n
}

func tail(s string) string {
	const most = 6000
	if len(s) > most {
		return "..." + s[len(s)-most:]
	}
	return s
}

func (n *network) home(org string) string { return filepath.Join(n.dir, org) }

// run runs the binary to its end and wants that exit code; it returns standard output.
func (n *network) run(org string, want int, args ...string) string {
	n.t.Helper()
	if org != "" {
		args = append([]string{"--home", n.home(org)}, args...)
	}
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		n.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		n.t.Fatalf("salus %s: got exit code %d, want %d\n%s%s", strings.Join(args, " "), got, want, &out, &errs)
	}
	return out.String()
}

// runJSON runs the binary with -o json and decodes what it prints.
func (n *network) runJSON(org string, out any, args ...string) {
	n.t.Helper()
	if err := json.Unmarshal([]byte(n.run(org, 0, append([]string{"-o", "json"}, args...)...)), out); err != nil {
		n.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
}

// start starts organisations as processes of their own.
func (n *network) start(orgs ...string) {
	n.t.Helper()
	for _, org := range orgs {
		p := &process{cmd: exec.Command(binary, "--home", n.home(org), "node", "start"), log: &bytes.Buffer{}, done: make(chan error, 1)}
		p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
		if err := p.cmd.Start(); err != nil {
			n.t.Fatal(err)
		}
		go func() { p.done <- p.cmd.Wait() }()
		n.procs[org] = p
	}
}

// ready waits until organisations take part in consensus.
func (n *network) ready(orgs ...string) {
	n.t.Helper()
	for _, org := range orgs {
		ctx, cancel := context.WithTimeout(n.t.Context(), patience)
		if err := n.api(org).Ping(ctx); err != nil {
			n.t.Fatalf("%s does not become ready: %v\n%s", org, err, tail(n.procs[org].log.String()))
		}
		cancel()
	}
}

// alive waits until an organisation's gateway answers at all.
func (n *network) alive(org string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n.api(org).JSON(ctx, http.MethodGet, "/healthz", nil, nil) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			n.t.Fatalf("%s does not answer\n%s", org, tail(n.procs[org].log.String()))
		}
	}
}

// kill ends processes as a power cut would.
func (n *network) kill(orgs ...string) {
	n.t.Helper()
	for _, org := range orgs {
		if err := n.procs[org].cmd.Process.Kill(); err != nil {
			n.t.Fatal(err)
		}
		<-n.procs[org].done
		delete(n.procs, org)
	}
}

// stopTime is what a Ctrl-C may take.
const stopTime = 10 * time.Second

// interrupt sends Ctrl-C to processes, all at once: each ends in time with exit code 0.
func (n *network) interrupt(orgs ...string) {
	n.t.Helper()
	start := time.Now()
	for _, org := range orgs {
		if err := n.procs[org].cmd.Process.Signal(syscall.SIGINT); err != nil {
			n.t.Fatal(err)
		}
	}
	late := time.NewTimer(2 * stopTime)
	defer late.Stop()
	for _, org := range orgs {
		p := n.procs[org]
		select {
		case err := <-p.done:
			if err != nil {
				n.t.Errorf("%s after Ctrl-C: %v\n%s", org, err, tail(p.log.String()))
			}
		case <-late.C:
			_ = p.cmd.Process.Signal(syscall.SIGQUIT)
			<-p.done
			n.t.Fatalf("%s does not stop\n%s", org, tail(p.log.String()))
		}
		delete(n.procs, org)
	}
	if took := time.Since(start); took > stopTime {
		n.t.Errorf("Ctrl-C took %s, want at most %s", took, stopTime)
	}
}

func (n *network) api(org string) *client.API {
	n.t.Helper()
	api, err := devnet.API(n.home(org))
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
	var known []gateway.Practitioner
	n.call(org, "GET", "/v1/staff", nil, &known)
	for _, p := range known {
		if p.Name != staff {
			continue
		}
		for i := range count {
			u := identity.Update{Account: p.Account, Roles: p.Roles, Privileges: p.Privileges, Active: i%2 == 1}
			n.call(org, "POST", "/v1/submit/"+string(identity.KindUpdate), u, nil)
		}
		return
	}
	n.t.Fatalf("%s has no %s", org, staff)
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
		count = len(rs)
		for _, r := range rs {
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
	path := filepath.Join(n.dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// blocks hands out the blocks of ports; each is tried before it is used.
var blocks atomic.Int64

func freePorts(t *testing.T) int {
	t.Helper()
	const size, first, last = 60, 10000, 19960 // below the ports that the kernel hands out
	for range (last - first) / size {
		port := first + (os.Getpid()*7+int(blocks.Add(1)))*size%(last-first)
		if free(port, size) {
			return port
		}
	}
	t.Fatal("no free block of ports")
	return 0
}

func free(port, size int) bool {
	for i := range size {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)))
		if err != nil || ln.Close() != nil {
			return false
		}
	}
	return true
}

// rpc asks CometBFT's RPC of the i-th sample organisation.
func (n *network) rpc(i int, path string, out any) error {
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port+10*i+1)) + path
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	var reply struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Data string `json:"data"`
		} `json:"error"`
	}
	if err := json.NewDecoder(r.Body).Decode(&reply); err != nil {
		return err
	}
	if reply.Error != nil {
		return errors.New(reply.Error.Data)
	}
	return json.Unmarshal(reply.Result, out)
}
