package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

// charts are the golden files.
var charts = map[string]*Chart{
	"line": {
		Title: "Memory over time", X: Axis{Label: "time", Unit: "min"}, Y: Axis{Label: "resident memory", Unit: "MB", Zero: true},
		Series: []Series{
			{Name: "hospital", Points: []Point{{0, 90}, {5, 120}, {10, 131.5}, {15, math.NaN()}, {20, 128}, {25, 133}, {30, 131}}},
			{Name: "clinic", Points: []Point{{0, 80}, {10, 85}, {20, 83}, {30, 84}}, Style: Both},
			{Name: "limit", Points: []Point{{0, 140}, {30, 140}}, Style: Dashed},
		},
		Marks: []Mark{{X: 7, Name: "killed"}, {X: 21, Name: "killed"}, {X: 99, Name: "killed"}},
	},
	"log": {
		Title: "Latency against load", X: Axis{Label: "clients", Log: true}, Y: Axis{Label: "latency", Unit: "ms", Log: true},
		Series: []Series{
			{Name: "p50", Points: []Point{{1, 3}, {8, 4}, {64, 21}, {128, 70}}, Style: Both},
			{Name: "p95", Points: []Point{{1, 5}, {8, 9}, {64, 90}, {128, 400}, {0, 7}, {3, -1}}, Style: Scatter},
		},
	},
	"escaped": {
		Title: `a & b <script>"x"</script>` + "\x00", X: Axis{Label: "<x>"}, Y: Axis{Unit: "'y'"},
		Series: []Series{{Name: "a name that is far too long for the legend & more", Points: []Point{{1e6, 1e-6}, {3e6, 4e-6}}}},
	},
}

func TestChartsAreDrawnAsBefore(t *testing.T) {
	for name, c := range charts {
		file := filepath.Join("testdata", name+".svg")
		got := c.SVG()
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s: look at the picture, then go test ./internal/plot -update:\n%s", name, d)
		}
	}
}

// checkSVG wants well-formed XML without a number that is none.
func checkSVG(t interface {
	Helper()
	Fatalf(string, ...any)
}, b []byte,
) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, b)
		}
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "<path") && (strings.Contains(line, "NaN") || strings.Contains(line, "Inf")) {
			t.Fatalf("not a place: %s", line)
		}
	}
}

func TestAnyChartIsWellFormedAndInside(t *testing.T) {
	number := rapid.OneOf(rapid.Float64Range(-1e12, 1e12), rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, 1, -1, 1e-9, math.NaN(), math.Inf(1), math.Inf(-1)}))
	rapid.Check(t, func(t *rapid.T) {
		c := Chart{Title: rapid.String().Draw(t, "title")}
		c.X = Axis{Label: "x", Log: rapid.Bool().Draw(t, "logX"), Zero: rapid.Bool().Draw(t, "zeroX")}
		c.Y = Axis{Unit: "y", Log: rapid.Bool().Draw(t, "logY"), Zero: rapid.Bool().Draw(t, "zeroY")}
		for range rapid.IntRange(0, 30).Draw(t, "series") {
			s := Series{Name: rapid.String().Draw(t, "name"), Style: Style(rapid.IntRange(0, 3).Draw(t, "style"))}
			for range rapid.IntRange(0, 5).Draw(t, "points") {
				s.Points = append(s.Points, Point{number.Draw(t, "x"), number.Draw(t, "y")})
			}
			c.Series = append(c.Series, s)
			c.Marks = append(c.Marks, Mark{number.Draw(t, "mark"), s.Name})
		}
		b := c.SVG()
		checkSVG(t, b)
		if !bytes.Equal(b, c.SVG()) {
			t.Fatalf("the same chart was drawn twice in two ways")
		}
		xs, ys := c.scales()
		for _, s := range c.Series {
			for _, p := range s.Points {
				if !c.drawable(p) {
					continue
				}
				if x, y := xs.at(p.X), ys.at(p.Y); x < -1e-6 || x > 1+1e-6 || y < -1e-6 || y > 1+1e-6 {
					t.Fatalf("%v is drawn at %v, %v, outside of %+v %+v", p, x, y, xs, ys)
				}
			}
		}
		for _, s := range []scale{xs, ys} {
			if n := len(s.ticks()); n > 2*most+1 || n < 2 && !s.log {
				t.Fatalf("got %d ticks on %+v", n, s)
			}
		}
	})
}

func TestTicksAreRound(t *testing.T) {
	for _, x := range []struct {
		axis      Axis
		low, high float64
		want      string
	}{
		{Axis{}, 0, 30, "0 5 10 15 20 25 30"},
		{Axis{}, 0.1, 0.37, "0.10 0.15 0.20 0.25 0.30 0.35 0.40"},
		{Axis{}, -3, 4, "-3 -2 -1 0 1 2 3 4"},
		{Axis{Zero: true}, 80, 133, "0 20 40 60 80 100 120 140"},
		{Axis{Zero: true}, 5, 5, "0 1 2 3 4 5"},
		{Axis{}, 0, 0, "-1.0 -0.5 0 0.5 1.0"},
		{Axis{}, 1e4, 3.1e4, "10k 15k 20k 25k 30k 35k"},
		{Axis{Zero: true}, 0, 5000, "0 1k 2k 3k 4k 5k"},
		{Axis{}, 0, 2.5e9, "0 0.5G 1.0G 1.5G 2.0G 2.5G"},
		{Axis{Log: true}, 1, 128, "1 2 5 10 20 50 100"},
		{Axis{Log: true}, 1e4, 1e6, "10k 20k 50k 100k 200k 500k 1M"},
		{Axis{Log: true}, 1, 1e6, "1 10 100 1k 10k 100k 1M"},
	} {
		var got []string
		s := newScale(&x.axis, x.low, x.high)
		for _, v := range s.ticks() {
			got = append(got, v.text)
		}
		if g := strings.Join(got, " "); g != x.want {
			t.Errorf("%v to %v on %+v: got %q, want %q", x.low, x.high, x.axis, g, x.want)
		}
	}
}

func TestNothingIsDrawnOfNothing(t *testing.T) {
	for _, c := range []Chart{{}, {X: Axis{Log: true}, Series: []Series{{Name: "a", Points: []Point{{-1, 2}}}}}} {
		b := c.SVG()
		checkSVG(t, b)
		if bytes.Contains(b, []byte(`stroke-width="2" stroke-linejoin`)) {
			t.Errorf("got a line, want none:\n%s", b)
		}
	}
}
