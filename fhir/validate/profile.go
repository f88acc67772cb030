package validate

import (
	"slices"
	"strings"

	"salus/fhir/definition"
	"salus/fhir/element"
)

// profile compiles what a profile adds to its type, or returns the shape of a type. It
// returns nil for a canonical that is not in the set.
func (c *compiler) profile(url string) *shape {
	url = unversioned(url)
	if s := c.profiles[url]; s != nil {
		return s
	}
	t := c.set.Profile(url)
	if t == nil {
		return nil
	}
	if !t.Profile {
		s := c.base(t.Name)
		c.profiles[url] = s
		return s
	}
	s := &shape{name: url, of: t.Name, profile: true, members: map[string]place{}}
	c.profiles[url] = s
	was := c.at
	c.at = url
	b := c.base(t.Name)
	if root := nested(t); root != nil && c.set.Type(t.Name) != nil {
		s.typ = b.typ
		s.invariants = c.added(root.e, c.set.Type(t.Name).Element(t.Name))
		c.constrain(s, root, b)
	} else {
		s.blank = true
		c.skip(t.Name, "snapshot is missing")
	}
	c.at = was
	return s
}

// added compiles the invariants of e that the same element of the base does not have.
func (c *compiler) added(e, base *definition.Element) []*invariant {
	if base == nil {
		return c.invariants(e, e.Types)
	}
	own := *e
	own.Invariants = slices.DeleteFunc(slices.Clone(e.Invariants), func(i definition.Invariant) bool {
		return slices.ContainsFunc(base.Invariants, func(o definition.Invariant) bool { return o.Key == i.Key && o.Expression == i.Expression })
	})
	return c.invariants(&own, e.Types)
}

// constrain compiles the members of an element of a profile against those of its base.
func (c *compiler) constrain(s *shape, n *nest, b *shape) {
	for _, k := range n.kids {
		i := slices.IndexFunc(b.fields, func(f field) bool { return f.def == k.name })
		if i < 0 {
			if k.name != "value" { // of a primitive: nothing is checked there
				c.skip(k.e.ID, "is no element of "+b.name)
			}
			continue
		}
		bf := &b.fields[i]
		f := field{name: bf.name, def: bf.def, path: bf.path, many: bf.many, mod: bf.mod, rule: c.rule(k, bf)}
		if k.e.Min > bf.min {
			f.min = k.e.Min
		}
		if len(k.slices) > 0 {
			f.slicing = c.slicing(k, bf)
		}
		if !f.empty() {
			c.place(s, f)
		}
	}
}

// rule compiles one element or slice of a profile.
func (c *compiler) rule(k *nest, bf *field) rule {
	r := rule{max: -1, fixed: c.json(k.e.Fixed), pattern: c.json(k.e.Pattern)}
	if k.e.Max >= 0 && (bf.max < 0 || k.e.Max < bf.max) {
		r.max = k.e.Max
	}
	if k.e.MaxLength > 0 && k.e.MaxLength != bf.maxLength {
		r.maxLength = k.e.MaxLength
	}
	if b := c.binding(k.e); b != nil && (bf.binding == nil || bf.binding.url != b.url || bf.binding.required != b.required) {
		r.binding = b
	}
	r.invariants = c.added(k.e, c.baseElement(bf.path))
	refs := map[string]definition.TypeRef{}
	for _, t := range k.e.Types {
		refs[t.Code] = t
	}
	var inner *shape
	for _, bo := range bf.options {
		o := option{json: bo.json, code: bo.code, typ: bo.typ, format: bo.format}
		t, ok := refs[bo.code]
		switch {
		case bo.typ != nil && bo.typ.Kind == element.Resource:
			r.resources = resources(k.e.Types)
			for _, t := range k.e.Types {
				o.profiles = append(o.profiles, c.narrower(t.Profiles)...)
			}
		case !ok && len(refs) > 0 && len(bf.options) > 1:
			o.refused = true
		case ok:
			if !sameSet(c.targets(t), bo.targets) {
				o.targets = c.targets(t)
			}
			o.aims = c.aims(t)
			if p := c.narrower(t.Profiles); t.Code != "Extension" && !slices.Equal(p, bo.profiles) { // an extension is told by its url
				o.profiles = p
			}
		}
		if len(k.kids) > 0 && !o.refused {
			if inner == nil {
				inner = &shape{name: c.at, of: bo.code, profile: true, members: map[string]place{}, typ: bo.typ}
				b := bo.shape
				if b == nil && len(k.e.Types) == 1 {
					b = c.base(k.e.Types[0].Code)
				}
				if len(bf.options) > 1 && len(k.e.Types) != 1 {
					b, inner.typ = c.base("Element"), c.model.Type("Element")
				}
				if b != nil {
					if b.members == nil { // an inline type that refers to itself
						c.base(strings.SplitN(b.name, ".", 2)[0])
					}
					c.constrain(inner, k, b)
				}
				if inner.fields == nil && inner.invariants == nil {
					inner = &shape{}
				}
			}
			if inner.members != nil {
				o.shape = inner
			}
		}
		r.options = append(r.options, o)
	}
	return r
}

// aims returns the profiles that a reference may lead to, nil if one is a type as it is or
// not loaded.
func (c *compiler) aims(t definition.TypeRef) (out []*shape) {
	for _, u := range t.Targets {
		s := c.profile(u)
		if s == nil || !s.profile || s.blank {
			return nil
		}
		out = append(out, s)
	}
	return out
}

// baseElement returns R4's own definition of an element, or nil.
func (c *compiler) baseElement(path string) *definition.Element {
	name, _, _ := strings.Cut(path, ".")
	if t := c.set.Type(name); t != nil {
		return t.Element(path)
	}
	return nil
}

// resources returns the names of the resources that an element may hold, nil for any.
func resources(refs []definition.TypeRef) (out []string) {
	for _, t := range refs {
		if t.Code == "Resource" || t.Code == "DomainResource" {
			return nil
		}
		out = append(out, t.Code)
	}
	return out
}

func sameSet(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	return true
}
