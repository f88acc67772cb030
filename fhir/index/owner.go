package index

import (
	"salus/fhir"
	"salus/fhir/element"
	"salus/fhir/search"
)

// Unowned is the owner of a resource that is about a patient whom nothing names in a way that can be
// followed: nobody's compartment.
const Unowned = "Patient/?"

// Owner returns the patient compartment that a resource is in, as "Patient/<id>", or "" if it is in
// none. That is the patient whom the resource is about (fhir.Resource.Patient); where it is about
// none or several, the first that R4's compartment definition finds. A patient elsewhere is the
// reference as it is written. Only what refers to no patient at all has "": a reader who is held to
// one compartment sees such resources.
func (x *Index) Owner(r fhir.Resource) string {
	if ref, ok := r.Patient(); ok {
		if o := x.identity(ref); o != "" {
			return o
		}
		return Unowned
	}
	if r.Type() == "Patient" {
		return "" // without an id
	}
	p := x.plans[r.Type()]
	if p == nil || p.owners == nil {
		return ""
	}
	tree, err := element.Parse(r.Raw())
	if err != nil {
		return Unowned
	}
	s := seeker{walk: walk{index: x, root: tree.Root()}}
	s.seek(p.owners, s.root)
	return s.found
}

// A seeker walks a resource for references to patients.
type seeker struct {
	walk
	found string
	rank  int
}

// owners makes the tree of the parameters by which a type is in the patient compartment. Their rank
// is their place in the definition.
func (p *planner) owners(typ string, params map[string]*param) *node {
	c := p.set.Compartment("Patient")
	if c == nil || len(c.Params[typ]) == 0 {
		return nil
	}
	root := &node{typ: p.model.Type(typ)}
	for i, code := range c.Params[typ] {
		x := params[code]
		if x == nil || x.Kind != search.Reference {
			continue
		}
		ends, _ := p.ends(root, x.expression, true)
		for _, e := range ends {
			if e.at.typ.Is("Reference") {
				e.at.give = append(e.at.give, action{kind: search.Reference, how: aReference, part: i + 1})
			}
		}
	}
	root.finish()
	return root
}

// seek keeps the first patient of the first rank.
func (s *seeker) seek(n *node, v element.Node) {
	for i := range n.give {
		if a := &n.give[i]; v.Kind() == element.Object && (s.found == "" || a.part < s.rank) && s.leadsTo(v, "Patient") {
			s.rank = a.part
			if s.found = s.index.identity(v.Get("reference").Text()); s.found == "" {
				s.found = Unowned
			}
		}
	}
	for i := range n.when {
		if s.holds(&n.when[i].step, v) {
			s.seek(n.when[i].to, v)
		}
	}
	if len(n.edges) == 0 || v.Kind() != element.Object {
		return
	}
	for m := range v.Children() {
		to := n.to(m.Name())
		switch {
		case to == nil:
		case m.Kind() == element.Array:
			for item := range m.Children() {
				s.seek(to, item)
			}
		default:
			s.seek(to, m)
		}
	}
}
