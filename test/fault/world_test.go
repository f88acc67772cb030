package fault

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"salus/gateway"
	"salus/internal/devnet"
	"salus/internal/devnet/process"
)

var (
	rounds = flag.Int("fault.rounds", 5, "rounds of each scenario that has rounds; a multiple of 5 treats all nodes alike")
	seed   = flag.Uint64("fault.seed", 0, "seed of the random moments; 0 draws one and prints it")
)

// binary is the salus command, built once.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "salus-fault-")
	if err != nil {
		panic(err)
	}
	if !testing.Short() {
		if binary, err = process.Build(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// patience is the deadline of every condition.
const patience = 90 * time.Second

// blocks counts the networks of this process, for their ports.
var blocks atomic.Int64

// world is a network under test with the book of what it acknowledged.
type world struct {
	*process.Network
	*book
	t    *testing.T
	rand *rand.Rand // of the test's own goroutine
	orgs []string
	next atomic.Uint64 // numbers the patients and records
}

// newWorld writes four homes; between, if not nil, may change them before they start.
func newWorld(t *testing.T, between func(*world)) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("four processes that are killed, stopped and cut off: half a minute each")
	}
	const first, last, size = 24000, 25980, 60 // below the ports that the kernel hands out
	port, err := process.FreePorts(first, last, size, os.Getpid()+int(blocks.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "salus-fault-net-") //nolint:usetesting // a mount may be in it
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	n, err := process.Init(ctx, binary, filepath.Join(dir, "net"), port, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed %d: run again with -fault.seed=%d", s, s)
	w := &world{Network: n, book: newBook(), t: t, rand: rand.New(rand.NewPCG(s, 1))}
	for _, o := range devnet.Orgs() {
		w.orgs = append(w.orgs, o.Name)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		for _, o := range w.orgs {
			if t.Failed() {
				t.Logf("log of %s:\n%s", o, process.Tail(w.Log(o)))
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if between != nil {
		between(w)
	}
	w.up(w.orgs...)
	for _, o := range devnet.Orgs() {
		w.call(o.Name, "POST", "/v1/staff/"+o.Staff.Name, gateway.Registration{Roles: o.Staff.Roles, Privileges: o.Staff.Privileges}, nil)
	}
	return w
}

// within is a context with the test's patience.
func (w *world) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(w.t.Context(), patience)
}

// up starts organisations and waits until they take part; it returns how long that took.
func (w *world) up(orgs ...string) time.Duration {
	w.t.Helper()
	start := time.Now()
	for _, o := range orgs {
		if err := w.Start(o); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, o := range orgs {
		ctx, cancel := w.within()
		if err := w.Ready(ctx, o); err != nil {
			w.t.Fatalf("%v\n%s", err, process.Tail(w.Log(o)))
		}
		cancel()
	}
	return time.Since(start)
}

func (w *world) kill(orgs ...string) {
	w.t.Helper()
	for _, o := range orgs {
		if err := w.Kill(o); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) interrupt(orgs ...string) {
	w.t.Helper()
	ctx, cancel := w.within()
	defer cancel()
	if err := w.Interrupt(ctx, orgs...); err != nil {
		w.t.Fatal(err)
	}
}

// call sends a request that must succeed.
func (w *world) call(org, method, path string, in, out any) {
	w.t.Helper()
	ctx, cancel := w.within()
	defer cancel()
	if err := w.ask(ctx, org, method, path, in, out); err != nil {
		w.t.Fatalf("%s: %s %s: %v", org, method, path, err)
	}
}

func (w *world) ask(ctx context.Context, org, method, path string, in, out any) error {
	api, err := w.API(org)
	if err != nil {
		return err
	}
	return api.JSON(ctx, method, path, in, out)
}

// run runs the binary and wants that exit code.
func (w *world) run(org string, want int, args ...string) process.Result {
	w.t.Helper()
	ctx, cancel := w.within()
	defer cancel()
	r, err := w.CLI(ctx, org, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.Code != want {
		w.t.Fatalf("salus %s: got exit code %d, want %d\n%s%s", strings.Join(args, " "), r.Code, want, r.Out, r.Err)
	}
	return r
}

// until asks again and again until a condition holds.
func (w *world) until(what string, ok func() bool) time.Duration {
	w.t.Helper()
	ctx, cancel := w.within()
	defer cancel()
	start := time.Now()
	for !ok() {
		if !pause(ctx, 50*time.Millisecond) {
			w.t.Fatalf("not within %s: %s", patience, what)
		}
	}
	return time.Since(start)
}

// pause waits for a while, or returns false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// moment waits for a random time up to most.
func (w *world) moment(most time.Duration) {
	w.t.Helper()
	pause(w.t.Context(), time.Duration(w.rand.Int64N(int64(most))))
}

// status is a node's own view, asked with a short deadline.
func (w *world) status(org string) (s gateway.Status, err error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
	defer cancel()
	err = w.ask(ctx, org, "GET", "/v1/status", nil, &s)
	return s, err
}
