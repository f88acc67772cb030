package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Result is one measured number. Value is the median of its runs, Spread half the
// distance between the smallest and the largest run over the median.
type Result struct {
	Name     string   `json:"name"`
	Value    float64  `json:"value"`
	Unit     string   `json:"unit"`
	Baseline *float64 `json:"baseline"` // of the same run and unit; null for none
	Ratio    *float64 `json:"ratio"`    // Value over Baseline
	Target   string   `json:"target"`   // "ratio >= 0.5", "value <= 60"
	OK       bool     `json:"ok"`
	Spread   float64  `json:"spread"`
	Runs     int      `json:"runs"`
	// What is said of it in the document: what was measured, against what.
	Measured string `json:"-"`
	Against  string `json:"-"`
}

// newResult summarises the runs of a measurement. baseline may be empty.
func newResult(name, unit, target string, runs, baseline []float64) Result {
	r := Result{Name: name, Value: median(runs), Unit: unit, Target: target, Spread: spread(runs), Runs: len(runs)}
	if len(baseline) > 0 {
		base := median(baseline)
		ratio := r.Value / base
		r.Baseline, r.Ratio = &base, &ratio
	}
	r.OK = r.meets()
	return r
}

// about says what a result is, for the document.
func (r Result) about(measured, against string) Result {
	r.Measured, r.Against = measured, against
	return r
}

// meets compares the value or the ratio with the target; what it cannot read fails.
func (r *Result) meets() bool {
	f := strings.Fields(r.Target)
	if len(f) != 3 {
		return false
	}
	limit, err := strconv.ParseFloat(f[2], 64)
	if err != nil {
		return false
	}
	got := r.Value
	if f[0] == "ratio" {
		if r.Ratio == nil {
			return false
		}
		got = *r.Ratio
	} else if f[0] != "value" {
		return false
	}
	switch {
	case math.IsNaN(got) || math.IsInf(got, 0):
		return false
	case f[1] == ">=":
		return got >= limit
	case f[1] == "<=":
		return got <= limit
	default:
		return false
	}
}

func (r *Result) line() string {
	against := ""
	if r.Baseline != nil {
		against = fmt.Sprintf("  baseline %s, ratio %s", number(*r.Baseline), number(*r.Ratio))
	}
	verdict := "ok"
	if !r.OK {
		verdict = "MISSED"
	}
	return fmt.Sprintf("%-28s %10s %-10s ±%2.0f %%%s  [%s] %s", r.Name, number(r.Value), r.Unit, 100*r.Spread, against, r.Target, verdict)
}

// number writes three significant digits, and large numbers in full.
func number(x float64) string {
	switch a := math.Abs(x); {
	case a >= 1000:
		s := strconv.FormatFloat(x, 'f', 0, 64)
		for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case a >= 100 || a == math.Trunc(a):
		return strconv.FormatFloat(x, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case a >= 1:
		return strconv.FormatFloat(x, 'f', 2, 64)
	default:
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
}

func encodeResults(rs []Result) ([]byte, error) {
	b, err := json.MarshalIndent(rs, "", "  ")
	return append(b, '\n'), err
}

func median(xs []float64) float64 { return quantile(xs, 0.5) }

// quantile interpolates linearly between the ordered values; NaN for none.
func quantile(xs []float64, q float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(xs))
	at := q * float64(len(s)-1)
	i := int(at)
	if i+1 == len(s) {
		return s[i]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

func spread(xs []float64) float64 {
	m := median(xs)
	if len(xs) < 2 || m == 0 {
		return 0
	}
	return (slices.Max(xs) - slices.Min(xs)) / 2 / math.Abs(m)
}
