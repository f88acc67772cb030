package store

import (
	"cmp"
	"slices"
	"strings"

	"salus/fhir/search"
)

// The model: resources in a slice, each clause looked up entry by entry.

type modelResource struct {
	Key
	entries []search.Entry
}

type model []modelResource

func (m model) seen(scopes []Scope, typ string) (out model) {
	for _, r := range m {
		if slices.Contains(scopes, r.Scope) && (typ == "" || r.Type == typ) {
			out = append(out, r)
		}
	}
	return out
}

func (m model) search(scopes []Scope, q *search.Query) (out model) {
	for _, r := range m.seen(scopes, q.Types[0]) {
		if slices.ContainsFunc(q.Where, func(c search.Clause) bool { return !m.satisfies(scopes, &r, &c) }) {
			continue
		}
		out = append(out, r)
	}
	return out
}

func (m model) satisfies(scopes []Scope, r *modelResource, c *search.Clause) bool {
	switch {
	case c.Tree != nil:
		is := func(c search.Clause) bool { return m.satisfies(scopes, r, &c) }
		isNot := func(c search.Clause) bool { return !is(c) }
		switch c.Tree.Op {
		case search.Or:
			return slices.ContainsFunc(c.Tree.Of, is)
		case search.Negation:
			return isNot(c.Tree.Of[0])
		}
		return !slices.ContainsFunc(c.Tree.Of, isNot)
	case c.Chain != nil:
		for i, t := range c.Chain.Types {
			for _, o := range m.seen(scopes, t) {
				if r.refers(c.Param, o.Key) && m.satisfies(scopes, &o, &c.Chain.Clause[i]) {
					return true
				}
			}
		}
		return false
	case c.Has != nil:
		for _, o := range m.seen(scopes, c.Has.Type) {
			if o.refers(c.Has.By, r.Key) && m.satisfies(scopes, &o, &c.Has.Clause) {
				return true
			}
		}
		return false
	case c.Modifier == search.Missing:
		return c.Missing != slices.ContainsFunc(r.entries, func(e search.Entry) bool { return r.finds(c.Param, &e) })
	}
	found := false
	for i := range c.Values {
		v := &c.Values[i]
		if c.Param.Kind == search.Spot {
			var p search.Place
			some := false
			for j := range r.entries {
				switch e := &r.entries[j]; {
				case e.Code == c.Param.Code && e.Part == 1:
					p.X, p.Y, some = e.Value.Range.Low, e.Value.Range.High, true
				case e.Code == c.Param.Code && e.Part == 2:
					p.Z = e.Value.Range.Low
				}
			}
			found = found || some && v.Circle.Contains(p)
			continue
		}
		if c.Param.Kind == search.Composite {
			for _, code := range c.Param.Entries(r.Type) {
				for group := 1; group < 4; group++ {
					all := true
					for part := range v.Parts {
						all = all && slices.ContainsFunc(r.entries, func(e search.Entry) bool {
							return e.Code == code && e.Group == group && e.Part == part+1 && matches(&e, search.Plain, &v.Parts[part])
						})
					}
					found = found || all
				}
			}
			continue
		}
		found = found || slices.ContainsFunc(r.entries, func(e search.Entry) bool {
			return r.finds(c.Param, &e) && e.Part == 0 && matches(&e, c.Modifier, v)
		})
	}
	return found != (c.Modifier == search.Not)
}

// finds reports whether a parameter looks at an entry of this resource.
func (r *modelResource) finds(p *search.Param, e *search.Entry) bool {
	return slices.Contains(p.Entries(r.Type), e.Code)
}

func (r *modelResource) refers(p *search.Param, to Key) bool {
	return slices.ContainsFunc(r.entries, func(e search.Entry) bool { return r.finds(p, &e) && e.Value.Text == to.Type+"/"+to.ID })
}

func matches(e *search.Entry, m search.Modifier, v *search.Value) bool {
	switch m {
	case search.Differs:
		if e.Kind == search.Token {
			return !matches(e, search.Plain, v)
		}
		return e.Value.Text != v.Text
	case search.Equals:
		return e.Value.Text == v.Text
	case search.Ends:
		return strings.HasSuffix(e.Value.Text, v.Text)
	case search.Contains:
		return strings.Contains(e.Value.Text, v.Text)
	}
	switch e.Kind {
	case search.String:
		if m == search.Exact {
			return e.Exact == v.Text
		}
		return strings.HasPrefix(e.Value.Text, v.Text)
	case search.Token:
		return (!v.HasSystem || v.System == e.Value.System) && (v.Text == "" || v.Text == e.Value.Text)
	case search.URI:
		switch m {
		case search.Below:
			return strings.HasPrefix(e.Value.Text, v.Text)
		case search.Above:
			return strings.HasPrefix(v.Text, e.Value.Text)
		}
		return e.Value.Text == v.Text
	case search.Reference:
		return e.Value.Text == v.Text
	case search.Quantity:
		unit := v.Code == "" || v.HasSystem && v.System == e.Value.System && v.Code == e.Value.Code ||
			!v.HasSystem && (v.Code == e.Value.Code || v.Code == e.Exact)
		return unit && e.Value.Range.Matches(v.Prefix, v.Range)
	}
	return e.Value.Range.Matches(v.Prefix, v.Range)
}

// order compares two resources by the sort keys of a query, missing ones last.
func (m model) order(q *search.Query, a, b Key) int {
	for _, o := range q.Sort {
		x, hasX := m.key(a, o)
		y, hasY := m.key(b, o)
		c := 0
		switch {
		case hasX && hasY:
			if c = cmp.Or(strings.Compare(x.Text, y.Text), cmp.Compare(x.Range.Low, y.Range.Low)); o.Descending {
				c = -c
			}
		case hasX:
			c = -1
		case hasY:
			c = 1
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func (m model) key(k Key, o search.Order) (best search.Value, ok bool) {
	if o.Param.Code == "_id" {
		return search.Value{Text: k.ID}, true
	}
	i := slices.IndexFunc(m, func(r modelResource) bool { return r.Key == k })
	for _, e := range m[i].entries {
		if !m[i].finds(o.Param, &e) || e.Part > 0 || o.Param.Kind == search.Token && e.Value.Text == "" || o.Param.Kind == search.String && e.Value.Text == "" {
			continue
		}
		v := search.Value{Text: e.Value.Text}
		if e.Kind == search.Date || e.Kind == search.Quantity {
			v = search.Value{Range: e.Value.Range}
			v.Range.Low = max(-8e307, v.Range.Low)
		}
		c := cmp.Or(strings.Compare(v.Text, best.Text), cmp.Compare(v.Range.Low, best.Range.Low))
		if !ok || (c < 0) != o.Descending && c != 0 {
			best, ok = v, true
		}
	}
	return best, ok
}
