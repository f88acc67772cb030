// Command perf measures the network against baselines that run beside it: the ledger
// against CometBFT's own key-value store, an import against AES-256-GCM and zstd alone, a
// read against one commit, the bytes of a record against its JSON, a receipt against the
// signatures in it.
//
// Contract: measurements run one after another, on real parts, in homes of their own
// under a temporary directory; each returns results that can fail. A full run writes
// test/perf/results.json and docs/performance.md below the module's root; a run with
// -short or -only prints. A number is never left out because its target was missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A measurement is one group of results. Its name is the first part of theirs.
type measurement struct {
	name string
	run  func(context.Context, *bench) ([]Result, error)
}

// measurements run in this order.
var measurements = []measurement{
	{"ledger", measureLedger},
	{"decisions", measureDecisions},
	{"offered", measureOffered},
	{"bytes", measureBytes},
	{"growth", measureGrowth},
	{"network", measureNetwork},
}

// bench is what every measurement is given.
type bench struct {
	short   bool
	dir     string // temporary
	profile string // directory for CPU profiles; empty for none
	log     func(format string, a ...any)
	late    []*lateStore         // of the last chain that stopped
	others  func() time.Duration // CPU time of other processes that are measured; nil for none
	curves  []Curve              // of this measurement
}

// pick chooses between the sizes of a full and of a short run.
func pick[T any](b *bench, full, short T) T {
	if b.short {
		return short
	}
	return full
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "perf:", err)
		stop()
		os.Exit(1)
	}
}

var errMissed = errors.New("a target was missed")

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == serveArg {
		return serve(ctx, args[1])
	}
	f := flag.NewFlagSet("perf", flag.ContinueOnError)
	b := &bench{log: func(format string, a ...any) { fmt.Fprintf(os.Stdout, format+"\n", a...) }}
	f.BoolVar(&b.short, "short", false, "fewer and smaller runs; prints, writes nothing")
	f.StringVar(&b.profile, "profile", "", "write CPU profiles of the measured parts into this `directory`")
	only := f.String("only", "", "run one measurement `name`; prints, writes nothing")
	strict := f.Bool("strict", false, "exit with an error when a target is missed")
	keep := f.Bool("keep", false, "leave the homes where they are")
	if err := f.Parse(args); err != nil {
		return err
	}
	todo := measurements
	if *only != "" {
		todo = slices.DeleteFunc(slices.Clone(todo), func(m measurement) bool { return m.name != *only })
		if len(todo) == 0 {
			return fmt.Errorf("no measurement %q; there are %s", *only, names())
		}
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "salus-perf-"); err != nil {
		return err
	}
	if *keep {
		b.log("homes in %s", b.dir)
	} else {
		defer os.RemoveAll(b.dir)
	}
	// The load generator keeps one connection for each of its clients.
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t.MaxIdleConnsPerHost = 256
	}

	start := time.Now()
	rep := &Report{Machine: describeMachine(b.dir)}
	for _, m := range todo {
		b.log("== %s", m.name)
		began := time.Now()
		rs, err := m.run(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		for _, r := range rs {
			b.log("%s", r.line())
		}
		b.log("   (%s)", time.Since(began).Round(time.Second))
		rep.Results = append(rep.Results, rs...)
	}
	rep.Took, rep.LoadAfter = time.Since(start), loadAverage()
	b.log("took %s", rep.Took.Round(time.Second))
	if *only == "" && !b.short {
		if err := rep.write(root); err != nil {
			return err
		}
	}
	if *strict && slices.ContainsFunc(rep.Results, func(r Result) bool { return !r.OK }) {
		return errMissed
	}
	return nil
}

func names() string {
	var out []string
	for _, m := range measurements {
		out = append(out, m.name)
	}
	return strings.Join(out, ", ")
}

// moduleRoot finds the folder of go.mod from the working directory up.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, serr := os.Stat(filepath.Join(dir, "go.mod")); serr == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			err = errors.New("run it inside the module: no go.mod above here")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
