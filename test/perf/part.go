package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// A Part is one measurement of a report: what it gave, or why it failed.
type Part struct {
	Name       string             `json:"name"`
	At         time.Time          `json:"at"`
	Commit     string             `json:"commit"` // what was measured, with a "+" if files were changed since
	Seconds    float64            `json:"seconds"`
	LoadBefore string             `json:"loadBefore"`
	LoadAfter  string             `json:"loadAfter"`
	Error      string             `json:"error,omitempty"`
	Results    []Told             `json:"results"`
	Curves     []Curve            `json:"curves,omitempty"`
	Profiles   map[string][]Share `json:"profiles,omitempty"`
}

// Told is a result with its words.
type Told struct {
	Result
	Measured string `json:"measured"`
	Against  string `json:"against,omitempty"`
}

func (p *Part) date() string { return p.At.UTC().Format(time.DateOnly) }

// results are the part's, with their words.
func (p *Part) results() []Result {
	var out []Result
	for _, t := range p.Results {
		out = append(out, t.about(t.Measured, t.Against))
	}
	return out
}

// measure runs one measurement. Its failure is part of the part.
func (b *bench) measure(ctx context.Context, m measurement) Part {
	b.log("== %s", m.name)
	start := time.Now()
	b.curves = nil
	p := Part{Name: m.name, At: start.UTC().Truncate(time.Second), Commit: commit(ctx), LoadBefore: loadAverage()}
	rs, err := m.run(ctx, b)
	for _, r := range rs {
		b.log("%s", r.line())
		p.Results = append(p.Results, Told{r, r.Measured, r.Against})
	}
	if err != nil {
		b.log("FAILED %s: %v", m.name, err)
		p.Error = err.Error()
	}
	p.Curves, p.Profiles = b.curves, b.shares(ctx, start)
	p.Seconds, p.LoadAfter = time.Since(start).Seconds(), loadAverage()
	b.log("   (%.0f s)", p.Seconds)
	return p
}

// commit names the commit of the working tree.
func commit(ctx context.Context) string {
	git := func(args ...string) string {
		out, err := exec.CommandContext(ctx, "git", args...).Output() //nolint:gosec // constant arguments
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	id := git("rev-parse", "--short=7", "HEAD")
	if id == "" {
		return "unknown"
	}
	if git("status", "--porcelain", "--untracked-files=no", "--", "*.go") != "" {
		id += "+"
	}
	return id
}

// loadReport reads what the last run left, an empty report if there is none.
func loadReport(file string) (*Report, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &Report{}, nil
	}
	r := &Report{}
	if err == nil {
		err = json.Unmarshal(b, r)
	}
	if err != nil {
		return nil, fmt.Errorf("perf: %s: %w", file, err)
	}
	return r, nil
}

// put adds a part or replaces the one of that name.
func (r *Report) put(p Part) {
	for i := range r.Parts {
		if r.Parts[i].Name == p.Name {
			r.Parts[i] = p
			return
		}
	}
	r.Parts = append(r.Parts, p)
}

// order puts the parts into the order of the measurements and drops those that are no more.
func (r *Report) order() {
	at := func(p Part) int {
		return slices.IndexFunc(measurements, func(m measurement) bool { return m.name == p.Name })
	}
	r.Parts = slices.DeleteFunc(r.Parts, func(p Part) bool { return at(p) < 0 })
	slices.SortStableFunc(r.Parts, func(a, b Part) int { return at(a) - at(b) })
}

// Results are those of all parts.
func (r *Report) Results() []Result {
	var out []Result
	for i := range r.Parts {
		out = append(out, r.Parts[i].results()...)
	}
	return out
}

// result is the result of that name.
func (r *Report) result(name string) (Result, bool) {
	rs := r.Results()
	i := slices.IndexFunc(rs, func(x Result) bool { return x.Name == name })
	if i < 0 {
		return Result{}, false
	}
	return rs[i], true
}
