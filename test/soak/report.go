package main

import (
	_ "embed"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// reportName is the report's file in the folder of the run.
const reportName = "soak.md"

//go:embed soak.md.tmpl
var reportText string

// writeReport writes the report and its pictures below dir.
func writeReport(r *Run, cs []Check, dir string) error {
	t, err := template.New(reportName).Parse(reportText)
	if err != nil {
		return fmt.Errorf("soak: report: %w", err)
	}
	var b strings.Builder
	data := map[string]any{
		"Minutes": fmt.Sprintf("%.0f", r.Seconds/60), "Machine": r.Machine, "Seed": r.Seed, "Rate": r.Rate, "Run": r,
		"Load":  fmt.Sprintf("%.1f and %.1f", r.loadAverage(quarters[0]), r.loadAverage(quarters[1])),
		"Other": fmt.Sprintf("%.1f and %.1f", r.other(quarters[0]), r.other(quarters[1])),
		"Done":  len(r.Ops), "Records": r.Samples[len(r.Samples)-1].Records, "Blocks": r.Samples[len(r.Samples)-1].Height,
		"Kills": len(r.Outages), "Passed": passed(cs), "Checks": checkTable(cs), "Table": table(r), "Disk": diskTable(r), "Latency": latencyTable(r), "Errors": errorTable(r),
	}
	if err := t.Execute(&b, data); err != nil {
		return fmt.Errorf("soak: report: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "img"), 0o755); err != nil { //nolint:gosec // public
		return fmt.Errorf("soak: report: %w", err)
	}
	for name, c := range r.charts() {
		if err := os.WriteFile(filepath.Join(dir, "img", "soak-"+name+".svg"), c.SVG(), 0o644); err != nil { //nolint:gosec // public
			return fmt.Errorf("soak: report: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, reportName), []byte(b.String()), 0o644); err != nil { //nolint:gosec // public
		return fmt.Errorf("soak: report: %w", err)
	}
	return nil
}

// checkTable shows the verdict.
func checkTable(cs []Check) string {
	var b strings.Builder
	b.WriteString("| check | verdict | measured |\n|---|---|---|\n")
	for _, c := range cs {
		verdict := "ok"
		if !c.OK {
			verdict = "**failed**"
		}
		if !c.Judged {
			verdict = "not judged"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.Name, verdict, strings.ReplaceAll(c.Detail, "|", "/"))
	}
	return b.String()
}

// table compares the first quarter with the last, node by node.
func table(r *Run) string {
	var b strings.Builder
	b.WriteString("| number | node | first quarter | last quarter | a minute, fitted | a record |\n|---|---|---|---|---|---|\n")
	rate := r.recordRate()
	for _, x := range bounds {
		for _, org := range r.Orgs {
			f := r.slope(org, x.of)
			unit := strings.TrimSpace(" " + x.unit)
			perRecord := "-"
			if x.unit == "MB" && rate > 0 && !math.IsInf(f.err, 0) {
				perRecord = fmt.Sprintf("%+.0f B", f.slope/rate)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", x.name, org,
				amount(r.level(org, quarters[0], x.of)/x.scale, unit), amount(r.level(org, quarters[1], x.of)/x.scale, unit), slopeText(f, x.scale), perRecord)
		}
	}
	return b.String()
}

func slopeText(f fit, scale float64) string {
	if math.IsInf(f.err, 0) {
		return "-"
	}
	return fmt.Sprintf("%+.2f ± %.2f", f.slope/scale, 2*f.err/scale)
}

func amount(v float64, unit string) string {
	if math.IsNaN(v) {
		return "-"
	}
	return strings.TrimSpace(fmt.Sprintf("%.1f %s", v, unit))
}

// level is the mean of a number while the node was up.
func (r *Run) level(org string, q [2]float64, of func(*Sample) float64) float64 {
	var xs []float64
	for _, s := range r.of(org, q[0]*r.Seconds, q[1]*r.Seconds) {
		if s.Up {
			xs = append(xs, of(s))
		}
	}
	return mean(xs)
}

func (r *Run) loadAverage(q [2]float64) float64 {
	return r.level(r.Orgs[0], q, func(s *Sample) float64 { return s.Load })
}

// diskTable shows each part of the disk, over all four nodes: at the end, and its growth.
func diskTable(r *Run) string {
	var b strings.Builder
	b.WriteString("| part | first quarter, MB | last quarter, MB | a record and node | a block and node |\n|---|---|---|---|---|\n")
	row := func(name string, of func(*Sample) float64) {
		var first, last, perRecord, perBlock []float64
		for _, org := range r.Orgs {
			var byRecord, byBlock []value
			for _, s := range r.of(org, 0, r.Seconds) {
				if s.T < quarters[0][1]*r.Seconds {
					first = append(first, of(s))
				} else if s.T >= quarters[1][0]*r.Seconds {
					last = append(last, of(s))
				}
				if s.T >= warmShare*r.Seconds && s.Up && s.Height > 0 {
					byRecord, byBlock = append(byRecord, value{0, records(s), of(s)}), append(byBlock, value{0, float64(s.Height), of(s)})
				}
			}
			perRecord, perBlock = append(perRecord, linear(byRecord).slope), append(perBlock, linear(byBlock).slope)
		}
		fmt.Fprintf(&b, "| %s | %.1f | %.1f | %.0f B | %.0f B |\n", name, mean(first)/1e6, mean(last)/1e6, mean(perRecord), mean(perBlock))
	}
	for _, p := range partNames {
		row(p, part(p))
	}
	row("all", total)
	row("all but journals and consensus log", kept)
	return b.String()
}

// latencyTable shows p50 and p95 of each kind, first and last quarter.
func latencyTable(r *Run) string {
	var b strings.Builder
	b.WriteString("| operation | answers | first quarter p50 / p95, ms | last quarter p50 / p95, ms | p95, last to first |\n|---|---|---|---|---|\n")
	for _, k := range r.kinds() {
		all := r.undisturbed(k, 0, 1)
		first, last := r.undisturbed(k, quarters[0][0], quarters[0][1]), r.undisturbed(k, quarters[1][0], quarters[1][1])
		pair := func(xs []float64) string {
			if len(xs) == 0 {
				return "-"
			}
			return fmt.Sprintf("%.0f / %.0f (%d)", quantile(xs, 0.5), quantile(xs, 0.95), len(xs))
		}
		ratio := "-"
		if len(first) >= leastOps && len(last) >= leastOps {
			ratio = fmt.Sprintf("%.2f", quantile(last, 0.95)/quantile(first, 0.95))
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n", k, len(all), pair(first), pair(last), ratio)
	}
	return b.String()
}

// errorTable counts errors by operation and code, split by whether a node was away.
func errorTable(r *Run) string {
	type key struct{ kind, code string }
	away, here := map[key]int{}, map[key]int{}
	var keys []key
	for _, o := range r.Ops {
		if o.Code == "" {
			continue
		}
		k := key{o.Kind, o.Code}
		if away[k]+here[k] == 0 {
			keys = append(keys, k)
		}
		end := o.T + o.Ms/1000
		if slices.ContainsFunc(r.Outages, func(x Outage) bool { return o.T < x.Ready+5 && end > x.Kill }) {
			away[k]++
		} else {
			here[k]++
		}
	}
	slices.SortFunc(keys, func(a, b key) int { return strings.Compare(a.kind+a.code, b.kind+b.code) })
	var b strings.Builder
	b.WriteString("| operation | code | while a node was away | otherwise |\n|---|---|---|---|\n")
	for _, k := range keys {
		fmt.Fprintf(&b, "| %s | `%s` | %d | %d |\n", k.kind, k.code, away[k], here[k])
	}
	return b.String()
}
