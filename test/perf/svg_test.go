package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestPlotsAreWellFormedAndInside(t *testing.T) {
	for name, c := range map[string]Curve{
		"load":   {Title: `a & b <"c">`, X: "x", Y: "y", LogX: true, Series: []Series{{"p50", []Point{{1, 3}, {128, 900}}}, {"p95", []Point{{1, 0}, {128, 1000}}}}},
		"growth": {Title: "t", LogX: true, Series: []Series{{"a", []Point{{1000, 1}, {1e6, 0.8}}}}},
		"linear": {Title: "t", Series: []Series{{"a", []Point{{0, 1}, {7, 2}}}}},
		"one":    {Title: "t", LogX: true, Series: []Series{{"a", []Point{{5, 0}}}}},
		"none":   {Title: "t"},
	} {
		d := xml.NewDecoder(strings.NewReader(c.svg()))
		var err error
		for err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) || strings.Contains(c.svg(), "NaN") || strings.Contains(c.svg(), "Inf") {
			t.Errorf("%s: %v\n%s", name, err, c.svg())
		}
		xs, ys := c.axes()
		for _, s := range c.Series {
			for _, p := range s.Points {
				if x, y := xs.at(p.X), ys.at(p.Y); x < -1e-9 || x > 1+1e-9 || y < 0 || y > 1 {
					t.Errorf("%s: %v is drawn at %v, %v, outside", name, p, x, y)
				}
			}
		}
		for _, s := range []scaleOf{xs, ys} {
			if n := len(s.ticks()); n < 1 || n > 12 {
				t.Errorf("%s: got %d ticks on %+v", name, n, s)
			}
		}
	}
}

func TestPlotsOfTheReportAreLinked(t *testing.T) {
	rep := &Report{Parts: []Part{{Curves: []Curve{{Name: "a", Title: "An a"}}}}}
	if got := rep.plotLinks("a", "b"); got != "![An a](img/perf-a.svg)" {
		t.Errorf("got %q", got)
	}
	if got := rep.plotLinks("b"); got != "(not measured)" {
		t.Errorf("got %q", got)
	}
}
