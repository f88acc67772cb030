package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// plots writes all plots of the report.
func (r *Report) plots(root string) error {
	err := os.MkdirAll(filepath.Join(root, "docs", "img"), 0o755) //nolint:gosec // public
	for _, p := range r.Parts {
		for i := range p.Curves {
			err = errors.Join(err, save(root, fmt.Sprintf(plotFile, p.Curves[i].Name), []byte(p.Curves[i].svg())))
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
