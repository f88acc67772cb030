package validate

import (
	"salus/fhir/element"
	"salus/fhir/fhirpath"
)

// ext1 checks that an extension has a value or extensions, not both (ext-1).
func (w *walk) ext1(s *shape, from int) {
	if s.name != "Extension" || w.v.o.Strictness == Structure {
		return
	}
	value, nested := false, false
	for i := range s.fields {
		switch s.fields[i].name {
		case "value":
			value = w.slots[from+i].there
		case "extension":
			nested = w.slots[from+i].there
		}
	}
	if value == nested {
		w.say(Error, CodeInvariant, "ext-1: Must have either extensions or value[x], not both")
	}
}

// holds evaluates invariants on a focus.
func (w *walk) holds(list []*invariant, focus element.Element) {
	if len(list) == 0 || w.v.o.Strictness == Structure || focus.IsZero() {
		return
	}
	w.env.Resource, w.env.Root = w.resource, w.container
	for _, i := range list {
		if w.stopped || i.warning && w.v.o.Strictness != Full || i.contains && focus.Value().Get("contained").Kind() == element.Absent {
			continue
		}
		if i.referred && referred(focus.Value()) {
			continue
		}
		var room [2]fhirpath.Value
		out, err := i.expr.Append(room[:0], focus, &w.env)
		switch {
		case err != nil:
			w.say(Information, CodeUnchecked, "could not be evaluated: "+i.text)
		case len(out) == 1 && out[0].IsTrue(), len(out) == 0 && i.ordered, truthy(out):
		case i.warning:
			w.say(Warning, CodeInvariant, i.text)
		default:
			w.say(Error, CodeInvariant, i.text)
		}
	}
}

// referred reports whether each contained resource is the target of a Reference: then dom-3
// holds, and its expression, which goes over all descendants several times for each of
// them, need not be evaluated.
func referred(n element.Node) bool {
	ids := map[string]bool{}
	for c := range n.Get("contained").Children() {
		ids[c.Get("id").Text()] = true
	}
	take(n, ids)
	return len(ids) == 0
}

// take removes the ids that references within a node lead to.
func take(n element.Node, ids map[string]bool) {
	for c := range n.Children() {
		if len(ids) == 0 {
			return
		}
		switch k := c.Kind(); {
		case k >= element.Array:
			take(c, ids)
		case k == element.String && c.Name() == "reference":
			if t := c.Text(); len(t) > 1 && t[0] == '#' {
				delete(ids, t[1:])
			}
		}
	}
}

// truthy takes a single item that is no Boolean as true, as FHIRPath does where it wants
// one (N1, 4.5): invariants are written as "practitioner or organization".
func truthy(out []fhirpath.Value) bool {
	if len(out) != 1 {
		return false
	}
	v := out[0].System()
	return v.Kind() != fhirpath.Boolean
}
