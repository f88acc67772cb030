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
		return []int{10_000}
	}
	return []int{10_000, 100_000, 1_000_000}
}

// sizeName is how results call a size.
func sizeName(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%dm", n/1_000_000)
	}
	return fmt.Sprintf("%dk", n/1000)
}

// A tally gathers what was measured, by name.
type tally map[string][]float64

func (t tally) add(name string, xs ...float64) { t[name] = append(t[name], xs...) }

// A pair is a size and what it is compared with: the small state, measured just before it, so
// that a machine that becomes slower or busier does not look like growth.
type pair struct {
	n            int
	large, small tally
}

// measureGrowth measures on states of ten thousand to a million anchored records, each beside
// the small state.
func measureGrowth(ctx context.Context, b *bench) ([]Result, error) {
	s, err := newSeed(ctx, filepath.Join(b.dir, "growth"), 4)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.close() }()
	if err := errors.Join(s.enlist(ctx), s.anchorTo(ctx, small), settle(ctx)); err != nil {
		return nil, err
	}
	proofs := tally{}
	failed := s.proofs(b, proofs)
	beside := map[int]planting{}
	for _, n := range sizes(b) {
		if beside[n], err = s.plantPair(b, "beside-"+sizeName(n)); err != nil {
			return nil, err
		}
	}
	var pairs []pair
	for _, n := range sizes(b) {
		start := time.Now()
		err := errors.Join(s.anchorTo(ctx, n), settle(ctx))
		b.log("   %d records anchored in %s", n, time.Since(start).Round(time.Second/10))
		var large planting
		if err == nil {
			large, err = s.plantPair(b, sizeName(n))
		}
		if err != nil {
			failed = errors.Join(failed, err)
			break
		}
		p := pair{n, tally{}, maps.Clone(proofs)}
		failed = errors.Join(failed, s.proofs(b, p.large),
			s.measure(ctx, b, beside[n], "beside-"+sizeName(n), p.small), s.measure(ctx, b, large, sizeName(n), p.large))
		pairs = append(pairs, p)
	}
	return growthResults(b, pairs), failed
}

// growthResults compares every size with the small state. What was not measured is left out.
func growthResults(b *bench, pairs []pair) []Result {
	speed := Curve{Name: "growth-speed", Title: "Speed, as a multiple of that with 1,000 records", X: "records anchored, each a batch of its own", Y: "times", LogX: true}
	times := speed
	times.Name, times.Title = "growth-time", "Time and cost, as a multiple of those with 1,000 records"
	var out []Result
	for _, m := range growings {
		line := Series{Name: m.name, Points: []Point{{small, 1}}}
		for _, p := range pairs {
			xs, base := p.large[m.name], p.small[m.name]
			if len(xs) == 0 || len(base) == 0 {
				continue
			}
			line.Points = append(line.Points, Point{float64(p.n), median(xs) / median(base)})
			out = append(out, newResult("growth."+m.name+"."+sizeName(p.n), m.unit, m.target, xs, base).about(m.what, "the same with 1,000 records, just before it; for proofs, at the beginning"))
		}
		if m.target == keepsTime {
			times.Series = append(times.Series, line)
		} else {
			speed.Series = append(speed.Series, line)
		}
	}
	b.curve(speed)
	b.curve(times)
	return out
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

// measure measures everything on a planted state. What fails takes nothing else along.
func (s *seed) measure(ctx context.Context, b *bench, p planting, name string, t tally) error {
	err := s.validators(ctx, b, p, name, t)
	if !b.short { // the network needs a minute
		err = errors.Join(err, growthNetwork(ctx, b, p.network, t))
	}
	for _, c := range p.chain.homes { // of the rest CometBFT's reactors may still hold a part
		err = errors.Join(err, os.RemoveAll(c.Data("ledger")))
	}
	return errors.Join(err, os.RemoveAll(p.network))
}

// validators measures what needs no more than consensus and the state machine.
func (s *seed) validators(ctx context.Context, b *bench, p planting, name string, t tally) error {
	puts, asks, waits := pick(b, 8000, 4000), pick(b, 4000, 2000), pick(b, 100, 20)
	return b.onChain(ctx, p.chain.homes, openSalus, func(ch *chain) error {
		for i := range pick(b, 2, 1) {
			err := p.chain.puts(s.chain, puts, func(a tx.Account) uint64 {
				return p.nonces[a] + 1 + uint64(i*puts/len(ch.nodes))
			})
			if err != nil {
				return err
			}
			x, err := p.chain.run(ch, b, "growth-put-"+name)
			if err != nil {
				return err
			}
			t.add("put", x.rate)
			t.add("put.cpu", x.cpu)
		}
		if err := p.chain.requests(s.chain, s.people, 10, asks, 1); err != nil {
			return err
		}
		x, err := p.chain.run(ch, b, "growth-decisions-"+name)
		if err != nil {
			return err
		}
		t.add("decisions", x.rate)
		if err := p.chain.requests(s.chain, s.people, 10, waits, uint64(asks)); err != nil {
			return err
		}
		took, err := p.chain.oneByOne(ch, 0, len(p.chain.txs[0]))
		t.add("decisions.wait", median(took))
		return err
	})
}

// proofs makes proofs of the seed's own state, which is that of every member.
func (s *seed) proofs(b *bench, t tally) error {
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
		t.add("prove.row", r)
		r, err = perSecond(func(int) error { _, err := v.ProveEntry(rand.Uint64N(v.Size())); return err }) //nolint:gosec // a sample
		if err != nil {
			return err
		}
		t.add("prove.entry", r)
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

// growthNetwork measures the four organisations over the planted state, in a process of their own.
func growthNetwork(ctx context.Context, b *bench, dir string, t tally) error {
	return apart(ctx, dir, func(w *world) error {
		if err := w.enlist(ctx); err != nil {
			return err
		}
		c := *b
		c.others = w.cpu
		rs, err := w.each(ctx, &c, measureImport, measureWrites, measureAccess, measureReceipts)
		for _, r := range rs {
			t.add(r.Name, r.Value)
		}
		return err
	})
}
