package patch

import (
	"strings"

	"salus/fhir/element"
)

// A value is what goes into a field: its bytes, those beside it, and its name in JSON.
type value struct {
	name       string // "valueQuantity"
	raw, extra []byte // nil for none
}

// value makes the value of a part for a field: value[x] and its "_" sibling, a resource, or
// parts.
func (x *patching) value(part element.Node, f *element.Field, depth int) (value, error) {
	if depth > maxDepth {
		return value{}, fail(CodeValue, -1)
	}
	var typ string
	var v value
	parts := element.Node{}
	forms := 0
	for m := range part.Children() {
		name := m.Name()
		switch {
		case name == "name" || name == "id" || name == "extension":
			continue
		case name == "resource":
			v.raw, typ = m.Raw(), "Resource"
			forms++
		case name == "part":
			parts = m
			forms++
		case strings.HasPrefix(name, "value"):
			v.raw = m.Raw()
			if typ == "" {
				forms++
			} else if typ != name[len("value"):] {
				return value{}, fail(CodeValue, -1)
			}
			typ = name[len("value"):]
		case strings.HasPrefix(name, "_value"):
			v.extra = m.Raw()
			if typ == "" {
				forms++
			} else if typ != name[len("_value"):] {
				return value{}, fail(CodeValue, -1)
			}
			typ = name[len("_value"):]
		default:
			return value{}, fail(CodeValue, -1)
		}
	}
	switch {
	case forms != 1:
		return value{}, fail(CodeValue, -1)
	case parts.Kind() == element.Array:
		return x.parts(parts, f, depth)
	case parts.Kind() != element.Absent:
		return value{}, fail(CodeValue, -1)
	}
	o := x.option(f, typ)
	if o == nil {
		return value{}, fail(CodeType, -1)
	}
	v.name = o.JSON
	return v, nil
}

// option finds the type of a field that takes a value, or nil. A primitive may go where
// another with the same form in JSON stands, since value[x] does not have them all.
func (x *patching) option(f *element.Field, typ string) *element.Option {
	for i := range f.Types {
		o := &f.Types[i]
		if o.Type == nil {
			continue
		}
		if typ == "Resource" && o.Type.Kind == element.Resource {
			return o
		}
		if n := o.Type.Code; typ != "" && n != "" && strings.EqualFold(n[:1], typ[:1]) && n[1:] == typ[1:] {
			return o
		}
	}
	if f.Choice || len(f.Types) != 1 || f.Types[0].Type == nil || typ == "" {
		return nil
	}
	o := &f.Types[0]
	given := x.model.Type(strings.ToLower(typ[:1]) + typ[1:])
	if o.Type.Kind == element.Primitive && given != nil && given.Kind == element.Primitive && inJSON(given) == inJSON(o.Type) {
		return o // a string for a narrative too
	}
	if given = x.model.Type(typ); given != nil && given.Kind == element.Complex && given.Is(o.Type.Name) && given.Name != "Element" {
		return o // an Age for a Quantity
	}
	return nil
}

// inJSON names the JSON type of a primitive.
func inJSON(t *element.Type) string {
	switch t.System {
	case "Boolean":
		return "boolean"
	case "Integer", "Decimal":
		return "number"
	}
	return "string"
}

// parts makes an object of parts, each of which names an element. A name that comes several
// times is a list.
func (x *patching) parts(list element.Node, f *element.Field, depth int) (value, error) {
	if len(f.Types) != 1 || f.Types[0].Type == nil || f.Types[0].Type.Kind != element.Complex {
		return value{}, fail(CodeType, -1)
	}
	t := f.Types[0].Type
	type entry struct {
		f      *element.Field
		values []value
	}
	var order []*entry
	for p := range list.Children() {
		name := p.Get("name").Text()
		g := t.Field(strings.TrimSuffix(name, "[x]"))
		if g == nil {
			if c, _ := t.Member(name); c != nil && c.Choice {
				g = c
			} else {
				return value{}, fail(CodeName, -1)
			}
		}
		v, err := x.value(p, g, depth+1)
		if err != nil {
			return value{}, err
		}
		var e *entry
		for _, o := range order {
			if o.f == g {
				e = o
			}
		}
		if e == nil {
			e = &entry{f: g}
			order = append(order, e)
		} else if !g.Many {
			return value{}, fail(CodeExists, -1)
		}
		e.values = append(e.values, v)
	}
	if len(order) == 0 {
		return value{}, fail(CodeValue, -1)
	}
	var b []byte
	for _, e := range order {
		b = spell(b, e.f.Many, e.values)
	}
	b[0] = '{'
	return value{name: f.Types[0].JSON, raw: append(b, '}')}, nil
}

// spell writes the members of one field, each after a comma.
func spell(b []byte, many bool, values []value) []byte {
	raw, extra := false, false
	for _, v := range values {
		raw, extra = raw || v.raw != nil, extra || v.extra != nil
	}
	write := func(name string, of func(value) []byte) {
		b = append(append(append(b, `,"`...), name...), `":`...)
		if many {
			b = append(b, '[')
		}
		for i, v := range values {
			if i > 0 {
				b = append(b, ',')
			}
			if r := of(v); r != nil {
				b = append(b, r...)
			} else {
				b = append(b, "null"...)
			}
		}
		if many {
			b = append(b, ']')
		}
	}
	if raw {
		write(values[0].name, func(v value) []byte { return v.raw })
	}
	if extra {
		write("_"+values[0].name, func(v value) []byte { return v.extra })
	}
	return b
}
