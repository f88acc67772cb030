package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A bound is what a number of a node may grow by: each acknowledged record explains so much, and
// beyond that each minute so much, for what settles slowly.
type bound struct {
	name, unit string
	of         func(*Sample) float64
	perRecord  float64
	perMinute  float64
	scale      float64         // of the unit
	stores     func(*Run) bool // it holds the stores' caches, which may grow as their files do
}

// bounds are for a node after its first minutes. The live heap is what the last collection found
// in use. Built with cgo, Pebble keeps its caches outside of the heap, and then it is the sharpest
// of all.
var bounds = []bound{
	{"live heap", "MB", func(s *Sample) float64 { return s.Live }, 256, 200e3, 1e6, func(r *Run) bool { return !r.Cgo }},
	{"resident memory", "MB", func(s *Sample) float64 { return s.RSS }, 512, 1e6, 1e6, func(*Run) bool { return true }},
	{"goroutines", "", func(s *Sample) float64 { return s.Goroutines }, 0, 0.5, 1, func(*Run) bool { return false }},
	{"file descriptors", "", func(s *Sample) float64 { return s.FDs }, 0, 0.5, 1, func(*Run) bool { return false }},
}

// What a run may cost, and how much it must have of something before that is judged.
const (
	warmShare     = 0.2   // of the load: caches fill, journals take their size
	warmLife      = 180.0 // seconds of each process, at most a tenth of the load
	leastMinutes  = 8.0   // of a process after its warm-up, at most a quarter of the load
	diskPerRecord = 8e3   // bytes a node and record, with everything that the other operations of the mix write
	diskCreep     = 1.5   // the same in the last third against the third before it
	idlePerBlock  = 12e3  // bytes a node and heartbeat, in all files
	logLimit      = 64e6  // bytes of the log of consensus at any time
	memoryLimit   = 600e6 // bytes of memory at any time: 400 MB of caches that the stores may fill, and the process itself
	journalLimit  = 512e6 // bytes of the journals of all stores at any time
	latencyRatio  = 1.5   // p95 in the last quarter against the first
	leastOps      = 20    // of a kind in a quarter
	otherLimit    = 0.3   // processors that others keep busy; above, times say little
	downLimit     = 60.0  // seconds until a killed node takes part again
)

// judge is the verdict: what was compared at the end, and what grew.
func judge(r *Run) []Check {
	out := slices.Clone(r.End)
	out = append(out, findings(r), codes(r), returns(r))
	for _, b := range bounds {
		out = append(out, r.grows(b))
	}
	return append(out, r.diskGrows(), r.diskCreeps(), r.idles(), r.stays("resident memory", bounds[1].of, memoryLimit),
		r.stays("consensus log", part("consensus log"), logLimit), r.stays(journals, part(journals), journalLimit), r.latency(), r.effort())
}

// passed reports whether everything that was judged is as it must be.
func passed(cs []Check) bool {
	return !slices.ContainsFunc(cs, func(c Check) bool { return c.Judged && !c.OK })
}

func findings(r *Run) Check {
	c := Check{Name: "nothing happened that must not", OK: len(r.Findings) == 0, Judged: true, Detail: "every answer of the run was compared with what had been acknowledged"}
	if !c.OK {
		c.Detail = fmt.Sprintf("%d findings, the first: %s", len(r.Findings), r.Findings[0])
	}
	return c
}

// codes wants that every error has a meaning.
func codes(r *Run) Check {
	bad := map[string]int{}
	for _, o := range r.Ops {
		if o.Code == "internal" || o.Code == "other" || o.Code == "wrong" {
			bad[o.Kind+": "+o.Code]++
		}
	}
	c := Check{Name: "every error has a code of its own", OK: len(bad) == 0, Judged: true, Detail: "no error was internal or unknown"}
	if !c.OK {
		c.Detail = fmt.Sprint(bad)
	}
	return c
}

func returns(r *Run) Check {
	longest := 0.0
	for _, o := range r.Outages {
		longest = max(longest, o.Ready-o.Kill)
	}
	return Check{
		Name: "killed nodes come back", OK: longest <= downLimit, Judged: len(r.Outages) > 0,
		Detail: fmt.Sprintf("%d kills; at most %.0f s from a kill to taking part again, 1 to 10 s of them switched off (limit %.0f s)", len(r.Outages), longest, downLimit),
	}
}

// of are the samples of a node in [from, to) of the time.
func (r *Run) of(org string, from, to float64) (out []*Sample) {
	for i := range r.Samples {
		if s := &r.Samples[i]; s.Org == org && s.T >= from && s.T < to {
			out = append(out, s)
		}
	}
	return out
}

// settled are the values of a node under load after the warm-up, of each process after its own.
// A process that then did not live long says more about its start than about growth.
func (r *Run) settled(org string, of func(*Sample) float64) (out []value) {
	lives := map[float64][]value{}
	born := map[float64]float64{}
	var order []float64
	for _, s := range r.of(org, 0, r.Seconds) {
		if !s.Up {
			continue
		}
		if _, ok := born[s.Start]; !ok {
			born[s.Start] = s.T
			order = append(order, s.Start)
		}
		if s.T >= warmShare*r.Seconds && s.T-born[s.Start] >= min(warmLife, r.Seconds/10) {
			lives[s.Start] = append(lives[s.Start], value{s.Start, minutes(s), of(s)})
		}
	}
	for _, l := range order {
		if vs := lives[l]; len(vs) > 0 && vs[len(vs)-1].x-vs[0].x >= min(leastMinutes, r.Seconds/60/4) {
			out = append(out, vs...)
		}
	}
	return out
}

func minutes(s *Sample) float64 { return s.T / 60 }
func records(s *Sample) float64 { return float64(s.Records) }

// recordRate is how many records a minute the network took after the warm-up.
func (r *Run) recordRate() float64 {
	s := r.of(r.Orgs[0], warmShare*r.Seconds, r.Seconds)
	if len(s) < 2 || s[len(s)-1].T == s[0].T {
		return 0
	}
	return float64(s[len(s)-1].Records-s[0].Records) / (s[len(s)-1].T - s[0].T) * 60
}

// slope fits a number of a node against the minutes.
func (r *Run) slope(org string, of func(*Sample) float64) fit {
	return linear(binned(r.settled(org, of), 1))
}

// limit is the slope a minute that a bound gives a node.
func (r *Run) limit(b bound, org string) float64 {
	l := b.perMinute + b.perRecord*r.recordRate()
	if b.stores(r) {
		// What is in a journal is in memory too, until it is sorted to disk.
		kept, all := r.disk(kept, org, warmShare, 1).slope, r.disk(stores, org, warmShare, 1).slope
		l += max(0, kept, all) * r.recordRate()
	}
	return l
}

// grows compares what a number grew by a minute with its bound, node by node.
func (r *Run) grows(b bound) Check {
	c := Check{Name: "growth of " + b.name, OK: true}
	var parts []string
	for _, org := range r.Orgs {
		f := r.slope(org, b.of)
		if f.n < 4 || math.IsInf(f.err, 0) {
			continue
		}
		limit := r.limit(b, org)
		c.Judged = true
		c.OK = c.OK && !f.above(limit)
		parts = append(parts, fmt.Sprintf("%s %+.2f ± %.2f of %.2f", org, f.slope/b.scale, 2*f.err/b.scale, limit/b.scale))
	}
	c.Detail = strings.TrimSpace(strings.Join(parts, ", ")+" "+b.unit) + " a minute allowed"
	if !c.Judged {
		c.Detail = "no process lived long enough"
	}
	return c
}

// kept is what a node's files take, but for journals and the log of consensus: those turn round.
func kept(s *Sample) float64 { return total(s) - float64(s.Disk[journals]+s.Disk["consensus log"]) }

// stores is what the stores' files and journals take.
func stores(s *Sample) float64 { return total(s) - float64(s.Disk["consensus log"]) }

func total(s *Sample) float64 {
	t := 0.0
	for _, b := range s.Disk {
		t += float64(b)
	}
	return t
}

// disk fits what a node's files take against the records, within a part of the load.
func (r *Run) disk(of func(*Sample) float64, org string, from, to float64) fit {
	var vs []value
	for _, s := range r.of(org, from*r.Seconds, to*r.Seconds) {
		vs = append(vs, value{0, records(s), of(s)})
	}
	return linear(vs)
}

// diskGrows bounds the disk a record costs.
func (r *Run) diskGrows() Check {
	c := Check{Name: "disk for each record", OK: true, Judged: r.Seconds >= 120}
	var parts []string
	for _, org := range r.Orgs {
		f := r.disk(kept, org, warmShare, 1)
		c.OK = c.OK && !f.above(diskPerRecord)
		parts = append(parts, fmt.Sprintf("%s %.1f", org, f.slope/1e3))
	}
	c.Detail = fmt.Sprintf("%s kB on the node; limit %.0f", strings.Join(parts, ", "), diskPerRecord/1e3)
	if !c.Judged {
		c.Detail = "the run is too short"
	}
	return c
}

// diskCreeps wants that a record late in the run costs no more disk than one before.
func (r *Run) diskCreeps() Check {
	c := Check{Name: "disk for each record, late", OK: true, Judged: r.Seconds >= 600}
	var parts []string
	for _, org := range r.Orgs {
		early, late := r.disk(kept, org, warmShare, 0.6), r.disk(kept, org, 0.6, 1)
		// Stores write in steps: what two standard errors of either explain is no creep.
		c.OK = c.OK && late.slope-2*late.err <= diskCreep*(early.slope+2*early.err)
		parts = append(parts, fmt.Sprintf("%s %.2f", org, late.slope/early.slope))
	}
	c.Detail = fmt.Sprintf("%s times that of the time before; limit %.1f beyond the errors of the fits", strings.Join(parts, ", "), diskCreep)
	if !c.Judged {
		c.Detail = "the run is too short"
	}
	return c
}

// idles bounds what heartbeats cost while nobody does anything: the median step from one look to
// the next, because a store may tidy up behind the load.
func (r *Run) idles() Check {
	c := Check{Name: "disk for each idle block", OK: true}
	worst, blocks := 0.0, int64(0)
	for _, org := range r.Orgs {
		var steps []float64
		s := r.of(org, r.Seconds, r.Seconds+r.Idle)
		for i := 1; i < len(s); i++ {
			if n := s[i].Height - s[i-1].Height; n > 0 && s[i-1].Height > 0 {
				steps = append(steps, (total(s[i])-total(s[i-1]))/float64(n))
			}
		}
		if len(steps) >= 3 {
			c.Judged = true
			blocks = max(blocks, s[len(s)-1].Height-s[0].Height)
			worst = max(worst, quantile(steps, 0.5))
		}
	}
	c.OK = worst <= idlePerBlock
	c.Detail = fmt.Sprintf("%.1f kB on the worst node, median over %d heartbeats; limit %.0f", worst/1e3, blocks, idlePerBlock/1e3)
	if !c.Judged {
		c.Detail = "the time without load is too short"
	}
	return c
}

// stays bounds a number of bytes at any time.
func (r *Run) stays(name string, of func(*Sample) float64, limit float64) Check {
	most := 0.0
	for i := range r.Samples {
		most = max(most, of(&r.Samples[i]))
	}
	return Check{Name: name + " stays small", OK: most <= limit, Judged: len(r.Samples) > 0, Detail: fmt.Sprintf("at most %.0f MB; limit %.0f", most/1e6, limit/1e6)}
}

// part is what a part of the disk takes.
func part(name string) func(*Sample) float64 {
	return func(s *Sample) float64 { return float64(s.Disk[name]) }
}

// undisturbed are the times of a kind's answers, in a part of the load, without those that
// overlap with the time that a killed node was away.
func (r *Run) undisturbed(kind string, from, to float64) (ms []float64) {
	for _, o := range r.Ops {
		if o.Kind != kind || o.Code != "" || o.T < from*r.Seconds || o.T >= to*r.Seconds {
			continue
		}
		end := o.T + o.Ms/1000
		if !slices.ContainsFunc(r.Outages, func(x Outage) bool { return o.T < x.Ready+5 && end > x.Kill }) {
			ms = append(ms, o.Ms)
		}
	}
	return ms
}

// kinds of operations, in the order of their names.
func (r *Run) kinds() (out []string) {
	for _, o := range r.Ops {
		if i, ok := slices.BinarySearch(out, o.Kind); !ok {
			out = slices.Insert(out, i, o.Kind)
		}
	}
	return out
}

// quarters are the first and the last quarter of the load.
var quarters = [2][2]float64{{0, 0.25}, {0.75, 1}}

// other is how many processors others kept busy in a quarter.
func (r *Run) other(q [2]float64) float64 {
	var xs []float64
	for _, s := range r.of(r.Orgs[0], q[0]*r.Seconds, q[1]*r.Seconds) {
		xs = append(xs, s.Other)
	}
	if len(xs) == 0 {
		return 0
	}
	return mean(xs)
}

// latency compares p95 of the last quarter with the first, by kind.
func (r *Run) latency() Check {
	c := Check{Name: "p95 of answers, late", OK: true}
	worst, which, judged := 0.0, "", 0
	for _, k := range r.kinds() {
		first, last := r.undisturbed(k, quarters[0][0], quarters[0][1]), r.undisturbed(k, quarters[1][0], quarters[1][1])
		if len(first) < leastOps || len(last) < leastOps {
			continue
		}
		judged++
		a, b := quantile(first, 0.95), quantile(last, 0.95)
		// What differs by less than a scheduler's slice is not slower.
		if ratio := b / a; b-a > 20 && ratio > worst {
			worst, which = ratio, k
		}
	}
	c.Judged, c.OK = judged > 0, worst <= latencyRatio
	c.Detail = fmt.Sprintf("no kind of %d is slower; limit %.1f times", judged, latencyRatio)
	if worst > 0 {
		c.Detail = fmt.Sprintf("%s: %.2f times that of the first quarter, the worst of %d kinds; limit %.1f", which, worst, judged, latencyRatio)
	}
	if a, b := r.other(quarters[0]), r.other(quarters[1]); max(a, b) > otherLimit {
		c.Judged = false
		c.Detail += fmt.Sprintf("; not judged: others kept %.1f and %.1f processors busy", a, b)
	}
	if judged == 0 {
		c.Detail = "too few operations"
	}
	return c
}

// effort compares the processor time of an operation, which does not depend on what else the
// machine does as its duration does.
func (r *Run) effort() Check {
	first, n := r.cpu(quarters[0])
	last, m := r.cpu(quarters[1])
	c := Check{Name: "processor time of an operation, late", Judged: n >= 100 && m >= 100, OK: last <= latencyRatio*first}
	c.Detail = fmt.Sprintf("%.0f ms on four nodes together in the first quarter, %.0f ms in the last; limit %.1f times", 1e3*first, 1e3*last, latencyRatio)
	if !c.Judged {
		c.Detail = "too few operations"
	}
	return c
}

// cpu is the processor time of all nodes for each operation of a quarter. A process that began
// between two samples counts from its first one on.
func (r *Run) cpu(q [2]float64) (each float64, ops int) {
	used := 0.0
	for _, org := range r.Orgs {
		s := r.of(org, q[0]*r.Seconds, q[1]*r.Seconds)
		for i := 1; i < len(s); i++ {
			if s[i].Up && s[i-1].Up && s[i].Start == s[i-1].Start {
				used += s[i].CPU - s[i-1].CPU
			}
		}
		if len(s) > 1 {
			ops = s[len(s)-1].Done - s[0].Done
		}
	}
	if ops == 0 {
		return 0, 0
	}
	return used / float64(ops), ops
}
