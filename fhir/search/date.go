package search

import (
	"math"
	"time"
)

// Forever is where open ranges end.
var Forever = Range{Low: math.Inf(-1), High: math.Inf(1)}

// layouts of FHIR's date and dateTime (R4 2.24.0.1), by what they leave open. Seconds may be left
// out in a search (R4 3.1.1.4.7), and so may the zone, which then is UTC.
var layouts = []struct {
	layout string
	zoned  bool
	last   func(time.Time) time.Time // the first instant after all that the text may mean
}{
	{"2006", false, func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
	{"2006-01", false, func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
	{"2006-01-02", false, func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	{"2006-01-02T15:04", false, func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04Z07:00", true, func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04:05", false, func(t time.Time) time.Time { return t.Add(time.Second) }},
	{"2006-01-02T15:04:05Z07:00", true, func(t time.Time) time.Time { return t.Add(time.Second) }},
}

// Instants returns the range of a FHIR date, dateTime or instant, in milliseconds since 1970 in
// UTC: all that its precision leaves open. ok is false for anything else.
func Instants(s string) (r Range, ok bool) {
	if len(s) < 4 || len(s) > 40 {
		return Range{}, false
	}
	for _, l := range layouts {
		t, err := time.Parse(l.layout, s)
		if err != nil {
			continue
		}
		end := l.last(t)
		if n := fraction(s); n > 0 {
			// time.Parse takes fractions of a second with any layout that has seconds.
			end = t.Add(max(time.Second/pow10(n), time.Millisecond))
		}
		return Range{Low: float64(t.UnixMilli()), High: float64(end.UnixMilli() - 1)}, t.Year() > 0
	}
	return Range{}, false
}

// fraction counts the digits after the point of the seconds.
func fraction(s string) int {
	for i := range len(s) {
		if s[i] != '.' {
			continue
		}
		n := 0
		for i++; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
			n++
		}
		return n
	}
	return 0
}

func pow10(n int) time.Duration {
	p := time.Duration(1)
	for range min(n, 9) {
		p *= 10
	}
	return p
}

// Span is the range of a Period: an end that is not known is open.
func Span(start, end string) (r Range, ok bool) {
	r = Forever
	if start != "" {
		s, ok := Instants(start)
		if !ok {
			return Range{}, false
		}
		r.Low = s.Low
	}
	if end != "" {
		e, ok := Instants(end)
		if !ok {
			return Range{}, false
		}
		r.High = e.High
	}
	return r, r.Low <= r.High
}

// near widens a range for the prefix ap by a tenth of its distance from now, as R4 3.1.1.4.5
// recommends.
func near(r Range, now time.Time) Range {
	n := float64(now.UnixMilli())
	by := 0.1 * math.Max(math.Abs(n-r.Low), math.Abs(n-r.High))
	return Range{Low: r.Low - by, High: r.High + by}
}
