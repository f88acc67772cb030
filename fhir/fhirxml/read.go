package fhirxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"salus/fhir"
	"salus/fhir/element"
)

// A reading is the state of one ToJSON.
type reading struct {
	model *element.Model
	src   []byte
	d     *xml.Decoder
	at    int64 // where the last token begins
	out   []byte
	depth int
	path  []string // of the element that is read: names of the definitions and positions
}

// ToJSON reads a resource from XML. The types of elements are the model's. The answer has the elements in the document's order, which is
// that of their definition. An error is a *fhir.Issue.
func ToJSON(m *element.Model, src []byte) ([]byte, error) {
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	r := &reading{model: m, src: src, d: xml.NewDecoder(bytes.NewReader(src)), out: make([]byte, 0, len(src))}
	root, err := r.next()
	if errors.Is(err, io.EOF) {
		return nil, issue(fhir.CodeEmpty, "")
	} else if err != nil {
		return nil, err
	}
	e, ok := root.(xml.StartElement)
	if !ok {
		return nil, issue(CodeSyntax, "")
	}
	if err := r.resource(&e); err != nil {
		return nil, err
	}
	if _, err = r.next(); errors.Is(err, io.EOF) {
		return r.out, nil
	} else if err == nil {
		err = issue(fhir.CodeTrailing, "")
	}
	return nil, err
}

// characters reports whether that is UTF-8 of the characters of XML 1.0 (2.2) alone. The decoder of the standard library
// looks at those of text and attributes, and not at those of comments, which are part of a narrative, and instructions.
func characters(src []byte) bool {
	for i := 0; i < len(src); {
		c := src[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(src[i:])
		if n == 1 || r == 0xfffe || r == 0xffff {
			return false
		}
		i += n
	}
	return true
}

// next is the next tag. After the root's end it is io.EOF.
func (r *reading) next() (xml.Token, error) {
	for {
		r.at = r.d.InputOffset()
		t, err := r.d.Token()
		if errors.Is(err, io.EOF) && r.depth == 0 {
			return nil, io.EOF
		} else if err != nil {
			return nil, malformed(err, r.place())
		}
		switch t := t.(type) {
		case xml.StartElement, xml.EndElement:
			return t, nil
		case xml.Directive:
			return nil, issue(CodeDoctype, r.place())
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, issue(CodeText, r.place())
			}
		case xml.Comment:
			if !characters(t) {
				return nil, issue(CodeSyntax, r.place())
			}
		case xml.ProcInst:
			if !characters(t.Inst) {
				return nil, issue(CodeSyntax, r.place())
			}
		}
	}
}

func (r *reading) place() string { return strings.Join(r.path, ".") }

func (r *reading) fail(code string) *fhir.Issue { return issue(code, r.place()) }

// enter goes one element down.
func (r *reading) enter(name string) error {
	if r.depth++; r.depth > maxDepth {
		return r.fail(fhir.CodeDepth)
	}
	r.path = append(r.path, name)
	return nil
}

func (r *reading) leave() {
	r.depth--
	r.path = r.path[:len(r.path)-1]
}

// resource writes the object of a resource whose start tag is read, up to its end tag.
func (r *reading) resource(e *xml.StartElement) error {
	if e.Name.Space != space {
		return r.fail(CodeNamespace)
	}
	t := r.model.Type(e.Name.Local)
	if t == nil || t.Kind != element.Resource {
		return r.fail(fhir.CodeType)
	}
	name := t.Name
	if r.depth > 0 { // in another
		name = "ofType(" + name + ")"
	}
	if err := r.enter(name); err != nil {
		return err
	}
	if _, ok := attributes(e); !ok {
		return r.fail(CodeAttribute)
	}
	r.out = append(append(append(r.out, `{"resourceType":"`...), t.Name...), '"')
	if err := r.members(t, true); err != nil {
		return err
	}
	r.out = append(r.out, '}')
	r.leave()
	return nil
}

// A run is an element that is there once or several times in a row.
type run struct {
	field  int // of the type; -1 before the first
	f      *element.Field
	o      *element.Option
	count  int
	values []byte // of primitives that repeat
	extras []byte // their "_" siblings
	valued bool
	more   bool
}

// members writes the elements up to the parent's end tag as members of an object; some says whether it has members already.
func (r *reading) members(t *element.Type, some bool) error {
	now := run{field: -1}
	for {
		tok, err := r.next()
		if err != nil {
			return err
		}
		e, ok := tok.(xml.StartElement)
		if !ok {
			r.finish(&now, &some)
			return nil
		}
		f, o := t.Member(e.Name.Local)
		narrative := o != nil && o.Type != nil && o.Type.Name == "xhtml"
		switch {
		case narrative && e.Name.Space != xhtml:
			return r.fail(CodeNarrative)
		case !narrative && e.Name.Space != space:
			return r.fail(CodeNamespace)
		case o == nil || o.Type == nil || attribute(t, f.Name):
			return r.fail(CodeElement)
		}
		field := now.field
		for field < 0 || &t.Fields[field] != f {
			if field++; field == len(t.Fields) {
				return r.fail(CodeOrder)
			}
		}
		if err := r.enter(o.JSON); err != nil {
			return err
		}
		if field != now.field {
			r.finish(&now, &some)
			now = run{field: field, f: f, o: o}
		} else if now.count++; !f.Many || o != now.o {
			return r.fail(CodeRepeated)
		}
		if f.Many {
			r.path[len(r.path)-1] += "[" + strconv.Itoa(now.count) + "]"
		}
		if err := r.element(&now, &e, &some); err != nil {
			return err
		}
		r.leave()
	}
}

// comma begins a member.
func (r *reading) comma(some *bool) {
	if *some {
		r.out = append(r.out, ',')
	}
	*some = true
}

func (r *reading) name(prefix, name string, some *bool) {
	r.comma(some)
	r.out = append(append(append(append(r.out, '"'), prefix...), name...), `":`...)
}

// element writes one element of a run, or keeps it until the run's end.
func (r *reading) element(now *run, e *xml.StartElement, some *bool) error {
	if t := now.o.Type; t.Kind == element.Primitive && t.Name != "xhtml" {
		value, extra, err := r.primitive(t, e)
		if err != nil {
			return err
		}
		if !now.f.Many {
			if value != nil {
				r.name("", now.o.JSON, some)
				r.out = append(r.out, value...)
			}
			if extra != nil {
				r.name("_", now.o.JSON, some)
				r.out = append(r.out, extra...)
			}
			return nil
		}
		now.valued, now.more = now.valued || value != nil, now.more || extra != nil
		now.values, now.extras = item(now.values, value), item(now.extras, extra)
		return nil
	}
	switch {
	case now.count > 0:
		r.out = append(r.out, ',')
	case now.f.Many:
		r.name("", now.o.JSON, some)
		r.out = append(r.out, '[')
	default:
		r.name("", now.o.JSON, some)
	}
	switch t := now.o.Type; {
	case t.Name == "xhtml":
		return r.div(e)
	case t.Kind == element.Resource:
		return r.within(e)
	default:
		return r.object(t, e)
	}
}

// item appends to a list of values in JSON.
func item(list, value []byte) []byte {
	if list != nil {
		list = append(list, ',')
	}
	if value == nil {
		return append(list, "null"...)
	}
	return append(list, value...)
}

// finish ends a run.
func (r *reading) finish(now *run, some *bool) {
	if now.f == nil || !now.f.Many {
		return
	}
	if now.o.Type.Kind != element.Primitive {
		r.out = append(r.out, ']')
		return
	}
	if now.valued {
		r.name("", now.o.JSON, some)
		r.out = append(append(append(r.out, '['), now.values...), ']')
	}
	if now.more {
		r.name("_", now.o.JSON, some)
		r.out = append(append(append(r.out, '['), now.extras...), ']')
	}
}

// object writes a complex element.
func (r *reading) object(t *element.Type, e *xml.StartElement) error {
	allowed := []string{"id"}
	if t.Is("Extension") {
		allowed = append(allowed, "url")
	}
	attr, ok := attributes(e, allowed...)
	if !ok {
		return r.fail(CodeAttribute)
	}
	r.out = append(r.out, '{')
	some, from := false, len(r.out)
	for _, name := range allowed {
		if v, is := attr[name]; is {
			r.name("", name, &some)
			r.out = quote(r.out, v)
		}
	}
	if err := r.members(t, some); err != nil {
		return err
	}
	if len(r.out) == from {
		return r.fail(CodeBlank)
	}
	r.out = append(r.out, '}')
	return nil
}

// within writes a resource that is in an element of another.
func (r *reading) within(e *xml.StartElement) error {
	if _, ok := attributes(e); !ok {
		return r.fail(CodeAttribute)
	}
	tok, err := r.next()
	if err != nil {
		return err
	}
	inner, ok := tok.(xml.StartElement)
	if !ok {
		return r.fail(CodeBlank)
	}
	if err := r.resource(&inner); err != nil {
		return err
	}
	if tok, err = r.next(); err != nil {
		return err
	}
	if _, more := tok.(xml.StartElement); more {
		return r.fail(CodeRepeated)
	}
	return nil
}

// primitive reads a primitive element: its value and its "_" sibling in JSON, nil for none.
func (r *reading) primitive(t *element.Type, e *xml.StartElement) (value, extra []byte, err error) {
	attr, ok := attributes(e, "value", "id")
	if !ok {
		return nil, nil, r.fail(CodeAttribute)
	}
	if v, is := attr["value"]; is {
		switch t.System {
		case "Boolean":
			ok = v == "true" || v == "false"
			value = []byte(v)
		case "Integer", "Decimal":
			n, err := element.Parse([]byte(v))
			ok = err == nil && n.Root().Kind() == element.Number && len(n.Root().Raw()) == len(v)
			value = []byte(v)
		default:
			value = quote(nil, v)
		}
		if !ok {
			return nil, nil, r.fail(CodeValue)
		}
	}
	from := len(r.out)
	some := false
	r.out = append(r.out, '{')
	if id, is := attr["id"]; is {
		r.name("", "id", &some)
		r.out = quote(r.out, id)
	}
	if err := r.members(t, some); err != nil {
		return nil, nil, err
	}
	if len(r.out) > from+1 {
		extra = append(bytes.Clone(r.out[from:]), '}')
	}
	r.out = r.out[:from]
	if value == nil && extra == nil {
		return nil, nil, r.fail(CodeBlank)
	}
	return value, extra, nil
}

// quote appends a string in JSON. It is valid UTF-8: the XML parser has seen to that.
func quote(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
