package validate

import (
	"slices"
	"strings"

	"salus/fhir/element"
)

// extension checks an extension against its definition, if it is loaded, and where it stands.
func (w *walk) extension(n element.Node, modifier bool) {
	url := n.Get("url").Text()
	if !strings.Contains(url, ":") {
		return // part of an extension that has parts, which its definition slices
	}
	p := w.v.profiles[unversioned(url)]
	if p == nil || p.of != "Extension" {
		switch {
		case modifier:
			w.fault(CodeModifier) // R4 2.4.1.5: what is not understood may not be ignored
		case w.v.o.Strictness == Full:
			w.say(Information, CodeExtension, sentences[CodeExtension])
		}
		return
	}
	w.object(element.View(n, w.v.model.Type("Extension")), n, p, true)
	if allowed := w.v.o.Contexts[p.name]; len(allowed) > 0 && !slices.ContainsFunc(allowed, w.stands) {
		w.fault(CodeContext)
	}
}

// stands reports whether a context allows the place where the walk is: an extension.
func (w *walk) stands(c Context) bool {
	if len(w.trail) < 2 {
		return false
	}
	holder := w.trail[:len(w.trail)-1]
	last := holder[len(holder)-1]
	switch c.Type {
	case "element":
	case "extension":
		return last.name == "extension" // which one is not looked at
	default:
		return true // FHIRPath is not evaluated
	}
	if last.typ.Is(c.Expression) {
		return true
	}
	// "HumanName.family", then "Patient.name.family", and so on outwards.
	for i, below := len(holder)-1, ""; i >= 0; i-- {
		path := holder[i].path + below
		if path == c.Expression || strings.TrimSuffix(path, "[x]") == c.Expression {
			return true
		}
		below = "." + lastPart(holder[i].path, '.') + below
	}
	return false
}
