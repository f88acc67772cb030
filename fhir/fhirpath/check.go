package fhirpath

import (
	"slices"

	"salus/fhir/element"
)

// A shape is what Check knows of a collection: the types of its items (nil: not known),
// and whether their order is defined.
type shape struct {
	types     []*element.Type
	known     bool
	unordered bool
}

type checker struct {
	engine *Engine
	root   shape
	err    *Error
}

// Check reports, without evaluating, a path that cannot exist on a resource or type: an
// element that it does not have, valueQuantity for value, or a function of order on what
// has none. What it does not know passes. An error is an *Error.
func (x *Expression) Check(typ string) error {
	t := x.engine.model.Type(typ)
	if t == nil {
		return fail(CodeSemantic, 0, "there is no such type")
	}
	c := checker{engine: x.engine, root: shape{types: []*element.Type{t}, known: true}}
	c.shape(x.root, c.root)
	if c.err != nil {
		return c.err
	}
	return nil
}

func (c *checker) shape(n *node, focus shape) shape {
	base := focus
	if n.base != nil {
		base = c.shape(n.base, focus)
	}
	switch n.op {
	case opMember:
		return c.member(n, base)
	case opDollar:
		if n.name == "$this" {
			return focus
		}
		return shape{}
	case opIndex:
		c.shape(n.args[0], focus)
		return base
	case opAs:
		return c.typed(n.spec)
	case opBinary:
		a, b := c.shape(n.args[0], focus), c.shape(n.args[1], focus)
		if n.name == "|" && a.known && b.known {
			return shape{types: append(slices.Clone(a.types), b.types...), known: true}
		}
		return shape{}
	case opCall:
		return c.call(n, base, focus)
	}
	return shape{}
}

func (c *checker) typed(t typeSpec) shape {
	typ := c.engine.model.Type(t.name)
	if t.space == "System" || typ == nil || typ.Kind == element.Resource && (t.name == "Resource" || t.name == "DomainResource") {
		return shape{}
	}
	return shape{types: []*element.Type{typ}, known: true}
}

func (c *checker) member(n *node, base shape) shape {
	if !base.known {
		return shape{}
	}
	if n.root {
		for _, t := range base.types {
			if t.Is(n.name) {
				return base
			}
		}
	}
	out := shape{known: true, unordered: base.unordered}
	found := len(base.types) == 0
	for _, t := range base.types {
		f := t.Field(n.name)
		if f == nil {
			continue
		}
		found = true
		for _, o := range f.Types {
			if o.Type == nil || o.Type.Name == "Resource" || o.Type.Name == "Element" {
				return shape{}
			}
			if !slices.Contains(out.types, o.Type) {
				out.types = append(out.types, o.Type)
			}
		}
	}
	if !found && c.err == nil {
		c.err = fail(CodeSemantic, n.pos, "the type has no such element")
	}
	return out
}

func (c *checker) call(n *node, base, focus shape) shape {
	switch n.name {
	case "children", "descendants":
		return shape{unordered: true}
	case "ofType", "as":
		return c.typed(n.spec)
	case "is":
		return shape{}
	case "skip", "first", "last", "tail", "take":
		if base.unordered && c.err == nil {
			c.err = fail(CodeSemantic, n.pos, "the function needs an order, and the collection has none")
		}
	}
	lambda := slices.Contains([]string{"where", "select", "exists", "all", "repeat", "aggregate", "sort", "iif"}, n.name)
	inner := focus
	if lambda {
		inner = base
	}
	if n.name == "repeat" { // its argument sees what it has made
		inner = shape{}
	}
	var last shape
	for i, a := range n.args {
		if n.name == "trace" && i == 1 {
			inner = base
		}
		if s := c.shape(a, inner); i == 0 {
			last = s
		}
	}
	switch n.name {
	case "where", "first", "last", "tail", "skip", "take", "single", "distinct", "trace", "exclude", "intersect", "sort":
		return base
	case "select":
		return last
	case "extension":
		return c.typed(typeSpec{"FHIR", "Extension"})
	}
	return shape{}
}
