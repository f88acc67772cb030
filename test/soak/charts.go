package main

import (
	"maps"
	"math"
	"slices"

	"salus/internal/plot"
)

// charts are the pictures of a run, by name.
func (r *Run) charts() map[string]*plot.Chart {
	out := map[string]*plot.Chart{
		"memory":     r.nodes("Resident memory", "MB", func(s *Sample) float64 { return s.RSS / 1e6 }),
		"heap":       r.nodes("Live heap after the last collection", "MB", func(s *Sample) float64 { return s.Live / 1e6 }),
		"goroutines": r.nodes("Goroutines", "", func(s *Sample) float64 { return s.Goroutines }),
		"files":      r.nodes("Open file descriptors", "", func(s *Sample) float64 { return s.FDs }),
		"disk":       r.diskChart(),
		"latency":    r.latencyChart(),
	}
	return out
}

func timeAxis() plot.Axis { return plot.Axis{Label: "time", Unit: "min", Zero: true} }

// marks are the kills.
func (r *Run) marks() (out []plot.Mark) {
	for _, o := range r.Outages {
		out = append(out, plot.Mark{X: o.Kill / 60, Name: "a node is killed"})
	}
	return out
}

// nodes draws one number of each node over time; a node that is away is a gap.
func (r *Run) nodes(title, unit string, of func(*Sample) float64) *plot.Chart {
	c := &plot.Chart{Title: title, X: timeAxis(), Y: plot.Axis{Label: title, Unit: unit, Zero: true}, Marks: r.marks()}
	for _, org := range r.Orgs {
		s := plot.Series{Name: org}
		for _, x := range r.of(org, 0, math.Inf(1)) {
			y := math.NaN()
			if x.Up {
				y = of(x)
			}
			s.Points = append(s.Points, plot.Point{X: x.T / 60, Y: y})
		}
		c.Series = append(c.Series, s)
	}
	return c
}

// diskChart draws the parts of the hospital's disk over the records of the network.
func (r *Run) diskChart() *plot.Chart {
	c := &plot.Chart{Title: "Disk of the hospital's node", X: plot.Axis{Label: "records of all four", Zero: true}, Y: plot.Axis{Label: "in files", Unit: "MB", Zero: true}}
	for _, p := range partNames {
		s := plot.Series{Name: p}
		for _, x := range r.of(r.Orgs[0], 0, r.Seconds) {
			s.Points = append(s.Points, plot.Point{X: records(x), Y: float64(x.Disk[p]) / 1e6})
		}
		c.Series = append(c.Series, s)
	}
	return c
}

// latencyChart draws p95 of the most frequent kinds by twentieths of the load.
func (r *Run) latencyChart() *plot.Chart {
	c := &plot.Chart{Title: "p95 of answers while all nodes run", X: timeAxis(), Y: plot.Axis{Label: "p95", Unit: "ms", Log: true}, Marks: r.marks()}
	count := map[string]int{}
	for _, o := range r.Ops {
		count[o.Kind]++
	}
	kinds := slices.SortedFunc(maps.Keys(count), func(a, b string) int { return count[b] - count[a] })
	kinds = kinds[:min(len(kinds), 6)]
	slices.Sort(kinds)
	const pieces = 20
	for _, k := range kinds {
		s := plot.Series{Name: k, Style: plot.Both}
		for i := range pieces {
			if xs := r.undisturbed(k, float64(i)/pieces, float64(i+1)/pieces); len(xs) > 2 {
				s.Points = append(s.Points, plot.Point{X: (float64(i) + 0.5) / pieces * r.Seconds / 60, Y: quantile(xs, 0.95)})
			}
		}
		c.Series = append(c.Series, s)
	}
	return c
}
