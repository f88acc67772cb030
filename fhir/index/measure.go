package index

import (
	"math"
	"strconv"
	"strings"

	"salus/fhir/element"
	"salus/fhir/fhirpath"
	"salus/fhir/search"
)

// Systems of units.
const (
	ucum       = "http://unitsofmeasure.org"
	currencies = "urn:iso:std:iso:4217"
)

// measure adds the entries of dates, numbers and quantities.
func (w *walk) measure(a *action, v element.Node) {
	var r search.Range
	ok := false
	switch a.how {
	case aDate:
		r, ok = instants(scalar(v))
	case aPeriod:
		r, ok = period(v)
	case aTiming:
		r, ok = timing(v)
	case aNumber:
		if v.Kind() == element.Number {
			r, ok = search.Point(v.Text())
		}
	case aRange:
		if a.kind == search.Quantity {
			w.quantityRange(a, v)
			return
		}
		r, ok = span(v.Get("low").Get("value"), v.Get("high").Get("value"))
	case aQuantity:
		w.quantity(a, v)
		return
	case aMoney:
		if r, ok := number(v.Get("value")); ok {
			w.add(a, search.Plain, search.Value{Range: r, System: currencies, Code: v.Get("currency").Text()}, "")
		}
		return
	case aSample:
		w.sample(a, v)
		return
	case aSpot:
		w.spot(a, v)
		return
	}
	if ok {
		w.add(a, search.Plain, search.Value{Range: r}, "")
	}
}

// period is the range of a Period. One without an end or a beginning is open there; one without
// both says nothing.
func period(v element.Node) (search.Range, bool) {
	r := search.Forever
	start, end := scalar(v.Get("start")), scalar(v.Get("end"))
	if start == "" && end == "" {
		return r, false
	}
	if start != "" {
		s, ok := instants(start)
		if !ok {
			return r, false
		}
		r.Low = s.Low
	}
	if end != "" {
		e, ok := instants(end)
		if !ok {
			return r, false
		}
		r.High = e.High
	}
	return r, r.Low <= r.High
}

// timing is from the first to the last of a Timing's events and the bounds of its repetition; what
// happens between does not matter (R4 3.1.1.4.7).
func timing(v element.Node) (r search.Range, ok bool) {
	widen := func(x search.Range) {
		if !ok {
			r, ok = x, true
			return
		}
		r.Low, r.High = min(r.Low, x.Low), max(r.High, x.High)
	}
	for e := range v.Get("event").Children() {
		if x, ok := instants(scalar(e)); ok {
			widen(x)
		}
	}
	if b := v.Get("repeat").Get("boundsPeriod"); b.Kind() == element.Object {
		if x, ok := period(b); ok {
			widen(x)
		}
	}
	return r, ok
}

func number(v element.Node) (search.Range, bool) {
	if v.Kind() != element.Number {
		return search.Range{}, false
	}
	return search.Point(v.Text())
}

// span is from a number to another; what is not there is open.
func span(low, high element.Node) (search.Range, bool) {
	r := search.Forever
	l, lok := number(low)
	h, hok := number(high)
	if lok {
		r.Low = l.Low
	}
	if hok {
		r.High = h.High
	}
	return r, (lok || hok) && r.Low <= r.High
}

func (w *walk) quantity(a *action, v element.Node) {
	r, ok := number(v.Get("value"))
	if !ok {
		return
	}
	switch v.Get("comparator").Text() {
	case "<":
		r = search.Range{Low: math.Inf(-1), High: math.Nextafter(r.Low, math.Inf(-1))}
	case "<=":
		r.Low = math.Inf(-1)
	case ">":
		r = search.Range{Low: math.Nextafter(r.High, math.Inf(1)), High: math.Inf(1)}
	case ">=":
		r.High = math.Inf(1)
	}
	w.amount(a, r, v)
}

func (w *walk) quantityRange(a *action, v element.Node) {
	low, high := v.Get("low"), v.Get("high")
	r, ok := span(low.Get("value"), high.Get("value"))
	if !ok {
		return
	}
	unit := low
	if unit.Kind() != element.Object {
		unit = high
	}
	w.amount(a, r, unit)
}

// sample is from the lowest to the highest of the samples: origin + factor times what stands there.
// E, U and L stand for no number (R4 2.24.0.10).
func (w *walk) sample(a *action, v element.Node) {
	origin, ok := number(v.Get("origin").Get("value"))
	if !ok {
		return
	}
	factor := 1.0
	if f, ok := number(v.Get("factor")); ok {
		factor = f.Low
	}
	r := search.Range{Low: math.Inf(1), High: math.Inf(-1)}
	for s := range strings.FieldsSeq(scalar(v.Get("data"))) {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
			continue
		}
		x := origin.Low + factor*n
		r.Low, r.High = min(r.Low, x), max(r.High, x)
	}
	if r.Low <= r.High && !math.IsInf(r.Low, 0) && !math.IsInf(r.High, 0) {
		w.amount(a, r, v.Get("origin"))
	}
}

// spot adds the entries of a position on the Earth. One that is none is found by nothing.
func (w *walk) spot(a *action, v element.Node) {
	lat, ok := number(v.Get("latitude"))
	lon, ok2 := number(v.Get("longitude"))
	if !ok || !ok2 || w.group > 0 {
		return
	}
	if p, ok := search.Position(lat.Low, lon.Low); ok {
		entries := search.Positioned(a.code, p)
		w.entries = append(w.entries, entries[:]...)
	}
}

// amount adds a range with the unit of a Quantity.
func (w *walk) amount(a *action, r search.Range, unit element.Node) {
	q := search.Value{Range: r, System: unit.Get("system").Text(), Code: unit.Get("code").Text()}
	w.add(a, search.Plain, q, unit.Get("unit").Text())
	if w.group > 0 {
		return
	}
	if c, ok := w.index.canonical(q); ok {
		w.add(a, search.InBase, c, "")
	}
}

// A unit is what one of UCUM is in base units.
type unit struct {
	factor float64
	base   string
	known  bool
}

// maxUnits bounds how many units are remembered: units are what a sender writes.
const maxUnits = 4096

func (x *Index) unit(code string) unit {
	if u, ok := x.units.Load(code); ok {
		return u.(unit) //nolint:forcetypeassert // there are no others
	}
	var u unit
	u.factor, u.base, u.known = fhirpath.Unit(code)
	if x.unitCount.Load() < maxUnits {
		x.unitCount.Add(1)
		x.units.Store(strings.Clone(code), u)
	}
	return u
}

// canonical converts a quantity with a unit of UCUM to base units.
func (x *Index) canonical(q search.Value) (search.Value, bool) {
	if q.System != ucum || q.Code == "" {
		return q, false
	}
	u := x.unit(q.Code)
	if !u.known {
		return q, false
	}
	q.Range.Low, q.Range.High = snap(q.Range.Low*u.factor), snap(q.Range.High*u.factor)
	q.Code = u.base
	return q, true
}

// snap rounds to 14 digits: what was multiplied by different factors and is the same, is the same.
func snap(n float64) float64 {
	if math.IsInf(n, 0) || n == 0 {
		return n
	}
	var room [32]byte
	r, err := strconv.ParseFloat(string(strconv.AppendFloat(room[:0], n, 'e', 13, 64)), 64)
	if err != nil {
		return n
	}
	return r
}

// Base returns the values that ask the same of quantities in base units (search.InBase); ok is false
// if one of the values has no unit of UCUM that is known.
func (x *Index) Base(values []search.Value) ([]search.Value, bool) {
	out := make([]search.Value, len(values))
	for i, v := range values {
		c, ok := x.canonical(v)
		if !ok {
			return nil, false
		}
		if v.Prefix == search.EQ || v.Prefix == search.NE {
			// Half a step above the number is not part of what rounds to it; the number itself is.
			mid, _ := x.canonical(search.Value{Range: search.Range{Low: v.Range.Low + (v.Range.High-v.Range.Low)/2}, System: v.System, Code: v.Code})
			c.Range.Low = min(c.Range.Low, mid.Range.Low)
			c.Range.High = max(math.Nextafter(c.Range.High, math.Inf(-1)), mid.Range.Low)
		}
		out[i] = c
	}
	return out, true
}
