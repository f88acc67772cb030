package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

// Report is what the document is made of: the last run of every measurement.
type Report struct {
	Machine Machine `json:"machine"`
	Parts   []Part  `json:"parts"`

	history history
}

//go:embed performance.md.tmpl
var document string

// Files below the module's root.
const (
	resultsFile = "test/perf/results.json"
	runFile     = "test/perf/run.json" // the report, from which -render writes everything else
	historyFile = "test/perf/history.json"
	docFile     = "docs/performance.md"
	plotFile    = "docs/img/perf-%s.svg"
)

// write puts the results, the report, the plots and the document below the module's root. note
// is what the history is to say of this run; empty for nothing.
func (r *Report) write(root, note string) error {
	r.order()
	h, err := loadHistory(filepath.Join(root, historyFile))
	if err != nil {
		return err
	}
	r.history = h.with(r.Parts, note)
	results, err := encodeResults(r.Results())
	if err != nil {
		return err
	}
	run, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	text, err := r.document()
	if err != nil {
		return err
	}
	return errors.Join(
		r.history.save(filepath.Join(root, historyFile)),
		save(root, resultsFile, results),
		save(root, runFile, append(run, '\n')),
		r.plots(root),
		save(root, docFile, []byte(text)))
}

func save(root, file string, b []byte) error {
	return os.WriteFile(filepath.Join(root, file), b, 0o644) //nolint:gosec // public
}

// document fills docs/performance.md.
func (r *Report) document() (string, error) {
	of := func(pick func(Result) float64) func(string) string {
		return func(name string) string {
			x, ok := r.result(name)
			if !ok {
				return "(not measured)"
			}
			return number(pick(x))
		}
	}
	t, err := template.New("performance").Funcs(template.FuncMap{
		"table":   r.table,
		"verdict": r.verdict,
		"runs":    r.runs,
		"shares":  r.shares,
		"history": func() string { return r.history.table(r.Results()) },
		"plots":   r.plotLinks,
		"micros":  func(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d.Nanoseconds())/1000) },
		"value":   of(func(x Result) float64 { return x.Value }),
		"base":    of(func(x Result) float64 { return deref(x.Baseline) }),
		"ratio":   of(func(x Result) float64 { return deref(x.Ratio) }),
		"bound":   r.bound,
	}).Parse(document)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, r)
	return b.String(), err
}

func deref(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}

// bound is the quotient of two results' baselines: how far the one could come against the other.
func (r *Report) bound(name, over string) string {
	x, ok := r.result(name)
	y, too := r.result(over)
	if !ok || !too || x.Baseline == nil || y.Baseline == nil {
		return "(not measured)"
	}
	return number(*x.Baseline / *y.Baseline)
}

// verdict says how many targets were met, which were not, and what could not be measured.
func (r *Report) verdict() string {
	var missed, failed []string
	rs := r.Results()
	for _, x := range rs {
		if !x.OK {
			missed = append(missed, "`"+x.Name+"`")
		}
	}
	for _, p := range r.Parts {
		if p.Error != "" {
			failed = append(failed, fmt.Sprintf("A part of `%s` could not be measured: %s.", p.Name, strings.ReplaceAll(p.Error, "\n", "; ")))
		}
	}
	out := fmt.Sprintf("All %d targets were met.", len(rs))
	if len(missed) > 0 {
		out = fmt.Sprintf("%d of %d targets were met. Missed: %s.", len(rs)-len(missed), len(rs), strings.Join(missed, ", "))
	}
	return strings.Join(append([]string{out}, failed...), " ")
}

// runs lists when each part was measured, and what else ran.
func (r *Report) runs() string {
	var b strings.Builder
	b.WriteString("| part | measured | commit | took | load before | load after |\n|---|---|---|---|---|---|\n")
	for _, p := range r.Parts {
		fmt.Fprintf(&b, "| `%s` | %s UTC | `%s` | %.0f s | %s | %s |\n", p.Name, p.At.UTC().Format("2006-01-02 15:04"), p.Commit, p.Seconds, p.LoadBefore, p.LoadAfter)
	}
	return strings.TrimRight(b.String(), "\n")
}

// shares lists what CPU profiles say, the names in columns.
func (r *Report) shares(names ...string) string {
	found := map[string][]Share{}
	for _, p := range r.Parts {
		maps.Copy(found, p.Profiles)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return len(found[n]) == 0 })
	if len(names) == 0 {
		return "(no profile was taken)"
	}
	var b strings.Builder
	b.WriteString("| of all CPU time, stacks that go through |")
	for _, n := range names {
		fmt.Fprintf(&b, " `%s` |", n)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(names)) + "\n")
	for i, s := range found[names[0]] {
		row, most := "| "+s.What+" |", 0.0
		for _, n := range names {
			if i < len(found[n]) {
				row += fmt.Sprintf(" %.0f %% |", found[n][i].Percent)
				most = max(most, found[n][i].Percent)
			}
		}
		if most >= 1 {
			b.WriteString(row + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// table lists the results whose names begin with one of the prefixes, then what they mean:
// one note for results that are the same of several sizes.
func (r *Report) table(prefixes string) string {
	var rows strings.Builder
	rows.WriteString("| measurement | value | noise | baseline | ratio | target | |\n|---|---|---|---|---|---|---|\n")
	var notes []note
	against := ""
	for _, x := range r.Results() {
		if !hasAnyPrefix(x.Name, strings.Fields(prefixes)) {
			continue
		}
		base, ratio := "–", "–"
		if x.Baseline != nil {
			base, ratio = number(*x.Baseline), number(*x.Ratio)
		}
		noise := "–"
		if x.Runs > 1 {
			noise = fmt.Sprintf("±%.0f %% of %d", 100*x.Spread, x.Runs)
		}
		met := "met"
		if !x.OK {
			met = "**missed**"
		}
		fmt.Fprintf(&rows, "| `%s` | %s %s | %s | %s | %s | %s | %s |\n", x.Name, number(x.Value), x.Unit, noise, base, ratio, x.Target, met)
		if n := len(notes); n > 0 && notes[n-1].what == x.Measured {
			notes[n-1].names = append(notes[n-1].names, "`"+x.Name+"`")
			continue
		}
		n := note{names: []string{"`" + x.Name + "`"}, what: x.Measured}
		if x.Against != "" && x.Against != against {
			n.against, against = " Baseline: "+x.Against+".", x.Against
		}
		notes = append(notes, n)
	}
	for _, n := range notes {
		fmt.Fprintf(&rows, "\n- %s: %s.%s", strings.Join(n.names, ", "), n.what, n.against)
	}
	return rows.String()
}

// A note says what some results are.
type note struct {
	names         []string
	what, against string
}

func hasAnyPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
