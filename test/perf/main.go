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

	"salus/internal/places"
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
	{"filled", measureFilled},
	{"network", measureNetwork},
	{"fhir", measureFHIR},
	{"search", measureSearch},
	{"emergency", measureEmergency},
	{"reshare", measureReshare},
}

// bench is what every measurement is given.
type bench struct {
	short    bool
	dir      string               // temporary
	profile  string               // directory for CPU profiles; empty for none
	profiles map[string]time.Time // those that were written, and when
	log      func(format string, a ...any)
	late     []*lateStore         // of the last chain that stopped
	others   func() time.Duration // CPU time of other processes that are measured; nil for none
	curves   []Curve              // of this measurement
	most     int                  // resources of the largest store that is searched
	turn     int                  // rises when one network is measured again: its patients must be new
}

// pick chooses between the sizes of a full and of a short run.
func pick[T any](b *bench, full, short T) T {
	if b.short {
		return short
	}
	return full
}

func main() {
	places.Use() // as the programs do that are measured
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
	b := &bench{profiles: map[string]time.Time{}, log: func(format string, a ...any) { fmt.Fprintf(os.Stdout, format+"\n", a...) }}
	f.BoolVar(&b.short, "short", false, "fewer and smaller runs; prints, writes nothing")
	f.StringVar(&b.profile, "profile", "", "keep the CPU profiles of the measured parts in this `directory`")
	f.IntVar(&b.most, "most", 1_000_000, "search no store with more resources than `that`: a million take some minutes to write")
	only := f.String("only", "", "run only these measurements, `names` with commas; prints, writes nothing without -write")
	write := f.Bool("write", false, "with -only: put the new results in the place of these measurements' last ones")
	note := f.String("note", "", "add all results of this run to the history, with this `sentence`")
	render := f.Bool("render", false, "measure nothing: write the document and the plots anew from the last run")
	strict := f.Bool("strict", false, "exit with an error when a target is missed")
	keep := f.Bool("keep", false, "leave the homes where they are")
	if err := f.Parse(args); err != nil {
		return err
	}
	todo, err := choose(*only)
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	rep, err := loadReport(filepath.Join(root, runFile))
	if err != nil {
		return err
	}
	if *render {
		return rep.write(root, *note)
	}
	if b.dir, err = os.MkdirTemp("", "salus-perf-"); err != nil {
		return err
	}
	if *keep {
		b.log("homes in %s", b.dir)
	} else {
		defer os.RemoveAll(b.dir)
	}
	if b.profile == "" {
		b.profile = filepath.Join(b.dir, "profiles")
	}
	// The load generator keeps one connection for each of its clients.
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t.MaxIdleConnsPerHost = 256
	}
	rep.Machine = describeMachine(b.dir)
	writes := !b.short && (*only == "" || *write)
	return b.measureAll(ctx, rep, todo, func() error {
		if !writes {
			return nil
		}
		return rep.write(root, *note)
	}, *strict)
}

// measureAll measures one thing after the other and saves the report at the end. A measurement that
// fails takes no other along, but the run fails.
func (b *bench) measureAll(ctx context.Context, rep *Report, todo []measurement, save func() error, strict bool) error {
	start := time.Now()
	var failed []error
	missed := false
	for _, m := range todo {
		p := b.measure(ctx, m)
		rep.put(p)
		if p.Error != "" {
			failed = append(failed, fmt.Errorf("%s: %s", p.Name, p.Error))
		}
		missed = missed || slices.ContainsFunc(p.Results, func(r Told) bool { return !r.OK })
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	b.log("took %s", time.Since(start).Round(time.Second))
	if err := save(); err != nil {
		failed = append(failed, err)
	}
	if strict && missed {
		failed = append(failed, errMissed)
	}
	return errors.Join(failed...)
}

// choose finds the measurements by their names, all of them for none.
func choose(names string) ([]measurement, error) {
	if names == "" {
		return measurements, nil
	}
	var out []measurement
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(measurements, func(m measurement) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no measurement %q; there are %s", name, known())
		}
		out = append(out, measurements[i])
	}
	return out, nil
}

func known() string {
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
