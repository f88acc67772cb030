// Package process runs a sample network as its members run it: one operating-system process of
// the salus binary per organisation, with real kills, interrupts, pauses and restarts.
//
// Contract: it touches a process only by signals, by its gateway and by its RPC, and a home only by the
// command line; what a node prints is kept from its first to its last run. Every call that waits takes a context and every
// process it started ends with Close, and on Linux with its own, however that ends. It must never be imported by a node.
package process

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
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"salus/client"
	"salus/internal/devnet"
)

// Build builds the salus command into dir and returns its path; flags are more ones for go build. The module it
// is built from is the one of the working directory.
func Build(ctx context.Context, dir string, flags ...string) (string, error) {
	binary := filepath.Join(dir, "salus")
	args := append(append([]string{"build", "-trimpath"}, flags...), "-o", binary, "salus/cmd/salus")
	build := exec.CommandContext(ctx, "go", args...) //nolint:gosec // into the caller's own folder
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("process: build: %w\n%s", err, out)
	}
	return binary, nil
}

// Network is a directory of homes and the processes that run from them. Its methods may be called at once.
type Network struct {
	Binary string // the salus command
	Dir    string // of the homes
	Port   int    // the first one, as devnet.Options has it

	mu    sync.Mutex
	procs map[string]*Process // running
	logs  map[string]*Log     // of all runs
}

// Process is one `salus node start`.
type Process struct {
	cmd  *exec.Cmd
	log  *Log
	done chan struct{}
	err  error // after done
}

// Init writes four homes below dir with `salus devnet init`; params are genesis parameters in JSON, more is
// further arguments.
func Init(ctx context.Context, binary, dir string, port int, params string, more ...string) (*Network, error) {
	n := Open(binary, dir, port)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	file := dir + ".params.json"
	if err := os.WriteFile(file, []byte(params), 0o600); err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	args := append([]string{"devnet", "init", "--dir", dir, "--port", strconv.Itoa(port), "--params", file}, more...)
	r, err := n.CLI(ctx, "", args...)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("process: devnet init: exit code %d: %s", r.Code, r.Err)
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Open is the network whose homes are in dir already.
func Open(binary, dir string, port int) *Network {
	return &Network{Binary: binary, Dir: dir, Port: port, procs: map[string]*Process{}, logs: map[string]*Log{}}
}

// Home is where an organisation's files are.
func (n *Network) Home(org string) string { return filepath.Join(n.Dir, org) }

// Result is how a command ended.
type Result struct {
	Code     int
	Out, Err string // standard output and standard error
}

// CLI runs the binary to its end, for the home of org unless that is empty.
func (n *Network) CLI(ctx context.Context, org string, args ...string) (Result, error) {
	if org != "" {
		args = append([]string{"--home", n.Home(org)}, args...)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, n.Binary, args...) //nolint:gosec // the binary under test
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, fmt.Errorf("process: salus %s: %w", strings.Join(args, " "), err)
	}
	return Result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}, nil
}

// Start starts an organisation; Ready waits until it takes part.
func (n *Network) Start(org string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.procs[org] != nil {
		return fmt.Errorf("process: %s runs already", org)
	}
	if n.logs[org] == nil {
		n.logs[org] = &Log{}
	}
	cmd := exec.Command(n.Binary, "--home", n.Home(org), "node", "start") //nolint:gosec // the binary under test
	p := &Process{cmd: cmd, log: n.logs[org], done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = p.log, p.log, withParent()
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return fmt.Errorf("process: %s: %w", org, err)
	}
	n.procs[org] = p
	return nil
}

// run starts the process and waits for its end on one thread: Linux ends it with the thread that started it.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
		close(p.done)
	}
}

// Process is the organisation's process, nil if it was not started or was stopped.
func (n *Network) Process(org string) *Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.procs[org]
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how it ended, nil for exit code 0; only after Done.
func (p *Process) Err() error { return p.err }

// Log is what an organisation's processes printed so far.
func (n *Network) Log(org string) string {
	n.mu.Lock()
	l := n.logs[org]
	n.mu.Unlock()
	if l == nil {
		return ""
	}
	return l.String()
}

var errStopped = errors.New("process: that organisation does not run")

// Signal sends a signal, such as SIGSTOP and SIGCONT.
func (n *Network) Signal(org string, s syscall.Signal) error {
	p := n.Process(org)
	if p == nil {
		return errStopped
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("process: %s: %w", org, err)
	}
	return nil
}

// Kill ends a process as a power cut of its machine's would, but for what the kernel has still to write.
func (n *Network) Kill(org string) error {
	if err := n.Signal(org, syscall.SIGKILL); err != nil {
		return err
	}
	n.forget(org)
	return nil
}

// Wait waits for a process that ends by itself and returns how it ended.
func (n *Network) Wait(ctx context.Context, org string) error {
	p := n.Process(org)
	if p == nil {
		return errStopped
	}
	select {
	case <-p.done:
		n.forget(org)
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// forget waits for the end of a process that must be ending.
func (n *Network) forget(org string) {
	p := n.Process(org)
	<-p.done
	n.mu.Lock()
	delete(n.procs, org)
	n.mu.Unlock()
}

// Interrupt sends Ctrl-C to processes, all at once, and wants exit code 0 of each before ctx ends. One that
// does not end prints its goroutines into its log and is killed.
func (n *Network) Interrupt(ctx context.Context, orgs ...string) error {
	var err error
	for _, org := range orgs {
		err = errors.Join(err, n.Signal(org, syscall.SIGINT))
	}
	if err != nil {
		return err
	}
	for _, org := range orgs {
		p := n.Process(org)
		select {
		case <-p.done:
			if p.err != nil {
				err = errors.Join(err, fmt.Errorf("process: %s after Ctrl-C: %w", org, p.err))
			}
		case <-ctx.Done():
			err = errors.Join(err, fmt.Errorf("process: %s does not stop", org), n.Signal(org, syscall.SIGQUIT))
		}
		n.forget(org)
	}
	return err
}

// Close kills whatever runs.
func (n *Network) Close() error {
	n.mu.Lock()
	orgs := make([]string, 0, len(n.procs))
	for org := range n.procs {
		orgs = append(orgs, org)
	}
	n.mu.Unlock()
	for _, org := range orgs {
		_ = n.Signal(org, syscall.SIGKILL) // gone already if it ended by itself
		n.forget(org)
	}
	return nil
}

// API connects to an organisation's gateway.
func (n *Network) API(org string) (*client.API, error) { return devnet.API(n.Home(org)) }

// Ready waits until an organisation takes part in consensus, or its process ends.
func (n *Network) Ready(ctx context.Context, org string) error {
	return n.alive(ctx, org, func(ctx context.Context, api *client.API) error { return api.Ping(ctx) })
}

// Alive waits until an organisation's gateway answers at all.
func (n *Network) Alive(ctx context.Context, org string) error {
	return n.alive(ctx, org, func(ctx context.Context, api *client.API) error {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if err := api.JSON(ctx, http.MethodGet, "/healthz", nil, nil); err == nil {
				return nil
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
}

func (n *Network) alive(ctx context.Context, org string, ask func(context.Context, *client.API) error) error {
	p := n.Process(org)
	if p == nil {
		return errStopped
	}
	api, err := n.API(org)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.done:
			cancel(fmt.Errorf("process: %s ended: %w", org, p.err))
		case <-ctx.Done():
		}
	}()
	if err := ask(ctx, api); err != nil {
		return fmt.Errorf("process: %s does not become ready: %w", org, errors.Join(err, context.Cause(ctx)))
	}
	return nil
}

// RPC asks CometBFT's RPC of the i-th organisation, e.g. "/block?height=7".
func (n *Network) RPC(ctx context.Context, i int, path string, out any) error {
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(n.Port+10*i+1)) + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("process: rpc: %w", err)
	}
	defer r.Body.Close()
	var reply struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Data string `json:"data"`
		} `json:"error"`
	}
	if err := json.NewDecoder(r.Body).Decode(&reply); err != nil {
		return fmt.Errorf("process: rpc: %w", err)
	}
	if reply.Error != nil {
		return errors.New(reply.Error.Data)
	}
	return json.Unmarshal(reply.Result, out)
}
