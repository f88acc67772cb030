package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// A Row of test/perf/history.json is one result of an earlier run.
type Row struct {
	Name   string   `json:"name"`
	Date   string   `json:"date"`   // of the run
	Commit string   `json:"commit"` // that was measured
	Value  float64  `json:"value"`
	Unit   string   `json:"unit"`
	Ratio  *float64 `json:"ratio"` // to the baseline of that run; null for none
	Note   string   `json:"note"`
}

// A history is the rows in the order of their runs.
type history []Row

func loadHistory(file string) (h history, err error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	return h, err
}

func (h history) save(file string) error {
	var b strings.Builder
	b.WriteString("[\n")
	for i, r := range h { // one row a line: a diff shows what a run added
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		b.WriteString("  ")
		b.Write(line)
		if i+1 < len(h) {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]\n")
	return os.WriteFile(file, []byte(b.String()), 0o644) //nolint:gosec // public
}

// first is the oldest row of that name and unit.
func (h history) first(name, unit string) (Row, bool) {
	for _, r := range h {
		if r.Name == name && r.Unit == unit {
			return r, true
		}
	}
	return Row{}, false
}

// with adds a run: every result if there is a note, otherwise those that were never measured before.
func (h history) with(parts []Part, note string) history {
	for _, p := range parts {
		for _, x := range p.Results {
			n := note
			if n == "" {
				if _, known := h.first(x.Name, x.Unit); known {
					continue
				}
				n = "first measured"
			}
			h = append(h, Row{x.Name, p.date(), p.Commit, x.Value, x.Unit, x.Ratio, n})
		}
	}
	return h
}

// table compares the first run of everything with the present one. What was measured once is left out.
func (h history) table(results []Result) string {
	var b strings.Builder
	b.WriteString("| measurement | first | of | now | now / first | ratio first | ratio now |\n|---|---|---|---|---|---|---|\n")
	ratio := func(r *float64) string {
		if r == nil {
			return "–"
		}
		return number(*r)
	}
	for _, x := range results {
		r, ok := h.first(x.Name, x.Unit)
		if !ok || r.Value == x.Value { // of this very run
			continue
		}
		change := "–"
		if r.Value != 0 {
			change = number(x.Value / r.Value)
		}
		fmt.Fprintf(&b, "| `%s` | %s %s | %s, `%s` | %s %s | %s | %s | %s |\n",
			x.Name, number(r.Value), r.Unit, r.Date, r.Commit, number(x.Value), x.Unit, change, ratio(r.Ratio), ratio(x.Ratio))
	}
	return strings.TrimRight(b.String(), "\n")
}
