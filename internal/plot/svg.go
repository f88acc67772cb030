package plot

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Size of a chart and of the room around its axes, in pixels.
const (
	width, height  = 820, 420
	left, right    = 74, 214
	top, bottom    = 46, 58
	inner, depth   = width - left - right, height - top - bottom
	legend, row    = left + inner + 16, 20
	mostRunes      = 27 // of a name in the legend
	longest, ready = 80, 4
)

// palette tells series apart, also for the colour-blind (after Okabe and Ito): each colour has
// enough contrast against white and against near black.
var palette = [...]string{"#0077c8", "#d55e00", "#009e73", "#c25b9c", "#b58900", "#7a6ff0", "#808080"}

// style gives a chart its colours: the page's when it says that it is dark.
const style = `<style>
text{font-family:system-ui,"Segoe UI",Helvetica,Arial,sans-serif;font-size:12px;fill:#24292f}
.t{font-size:15px;font-weight:600}.e{text-anchor:end}.m{text-anchor:middle}
.b{fill:#fff}.g{stroke:#d8dee4}.a{stroke:#57606a;fill:none}.k{stroke:#57606a;stroke-dasharray:2 2}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.b{fill:#0d1117}.g{stroke:#30363d}.a{stroke:#8b949e}.k{stroke:#8b949e}}
</style>
`

// SVG draws the chart.
func (c *Chart) SVG() []byte {
	xs, ys := c.scales()
	tall := max(height, top+row*c.rows()+ready)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n", width, tall, width, tall)
	fmt.Fprintf(&b, "<title>%s</title>\n%s", escape(c.Title), style)
	fmt.Fprintf(&b, `<rect class="b" width="%d" height="%d"/>`+"\n", width, tall)
	fmt.Fprintf(&b, `<text class="t" x="%d" y="26">%s</text>`+"\n", left, escape(short(c.Title, longest)))
	c.grid(&b, xs, ys)
	for _, m := range c.Marks {
		if finite(m.X) && xs.at(m.X) >= 0 && xs.at(m.X) <= 1 {
			fmt.Fprintf(&b, `<path class="k" d="M%s %dv%d"/>`+"\n", px(left+inner*xs.at(m.X)), top, depth)
		}
	}
	for i := range c.Series {
		c.draw(&b, &c.Series[i], palette[i%len(palette)], xs, ys)
	}
	c.names(&b)
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// scales span all points that can be drawn.
func (c *Chart) scales() (x, y scale) {
	lowX, highX, lowY, highY := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, s := range c.Series {
		for _, p := range s.Points {
			if c.drawable(p) {
				lowX, highX, lowY, highY = min(lowX, p.X), max(highX, p.X), min(lowY, p.Y), max(highY, p.Y)
			}
		}
	}
	return newScale(&c.X, lowX, highX), newScale(&c.Y, lowY, highY)
}

// grid draws the axes with their ticks and titles.
func (c *Chart) grid(b *strings.Builder, xs, ys scale) {
	for _, t := range ys.ticks() {
		y := top + depth*(1-ys.at(t.at))
		fmt.Fprintf(b, `<path class="g" d="M%d %sh%d"/><text class="e" x="%d" y="%s">%s</text>`+"\n", left, px(y), inner, left-8, px(y+4), t.text)
	}
	for _, t := range xs.ticks() {
		x := px(left + inner*xs.at(t.at))
		fmt.Fprintf(b, `<path class="g" d="M%s %dv%d"/><text class="m" x="%s" y="%d">%s</text>`+"\n", x, top, depth, x, top+depth+19, t.text)
	}
	fmt.Fprintf(b, `<path class="a" d="M%d %dv%dh%d"/>`+"\n", left, top, depth, inner)
	fmt.Fprintf(b, `<text class="m" x="%d" y="%d">%s</text>`+"\n", left+inner/2, height-14, escape(short(c.X.title(), longest)))
	fmt.Fprintf(b, `<text class="m" transform="translate(18 %d) rotate(-90)">%s</text>`+"\n", top+depth/2, escape(short(c.Y.title(), longest/2+ready)))
}

// draw draws one series. A line begins anew after a gap.
func (c *Chart) draw(b *strings.Builder, s *Series, colour string, xs, ys scale) {
	var path, dots strings.Builder
	joined := false
	for _, p := range s.Points {
		if !c.drawable(p) {
			joined = false
			continue
		}
		x, y := px(left+inner*xs.at(p.X)), px(top+depth*(1-ys.at(p.Y)))
		if joined {
			fmt.Fprintf(&path, "L%s %s", x, y)
		} else {
			fmt.Fprintf(&path, "M%s %s", x, y)
		}
		joined = true
		fmt.Fprintf(&dots, `<circle cx="%s" cy="%s" r="3"/>`, x, y)
	}
	if path.Len() == 0 {
		return
	}
	if s.Style != Scatter {
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2" stroke-linejoin="round"%s/>`+"\n", path.String(), colour, s.dash())
	}
	if s.Style == Both || s.Style == Scatter {
		fmt.Fprintf(b, `<g fill="%s">%s</g>`+"\n", colour, dots.String())
	}
}

func (s *Series) dash() string {
	if s.Style == Dashed {
		return ` stroke-dasharray="6 4"`
	}
	return ""
}

// rows counts the entries of the legend.
func (c *Chart) rows() int { return len(c.Series) + len(c.markNames()) }

// markNames are the names of the marks, each once, in their order.
func (c *Chart) markNames() (names []string) {
	for _, m := range c.Marks {
		if m.Name != "" && !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

// names writes the legend.
func (c *Chart) names(b *strings.Builder) {
	y := top + ready
	entry := func(name string) {
		fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", legend+30, y+4, escape(short(name, mostRunes)))
		y += row
	}
	for i := range c.Series {
		s, colour := &c.Series[i], palette[i%len(palette)]
		if s.Style != Scatter {
			fmt.Fprintf(b, `<path d="M%d %dh22" stroke="%s" stroke-width="2"%s/>`, legend, y, colour, s.dash())
		}
		if s.Style == Both || s.Style == Scatter {
			fmt.Fprintf(b, `<circle cx="%d" cy="%d" r="3" fill="%s"/>`, legend+11, y, colour)
		}
		entry(s.Name)
	}
	for _, n := range c.markNames() {
		fmt.Fprintf(b, `<path class="k" d="M%d %dv14"/>`, legend+11, y-7)
		entry(n)
	}
}

// px is a place to a tenth of a pixel.
func px(v float64) string {
	text := strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	if text == "-0" {
		return "0"
	}
	return text
}

// short cuts a text that would run into what is beside it.
func short(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return s
}

// escape makes text safe inside an element or an attribute: markup is escaped, and what XML
// cannot hold becomes a question mark.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r == '\'':
			b.WriteString("&#39;")
		case r < 0x20 && r != '\t' && r != '\n' || r == 0xfffe || r == 0xffff || r == 0xfffd:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
