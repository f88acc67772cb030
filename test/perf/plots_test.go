package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlotsOfTheReportAreDrawnAndLinked(t *testing.T) {
	c := Curve{Name: "a", Title: "An a", X: "clients", Y: "ms", LogX: true, Series: []Series{{"p50", []Point{{1, 3}, {128, 900}}}}}
	rep := &Report{Parts: []Part{{Curves: []Curve{c}}}}
	if got := rep.plotLinks("a", "b"); got != "![An a](img/perf-a.svg)" {
		t.Errorf("got %q", got)
	}
	if got := rep.plotLinks("b"); got != "(not measured)" {
		t.Errorf("got %q", got)
	}
	root := t.TempDir()
	if err := rep.plots(root); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, "docs", "img", "perf-a.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "An a", "clients", "ms", "p50"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the plot does not show %q", want)
		}
	}
}
