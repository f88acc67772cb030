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
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

var (
	from    = flag.Uint64("sim.from", 1, "first seed")
	seeds   = flag.Uint64("sim.seeds", 6, "number of seeds")
	members = flag.Int("sim.members", 0, "members; 0 for 4 and, every fourth seed, 7")
	ops     = flag.Int("sim.ops", 60, "operations of clients in each run")
	budget  = flag.Duration("sim.budget", 0, "stop after this time; 0 for never")
	faulty  = flag.String("sim.mutant", "", "a fault to put into the system")
	stride  = flag.Uint64("sim.stride", 1, "take every n-th seed")
	workers = flag.Int("sim.workers", 1, "processes that share the seeds")
	sums    = flag.String("sim.sums", "", "file to write what was counted to, for a parent process")
	trace   = flag.Bool("sim.trace", false, "print everything that happens")
)

// needed are what a set of seeds must have seen, or it has shown nothing.
var needed = []string{
	"blocks", "transactions", "releases", "refusals", "readings done", "writes done", "revocations certified", "consent.change",
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

// A tally is what a set of runs came to.
type tally struct {
	Done      uint64
	Simulated time.Duration
	Count     map[string]int
}

// TestSeeds runs the seeds that the flags name.
func TestSeeds(t *testing.T) {
	begun := time.Now()
	var sum tally
	if *workers > 1 {
		sum = share(t)
	} else {
		sum = runSeeds(t)
	}
	if *sums != "" {
		b, err := json.Marshal(sum)
		if err == nil {
			err = os.WriteFile(*sums, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	took := time.Since(begun)
	t.Logf("%d seeds in %s: %.2f seeds/s, %s simulated", sum.Done, took.Round(time.Second), float64(sum.Done)/took.Seconds(), sum.Simulated.Round(time.Second))
	for _, k := range slices.Sorted(maps.Keys(sum.Count)) {
		t.Logf("%10d  %s", sum.Count[k], k)
	}
	if sum.Done >= 6 && *faulty == "" {
		for _, k := range needed {
			if sum.Count[k] == 0 {
				t.Errorf("%q never happened: the runs show nothing of it", k)
			}
		}
	}
}

// share runs the seeds in several processes: a run takes its randomness from the whole
// process, so there is one at a time in each.
func share(t *testing.T) tally {
	sum := tally{Count: map[string]int{}}
	dir := t.TempDir()
	var mu sync.Mutex
	var g errgroup.Group
	for i := range uint64(*workers) {
		g.Go(func() error {
			file := filepath.Join(dir, fmt.Sprint(i))
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=TestSeeds$", "-test.v", "-test.timeout=0", fmt.Sprint("-sim.from=", *from+i),
				fmt.Sprint("-sim.seeds=", *seeds-min(i, *seeds)), fmt.Sprint("-sim.stride=", *workers), fmt.Sprint("-sim.members=", *members), fmt.Sprint("-sim.ops=", *ops),
				fmt.Sprint("-sim.budget=", *budget), "-sim.mutant="+*faulty, "-sim.sums="+file)
			out, failed := cmd.CombinedOutput()
			mu.Lock()
			defer mu.Unlock()
			if failed != nil {
				t.Errorf("%s", out)
			} else {
				t.Logf("%s", out)
			}
			var part tally
			b, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(b, &part)
			}
			sum.Done += part.Done
			sum.Simulated += part.Simulated
			for k, n := range part.Count {
				sum.Count[k] += n
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	return sum
}

func runSeeds(t *testing.T) tally {
	begun := time.Now()
	sum := tally{Count: map[string]int{}}
	for seed := *from; seed < *from+*seeds; seed += *stride {
		if *budget > 0 && time.Since(begun) > *budget {
			t.Logf("the time is up after %d seeds of %d", sum.Done, *seeds / *stride)
			break
		}
		var all func(string)
		if *trace {
			all = func(line string) { t.Log(line) }
		}
		p := planOf(seed)
		start := time.Now()
		out := run(t, p, all)
		if took := time.Since(start); took > 10*time.Second {
			t.Logf("seed %d took %s: %s", seed, took.Round(time.Second), p.rerun())
		}
		sum.Done++
		sum.Simulated += out.Simulated
		for k, n := range out.Count {
			sum.Count[k] += n
		}
		if out.Violation != "" {
			t.Errorf("seed %d: %s\nlast of the trace:\n%s\nrepeat it: %s", seed, out.Violation, strings.Join(out.Tail, "\n"), p.rerun())
		}
	}
	return sum
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
