package main

import (
	"fmt"
	"math"
	"strings"
)

// Size of a plot, and of the room around its axes, in pixels.
const (
	plotWidth, plotHeight = 760, 400
	plotLeft, plotRight   = 70, 210
	plotTop, plotBottom   = 44, 56
	innerWidth            = plotWidth - plotLeft - plotRight
	innerHeight           = plotHeight - plotTop - plotBottom
)

// plotColours tell apart what is drawn in one plot, also to the colour-blind (Okabe and Ito).
var plotColours = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"}

// svg draws a curve. The text is in the fonts and on the white that every viewer has.
func (c *Curve) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", escape(c.Title))
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="15">%s</text>`+"\n", plotLeft, escape(c.Title))
	xs, ys := c.axes()
	for _, v := range ys.ticks() {
		y := plotTop + innerHeight*(1-ys.at(v))
		fmt.Fprintf(&b, `<path d="M%d %.1fh%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft, y, innerWidth, plotLeft-6, y+4, number(v))
	}
	for _, v := range xs.ticks() {
		x := plotLeft + innerWidth*xs.at(v)
		fmt.Fprintf(&b, `<path d="M%.1f %dv5" stroke="#333"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x, plotTop+innerHeight, x, plotTop+innerHeight+18, number(v))
	}
	fmt.Fprintf(&b, `<path d="M%d %dv%dh%d" fill="none" stroke="#333"/>`+"\n", plotLeft, plotTop, innerHeight, innerWidth)
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", plotLeft+innerWidth/2, plotHeight-14, escape(c.X))
	fmt.Fprintf(&b, `<text transform="translate(16 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n", plotTop+innerHeight/2, escape(c.Y))
	for i, s := range c.Series {
		colour := plotColours[i%len(plotColours)]
		var path strings.Builder
		var dots strings.Builder
		for j, p := range s.Points {
			x, y := plotLeft+innerWidth*xs.at(p.X), plotTop+innerHeight*(1-ys.at(p.Y))
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(j, 1)], x, y)
			fmt.Fprintf(&dots, `<circle cx="%.1f" cy="%.1f" r="3"><title>%s: %s</title></circle>`, x, y, number(p.X), number(p.Y))
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/><g fill="%s">%s</g>`+"\n", path.String(), colour, colour, dots.String())
		y := plotTop + 8 + 20*i
		fmt.Fprintf(&b, `<path d="M%d %dh18" stroke="%s" stroke-width="2"/><text x="%d" y="%d">%s</text>`+"\n", plotLeft+innerWidth+14, y, colour, plotLeft+innerWidth+38, y+4, escape(s.Name))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// axes span all points; the vertical one begins at zero.
func (c *Curve) axes() (x, y scaleOf) {
	x = scaleOf{math.Inf(1), math.Inf(-1), c.LogX}
	for _, s := range c.Series {
		for _, p := range s.Points {
			x.low, x.high, y.high = min(x.low, p.X), max(x.high, p.X), max(y.high, p.Y)
		}
	}
	if x.low > x.high { // nothing to draw
		x.low, x.high = 1, 10
	}
	if x.low == x.high {
		x.high = x.low * 10
	}
	if y.high == 0 {
		y.high = 1
	}
	y.high *= 1.05
	return x, y
}

// A scaleOf maps a range to 0..1.
type scaleOf struct {
	low, high float64
	log       bool
}

func (s scaleOf) at(v float64) float64 {
	if s.log {
		return math.Log(v/s.low) / math.Log(s.high/s.low)
	}
	return (v - s.low) / (s.high - s.low)
}

// ticks are the powers of ten, or of two over a short range, or round steps.
func (s scaleOf) ticks() []float64 {
	var out []float64
	if s.log {
		base := 10.0
		if s.high/s.low < 300 {
			base = 2
		}
		for v := math.Pow(base, math.Ceil(math.Log(s.low)/math.Log(base)-1e-9)); v <= s.high*1.0001; v *= base {
			out = append(out, v)
		}
		return out
	}
	step := math.Pow(10, math.Floor(math.Log10(s.high-s.low)))
	for (s.high-s.low)/step < 4 {
		step /= 2
	}
	for v := math.Ceil(s.low/step) * step; v <= s.high; v += step {
		out = append(out, v)
	}
	return out
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
