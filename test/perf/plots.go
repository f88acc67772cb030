package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"salus/internal/plot"
)

// chart is the curve as a picture. What it shows begins at zero, so that no small difference
// looks like a large one.
func (c *Curve) chart() *plot.Chart {
	out := &plot.Chart{Title: c.Title, X: plot.Axis{Label: c.X, Log: c.LogX}, Y: plot.Axis{Label: c.Y, Zero: true}}
	for _, s := range c.Series {
		line := plot.Series{Name: s.Name, Style: plot.Both}
		for _, p := range s.Points {
			line.Points = append(line.Points, plot.Point(p))
		}
		out.Series = append(out.Series, line)
	}
	return out
}

// plots writes all plots of the report.
func (r *Report) plots(root string) error {
	err := os.MkdirAll(filepath.Join(root, "docs", "img"), 0o755) //nolint:gosec // public
	for _, p := range r.Parts {
		for i := range p.Curves {
			err = errors.Join(err, save(root, fmt.Sprintf(plotFile, p.Curves[i].Name), p.Curves[i].chart().SVG()))
		}
	}
	return err
}

// plotLinks shows the plots of those names, and their numbers for readers without pictures.
func (r *Report) plotLinks(names ...string) string {
	var out []string
	for _, n := range names {
		for _, p := range r.Parts {
			for _, c := range p.Curves {
				if c.Name == n {
					out = append(out, fmt.Sprintf("![%s](img/perf-%s.svg)", c.Title, n))
				}
			}
		}
	}
	if len(out) == 0 {
		return "(not measured)"
	}
	return strings.Join(out, "\n")
}
