// Package plot draws line and scatter charts as self-contained SVG files, for the documents
// that tests and measurements write.
//
// Contract: the same chart gives the same bytes; all text is escaped; the colours suit a light
// and a dark page, and people who do not see all colours. It reads nothing and knows nothing
// of what the numbers mean. It must never need a script, a font or a file beside the SVG.
package plot

import "math"

// A Chart is one picture.
type Chart struct {
	Title  string
	X, Y   Axis
	Series []Series
	Marks  []Mark
}

// An Axis says how one direction is drawn.
type Axis struct {
	Label string
	Unit  string // in parentheses after the label, e.g. "ms"
	Log   bool   // logarithmic: values that are not positive are left out
	Zero  bool   // a linear axis begins at zero, or ends there
}

// A Series is one line, or one cloud of dots.
type Series struct {
	Name   string
	Points []Point
	Style  Style
}

// A Point with a coordinate that is not a number or not finite is a gap in the line.
type Point struct{ X, Y float64 }

// Style is how a series is drawn.
type Style uint8

// Styles.
const (
	Line    Style = iota // points joined by straight lines
	Both                 // the same, with a dot at each point
	Scatter              // dots alone
	Dashed               // a broken line: a limit, a baseline, a fit
)

// A Mark is a thin vertical line at X: something that happened. Marks of one name share an
// entry of the legend.
type Mark struct {
	X    float64
	Name string
}

// drawable reports whether p has a place on the chart.
func (c *Chart) drawable(p Point) bool {
	return finite(p.X) && finite(p.Y) && (!c.X.Log || p.X > 0) && (!c.Y.Log || p.Y > 0)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// title is the text beside an axis.
func (a *Axis) title() string {
	if a.Unit == "" {
		return a.Label
	}
	if a.Label == "" {
		return a.Unit
	}
	return a.Label + " (" + a.Unit + ")"
}
