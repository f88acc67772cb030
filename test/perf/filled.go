package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/internal/sample"
)

// filledWith is what is measured before and after all stores are filled.
var filledWith = []growing{
	{"import.bundles", "records/s", keepsSpeed, "sample bundles imported until active"},
	{"import.bundles.cpu", "µs/record", keepsTime, "CPU time of the four organisations and the client for each"},
	{"import.writes", "records/s", keepsSpeed, "single-resource writes from 64 clients until active"},
	{"access.session.p50", "ms", keepsTime, "a new session until the plaintext, median"},
	{"access.next.p50", "ms", keepsTime, "the next record of an open session, median"},
}

// bundleOf is how many records a sample bundle has.
const bundleOf = 300

// measureFilled measures a network before and after it has really imported a hundred thousand records:
// then custodians, vaults and record stores are as full as the ledger.
func measureFilled(ctx context.Context, b *bench) (out []Result, err error) {
	records := pick(b, 100_000, 3000)
	before, after := tally{}, tally{}
	err = apart(ctx, filepath.Join(b.dir, "filled"), func(w *world) error {
		if err := w.enlist(ctx); err != nil {
			return err
		}
		c := *b
		c.others = w.cpu
		if err := before.filled(ctx, &c, w); err != nil {
			return err
		}
		start := time.Now()
		n, err := w.importSamples(ctx, 100_000, records/bundleOf)
		if err != nil {
			return err
		}
		b.log("   %d records imported in %s", n, time.Since(start).Round(time.Second))
		c.turn++
		return after.filled(ctx, &c, w)
	})
	for _, m := range filledWith {
		if xs, base := after[m.name], before[m.name]; len(xs) > 0 && len(base) > 0 {
			out = append(out, newResult("filled."+m.name+"."+sizeName(records), m.unit, m.target, xs, base).about(
				fmt.Sprintf("%s, after %d records were imported in bundles", m.what, records), "the same network before"))
		}
	}
	return out, err
}

// filled measures the network as it is.
func (t tally) filled(ctx context.Context, b *bench, w *world) error {
	for i := range pick(b, 3, 1) {
		n := 0
		c, err := b.spent("", func() (err error) {
			n, err = w.importSamples(ctx, uint64(200_000+10_000*b.turn+100*i), pick(b, 20, 4))
			return err
		})
		if err != nil {
			return err
		}
		if i == 0 && !b.short {
			continue // warm-up
		}
		t.add("import.bundles", c.rate(n))
		t.add("import.bundles.cpu", c.each(n))
	}
	also := []func(context.Context, *bench, *world) ([]Result, error){measureAccess, measureWrites}
	rs, err := w.each(ctx, b, also[:pick(b, 2, 1)]...)
	for _, r := range rs {
		t.add(r.Name, r.Value)
	}
	return err
}

var errLost = errors.New("perf: fewer records than were imported")

// importSamples imports that many sample bundles, several at a time, and returns how many records
// became active.
func (w *world) importSamples(ctx context.Context, first uint64, bundles int) (int, error) {
	var records atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(importers)
	for i := range bundles {
		g.Go(func() error {
			rep, err := w.put(gctx, "bundle", sample.Bundle(first+uint64(i), bundleOf))
			if err == nil {
				records.Add(int64(rep.Records))
			}
			return err
		})
	}
	err := g.Wait()
	if n := int(records.Load()); err != nil || n >= bundles*bundleOf*9/10 {
		return n, err
	}
	return 0, errLost
}
