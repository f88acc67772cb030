package ips

import (
	"iter"
	"slices"
	"strings"

	"salus/fhir/element"
)

// brought are the types that come with what refers to them; an Observation only as a part.
var brought = []string{"Medication", "Substance", "Device", "Specimen", "Practitioner", "PractitionerRole", "Organization", "ImagingStudy"}

// refer adds what the entries refer to.
func (d *document) refer() error {
	if d.Lookup == nil {
		return nil
	}
	asked := map[string]bool{}
	from := d.order
	for range maxHops {
		var next []*item
		for _, it := range from {
			for ref, part := range references(it.n, false) {
				typ, id, ok := strings.Cut(d.local(ref), "/")
				if !ok || asked[typ+"/"+id] || d.items[typ+"/"+id] != nil || !slices.Contains(brought, typ) && (typ != "Observation" || !part) {
					continue
				}
				asked[typ+"/"+id] = true
				if len(asked) > maxReferred {
					return nil
				}
				r, err := d.Lookup(typ, id)
				if err != nil {
					return err
				}
				if r.Type() != typ || r.ID() != id {
					continue
				}
				if _, owned := r.Patient(); owned && !d.about(r) {
					continue
				}
				to, err := d.item(r)
				if err != nil {
					return err
				}
				if one(to.n.Get("status"), "entered-in-error") {
					continue
				}
				d.add(to)
				next = append(next, to)
			}
		}
		from = next
	}
	return nil
}

// references yields the addresses in a resource, and whether each is that of a part of a result.
func references(n element.Node, part bool) iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) { walkReferences(n, part, yield) }
}

func walkReferences(n element.Node, part bool, yield func(string, bool) bool) bool {
	if r := n.Get("reference"); r.Kind() == element.String && !yield(r.Text(), part) {
		return false
	}
	for c := range n.Children() {
		if k := c.Kind(); k != element.Object && k != element.Array {
			continue
		}
		if !walkReferences(c, part && n.Kind() == element.Array || c.Name() == "result" || c.Name() == "hasMember", yield) {
			return false
		}
	}
	return true
}
