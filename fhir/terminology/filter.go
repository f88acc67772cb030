package terminology

import (
	"regexp"
	"slices"
	"strings"
)

// maxPattern bounds a regex of a filter. They run in linear time (RE2).
const maxPattern = 1000

// standard are the properties that every concept has (R4 4.8.10 and 4.9.6).
var standard = []string{"code", "concept", "display", "definition", "parent", "child", "inactive", "notSelectable", "status"}

// passes compiles the filters of an include to a test of a concept; all of them must hold.
func (s *CodeSystem) passes(list []filterJSON) (func(at int32) bool, error) {
	var all []func(int32) bool
	for i := range list {
		f, err := s.filter(&list[i])
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return func(at int32) bool {
		return !slices.ContainsFunc(all, func(f func(int32) bool) bool { return !f(at) })
	}, nil
}

func (s *CodeSystem) filter(f *filterJSON) (func(at int32) bool, error) {
	_, declared := s.properties[f.Property]
	if !declared && !slices.Contains(standard, f.Property) {
		return nil, ErrFilter.about(s.URL)
	}
	whole := f.Property == "concept" || f.Property == "code"
	switch f.Op {
	case "is-a", "descendent-of", "is-not-a", "generalizes":
		if !whole {
			return nil, ErrFilter.about(s.URL)
		}
		return s.hierarchy(f)
	case "=":
		return s.some(f.Property, func(v string) bool { return v == f.Value }), nil
	case "in", "not-in":
		values := strings.Split(f.Value, ",")
		for i := range values {
			values[i] = strings.TrimSpace(values[i])
		}
		in := s.some(f.Property, func(v string) bool { return slices.Contains(values, v) })
		if f.Op == "in" {
			return in, nil
		}
		return func(at int32) bool { return !in(at) }, nil
	case "exists":
		if f.Value != "true" && f.Value != "false" {
			return nil, ErrFilter.about(s.URL)
		}
		any := s.some(f.Property, func(string) bool { return true })
		return func(at int32) bool { return any(at) == (f.Value == "true") }, nil
	case "regex":
		if len(f.Value) > maxPattern {
			return nil, ErrFilter.about(s.URL)
		}
		r, err := regexp.Compile(`^(?:` + f.Value + `)$`)
		if err != nil {
			return nil, ErrFilter.about(s.URL)
		}
		return s.some(f.Property, r.MatchString), nil
	}
	return nil, ErrFilter.about(s.URL)
}

func (s *CodeSystem) hierarchy(f *filterJSON) (func(at int32) bool, error) {
	if !s.subsumes {
		return nil, ErrHierarchy.about(s.URL)
	}
	top := s.find(f.Value)
	if top < 0 {
		return nil, ErrNoCode.about(s.URL)
	}
	in := s.reach(top, f.Op == "generalizes")
	switch f.Op {
	case "descendent-of":
		in[top] = false
	case "is-not-a":
		return func(at int32) bool { return !in[at] }, nil
	}
	return func(at int32) bool { return in[at] }, nil
}

// some tests whether a concept has a value of a property that f holds for.
func (s *CodeSystem) some(property string, f func(string) bool) func(at int32) bool {
	among := func(list []int32) bool {
		return slices.ContainsFunc(list, func(i int32) bool { return f(s.Concepts[i].Code) })
	}
	return func(at int32) bool {
		c := &s.Concepts[at]
		switch property {
		case "concept", "code":
			return f(c.Code)
		case "display":
			return c.Display != "" && f(c.Display)
		case "definition":
			return c.Definition != "" && f(c.Definition)
		case "parent":
			return among(c.parents)
		case "child":
			return among(c.children)
		}
		given := false
		for i := range c.Properties {
			if c.Properties[i].Code == property {
				if given = true; f(c.Properties[i].Text()) {
					return true
				}
			}
		}
		if given {
			return false
		}
		switch property { // what is not said is false
		case "inactive":
			return f(boolText(c.Inactive))
		case "notSelectable":
			return f(boolText(c.Abstract))
		}
		return false
	}
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
