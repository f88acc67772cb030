package validate

import (
	"slices"
	"strconv"

	"salus/fhir/element"
)

// slices divides the items of a field and checks each slice. The items are w.items[from:to].
func (w *walk) slices(f *field, option, from, to int) {
	s := f.slicing
	if s.unsure {
		return
	}
	counts := make([]int, len(s.slices))
	unsure, furthest, others := false, 0, false
	last := len(w.trail) - 1
	for i := from; i < to && !w.stopped; i++ {
		if f.many {
			w.trail[last].index = i - from
		}
		it, o := w.items[i], &f.options[option]
		found := -1
		for k := range s.slices {
			a := w.belongs(it, o, &s.slices[k])
			if a == unknown {
				unsure = true
			}
			if a == yes {
				found = k
				break
			}
		}
		if found < 0 {
			others = true
			if s.closed && !unsure {
				w.fault(CodeSliceClosed)
			}
			continue
		}
		counts[found]++
		if s.ordered && found < furthest || s.end && others {
			w.fault(CodeSliceOrder)
		}
		furthest = max(furthest, found)
		x := &s.slices[found]
		for j := range x.options {
			if so := &x.options[j]; so.code == o.code && !so.refused {
				w.value(it, &x.rule, so, sliced, f.mod)
			}
		}
	}
	w.trail[last].index = -1
	for k := range s.slices {
		x := &s.slices[k]
		if counts[k] < x.min && !unsure {
			w.say(Error, CodeSliceMin, "the slice "+x.name+" must be there at least "+strconv.Itoa(x.min)+" times")
		}
		if x.max >= 0 && counts[k] > x.max {
			w.say(Error, CodeSliceMax, "the slice "+x.name+" may be there at most "+strconv.Itoa(x.max)+" times")
		}
	}
}

// sliced stands for the profile around a slice: what holds adds to the type.
var sliced = &shape{profile: true}

// belongs tells whether an item is of a slice.
func (w *walk) belongs(it item, o *option, x *slice) answer {
	out := yes
	for i := range x.tests {
		switch w.passes(it, o, &x.tests[i]) {
		case no:
			return no
		case unknown:
			out = unknown
		}
	}
	return out
}

// passes tells whether a discriminator has for an item what the slice wants.
func (w *walk) passes(it item, o *option, t *test) answer {
	n := it.main
	if n.Kind() == element.Absent || n.Kind() == element.Null {
		n = it.extra
	}
	found := []element.Element{element.View(n, o.typ)}
	for _, p := range t.path {
		if p.resolve {
			return w.leadsWhere(found, t)
		}
		found = follow(found, p)
	}
	switch {
	case t.exists != 0:
		if (len(found) > 0) == (t.exists > 0) {
			return yes
		}
		return no
	case len(found) == 0:
		return no
	}
	out := no
	for _, e := range found {
		switch w.wanted(e, t) {
		case yes:
			return yes
		case unknown:
			out = unknown
		}
	}
	return out
}

func (w *walk) wanted(e element.Element, t *test) answer {
	is := true
	switch {
	case t.fixed.Kind() != element.Absent:
		is = equal(t.fixed, e.Value())
	case t.pattern.Kind() != element.Absent:
		is = contains(t.pattern, e.Value())
	case t.binding != nil:
		code := ""
		if e.Type() != nil {
			code = e.Type().Name
		}
		return w.bound(t.binding, code, e.Value())
	case t.types != nil:
		is = e.Type() != nil && slices.ContainsFunc(t.types, e.Type().Is)
	case t.shapes != nil:
		is = slices.ContainsFunc(t.shapes, func(p *shape) bool { return w.conforms(e.Value(), p) })
	}
	if is {
		return yes
	}
	return no
}

// leadsWhere tells a slice by the type or profile of what a reference leads to.
func (w *walk) leadsWhere(refs []element.Element, t *test) answer {
	out := no
	for _, e := range refs {
		typ := w.leadsTo(e.Value())
		switch {
		case typ == "":
			out = unknown
		case t.types != nil:
			if slices.Contains(t.types, typ) {
				return yes
			}
		default:
			r := w.leads(e.Value())
			for _, p := range t.shapes {
				switch {
				case p.of != typ:
				case r.Kind() == element.Absent:
					out = unknown
				case w.conforms(r, p):
					return yes
				}
			}
		}
	}
	return out
}

// follow takes one step of a discriminator's path.
func follow(from []element.Element, p pathStep) (out []element.Element) {
	for _, e := range from {
		switch {
		case p.ofType != "":
			if e.Type() != nil && e.Type().Is(p.ofType) {
				out = append(out, e)
			}
		case p.ext != "":
			for x := range e.Value().Get("extension").Children() {
				if x.Get("url").Text() == p.ext {
					var t *element.Type
					if e.Type() != nil {
						t = e.Type().Model.Type("Extension")
					}
					out = append(out, element.View(x, t))
				}
			}
		default:
			c := e.Select(p.name, p.sym)
			for x, ok := c.Next(); ok; x, ok = c.Next() {
				out = append(out, x)
			}
		}
	}
	return out
}
