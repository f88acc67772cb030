package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// Report is one full run.
type Report struct {
	Machine   Machine
	Results   []Result
	Took      time.Duration
	LoadAfter string
}

//go:embed performance.md.tmpl
var document string

// write puts the results and the document below the module's root.
func (r *Report) write(root string) error {
	b, err := encodeResults(r.Results)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "test", "perf", "results.json"), b, 0o644); err != nil { //nolint:gosec // public
		return err
	}
	text, err := r.document()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "docs", "performance.md"), []byte(text), 0o644) //nolint:gosec // public
}

// document fills docs/performance.md.
func (r *Report) document() (string, error) {
	t, err := template.New("performance").Funcs(template.FuncMap{
		"table": func(prefix string) string { return r.table(prefix) },
		"seconds": func(d time.Duration) string {
			return fmt.Sprintf("%.0f", d.Seconds())
		},
		"micros": func(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d.Nanoseconds())/1000) },
		"verdict": func() string {
			var missed []string
			for _, x := range r.Results {
				if !x.OK {
					missed = append(missed, "`"+x.Name+"`")
				}
			}
			if len(missed) == 0 {
				return fmt.Sprintf("All %d targets were met.", len(r.Results))
			}
			return fmt.Sprintf("%d of %d targets were met. Missed: %s.", len(r.Results)-len(missed), len(r.Results), strings.Join(missed, ", "))
		},
	}).Parse(document)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, r)
	return b.String(), err
}

// table lists the results whose names begin with one of the prefixes, then what they mean.
func (r *Report) table(prefixes string) string {
	var rows, notes strings.Builder
	rows.WriteString("| measurement | value | noise | baseline | ratio | target | |\n|---|---|---|---|---|---|---|\n")
	against := ""
	for _, x := range r.Results {
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
		fmt.Fprintf(&notes, "- `%s`: %s.", x.Name, x.Measured)
		if x.Against != "" && x.Against != against {
			fmt.Fprintf(&notes, " Baseline: %s.", x.Against)
		}
		if x.Against != "" {
			against = x.Against
		}
		notes.WriteByte('\n')
	}
	return rows.String() + "\n" + strings.TrimRight(notes.String(), "\n")
}

func hasAnyPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
