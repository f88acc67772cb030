package fhirpath

import (
	"slices"
	"strings"

	"salus/fhir/element"
)

// A truth is true, false or unknown (empty).
type truth int8

const (
	unknown truth = iota
	no
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// equal compares two items (N1, 6.1.1).
func equal(a, b Value) truth {
	if a.kind == Node && b.kind == Node && a.el.Same(b.el) && !a.el.IsZero() {
		return yes
	}
	a, b = a.System(), b.System()
	if x, y := a.number(), b.number(); x != nil && y != nil {
		if a.kind == Integer && b.kind == Integer {
			return truthOf(a.num == b.num)
		}
		return truthOf(x.cmp(y) == 0)
	}
	if a.kind == Quantity && b.number() != nil {
		b = Value{kind: Quantity, dec: b.number(), text: "1"}
	} else if b.kind == Quantity && a.number() != nil {
		a = Value{kind: Quantity, dec: a.number(), text: "1"}
	}
	switch {
	case a.tm != nil && b.tm != nil && (a.kind == Time) == (b.kind == Time):
		order, ok := compareTemporal(a.tm, b.tm)
		if !ok {
			return unknown
		}
		return truthOf(order == 0)
	case a.kind != b.kind:
		return no
	}
	switch a.kind {
	case Boolean:
		return truthOf(a.num == b.num)
	case String, TypeInfo, Target:
		return truthOf(a.text == b.text)
	case Quantity:
		return equalQuantity(a, b)
	}
	return truthOf(sameJSON(a.el.Value(), b.el.Value()) && sameJSON(a.el.Extra(), b.el.Extra()))
}

func equalQuantity(a, b Value) truth {
	if a.ucum() == b.ucum() {
		return truthOf(a.dec.cmp(b.dec) == 0)
	}
	x, d, ok1 := a.amount()
	y, e, ok2 := b.amount()
	if !ok1 || !ok2 {
		return no
	}
	if d != e {
		if strings.Contains(d+e, "[calendar-month]") { // a month is no number of seconds
			return unknown
		}
		return no
	}
	return truthOf(x.Cmp(y) == 0)
}

// sameJSON compares values; the order of an object's members does not count.
func sameJSON(a, b element.Node) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case element.Object:
		if a.Len() != b.Len() {
			return false
		}
		for c := range a.Children() {
			if o := b.Get(c.Name()); o.Kind() == element.Absent || !sameJSON(c, o) {
				return false
			}
		}
		return true
	case element.Array:
		n := a.Len()
		if n != b.Len() {
			return false
		}
		left := slices.Collect(a.Children())
		i := 0
		for c := range b.Children() {
			if !sameJSON(left[i], c) {
				return false
			}
			i++
		}
		return true
	case element.Number:
		x, ok1 := parseDecimal(a.Text())
		y, ok2 := parseDecimal(b.Text())
		return ok1 && ok2 && x.cmp(y) == 0
	}
	return a.Text() == b.Text()
}

// equalAll compares collections in order.
func equalAll(a, b []Value) truth {
	if len(a) == 0 || len(b) == 0 {
		return unknown
	}
	if len(a) != len(b) {
		return no
	}
	out := yes
	for i := range a {
		switch equal(a[i], b[i]) {
		case no:
			return no
		case unknown:
			out = unknown
		}
	}
	return out
}

// fold makes the form in which strings are compared for equivalence.
func fold(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }

// equivalent compares two items (N1, 6.1.2).
func equivalent(a, b Value) bool {
	a, b = a.System(), b.System()
	if x, y := a.number(), b.number(); x != nil && y != nil {
		return roundEqual(x, y)
	}
	if a.tm != nil && b.tm != nil && (a.kind == Time) == (b.kind == Time) {
		order, ok := compareTemporal(a.tm, b.tm)
		return ok && order == 0
	}
	switch {
	case a.kind != b.kind:
		return false
	case a.kind == String:
		return fold(a.text) == fold(b.text)
	case a.kind == Quantity:
		return equivalentQuantity(a, b)
	case a.kind == Node:
		return likeJSON(a.el.Value(), b.el.Value())
	}
	return equal(a, b) == yes
}

func roundEqual(x, y *decimal) bool {
	s := min(x.trim().scale, y.trim().scale)
	return x.round(s).cmp(y.round(s)) == 0
}

func equivalentQuantity(a, b Value) bool {
	if a.ucum() == b.ucum() {
		return roundEqual(a.dec, b.dec)
	}
	ua, ub := a, b
	for _, v := range []*Value{&ua, &ub} { // for equivalence a year is a year
		if v.cal && calendar[v.text] == "year" {
			v.text, v.cal = "a", false
		} else if v.cal && calendar[v.text] == "month" {
			v.text, v.cal = "mo", false
		}
	}
	x, d, ok1 := ua.amount()
	y, e, ok2 := ub.amount()
	if !ok1 || !ok2 || d != e {
		return false
	}
	// In the coarser of the two units, to its precision.
	mx, _ := measureOf(ua.ucum())
	my, _ := measureOf(ub.ucum())
	unit, digits := mx.factor, a.dec.trim().scale
	if my.factor.Cmp(mx.factor) > 0 {
		unit, digits = my.factor, b.dec.trim().scale
	}
	p, _ := parseDecimal(x.Quo(x, unit).FloatString(digits))
	q, _ := parseDecimal(y.Quo(y, unit).FloatString(digits))
	return p != nil && q != nil && p.cmp(q) == 0
}

// likeJSON compares complex values by equivalence.
func likeJSON(a, b element.Node) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case element.Object:
		if a.Len() != b.Len() {
			return false
		}
		for c := range a.Children() {
			if o := b.Get(c.Name()); o.Kind() == element.Absent || !likeJSON(c, o) {
				return false
			}
		}
		return true
	case element.Array:
		left, right := slices.Collect(a.Children()), slices.Collect(b.Children())
		return len(left) == len(right) && matchAll(len(left), func(i, j int) bool { return likeJSON(left[i], right[j]) })
	case element.String:
		return fold(a.Text()) == fold(b.Text())
	case element.Number:
		x, ok1 := parseDecimal(a.Text())
		y, ok2 := parseDecimal(b.Text())
		return ok1 && ok2 && roundEqual(x, y)
	}
	return true
}

// maxUnordered bounds comparisons that cost the square of the size.
const maxUnordered = 2000

// matchAll reports whether each of n items has a partner of its own.
func matchAll(n int, like func(i, j int) bool) bool {
	if n > maxUnordered {
		return false
	}
	used := make([]bool, n)
next:
	for i := range n {
		for j := range n {
			if !used[j] && like(i, j) {
				used[j] = true
				continue next
			}
		}
		return false
	}
	return true
}

// compare orders two items (N1, 6.2); known is false where the answer is empty, ok where
// they cannot be compared at all.
func compare(a, b Value) (order int, known, ok bool) {
	a, b = a.System(), b.System()
	if x, y := a.number(), b.number(); x != nil && y != nil {
		return x.cmp(y), true, true
	}
	if a.kind == Quantity && b.number() != nil {
		b = Value{kind: Quantity, dec: b.number(), text: "1"}
	} else if b.kind == Quantity && a.number() != nil {
		a = Value{kind: Quantity, dec: a.number(), text: "1"}
	}
	switch {
	case a.tm != nil && b.tm != nil && (a.kind == Time) == (b.kind == Time):
		order, known = compareTemporal(a.tm, b.tm)
		return order, known, true
	case a.kind == String && b.tm != nil:
		if t, fine := parseTemporal(a.text); fine {
			order, known = compareTemporal(t, b.tm)
			return order, known, true
		}
	case a.kind == String && b.kind == String:
		return strings.Compare(a.text, b.text), true, true
	case a.kind == Quantity && b.kind == Quantity:
		if a.ucum() == b.ucum() {
			return a.dec.cmp(b.dec), true, true
		}
		x, d, ok1 := a.amount()
		y, e, ok2 := b.amount()
		if !ok1 || !ok2 || d != e {
			return 0, false, true
		}
		return x.Cmp(y), true, true
	}
	return 0, false, false
}

// key gives an item a text that equal items share, for the search of repeated ones; ok is
// false where there is none.
func key(v Value) (string, bool) {
	v = v.System()
	switch v.kind {
	case Boolean, String, Target, TypeInfo:
		return string(rune('0'+v.kind)) + v.text + string(rune('0'+v.num)), true
	case Integer, Decimal:
		return "n" + v.number().trim().String(), true
	}
	return "", false
}

// A bag finds items that are equal to earlier ones.
type bag struct {
	keys  map[string]bool
	other []Value
	small []Value
}

// add reports whether v is new.
func (b *bag) add(v Value) bool {
	if b.keys == nil && len(b.small) < 16 {
		for _, o := range b.small {
			if equal(o, v) == yes {
				return false
			}
		}
		b.small = append(b.small, v)
		return true
	}
	if b.keys == nil {
		b.keys = map[string]bool{}
		for _, o := range b.small {
			b.keep(o)
		}
	}
	return b.keep(v)
}

func (b *bag) keep(v Value) bool {
	if k, ok := key(v); ok {
		if b.keys[k] {
			return false
		}
		b.keys[k] = true
		return true
	}
	for _, o := range b.other {
		if equal(o, v) == yes {
			return false
		}
	}
	b.other = append(b.other, v)
	return true
}

func contains(list []Value, v Value) bool {
	return slices.ContainsFunc(list, func(o Value) bool { return equal(o, v) == yes })
}
