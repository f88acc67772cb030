package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"
	cmttypes "github.com/cometbft/cometbft/types"
	"golang.org/x/sync/errgroup"

	"salus/internal/sample"
)

// A Curve is one plot: series over a common axis.
type Curve struct {
	Name   string   `json:"name"` // docs/img/perf-<name>.svg
	Title  string   `json:"title"`
	X      string   `json:"x"` // what the axis shows
	Y      string   `json:"y"`
	LogX   bool     `json:"logX"`
	Series []Series `json:"series"`
}

// A Series is one line of a plot.
type Series struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// A Point of a series.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// curve keeps a plot for the document.
func (b *bench) curve(c Curve) {
	b.curves = append(b.curves, c)
	b.log("   %s: %s over %s", c.Name, c.Y, c.X)
	for _, s := range c.Series {
		var line strings.Builder
		for _, p := range s.Points {
			fmt.Fprintf(&line, " %s:%s", number(p.X), number(p.Y))
		}
		b.log("     %-24s%s", s.Name, &line)
	}
}

// loadCurves are the plots of throughput, and of the median and 95th percentile of a time, over a
// load.
func (b *bench) loadCurves(name, what, x, rate string, at []float64, rates, p50, p95 []float64) {
	line := func(ys []float64) (out []Point) {
		for i, y := range ys {
			out = append(out, Point{at[i], y})
		}
		return out
	}
	b.curve(Curve{Name: name + "-throughput", Title: what + ": throughput", X: x, Y: rate, LogX: true, Series: []Series{{"done", line(rates)}}})
	b.curve(Curve{Name: name + "-latency", Title: what + ": latency", X: x, Y: "ms", LogX: true, Series: []Series{{"p50", line(p50)}, {"p95", line(p95)}}})
}

// measureOffered sends anchor.put to four validators at fixed rates, whether they keep up or not.
func measureOffered(ctx context.Context, b *bench) ([]Result, error) {
	rates := []float64{50, 200, 500, 1000, 1500, 2000, 3000, 4000}
	if b.short {
		rates = []float64{50, 1000}
	}
	seconds := pick(b, 4.0, 1.0)
	const warm, alone = 100, 25 // of each validator
	total := 4 * (warm + alone)
	for _, r := range rates {
		total += 4 * (int(r*seconds) / 4)
	}
	l, err := newLoad(filepath.Join(b.dir, "offered"), 4, total)
	if err != nil {
		return nil, err
	}
	var got, p50, p95, single []float64
	var c, idle cost
	err = b.onChain(ctx, l.homes, openSalus, func(ch *chain) error {
		if err := l.send(ch, 0, warm); err != nil {
			return err
		}
		if c, err = b.spent("offered-alone", func() error { single, err = l.oneByOne(ch, warm, warm+alone); return err }); err != nil {
			return err
		}
		if idle, err = b.spent("offered-idle", func() error { return sleepUntil(ctx, time.Now().Add(pick(b, 4*time.Second, time.Second))) }); err != nil {
			return err
		}
		at := warm + alone
		for _, r := range rates {
			each := int(r*seconds) / 4
			took, rate, err := l.offer(ctx, ch, at, at+each, r)
			if err != nil {
				return fmt.Errorf("at %v a second: %w", r, err)
			}
			at += each
			got, p50, p95 = append(got, rate), append(p50, quantile(took, 0.5)), append(p95, quantile(took, 0.95))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	b.loadCurves("offered", "anchor.put on four validators", "transactions offered per second", "committed per second", rates, got, p50, p95)
	return []Result{
		newResult("offered.alone.p50", "ms", "value <= 60", []float64{median(single)}, nil).about("one anchor.put at a time on four validators: median time from a mempool to the first validator's commit", ""),
		newResult("offered.alone.cpu", "ms/tx", "value <= 60", []float64{c.each(len(single)) / 1000}, nil).about("CPU time of all four validators for each of them: its block, and the empty block after it that carries the new app hash", ""),
		newResult("offered.idle.cpu", "cores", "value <= 0.5", []float64{idle.cpu.Seconds() / idle.wall.Seconds()}, nil).about("CPU time of all four validators, in seconds per second, while there is nothing to do", ""),
		newResult("offered.50.p50", "ms", "value <= 80", []float64{p50[0]}, nil).about("anchor.put on four validators, 50 offered per second: median time from the first validator's mempool to its commit", ""),
		newResult("offered.1000.p95", "ms", "value <= 250", []float64{p95[slices.Index(rates, 1000)]}, nil).about("the same with 1,000 offered per second, 95th percentile", ""),
	}, nil
}

// offer sends the transactions from number from up to to of every node at a rate for all nodes
// together, and returns how long each took to be committed, and how many were per second.
func (l *load) offer(ctx context.Context, ch *chain, from, to int, rate float64) ([]float64, float64, error) {
	w := ch.meter.watch()
	defer ch.meter.watch()
	n := (to - from) * len(ch.nodes)
	start := time.Now()
	for k := range n {
		if err := sleepUntil(ctx, start.Add(time.Duration(float64(k)/rate*float64(time.Second)))); err != nil {
			return nil, 0, err
		}
		raw := l.txs[k%len(ch.nodes)][from+k/len(ch.nodes)]
		w.sent(raw)
		if err := ch.offer(k%len(ch.nodes), raw); err != nil {
			return nil, 0, err
		}
	}
	err := until("the offered transactions to commit", func() bool { return w.done() == n })
	took, last := w.times()
	return took, float64(len(took)) / last.Sub(start).Seconds(), err
}

// offer hands a transaction to one node.
func (ch *chain) offer(node int, raw []byte) error {
	var refused error
	err := ch.nodes[node].Mempool().CheckTx(cmttypes.Tx(raw), func(r *abci.ResponseCheckTx) {
		if r.Code != 0 {
			refused = fmt.Errorf("%w: %s", errIncomplete, r.Log)
		}
	}, mempool.TxInfo{})
	return errors.Join(err, refused)
}

// oneByOne sends every node's transactions from number from up to to, each only when the one
// before it is committed, and returns how long they took.
func (l *load) oneByOne(ch *chain, from, to int) ([]float64, error) {
	w := ch.meter.watch()
	defer ch.meter.watch()
	for k := range len(l.txs) * (to - from) {
		raw := l.txs[k%len(l.txs)][from+k/len(l.txs)]
		w.sent(raw)
		if err := ch.offer(k%len(l.txs), raw); err != nil {
			return nil, err
		}
		if err := until("the commit", func() bool { return w.done() == k+1 }); err != nil {
			return nil, err
		}
	}
	took, _ := w.times()
	return took, nil
}

// measureWriters lets more and more clients write single resources.
func measureWriters(ctx context.Context, b *bench, w *world) ([]Result, error) {
	var at, rates, p50, p95 []float64
	for _, clients := range pick(b, []int{1, 4, 16, 64, 128}, []int{1, 16}) {
		each := max(2, pick(b, 96, 16)/clients)
		inputs := make([][][]byte, clients)
		for i := range inputs {
			known, writes, err := singles(uint64(100_000+1000*clients+i), each)
			if err != nil {
				return nil, err
			}
			if _, err := w.put(ctx, "ndjson", known); err != nil {
				return nil, err
			}
			inputs[i] = writes
		}
		c, took, err := w.writes(ctx, b, inputs, 0, each)
		if err != nil {
			return nil, err
		}
		at, rates = append(at, float64(clients)), append(rates, c.rate(clients*each))
		p50, p95 = append(p50, quantile(took, 0.5)), append(p95, quantile(took, 0.95))
	}
	b.loadCurves("writers", "Single-resource writes until active", "clients", "records per second", at, rates, p50, p95)
	return nil, nil
}

// measureReaders lets more and more readers read records of open sessions.
func measureReaders(ctx context.Context, b *bench, w *world) ([]Result, error) {
	rep, err := w.put(ctx, "bundle", sample.Bundle(9900, 120))
	if err != nil {
		return nil, err
	}
	p, err := w.claim(ctx, rep.Patients[0])
	if err != nil {
		return nil, err
	}
	if _, err := w.allow(ctx, p); err != nil {
		return nil, err
	}
	places, err := w.places(ctx, p)
	if err != nil {
		return nil, err
	}
	var at, rates, p50, p95 []float64
	for _, readers := range pick(b, []int{1, 2, 4, 8, 16, 32}, []int{1, 8}) {
		each := max(6, pick(b, 80, 16)/readers)
		var mu sync.Mutex // guards took
		var took []float64
		sessions := errgroup.Group{}
		g, gctx := errgroup.WithContext(ctx)
		open := make([]func() error, readers)
		for i := range readers {
			sessions.Go(func() error {
				s, err := w.open(ctx, p)
				open[i] = func() error {
					for k := range each {
						start := time.Now()
						if err := w.readOne(gctx, s, places[(i*each+k)%len(places)]); err != nil {
							return err
						}
						mu.Lock()
						took = append(took, millis(time.Since(start)))
						mu.Unlock()
					}
					return nil
				}
				return err
			})
		}
		if err := sessions.Wait(); err != nil {
			return nil, err
		}
		c, err := b.spent("readers", func() error {
			for _, f := range open {
				g.Go(f)
			}
			return g.Wait()
		})
		if err != nil {
			return nil, err
		}
		at, rates = append(at, float64(readers)), append(rates, c.rate(len(took)))
		p50, p95 = append(p50, quantile(took, 0.5)), append(p95, quantile(took, 0.95))
	}
	b.loadCurves("readers", "The next record of an open session", "concurrent readers, each with a session of its own", "records per second", at, rates, p50, p95)
	return nil, nil
}

// sleepUntil returns at a time, or earlier with ctx's error.
func sleepUntil(ctx context.Context, at time.Time) error {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
