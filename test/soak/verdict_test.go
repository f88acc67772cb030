package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// synthetic is a run of 30 minutes on four nodes, as a healthy network makes it: noise, steps of
// the stores, caches that fill in the first minutes, kills, and growth that the records explain.
func synthetic(seed uint64) *Run {
	r := rand.New(rand.NewPCG(seed, 7))
	run := &Run{Seconds: 1800, Idle: 120, Every: 10, Rate: 8, Orgs: []string{"hospital", "clinic", "insurer", "institute"}, Machine: "a machine that is none", Cgo: true}
	run.End = []Check{{Name: "everything acknowledged is there", OK: true, Judged: true}}
	for t := 90.0; t < 1800; t += 90 {
		run.Outages = append(run.Outages, Outage{Org: run.Orgs[2+r.IntN(2)], Kill: t, Ready: t + 12})
	}
	for t := 0.0; t < 1920; t += 10 {
		loaded := min(t, 1800)
		done, recs, height := int(loaded*6), int(loaded*10), int64(loaded*6+max(0, t-1800)/5)
		for _, org := range run.Orgs {
			s := Sample{T: t, Org: org, Up: true, Start: 1, Height: height, Records: recs, Done: done, Load: 2, Other: 0.1}
			for _, o := range run.Outages {
				if o.Org == org && o.Ready <= t {
					s.Start = o.Ready // a new process
				}
				if o.Org == org && t >= o.Kill && t < o.Ready {
					s.Up = false
				}
			}
			s.Live = 20e6 + 15e6*(1-math.Exp(-(t-s.Start)/60)) + 40*float64(recs) + 2e6*r.NormFloat64()
			s.RSS = s.Live + 60e6 + 5e6*r.NormFloat64()
			s.Goroutines, s.FDs, s.CPU = 110+4*r.NormFloat64(), 80+2*r.NormFloat64(), (loaded-s.Start)*0.2
			step := math.Floor(float64(recs)/2000)*2000*2e3 + 1500*float64(height)
			s.Disk = map[string]int64{"ledger": int64(step), "vault": int64(1000 * recs), "consensus log": 11e6, journals: int64(1e6 * float64(r.IntN(100)))}
			if t >= 1800 {
				s.Disk[journals] = 50e6 + 3000*(height-10800)
			}
			run.Samples = append(run.Samples, s)
		}
	}
	for t := 1.0; t < 1800; t += 0.3 {
		kind := []string{"write", "read, new session", "grant"}[r.IntN(3)]
		o := Op{T: t, Kind: kind, Ms: 50 * math.Exp(r.NormFloat64()/2)}
		if r.IntN(100) == 0 {
			o.Code = "down"
		}
		run.Ops = append(run.Ops, o)
	}
	return run
}

// failing names the checks that failed.
func failing(cs []Check) (out []string) {
	for _, c := range cs {
		if c.Judged && !c.OK {
			out = append(out, c.Name)
		}
	}
	return out
}

func TestNoiseDoesNotFailTheVerdict(t *testing.T) {
	for seed := range uint64(50) {
		cs := judge(synthetic(seed))
		if f := failing(cs); len(f) > 0 {
			t.Errorf("seed %d: got %q, want no failure\n%s", seed, f, checkTable(cs))
		}
		for _, c := range cs {
			if !c.Judged {
				t.Errorf("seed %d: %s was not judged", seed, c.Name)
			}
		}
	}
}

func TestPlantedFaultsFailTheVerdict(t *testing.T) {
	each := func(f func(*Sample)) func(*Run) {
		return func(r *Run) {
			for i := range r.Samples {
				f(&r.Samples[i])
			}
		}
	}
	age := func(s *Sample) float64 { return max(0, s.T-s.Start) / 60 } // minutes of this process
	for _, x := range []struct {
		name, want string
		plant      func(*Run)
	}{
		{"every process leaks 1 MB a minute", "growth of live heap", each(func(s *Sample) { s.Live += 1e6 * age(s) })},
		{"one node leaks 1 MB a minute", "growth of live heap", each(func(s *Sample) {
			if s.Org == "clinic" {
				s.Live += 1e6 * age(s)
			}
		})},
		{"memory outside of the heap leaks 8 MB a minute, more than the files grow", "growth of resident memory", each(func(s *Sample) { s.RSS += 8e6 * age(s) })},
		{"without cgo the heap leaks more than the files grow", "growth of live heap", func(r *Run) {
			r.Cgo = false
			each(func(s *Sample) { s.Live += 8e6 * age(s) })(r)
		}},
		{"memory is taken at once and kept", "resident memory stays small", each(func(s *Sample) { s.RSS += 550e6 })},
		{"a goroutine is left behind each minute", "growth of goroutines", each(func(s *Sample) { s.Goroutines += age(s) })},
		{"a file stays open each minute", "growth of file descriptors", each(func(s *Sample) { s.FDs += age(s) })},
		{"a record costs 10 kB more of disk", "disk for each record", each(func(s *Sample) { s.Disk["custody"] += int64(10e3 * records(s)) })},
		{"a record costs more and more", "disk for each record, late", each(func(s *Sample) { s.Disk["custody"] += int64(2 * records(s) * records(s)) })},
		{"a heartbeat costs 20 kB", "disk for each idle block", each(func(s *Sample) {
			if s.T > 1800 {
				s.Disk["blocks"] += 20e3 * (s.Height - 10800)
			}
		})},
		{"the log of consensus is never trimmed", "consensus log stays small", each(func(s *Sample) { s.Disk["consensus log"] += s.Height * 10e3 })},
		{"answers become slower by 1 a minute in 10", "p95 of answers, late", func(r *Run) {
			for i := range r.Ops {
				r.Ops[i].Ms *= 1 + r.Ops[i].T/600
			}
		}},
		{"operations cost more and more", "processor time of an operation, late", each(func(s *Sample) { s.CPU += s.T * s.T / 5000 })},
		{"a node takes two minutes to come back", "killed nodes come back", func(r *Run) { r.Outages[3].Ready = r.Outages[3].Kill + 120 }},
		{"an error has no code", "every error has a code of its own", func(r *Run) { r.Ops[5].Code = "internal" }},
		{"a refused read gives a record", "nothing happened that must not", func(r *Run) { r.Findings = []string{"x"} }},
		{"a record is lost", "everything acknowledged is there", func(r *Run) { r.End[0].OK = false }},
	} {
		r := synthetic(3)
		x.plant(r)
		if got := failing(judge(r)); !slices.Contains(got, x.want) {
			t.Errorf("%s: got %q, want %q among them", x.name, got, x.want)
		}
	}
}

func TestSlownessIsNotJudgedOnABusyMachine(t *testing.T) {
	r := synthetic(3)
	for i := range r.Ops {
		r.Ops[i].Ms *= 1 + r.Ops[i].T/600
	}
	for i := range r.Samples {
		r.Samples[i].Other = 1.5
	}
	cs := judge(r)
	if !passed(cs) || !slices.ContainsFunc(cs, func(c Check) bool { return !c.Judged && strings.Contains(c.Detail, "others kept") }) {
		t.Errorf("got\n%s\nwant slowness said and not judged", checkTable(cs))
	}
}

func TestFitFindsALineBehindNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var vs []value
	for i := range 400 {
		x := float64(i) / 10
		vs = append(vs, value{float64(i / 100), x, 100*float64(i/100) + 3*x + r.NormFloat64()}) // a step up with each life
	}
	if f := linear(vs); math.Abs(f.slope-3) > 3*f.err || f.err > 0.1 || !f.above(2.5) || f.above(3.5) {
		t.Errorf("got %+v, want a slope of 3", f)
	}
	if f := linear([]value{{0, 1, 2}, {1, 3, 9}}); !math.IsInf(f.err, 1) || f.above(-1e9) {
		t.Errorf("got %+v of one point in each life, want to know nothing", f)
	}
	if got := binned([]value{{0, 0.1, 2}, {0, 0.9, 4}, {0, 1.1, 9}, {1, 0.5, 7}}, 1); len(got) != 3 || got[0] != (value{0, 0.5, 3}) {
		t.Errorf("got %v, want three means", got)
	}
}

func TestMetricsAreRead(t *testing.T) {
	got := parseMetrics([]byte("# HELP a b\n# TYPE a gauge\na 1.5e+06\nb{x=\"y\"} 3\nc NaN\nnonsense\n"))
	if len(got) != 2 || got["a"] != 1.5e6 {
		t.Errorf("got %v, want a and c", got)
	}
}
