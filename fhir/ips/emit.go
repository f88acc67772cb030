package ips

import (
	"bytes"
	"encoding/json"
	"strings"

	"salus/fhir/definition"
	"salus/fhir/element"
)

// unknown is what stands where something is required and not known (IPS, "Required Data Elements").
const unknown = `{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}`

const unknownConcept = `{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"unknown"}]}`

// An emitter writes a resource as the document has it: with another narrative, without addresses that
// lead out of the document, and with what the profiles require. Everything else is copied.
type emitter struct {
	b       bytes.Buffer
	resolve func(reference string) (url string, ok bool)
}

// beforeText are the members that stand before text (R4 Resource).
var beforeText = map[string]bool{"resourceType": true, "id": true, "meta": true, "implicitRules": true, "language": true}

// resource writes one with the narrative given; "" is none.
func (e *emitter) resource(n element.Node, div string) {
	typ := n.Get("resourceType").Text()
	told := div == ""
	tell := func() {
		if !told {
			told = true
			e.b.WriteString(`,"text":{"status":"generated","div":`)
			e.b.Write(quote(div))
			e.b.WriteByte('}')
		}
	}
	e.b.WriteString(`{"resourceType":`)
	e.b.Write(quote(typ))
	for _, c := range []string{"id", "meta", "implicitRules", "language"} {
		e.member(n.Get(c), typ, true)
	}
	tell()
	for c := range n.Children() {
		switch name := c.Name(); {
		case beforeText[name] || name == "text" || name == "_text":
		case name == "contained":
			e.contained(c)
		default:
			e.member(c, typ, true)
		}
	}
	if div != "" {
		for _, f := range lacking(typ, n) {
			e.b.WriteByte(',')
			e.b.WriteString(f)
		}
	}
	e.b.WriteByte('}')
}

func (e *emitter) contained(n element.Node) {
	e.b.WriteString(`,"contained":[`)
	first := true
	for c := range each(n) {
		if !first {
			e.b.WriteByte(',')
		}
		first = false
		e.resource(c, "")
	}
	e.b.WriteByte(']')
}

// member writes a member of an object, or nothing if there is nothing left of it.
func (e *emitter) member(n element.Node, path string, comma bool) bool {
	if absent(n) {
		return false
	}
	start := e.b.Len()
	if comma {
		e.b.WriteByte(',')
	}
	e.b.Write(quote(n.Name()))
	e.b.WriteByte(':')
	if e.value(n, path+"."+n.Name()) {
		return true
	}
	e.b.Truncate(start)
	return false
}

// value writes a value, or nothing.
func (e *emitter) value(n element.Node, path string) bool {
	start := e.b.Len()
	wrote := false
	switch n.Kind() {
	case element.Object:
		e.b.WriteByte('{')
		wrote = e.object(n, path)
		e.b.WriteByte('}')
		if !wrote && required(path) {
			e.b.Truncate(start)
			e.b.WriteString(unknown)
			return true
		}
	case element.Array:
		e.b.WriteByte('[')
		for c := range n.Children() {
			before := e.b.Len()
			if wrote {
				e.b.WriteByte(',')
			}
			if e.value(c, path) {
				wrote = true
			} else {
				e.b.Truncate(before)
			}
		}
		e.b.WriteByte(']')
	default:
		e.b.Write(n.Raw())
		return true
	}
	if !wrote {
		e.b.Truncate(start)
	}
	return wrote
}

// object writes the members of an object; false if none is left.
func (e *emitter) object(n element.Node, path string) (wrote bool) {
	ref := n.Get("reference")
	if ref.Kind() != element.String || strings.HasPrefix(ref.Text(), "#") {
		for c := range n.Children() {
			wrote = e.member(c, path, wrote) || wrote
		}
		if wrote && path == "Patient.name" && !named(n) { // ips-pat-1
			e.b.WriteString(`,"_text":` + unknown)
		}
		return wrote
	}
	if url, ok := e.resolve(ref.Text()); ok {
		e.b.WriteString(`"reference":`)
		e.b.Write(quote(url))
		wrote = true
	}
	typ := n.Get("type")
	for c := range n.Children() {
		switch name := c.Name(); {
		case name == "reference", name == "_reference":
		case strings.TrimPrefix(name, "_") == "type" && !wrote && absent(n.Get("display")) && absent(n.Get("identifier")) && !absent(typ):
			// a type alone says nothing
		default:
			wrote = e.member(c, path, wrote) || wrote
		}
	}
	return wrote
}

// named reports whether a HumanName names anybody.
func named(n element.Node) bool {
	for _, m := range []string{"text", "family", "given"} {
		if !absent(n.Get(m)) || !absent(n.Get("_"+m)) {
			return true
		}
	}
	return false
}

// required reports whether an element must be there. One that the definitions do not know by this
// path, within a data type or of a choice, is taken for one.
func required(path string) bool {
	typ, _, _ := strings.Cut(path, ".")
	t := definition.R4().Type(typ)
	if t == nil {
		return true
	}
	el := t.Element(path)
	return el == nil || el.Min > 0
}

// lacking lists the members that the guide's profiles require and a resource does not have.
func lacking(typ string, n element.Node) (out []string) {
	fill := func(member, with string) {
		if absent(n.Get(strings.TrimPrefix(member, "_"))) && absent(n.Get("_"+strings.TrimPrefix(member, "_"))) {
			out = append(out, `"`+member+`":`+with)
		}
	}
	fillChoice := func(name string) {
		if absent(choice(n, name)) {
			out = append(out, `"_`+name+`DateTime":`+unknown)
		}
	}
	switch typ {
	case "Patient":
		fill("name", `[{"_text":`+unknown+`}]`)
		fill("_birthDate", unknown)
	case "Condition", "AllergyIntolerance":
		fill("code", unknownConcept)
	case "Procedure":
		fill("code", unknownConcept)
		fillChoice("performed")
	case "MedicationStatement", "Observation", "DiagnosticReport":
		fillChoice("effective")
	case "DeviceUseStatement":
		fillChoice("timing")
	}
	return out
}

// quote is a text as JSON, without escapes that only HTML needs.
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
