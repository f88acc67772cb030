package main

import "fmt"

func (r *Report) plots(string) error { return nil }

// plotLinks shows the plots of those names.
func (r *Report) plotLinks(names ...string) string {
	out := ""
	for _, n := range names {
		out += fmt.Sprintf("![%s](img/perf-%s.svg)\n", n, n)
	}
	return out
}
