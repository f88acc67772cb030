// Package sim runs a whole network of members in one thread under one seeded scheduler: the
// real ledger.App with all modules over the real store, and the real custodian, on disks that
// crash, behind a simulated consensus engine on a network that delays, loses and repeats,
// with up to f Byzantine members. Patients, authors and readers act; what must always hold is
// checked all the time, and what clients saw is checked for linearizability at the end.
//
// Contract: a run is a function of its plan. Equal seeds give equal traces; a failing seed
// prints the command that repeats it. It must never read the machine's clock or randomness,
// nor let a goroutine's turn decide anything. docs/simulation.md says what it cannot show.
package sim

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	from    = flag.Uint64("sim.from", 1, "first seed")
	seeds   = flag.Uint64("sim.seeds", 6, "number of seeds")
	members = flag.Int("sim.members", 0, "members; 0 for 4 and, every fourth seed, 7")
	ops     = flag.Int("sim.ops", 60, "operations of clients in each run")
	budget  = flag.Duration("sim.budget", 0, "stop after this time; 0 for never")
	faulty  = flag.String("sim.mutant", "", "a fault to put into the system")
	trace   = flag.Bool("sim.trace", false, "print everything that happens")
)

// needed are what a set of seeds must have seen, or it has shown nothing.
var needed = []string{
	"blocks", "transactions", "releases", "refusals", "readings done", "writes done", "revocations certified",
	"looked, yes", "looked, no", "power cuts", "partitions", "blocks replayed", "Byzantine members", "histories checked",
	"thefts tried", "one-time grants used", "restarts compared with a replay", "log extensions proven",
}

func planOf(seed uint64) plan {
	p := plan{Seed: seed, Members: *members, Ops: *ops, Mutant: *faulty}
	if p.Members == 0 {
		p.Members = 4
		if seed%4 == 0 {
			p.Members = 7
		}
	}
	return p
}

// TestSeeds runs the seeds that the flags name.
func TestSeeds(t *testing.T) {
	begun := time.Now()
	total := map[string]int{}
	done := uint64(0)
	var simulated time.Duration
	for seed := *from; seed < *from+*seeds; seed++ {
		if *budget > 0 && time.Since(begun) > *budget {
			t.Logf("the time is up after %d of %d seeds", done, *seeds)
			break
		}
		var all func(string)
		if *trace {
			all = func(line string) { t.Log(line) }
		}
		p := planOf(seed)
		out := run(t, p, all)
		done++
		simulated += out.Simulated
		for k, n := range out.Count {
			total[k] += n
		}
		if out.Violation != "" {
			t.Errorf("seed %d: %s\nlast of the trace:\n%s\nrepeat it: %s", seed, out.Violation, strings.Join(out.Tail, "\n"), p.rerun())
		}
	}
	took := time.Since(begun)
	t.Logf("%d seeds in %s: %.2f seeds/s, %s simulated", done, took.Round(time.Second), float64(done)/took.Seconds(), simulated.Round(time.Second))
	for _, k := range slices.Sorted(maps.Keys(total)) {
		t.Logf("%10d  %s", total[k], k)
	}
	if *seeds >= 6 && done == *seeds && *faulty == "" {
		for _, k := range needed {
			if total[k] == 0 {
				t.Errorf("%q never happened: the runs show nothing of it", k)
			}
		}
	}
}

// TestSameSeedSameTrace runs a seed twice: everything that happened must be the same.
func TestSameSeedSameTrace(t *testing.T) {
	for _, p := range []plan{{Seed: 101, Members: 4, Ops: 20}, {Seed: 102, Members: 7, Ops: 8}} {
		one, other := run(t, p, nil), run(t, p, nil)
		if one.Trace != other.Trace || one.Violation != other.Violation {
			t.Errorf("seed %d: two runs differ: %s and %s", p.Seed, one.Trace, other.Trace)
			for i := range min(len(one.Tail), len(other.Tail)) {
				if one.Tail[i] != other.Tail[i] {
					t.Logf("at first:\n%s\n%s", one.Tail[i], other.Tail[i])
					break
				}
			}
		}
	}
	if run(t, plan{Seed: 103, Members: 4, Ops: 4}, nil).Trace == run(t, plan{Seed: 104, Members: 4, Ops: 4}, nil).Trace {
		t.Error("two seeds have one trace: nothing is random")
	}
}

// TestNothingHappensInACalmRun runs without faults, in which every reading must end.
func TestNothingHappensInACalmRun(t *testing.T) {
	out := run(t, plan{Seed: 7, Members: 4, Ops: 20, Calm: true}, nil)
	if out.Violation != "" {
		t.Fatalf("%s\n%s", out.Violation, strings.Join(out.Tail, "\n"))
	}
	for _, k := range []string{"power cuts", "partitions", "Byzantine members", "double votes seen"} {
		if out.Count[k] != 0 {
			t.Errorf("%q happened %d times in a calm run", k, out.Count[k])
		}
	}
	if out.Count["readings done"] == 0 || out.Count["writes done"] == 0 {
		t.Errorf("nothing was done: %s", counters(out.Count))
	}
}
