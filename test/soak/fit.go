package main

import (
	"math"
	"slices"
)

// A value is a number at a place; lives keep apart what has different levels, such as one
// process and the next.
type value struct {
	life float64
	x, y float64
}

// A fit is the slope of a straight line through values, one level for each life, and the
// slope's standard error.
type fit struct {
	slope, err float64
	n          int
}

// linear fits by least squares. Without two different x in one life there is no slope.
func linear(vs []value) fit {
	type sum struct{ n, x, y float64 }
	level := map[float64]sum{}
	for _, v := range vs {
		s := level[v.life]
		level[v.life] = sum{s.n + 1, s.x + v.x, s.y + v.y}
	}
	var xx, xy, yy float64
	for _, v := range vs {
		s := level[v.life]
		dx, dy := v.x-s.x/s.n, v.y-s.y/s.n
		xx, xy, yy = xx+dx*dx, xy+dx*dy, yy+dy*dy
	}
	f := fit{n: len(vs), err: math.Inf(1)}
	if xx == 0 {
		return f
	}
	f.slope = xy / xx
	if free := float64(len(vs) - len(level) - 1); free > 0 {
		f.err = math.Sqrt(max(0, yy-f.slope*xy) / free / xx)
	}
	return f
}

// above reports whether the slope is surely above a bound: by two standard errors.
func (f fit) above(bound float64) bool { return f.slope-2*f.err > bound }

// binned replaces the values of a life within each bin of x by their mean: neighbours in time
// are not independent, and a fit that takes them so believes itself too much.
func binned(vs []value, width float64) []value {
	type place struct{ life, bin float64 }
	sums := map[place]value{}
	count := map[place]float64{}
	var order []place
	for _, v := range vs {
		p := place{v.life, math.Floor(v.x / width)}
		if count[p] == 0 {
			order = append(order, p)
		}
		count[p]++
		sums[p] = value{v.life, sums[p].x + v.x, sums[p].y + v.y}
	}
	out := make([]value, 0, len(order))
	for _, p := range order {
		out = append(out, value{p.life, sums[p].x / count[p], sums[p].y / count[p]})
	}
	return out
}

// quantile is the q-quantile of xs, NaN of nothing.
func quantile(xs []float64, q float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(xs))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

func mean(xs []float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	t := 0.0
	for _, x := range xs {
		t += x
	}
	return t / float64(len(xs))
}
