package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2" // which rows are proved is no secret
	"os"
	"path/filepath"
	"time"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A growing is one quantity over the sizes of the state.
type growing struct {
	name, unit, target, what string
}

// Speeds must keep four fifths; times and costs may grow by a quarter, which is the same.
const (
	keepsSpeed = "ratio >= 0.8"
	keepsTime  = "ratio <= 1.25"
)

// growings are what is measured at every size, in the order of the document.
var growings = []growing{
	{"put", "tx/s", keepsSpeed, "anchor.put committed on four validators"},
	{"put.cpu", "µs/tx", keepsTime, "CPU time of the four validators for each"},
	{"decisions", "1/s", keepsSpeed, "access requests decided and committed on four validators, patients with 10 grants"},
	{"decisions.wait", "ms", keepsTime, "one access request at a time, from the mempool to the commit, median"},
	{"prove.row", "1/s", "value >= 2000", "proofs of random anchors' rows made by one core"},
	{"prove.entry", "1/s", "value >= 2000", "proofs of random log entries made by one core"},
	{"import.bundles", "records/s", keepsSpeed, "bundles imported until active, the whole network"},
	{"import.bundles.cpu", "µs/record", keepsTime, "CPU time of the four organisations and the client for each"},
	{"import.writes", "records/s", keepsSpeed, "single-resource writes from 64 clients until active"},
	{"access.session.p50", "ms", keepsTime, "a new session until the plaintext, median"},
	{"access.next.p50", "ms", keepsTime, "the next record of an open session, median"},
	{"receipt.verify", "1/s", keepsSpeed, "receipts of log entries verified by one core"},
}

// small is how many records are anchored in the state that all others are compared with.
const small = 1000

// sizes are the numbers of records anchored, each in a batch of its own.
func sizes(b *bench) []int {
	if b.short {
		return []int{small, 10_000}
	}
	return []int{small, 10_000, 100_000, 1_000_000}
}

// sizeName is how results call a size.
func sizeName(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%dm", n/1_000_000)
	}
	return fmt.Sprintf("%dk", n/1000)
}

// measureGrowth measures on states of a thousand to a million anchored records, and on the small state
// again at the end, so that a machine that becomes slower does not look like growth.
func measureGrowth(ctx context.Context, b *bench) ([]Result, error) {
	s, err := newSeed(ctx, filepath.Join(b.dir, "growth"), 4)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.close() }()
	if err := s.enlist(ctx); err != nil {
		return nil, err
	}
	if err := s.anchorTo(ctx, small); err != nil {
		return nil, err
	}
	again, err := s.plantPair(b, "again")
	if err != nil {
		return nil, err
	}
	g := &growth{values: map[string]map[int][]float64{}}
	var failed error
	for _, n := range sizes(b) {
		start := time.Now()
		err := errors.Join(s.anchorTo(ctx, n), settle(ctx))
		b.log("   %d records anchored in %s", n, time.Since(start).Round(time.Second/10))
		var at planting
		if err == nil {
			at, err = s.plantPair(b, sizeName(n))
		}
		if err != nil {
			return g.results(b), errors.Join(failed, err)
		}
		failed = errors.Join(failed, g.proofs(b, s, n), g.measure(ctx, b, s, at, n))
	}
	return g.results(b), errors.Join(failed, g.measure(ctx, b, s, again, small))
}

// growth gathers what was measured, by name and size.
type growth struct {
	values map[string]map[int][]float64
}

func (g *growth) add(name string, n int, xs ...float64) {
	if g.values[name] == nil {
		g.values[name] = map[int][]float64{}
	}
	g.values[name][n] = append(g.values[name][n], xs...)
}

// results compares every size with the small state. What was not measured is left out.
func (g *growth) results(b *bench) []Result {
	var out []Result
	for _, m := range growings {
		base := g.values[m.name][small]
		for _, n := range sizes(b) {
			if xs := g.values[m.name][n]; n > small && len(xs) > 0 && len(base) > 0 {
				out = append(out, newResult("growth."+m.name+"."+sizeName(n), m.unit, m.target, xs, base).about(m.what, "the same on the state of 1,000 records, measured before all others and after"))
			}
		}
	}
	b.curve(g.curve(b, "growth-speed", "Speed, as a multiple of that with 1,000 records", "times", func(m growing) bool { return m.target != keepsTime }))
	b.curve(g.curve(b, "growth-time", "Time and cost, as a multiple of those with 1,000 records", "times", func(m growing) bool { return m.target == keepsTime }))
	return out
}

// curve draws everything with a target over the sizes, as a multiple of the small state's.
func (g *growth) curve(b *bench, name, title, unit string, shows func(growing) bool) Curve {
	c := Curve{Name: name, Title: title, X: "records anchored, each a batch of its own", Y: unit, LogX: true}
	for _, m := range growings {
		s := Series{Name: m.name}
		for _, n := range sizes(b) {
			if xs := g.values[m.name][n]; shows(m) && len(xs) > 0 && len(g.values[m.name][small]) > 0 {
				s.Points = append(s.Points, Point{float64(n), median(xs) / median(g.values[m.name][small])})
			}
		}
		if len(s.Points) > 0 {
			c.Series = append(c.Series, s)
		}
	}
	return c
}

// A planting is a seeded state twice: for validators alone, and for the whole network.
type planting struct {
	chain   *load
	network string
	nonces  map[tx.Account]uint64 // highest used
}

func (s *seed) plantPair(b *bench, name string) (p planting, err error) {
	p.nonces = maps.Clone(s.nonces)
	if p.chain, err = s.plant(filepath.Join(b.dir, "growth-chain-"+name)); err != nil {
		return p, err
	}
	p.network = filepath.Join(b.dir, "growth-network-"+name)
	_, err = s.plant(p.network)
	return p, err
}

// measure measures everything on a planted state of n records. What fails takes nothing else along.
func (g *growth) measure(ctx context.Context, b *bench, s *seed, p planting, n int) error {
	err := g.validators(ctx, b, s, p, n)
	if !b.short { // the network needs a minute
		err = errors.Join(err, g.network(ctx, b, p.network, n))
	}
	for _, c := range p.chain.homes { // of the rest CometBFT's reactors may still hold a part
		err = errors.Join(err, os.RemoveAll(c.Data("ledger")))
	}
	return errors.Join(err, os.RemoveAll(p.network))
}

// validators measures what needs no more than consensus and the state machine.
func (g *growth) validators(ctx context.Context, b *bench, s *seed, p planting, n int) error {
	puts, asks, waits := pick(b, 8000, 4000), pick(b, 4000, 2000), pick(b, 100, 20)
	return b.onChain(ctx, p.chain.homes, openSalus, func(ch *chain) error {
		for i := range pick(b, 2, 1) {
			err := p.chain.puts(s.chain, puts, func(a tx.Account) uint64 {
				return p.nonces[a] + 1 + uint64(i*puts/len(ch.nodes))
			})
			if err != nil {
				return err
			}
			x, err := p.chain.run(ch, b, "growth-put-"+sizeName(n))
			if err != nil {
				return err
			}
			g.add("put", n, x.rate)
			g.add("put.cpu", n, x.cpu)
		}
		if err := p.chain.requests(s.chain, s.people, 10, asks, 1); err != nil {
			return err
		}
		x, err := p.chain.run(ch, b, "growth-decisions-"+sizeName(n))
		if err != nil {
			return err
		}
		g.add("decisions", n, x.rate)
		if err := p.chain.requests(s.chain, s.people, 10, waits, uint64(asks)); err != nil {
			return err
		}
		took, err := p.chain.oneByOne(ch, 0, len(p.chain.txs[0]))
		g.add("decisions.wait", n, median(took))
		return err
	})
}

// proofs makes proofs of the seed's own state, which is that of every member.
func (g *growth) proofs(b *bench, s *seed, n int) error {
	v := s.app.View()
	defer v.Close()
	headers, err := sampleHeaders(v)
	if err != nil {
		return err
	}
	for range pick(b, 3, 1) {
		r, err := perSecond(func(i int) error {
			_, err := v.ProveKey(anchor.BatchKey(headers[i%len(headers)]))
			return err
		})
		if err != nil {
			return err
		}
		g.add("prove.row", n, r)
		r, err = perSecond(func(int) error { _, err := v.ProveEntry(rand.Uint64N(v.Size())); return err }) //nolint:gosec // a sample
		if err != nil {
			return err
		}
		g.add("prove.entry", n, r)
	}
	return nil
}

// samples is how many anchors are looked at for proofs.
const samples = 4000

// sampleHeaders takes the header hashes of random anchors from the log.
func sampleHeaders(v *state.View) ([]tx.Hash, error) {
	var out []tx.Hash
	for range 10 * samples {
		raw, ok := v.Entry(rand.Uint64N(v.Size())) //nolint:gosec // a sample
		if !ok {
			return nil, errors.New("perf: the log has a hole")
		}
		if put, ok := exchange.DecodePut(raw); ok {
			out = append(out, put.Header.Hash())
		}
		if len(out) == samples {
			break
		}
	}
	if len(out) == 0 {
		return nil, errors.New("perf: the log has no anchors")
	}
	return out, nil
}

// network measures the four organisations over the planted state, in a process of their own.
func (g *growth) network(ctx context.Context, b *bench, dir string, n int) error {
	return apart(ctx, dir, func(w *world) error {
		if err := w.enlist(ctx); err != nil {
			return err
		}
		c := *b
		c.others = w.cpu
		rs, err := w.each(ctx, &c, measureImport, measureWrites, measureAccess, measureReceipts)
		for _, r := range rs {
			g.add(r.Name, n, r.Value)
		}
		return err
	})
}
