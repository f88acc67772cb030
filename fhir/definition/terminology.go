package definition

import (
	"slices"

	"salus/fhir/element"
)

// terminology expands value sets from the code systems of the packages.
type terminology struct {
	base    *Set
	systems map[string]element.Node
	sets    map[string]element.Node
	done    map[string]*ValueSet
}

func newTerminology(base *Set) terminology {
	return terminology{base, map[string]element.Node{}, map[string]element.Node{}, map[string]*ValueSet{}}
}

func (t *terminology) add(n element.Node) {
	url := n.Get("url").Text()
	if n.Get("resourceType").Text() == "ValueSet" {
		t.sets[url] = n
	} else {
		t.systems[url] = n
	}
}

// maxExpansion bounds the codes of one expansion.
const maxExpansion = 5000

// expand returns the codes of a value set; it is open where a part is not to be had.
func (t *terminology) expand(url string, depth int) *ValueSet {
	url = unversioned(url)
	if v := t.done[url]; v != nil {
		return v
	}
	v := &ValueSet{URL: url}
	t.done[url] = v // a value set that includes itself sees what it has so far
	n, ok := t.sets[url]
	if !ok || depth > 16 {
		if t.base != nil {
			if known := t.base.sets[url]; known != nil {
				t.done[url] = known
				return known
			}
		}
		v.Open = true
		return v
	}
	compose := n.Get("compose")
	for c := range compose.Get("include").Children() {
		codes, open := t.part(c, depth)
		v.Open = v.Open || open
		v.Codes = append(v.Codes, codes...)
	}
	for c := range compose.Get("exclude").Children() {
		codes, open := t.part(c, depth)
		v.Open = v.Open || open
		v.Codes = slices.DeleteFunc(v.Codes, func(x Coding) bool { return slices.Contains(codes, x) })
	}
	if compose.Kind() != element.Object {
		v.Open = true
	}
	if len(v.Codes) > maxExpansion {
		v.Codes, v.Open = nil, true
	}
	slices.SortFunc(v.Codes, compareCoding)
	v.Codes = slices.Compact(v.Codes)
	return v
}

// part returns the codes of one include or exclude.
func (t *terminology) part(n element.Node, depth int) (codes []Coding, open bool) {
	system := n.Get("system").Text()
	first := true
	for v := range n.Get("valueSet").Children() {
		e := t.expand(v.Text(), depth+1)
		open = open || e.Open
		if first {
			codes = slices.Clone(e.Codes)
		} else {
			codes = slices.DeleteFunc(codes, func(x Coding) bool { return !slices.Contains(e.Codes, x) })
		}
		first = false
	}
	if system == "" {
		return codes, open
	}
	own, openOwn := t.ofSystem(n, system)
	if first {
		return own, openOwn
	}
	return slices.DeleteFunc(codes, func(x Coding) bool { return !slices.Contains(own, x) }), open || openOwn
}

// ofSystem returns what an include takes of one code system.
func (t *terminology) ofSystem(n element.Node, system string) (codes []Coding, open bool) {
	if n.Get("concept").Kind() == element.Array {
		for c := range n.Get("concept").Children() {
			codes = append(codes, Coding{system, c.Get("code").Text()})
		}
		return codes, false
	}
	cs, ok := t.systems[unversioned(system)]
	if !ok || cs.Get("content").Text() != "complete" {
		return nil, true
	}
	under, self := "", true
	for f := range n.Get("filter").Children() {
		switch op := f.Get("op").Text(); {
		case (op == "is-a" || op == "descendent-of") && f.Get("property").Text() == "concept" && under == "":
			under, self = f.Get("value").Text(), op == "is-a"
		default:
			return nil, true
		}
	}
	parents := map[string][]string{}
	var walk func(list element.Node, parent string)
	walk = func(list element.Node, parent string) {
		for c := range list.Children() {
			code := c.Get("code").Text()
			codes = append(codes, Coding{system, code})
			if parent != "" {
				parents[code] = append(parents[code], parent)
			}
			for p := range c.Get("property").Children() {
				switch p.Get("code").Text() {
				case "subsumedBy", "parent":
					parents[code] = append(parents[code], p.Get("valueCode").Text())
				}
			}
			walk(c.Get("concept"), code)
		}
	}
	walk(cs.Get("concept"), "")
	if under == "" {
		return codes, false
	}
	var below func(code string, depth int) bool
	below = func(code string, depth int) bool {
		return depth < 32 && slices.ContainsFunc(parents[code], func(p string) bool { return p == under || below(p, depth+1) })
	}
	return slices.DeleteFunc(codes, func(c Coding) bool {
		return !below(c.Code, 0) && (!self || c.Code != under)
	}), false
}
