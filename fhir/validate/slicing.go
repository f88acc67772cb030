package validate

import (
	"strconv"
	"strings"

	"salus/fhir/element"
)

// slicing compiles the slices of an element. A slice of a slice ("a/b") is left out.
func (c *compiler) slicing(k *nest, bf *field) *slicing {
	s := &slicing{closed: k.e.Rules == "closed", end: k.e.Rules == "openAtEnd", ordered: k.e.Ordered}
	by := k.e.By
	if len(by) == 0 {
		if bf.name == "extension" || bf.mod {
			by = []string{"value:url"}
		} else if len(bf.options) > 1 {
			by = []string{"type:$this"}
		}
	}
	if len(by) == 0 {
		s.unsure = true
		c.skip(k.e.ID, "slicing has no discriminator")
	}
	for _, n := range k.slices {
		if strings.Contains(n.e.Slice, "/") {
			c.skip(n.e.ID, "slice of a slice is not checked")
			continue
		}
		x := slice{name: n.e.Slice, rule: c.rule(n, bf)}
		x.min, x.max = n.e.Min, n.e.Max
		for _, d := range by {
			t, ok := c.test(n, d)
			if !ok {
				s.unsure = true
				c.skip(n.e.ID, "discriminator "+d+" cannot be told")
			}
			x.tests = append(x.tests, t)
		}
		s.slices = append(s.slices, x)
	}
	return s
}

// test compiles a discriminator for one slice.
func (c *compiler) test(n *nest, by string) (t test, ok bool) {
	kind, path, _ := strings.Cut(by, ":")
	at := n
	for path != "" && path != "$this" {
		var p string
		p, path = cutPath(path)
		switch {
		case p == "$this":
			continue
		case p == "resolve()":
			t.path = append(t.path, pathStep{resolve: true})
			return c.resolved(t, at, kind)
		case strings.HasPrefix(p, "ofType("):
			t.path = append(t.path, pathStep{ofType: strings.TrimSuffix(p[len("ofType("):], ")")})
			continue
		}
		if kind == "value" || kind == "pattern" {
			if c.wants(&t, at, false) { // the whole is given further up
				return t, true
			}
		}
		name, url := p, ""
		if strings.HasPrefix(p, "extension(") {
			name, url = "extension", strings.Trim(p[len("extension("):len(p)-1], `'"`)
			t.path = append(t.path, pathStep{ext: url})
		} else {
			t.path = append(t.path, pathStep{name: name, sym: c.model.Sym(name)})
		}
		below := c.below(at, name, url)
		if name == "url" && kind == "value" && (below == nil || below.e.Fixed == "") && len(at.e.Types) == 1 && at.e.Types[0].Code == "Extension" && len(at.e.Types[0].Profiles) == 1 {
			t.fixed = c.json(strconv.Quote(unversioned(at.e.Types[0].Profiles[0]))) // an extension's url is its canonical
			return t, t.fixed.Kind() == element.String
		}
		if at = below; at == nil {
			return t, false
		}
	}
	switch kind {
	case "value", "pattern":
		return t, c.wants(&t, at, true)
	case "exists":
		switch {
		case at.e.Max == 0:
			t.exists = -1
		case at.e.Min > 0:
			t.exists = 1
		}
		return t, t.exists != 0
	case "type":
		for _, r := range at.e.Types {
			t.types = append(t.types, r.Code)
		}
		return t, t.types != nil
	case "profile":
		for _, r := range at.e.Types {
			t.shapes = append(t.shapes, c.narrower(r.Profiles)...)
		}
		return t, t.shapes != nil
	}
	return t, false
}

// cutPath takes the first step off a path; a step may have dots within its parentheses.
func cutPath(path string) (first, rest string) {
	depth := 0
	for i := range len(path) {
		switch path[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '.':
			if depth == 0 {
				return path[:i], path[i+1:]
			}
		}
	}
	return path, ""
}

// resolved makes a test of what a reference leads to, from its target profiles.
func (c *compiler) resolved(t test, n *nest, kind string) (test, bool) {
	for _, r := range n.e.Types {
		switch kind {
		case "type":
			t.types = append(t.types, c.targets(r)...)
		case "profile":
			for _, u := range r.Targets {
				s := c.profile(u)
				if s == nil {
					return t, false
				}
				t.shapes = append(t.shapes, s)
			}
		}
	}
	return t, t.types != nil || t.shapes != nil
}

// below finds the definition of a child: in the slice, or in the profile of its type.
func (c *compiler) below(n *nest, name, url string) *nest {
	if k := n.kid(name); k != nil {
		if url == "" {
			return k
		}
		for _, s := range k.slices {
			if s.e.Slice != "" && len(s.e.Types) > 0 && len(s.e.Types[0].Profiles) > 0 && s.e.Types[0].Profiles[0] == url {
				return s
			}
		}
	}
	for _, r := range n.e.Types {
		for _, u := range r.Profiles {
			if p := c.set.Profile(unversioned(u)); p != nil {
				if root := nested(p); root != nil && root.kid(name) != nil {
					return root.kid(name)
				}
			}
		}
		if t := c.set.Type(r.Code); t != nil {
			if root := nested(t); root != nil && root.kid(name) != nil {
				return root.kid(name)
			}
		}
	}
	return nil
}

// wants takes what a definition says of the value; last tells that children count too.
func (c *compiler) wants(t *test, n *nest, last bool) bool {
	switch {
	case n.e.Fixed != "":
		t.fixed = c.json(n.e.Fixed)
	case n.e.Pattern != "":
		t.pattern = c.json(n.e.Pattern)
	case n.e.Strength == "required" && last:
		t.binding = c.binding(n.e)
	case last && len(n.kids) > 0:
		return c.wantsBelow(t, n)
	default:
		return false
	}
	return true
}

// wantsBelow makes a pattern of the fixed values and patterns of the children.
func (c *compiler) wantsBelow(t *test, n *nest) bool {
	s := objectOf(n)
	if s == "" {
		return false
	}
	t.pattern = c.json(s)
	return t.pattern.Kind() == element.Object
}

// objectOf writes a pattern in which nothing is an array (see contains).
func objectOf(n *nest) string {
	var parts []string
	for _, k := range n.kids {
		v := k.e.Fixed
		if v == "" {
			v = k.e.Pattern
		}
		if v == "" && k.e.Min > 0 {
			v = objectOf(k)
		}
		if v != "" {
			parts = append(parts, `"`+strings.TrimSuffix(k.name, "[x]")+`":`+v)
		}
	}
	if parts == nil {
		return ""
	}
	return "{" + strings.Join(parts, ",") + "}"
}
