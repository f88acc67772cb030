package tabular

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"salus/fhir/definition"
)

// A step is one name of a path: "name[0]".
type step struct {
	name  string
	index int // -1: not a list, or all of it
	list  bool
}

// A path is an element of a resource that a mapping sets.
type path struct {
	text  string
	steps []step
	typ   string // of the element
	elem  *definition.Element
}

var stepText = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9]*)(?:\[([0-9]{1,2})\])?$`)

// notMapped are elements that the server or this package makes.
var notMapped = []string{"id", "meta", "text", "contained", "implicitRules", "resourceType"}

// newPath checks a path against FHIR's definitions. whole: the last element is a list that is set as
// a whole. The sentence says what is wrong.
func newPath(set *definition.Set, resourceType, text string, whole bool) (*path, string) {
	p := &path{text: text}
	parts := strings.Split(text, ".")
	at := set.Type(resourceType)
	prefix := resourceType
	for i, part := range parts {
		m := stepText.FindStringSubmatch(part)
		if m == nil {
			return nil, "is no path of an element"
		}
		if i == 0 && slices.Contains(notMapped, m[1]) {
			return nil, "is not for a mapping to set"
		}
		e, typ := find(at, prefix, m[1])
		if e == nil {
			return nil, "is no element of FHIR R4"
		}
		last := i == len(parts)-1
		s := step{name: m[1], index: -1, list: e.Max != 1}
		switch {
		case s.list && m[2] != "":
			s.index, _ = strconv.Atoi(m[2])
			if e.Max > 0 && s.index >= e.Max {
				return nil, "has an index that the element cannot have"
			}
		case s.list && (!last || !whole):
			return nil, "is a list: say which, as [0]"
		case !s.list && m[2] != "":
			return nil, "is no list"
		}
		if last && whole && (!s.list || s.index >= 0) {
			return nil, "is to be split, and is no list"
		}
		p.steps = append(p.steps, s)
		p.elem, p.typ = e, typ
		switch {
		case e.Content != "":
			prefix = strings.TrimPrefix(e.Content, "#")
		case typ == "BackboneElement", typ == "Element":
			prefix = e.Path
		default:
			if at = set.Type(typ); at == nil && !strings.HasPrefix(typ, "http://hl7.org/fhirpath/") {
				return nil, "has a type that is not known"
			}
			prefix = typ
		}
		if !last && (at == nil || at.Kind != "complex-type" && at.Kind != "resource" || typ == "Resource") {
			return nil, "goes into what has no elements"
		}
	}
	if system, ok := strings.CutPrefix(p.typ, "http://hl7.org/fhirpath/System."); ok {
		p.typ = strings.ToLower(system)
	}
	if t := set.Type(p.typ); p.typ != "Reference" && (t == nil || t.Kind != "primitive-type") {
		return nil, "is no single value"
	}
	if p.typ == "xhtml" {
		return nil, "is not for a mapping to set"
	}
	return p, ""
}

// find is the element of that name, and the type that the name means: valueQuantity is value[x].
func find(t *definition.Type, prefix, name string) (*definition.Element, string) {
	for i := range t.Elements {
		e := &t.Elements[i]
		rest, ok := strings.CutPrefix(e.Path, prefix+".")
		if !ok || strings.Contains(rest, ".") || e.Slice != "" {
			continue
		}
		if rest == name {
			if len(e.Types) == 0 {
				return e, "BackboneElement"
			}
			return e, e.Types[0].Code
		}
		stem, choice := strings.CutSuffix(rest, "[x]")
		if !choice || !strings.HasPrefix(name, stem) {
			continue
		}
		for _, ref := range e.Types {
			if c := ref.Code; c != "" && name == stem+strings.ToUpper(c[:1])+c[1:] {
				return e, c
			}
		}
	}
	return nil, ""
}

// missing names the elements of a resource that must be there and that no path sets.
func missing(set *definition.Set, resourceType string, have []string) (out []string) {
	for _, e := range set.Type(resourceType).Elements {
		rest, ok := strings.CutPrefix(e.Path, resourceType+".")
		if !ok || strings.Contains(rest, ".") || e.Min == 0 {
			continue
		}
		stem := strings.TrimSuffix(rest, "[x]")
		if !slices.ContainsFunc(have, func(h string) bool {
			name, _, _ := strings.Cut(h, ".")
			name, _, _ = strings.Cut(name, "[")
			return name == stem || stem != rest && strings.HasPrefix(name, stem)
		}) {
			out = append(out, rest)
		}
	}
	return out
}
