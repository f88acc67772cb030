package index

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"salus/fhir/search"
)

// share finds the parameters of a type that find what others find together, as combo-code does of code and
// component-code, or what one other finds, as phonetic does of name. They have no entries of their own (search.Param.Of):
// a laboratory result would have half of its entries twice.
func (p *planner) share(typ string, params []*param) {
	type candidate struct {
		*param
		places []string
	}
	var all []candidate
	for _, x := range params {
		if places := p.places(typ, x); len(places) > 0 {
			all = append(all, candidate{x, places})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int { // of those that find the same, the one with the shortest code is whole
		return cmp.Or(cmp.Compare(len(a.places), len(b.places)), cmp.Compare(len(a.Code), len(b.Code)), strings.Compare(a.Code, b.Code))
	})
	var whole []candidate // with entries of their own
	for _, x := range all {
		var of []string
		open := slices.Clone(x.places)
		for _, y := range slices.Backward(whole) { // those of most places first
			within := func(s string) bool { return slices.Contains(x.places, s) }
			if !y.like(x.param) || slices.ContainsFunc(y.places, func(s string) bool { return !within(s) }) {
				continue
			}
			n := len(open)
			if open = slices.DeleteFunc(open, func(s string) bool { return slices.Contains(y.places, s) }); len(open) < n {
				of = append(of, y.Code)
			}
		}
		if len(open) > 0 {
			whole = append(whole, x)
			continue
		}
		slices.Sort(of)
		x.Of = map[string][]string{typ: of}
	}
}

// places are the paths that lead to a parameter's values in resources of a type, without repetition; none if one of
// them is no plain path, or if the parameter is the store's.
func (p *planner) places(typ string, x *param) (all []string) {
	alternatives, ok := paths(x.expression)
	if !ok || x.expression == "" {
		return nil
	}
	for _, steps := range p.within(p.model.Type(typ), alternatives) {
		if s := fmt.Sprint(steps); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// like reports whether two parameters make the same entries of the same values.
func (x *param) like(y *param) bool {
	return x.Kind == y.Kind && slices.Equal(x.Targets, y.Targets) && slices.Equal(x.parts, y.parts) &&
		slices.EqualFunc(x.Components, y.Components, func(a, b search.Component) bool { return slices.Equal(a.Param.Targets, b.Param.Targets) })
}
