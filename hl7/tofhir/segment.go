package tofhir

import (
	"strconv"
	"strings"

	"salus/hl7"
)

// segment applies the rows of a segment and resource. near are the segments that
// conditions may look at besides s itself: the ORC of an OBR.
func (c *mapping) segment(s hl7.SegmentRef, x *resource, near ...hl7.SegmentRef) {
	c.rows(s, x.kind, x.body, near...)
	all := rowsOf(s.Name(), x.kind)
	for _, r := range all {
		// "" takes away an element only if no other field speaks of it; else it is listed.
		if f := s.Field(r.field); f.Null() && !shared(all, r) {
			x.null(element(r.to))
			c.read[place{s.Index(), r.field, 1, 0, 0}] = true
		}
	}
}

func element(to string) string {
	head, _, _ := strings.Cut(strings.ReplaceAll(to, "*", ""), ".")
	return strings.TrimPrefix(head, "_")
}

func shared(rows []row, r row) bool {
	for _, o := range rows {
		if o.field != r.field && element(o.to) == element(r.to) {
			return true
		}
	}
	return false
}

func (c *mapping) rows(s hl7.SegmentRef, kind string, into object, near ...hl7.SegmentRef) {
	if !s.Exists() {
		return
	}
	for _, r := range rowsOf(s.Name(), kind) {
		if !holds(r.when, append(near, s)) {
			continue
		}
		for _, v := range c.vals(s, r.field) {
			if !repeats(r.to) && v.at.rep > 1 && into[strings.Split(r.to, ".")[0]] != nil {
				break // later repetitions have no place: they stay unread and are listed
			}
			if out, ok := c.convert(r.kind, v); ok {
				set(into, r.to, out)
				if period, ok := strings.CutSuffix(r.to, ".end"); ok {
					c.ordered(v.at, into[period])
				}
			}
		}
	}
}

func repeats(to string) bool { return strings.Contains(to, "*") }

func holds(when []string, segs []hl7.SegmentRef) bool {
	for _, w := range when {
		not := strings.HasPrefix(w, "!")
		w = strings.TrimPrefix(w, "!")
		path, want, eq := strings.Cut(w, "!=")
		if eq {
			not = true
		} else {
			path, want, eq = strings.Cut(w, "=")
		}
		name, rest, _ := strings.Cut(path, "-")
		field, comp, _ := strings.Cut(rest, ".")
		f, _ := strconv.Atoi(field)
		n, _ := strconv.Atoi(comp)
		var v hl7.Value
		for _, s := range segs {
			if s.Name() == name {
				v = s.Field(f)
				if n > 0 || eq {
					v = v.Component(max(n, 1))
				}
			}
		}
		got := v.Valued()
		if eq {
			got = v.Plain() == want
		}
		if got == not {
			return false
		}
	}
	return true
}

// set puts a value at a path; a name ending in * is a list that the value is added
// to. An object that is there already is filled up, not replaced.
func set(o object, path string, v any) {
	head, rest, deeper := strings.Cut(path, ".")
	name, many := strings.CutSuffix(head, "*")
	if deeper {
		if many {
			in := object{}
			set(in, rest, v)
			list, _ := o[name].([]any)
			o[name] = append(list, in)
			return
		}
		in, _ := o[name].(object)
		if in == nil {
			in = object{}
			o[name] = in
		}
		set(in, rest, v)
		return
	}
	if many {
		list, _ := o[name].([]any)
		o[name] = append(list, v)
		return
	}
	if old, ok := o[name].(object); ok {
		if add, ok := v.(object); ok {
			for k, e := range add {
				if old[k] == nil {
					old[k] = e
				}
			}
			return
		}
	}
	o[name] = v
}

func orElse(o object, k string, v any) {
	if o[k] == nil {
		o[k] = v
	}
}
