package validate

import (
	"strings"

	"salus/fhir/definition"
	"salus/fhir/element"
)

// syntaxes are what is known of the codes of value sets that no package can list: BCP 13
// media types, ISO 4217 currencies and UCUM units.
var syntaxes = map[string]func(string) bool{
	"http://hl7.org/fhir/ValueSet/mimetypes":  mediaType,
	"http://hl7.org/fhir/ValueSet/currencies": func(s string) bool { return len(s) == 3 && letters(s, 'A', 'Z') },
	"http://hl7.org/fhir/ValueSet/ucum-units": uri,
}

func letters(s string, from, to byte) bool {
	for i := range len(s) {
		if s[i] < from || s[i] > to {
			return false
		}
	}
	return s != ""
}

// mediaType takes type/subtype with parameters, and FHIR's own short forms.
func mediaType(s string) bool {
	switch s {
	case "xml", "json", "ttl":
		return true
	}
	s, _, _ = strings.Cut(s, ";")
	typ, sub, ok := strings.Cut(strings.TrimSpace(s), "/")
	return ok && token(typ) && token(sub)
}

// token takes a restricted name of RFC 6838, 4.2.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&-^_.+*", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// binding compiles the binding of an element; nil if there is nothing to check.
func (c *compiler) binding(e *definition.Element) *binding {
	if e.ValueSet == "" || e.Strength != "required" && e.Strength != "extensible" {
		return nil
	}
	url := unversioned(e.ValueSet)
	b := &binding{url: url, required: e.Strength == "required", set: c.set.ValueSet(url), syntax: syntaxes[url]}
	if b.set == nil && !b.required {
		return nil
	}
	return b
}

// An answer is what is known of a code and a value set.
type answer uint8

const (
	unknown answer = iota
	yes
	no
)

// member tells whether a code is in the value set.
func (w *walk) member(b *binding, system, code string, coded bool) answer {
	if coded && system == "" {
		return no
	}
	if b.set != nil {
		if b.set.Has(system, code) {
			return yes
		}
		if !b.set.Open {
			return no
		}
	}
	if t := w.v.o.Terminology; t != nil {
		if is, known := t.Member(b.url, system, code); known {
			if is {
				return yes
			}
			return no
		}
	}
	if b.syntax != nil {
		if b.syntax(code) {
			return yes
		}
		return no
	}
	return unknown
}

// bound tells whether a coded element fits a binding. A CodeableConcept fits with one of
// its codings.
func (w *walk) bound(b *binding, code string, n element.Node) answer {
	switch code {
	case "CodeableConcept":
		out := no
		for c := range n.Get("coding").Children() {
			switch w.coding(b, c) {
			case yes:
				return yes
			case unknown:
				out = unknown
			}
		}
		return out
	case "Coding", "Quantity":
		return w.coding(b, n)
	}
	if n.Kind() != element.String {
		return yes // no value: something else says so
	}
	return w.member(b, "", n.Text(), false)
}

func (w *walk) coding(b *binding, n element.Node) answer {
	c := n.Get("code")
	if c.Kind() != element.String {
		if n.Get("extension").Kind() == element.Array || n.Get("_code").Kind() == element.Object {
			return unknown
		}
		return no
	}
	return w.member(b, n.Get("system").Text(), c.Text(), true)
}

// check reports what a binding finds.
func (w *walk) check(b *binding, code string, n element.Node) {
	if !b.required && w.v.o.Strictness != Full {
		return
	}
	switch w.bound(b, code, n) {
	case unknown:
		if b.required || w.v.o.Strictness == Full {
			w.say(Information, CodeUnchecked, "the value set "+b.url+" is not fully loaded, so the code was not checked")
		}
	case no:
		if b.required {
			w.say(Error, CodeBinding, "the code is not in the value set "+b.url+", which is required here")
		} else {
			w.say(Warning, CodeBinding, "the code is not in the value set "+b.url+"; use one of it if one fits")
		}
	}
}
