package fhirxml

import (
	"slices"
	"strings"

	"salus/fhir"
	"salus/fhir/element"
)

// A writing is the state of one ToXML.
type writing struct {
	out    []byte
	indent bool
	depth  int
}

// ToXML says a resource, or a Bundle of some, in XML. indent puts each element on a line of its own. The model must be the one that
// was read with. An error is a *fhir.Issue: the input is no JSON, or nothing that XML has a form for.
func ToXML(m *element.Model, src []byte, indent bool) ([]byte, error) {
	t, err := element.Parser{Depth: 2 * element.DefaultDepth, Size: element.MaxSize, Known: m.Known}.Parse(src)
	if err != nil {
		return nil, issue(fhir.CodeJSON, "")
	}
	w := &writing{indent: indent, out: make([]byte, 0, len(src)+len(src)/4)}
	w.out = append(w.out, `<?xml version="1.0" encoding="UTF-8"?>`...)
	if err := w.resource(m, t.Root(), ` xmlns="`+space+`"`); err != nil {
		return nil, err
	}
	return w.out, nil
}

// unsaid says in what type something has no form in XML. Names and values are not said: they may be anything.
func unsaid(t *element.Type) error {
	if t == nil {
		return issue(CodeUnsaid, "")
	}
	return issue(CodeUnsaid, t.Name)
}

func (w *writing) line() {
	if w.indent {
		w.out = append(w.out, '\n')
		for range w.depth {
			w.out = append(w.out, "  "...)
		}
	}
}

func (w *writing) end(name string) {
	w.out = append(append(append(w.out, "</"...), name...), '>')
}

// resource writes a resource; declared goes into its start tag.
func (w *writing) resource(m *element.Model, n element.Node, declared string) error {
	t := m.Type(n.Get("resourceType").Text())
	if t == nil || t.Kind != element.Resource {
		return unsaid(nil)
	}
	w.line()
	w.out = append(append(append(append(w.out, '<'), t.Name...), declared...), '>')
	some, err := w.children(n, t)
	if err != nil {
		return err
	}
	if some {
		w.line()
	}
	w.end(t.Name)
	return nil
}

// A member is an element of an object: its value, its "_" sibling, or both.
type member struct {
	field        int
	option       *element.Option
	value, extra element.Node
}

// members are those of an object in the order of the definition. Attributes are no members, nor is the resourceType.
func members(n element.Node, t *element.Type) ([]member, error) {
	var list []member
	for c := range n.Children() {
		name := c.Name()
		if t.Kind == element.Resource && name == "resourceType" || attribute(t, name) {
			continue
		}
		base, under := strings.CutPrefix(name, "_")
		f, o := t.Member(base)
		if o == nil || o.Type == nil || under && o.Type.Kind != element.Primitive {
			return nil, unsaid(t)
		}
		field := slices.IndexFunc(t.Fields, func(x element.Field) bool { return x.Name == f.Name })
		i := slices.IndexFunc(list, func(m member) bool { return m.field == field })
		if i < 0 {
			i, list = len(list), append(list, member{field: field, option: o})
		}
		m := &list[i]
		if m.option != o { // a value of two types
			return nil, unsaid(t)
		}
		if under {
			m.extra = c
		} else {
			m.value = c
		}
	}
	slices.SortStableFunc(list, func(a, b member) int { return a.field - b.field })
	return list, nil
}

// attribute reports whether an element of that name is an attribute in XML.
func attribute(t *element.Type, name string) bool {
	return t.Kind != element.Resource && name == "id" || name == "url" && t.Is("Extension")
}

// children writes the elements of an object, each on a level below.
func (w *writing) children(n element.Node, t *element.Type) (some bool, err error) {
	list, err := members(n, t)
	if err != nil {
		return false, err
	}
	w.depth++
	defer func() { w.depth-- }()
	for i := range list {
		m := &list[i]
		count, ok := m.count(t.Fields[m.field].Many)
		if !ok {
			return false, unsaid(t)
		}
		for k := range count {
			v, x := m.value, m.extra
			if t.Fields[m.field].Many {
				v, x = v.At(k), x.At(k)
			}
			if err := w.element(m.option, v, x); err != nil {
				return false, err
			}
		}
	}
	return len(list) > 0, nil
}

// count is how often an element is there; not ok if that is not the form of one that repeats, or of one that does not.
func (m *member) count(many bool) (int, bool) {
	for _, n := range []element.Node{m.value, m.extra} {
		if k := n.Kind(); k != element.Absent && (k == element.Array) != many {
			return 0, false
		}
	}
	if !many {
		return 1, true
	}
	count := max(m.value.Len(), m.extra.Len())
	return count, count > 0
}

// element writes one element.
func (w *writing) element(o *element.Option, value, extra element.Node) error {
	t := o.Type
	if t.Name == "xhtml" {
		if value.Kind() != element.String || !standsAlone(value.Text()) {
			return unsaid(t)
		}
		w.line()
		w.out = append(w.out, lineEnds(strings.TrimSpace(value.Text()))...)
		return nil
	}
	if t.Kind == element.Primitive {
		return w.primitive(o, value, extra)
	}
	if value.Kind() != element.Object {
		return unsaid(t)
	}
	w.line()
	w.out = append(append(w.out, '<'), o.JSON...)
	if t.Kind == element.Resource {
		w.out = append(w.out, '>')
		w.depth++
		err := w.resource(t.Model, value, "")
		w.depth--
		w.line()
		w.end(o.JSON)
		return err
	}
	return w.content(o.JSON, value, t)
}

// primitive writes a primitive element.
func (w *writing) primitive(o *element.Option, value, extra element.Node) error {
	w.line()
	w.out = append(append(w.out, '<'), o.JSON...)
	valued := value.Kind() != element.Absent && value.Kind() != element.Null
	if valued && (!literal(o.Type, value) || !w.attribute("value", value.Text())) {
		return unsaid(o.Type)
	}
	switch extra.Kind() {
	case element.Absent, element.Null:
		if !valued {
			return unsaid(o.Type)
		}
		w.out = append(w.out, "/>"...)
		return nil
	case element.Object:
		return w.content(o.JSON, extra, o.Type)
	}
	return unsaid(o.Type)
}

// literal reports whether a value is of the JSON type that a primitive's values have (FHIR R4, 2.6.2). XML does not tell them apart: what
// is not would be read as another value, or not at all.
func literal(t *element.Type, value element.Node) bool {
	switch k := value.Kind(); t.System {
	case "Boolean":
		return k == element.True || k == element.False
	case "Integer", "Decimal":
		return k == element.Number
	default:
		return k == element.String
	}
}

// content writes the attributes and elements of an object, after the name in its start tag, and its end.
func (w *writing) content(name string, n element.Node, t *element.Type) error {
	attributes := false
	for _, a := range []string{"id", "url"} {
		v := n.Get(a)
		if v.Kind() == element.Absent || !attribute(t, a) {
			continue
		}
		if attributes = true; v.Kind() != element.String || !w.attribute(a, v.Text()) {
			return unsaid(t)
		}
	}
	at := len(w.out)
	w.out = append(w.out, '>')
	some, err := w.children(n, t)
	switch {
	case err != nil:
		return err
	case some:
		w.line()
		w.end(name)
	case !attributes:
		return unsaid(t)
	default:
		w.out = append(w.out[:at], "/>"...)
	}
	return nil
}

// attribute writes an attribute; false if XML has no such characters.
func (w *writing) attribute(name, value string) bool {
	w.out = append(append(append(w.out, ' '), name...), `="`...)
	for _, c := range value {
		switch {
		case c == '&':
			w.out = append(w.out, "&amp;"...)
		case c == '<':
			w.out = append(w.out, "&lt;"...)
		case c == '>':
			w.out = append(w.out, "&gt;"...)
		case c == '"':
			w.out = append(w.out, "&quot;"...)
		case c == '\n': // an attribute's own white space is read as spaces (XML 1.0, 3.3.3)
			w.out = append(w.out, "&#10;"...)
		case c == '\r':
			w.out = append(w.out, "&#13;"...)
		case c == '\t':
			w.out = append(w.out, "&#9;"...)
		case c < ' ' || c == 0xfffe || c == 0xffff: // XML 1.0, 2.2
			return false
		default:
			w.out = append(w.out, string(c)...)
		}
	}
	w.out = append(w.out, '"')
	return true
}
