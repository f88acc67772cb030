// Command soak runs the four sample organisations as processes under a mixed load for a chosen
// time, kills them at random, and says whether anything grows that the records do not explain.
//
//	go run ./test/soak -for 30m -seed 1 -dir .soak
//
// Contract: what an organisation acknowledged is counted only after its answer; every number
// comes from the node's own metrics, from its disk or from the load's clock; the run is kept as
// run.json, from which -from makes the report again. The verdict is a pure function of the run,
// and can fail. It must never reach into a process but through its gateway and signals.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// options are the command line.
type options struct {
	length time.Duration
	every  time.Duration // between samples
	kill   time.Duration // mean time between kills; 0 for none
	rate   float64       // operations a second
	seed   uint64
	dir    string
	port   int // 0 looks for free ones
	binary string
	docs   string // the repository's docs folder, to keep the report as a sample
	from   string // an earlier run.json
}

func main() {
	var o options
	flag.DurationVar(&o.length, "for", 30*time.Minute, "how long the load lasts")
	flag.DurationVar(&o.every, "every", 10*time.Second, "time between samples")
	flag.DurationVar(&o.kill, "kill", 90*time.Second, "mean time between kills, 0 for none")
	flag.Float64Var(&o.rate, "rate", 8, "operations a second")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of patients, operations and kills")
	flag.StringVar(&o.dir, "dir", "", "empty folder for the network and the report; a temporary one by default")
	flag.IntVar(&o.port, "port", 0, "first of 40 ports, 0 for any that are free")
	flag.StringVar(&o.binary, "binary", "", "the salus command; built by default")
	flag.StringVar(&o.docs, "docs", "", "also write soak.md and img/soak-*.svg into this folder")
	flag.StringVar(&o.from, "from", "", "do not run: make the report of this run.json again")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

var errFailed = errors.New("soak: the verdict is not ok; the report says why")

// run runs or reloads, and writes the report.
func run(ctx context.Context, o options) error {
	var r *Run
	var err error
	if o.from != "" {
		if o.dir == "" {
			o.dir = filepath.Dir(o.from)
		}
		r, err = load(o.from)
	} else {
		if o.dir == "" {
			if o.dir, err = os.MkdirTemp("", "salus-soak-"); err != nil {
				return fmt.Errorf("soak: %w", err)
			}
		}
		r, err = soak(ctx, o)
		if r != nil {
			err = errors.Join(err, r.save(filepath.Join(o.dir, "run.json")))
		}
		if err == nil && len(r.Samples) == 0 {
			err = errNothing
		}
	}
	if err != nil {
		return err
	}
	checks := judge(r)
	if err := writeReport(r, checks, o.dir); err != nil {
		return err
	}
	if o.docs != "" {
		if err := writeReport(r, checks, o.docs); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stdout, "%s\n%s\nThe report is in %s.\n", table(r), checkTable(checks), filepath.Join(o.dir, reportName))
	if !passed(checks) {
		return errFailed
	}
	return nil
}

func load(file string) (*Run, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("soak: %w", err)
	}
	var r Run
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("soak: %s: %w", filepath.Base(file), err)
	}
	if len(r.Samples) == 0 || len(r.Orgs) == 0 {
		return nil, errNothing
	}
	return &r, nil
}

var errNothing = errors.New("soak: nothing was seen in that run")

func (r *Run) save(file string) error {
	b, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	return nil
}
