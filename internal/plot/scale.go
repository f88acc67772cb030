package plot

import (
	"math"
	"strconv"
	"strings"
)

// A scale maps low..high to 0..1. Its ends are finite and apart, and positive if it is
// logarithmic.
type scale struct {
	low, high float64
	log       bool
	step      float64 // between the ticks of a linear scale
}

// most bounds the ticks of an axis.
const most = 7

// newScale spans low..high, or a range around it if there is none. Ends that lie near a tick
// move to it.
func newScale(a *Axis, low, high float64) scale {
	if low > high { // nothing to draw
		low, high = 1, 10
	}
	if a.Log {
		if high < 1.5*low {
			low, high = low/2, high*2
		}
		return scale{low: low, high: high, log: true}
	}
	if a.Zero {
		low, high = min(low, 0), max(high, 0)
	}
	if pad := math.Abs(high) * 1e-9; high-low <= pad { // one value: the room for it is its own size
		pad = max(math.Abs(high)/2, pad)
		if pad == 0 {
			pad = 1
		}
		if low, high = low-pad, high+pad; a.Zero {
			low = min(0, high)
		}
	}
	s := scale{low: low, high: high, step: niceStep((high - low) / most)}
	s.low, s.high = math.Floor(low/s.step+1e-9)*s.step, math.Ceil(high/s.step-1e-9)*s.step
	return s
}

// niceStep is the smallest of 1, 2 and 5 times a power of ten that is no less than v.
func niceStep(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 5} {
		if f*p >= v*(1-1e-9) {
			return f * p
		}
	}
	return 10 * p
}

// at is the place of v: 0 at the low end, 1 at the high one.
func (s scale) at(v float64) float64 {
	if s.log {
		low := math.Log(s.low) // not of the quotient, which may be too large
		return (math.Log(v) - low) / (math.Log(s.high) - low)
	}
	return (v - s.low) / (s.high - s.low)
}

// A tick is a value with a text; a tick without text is a fine line.
type tick struct {
	at   float64
	text string
}

// ticks are round values within the scale, lowest first.
func (s scale) ticks() []tick {
	if s.log {
		return s.logTicks()
	}
	var out []tick
	first, last := math.Round(s.low/s.step), math.Round(s.high/s.step)
	for i := first; i <= last; i++ {
		v := i * s.step
		out = append(out, tick{v, number(v, s.step, max(math.Abs(s.low), math.Abs(s.high)))})
	}
	return out
}

// logTicks are powers of ten, with 2 and 5 between them while there are few, and every second
// or third power when there are many.
func (s scale) logTicks() []tick {
	first, last := math.Floor(math.Log10(s.low)+1e-9), math.Ceil(math.Log10(s.high)-1e-9)
	between := []float64{1}
	if last-first <= 3 {
		between = []float64{1, 2, 5}
	}
	every := max(1, math.Ceil((last-first)/most))
	var out []tick
	for e := first; e <= last; e += every {
		for _, m := range between {
			v := m * math.Pow(10, e)
			if v >= s.low*(1-1e-9) && v <= s.high*(1+1e-9) {
				out = append(out, tick{v, number(v, v, v)})
			}
		}
	}
	return out
}

// number writes v to the precision of step, with k, M, G or T for the thousands of the largest
// number of the axis.
func number(v, step, largest float64) string {
	suffix, unit := "", 1.0
	for _, u := range []struct {
		text string
		size float64
	}{{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"k", 1e3}} {
		if largest >= 10*u.size || largest >= u.size && step >= u.size/10 {
			suffix, unit = u.text, u.size
			break
		}
	}
	v, step = v/unit, step/unit
	if a := math.Abs(v); a != 0 && (a < 1e-4 || a >= 1e6) {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	digits := 0
	for d := step; digits < 9 && math.Abs(d-math.Round(d)) > 1e-6*math.Abs(d); digits++ {
		d *= 10
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Trim(text, "-0.") == "" {
		return "0"
	}
	return text + suffix
}
