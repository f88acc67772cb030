package definition

import (
	"maps"
	"slices"
	"strings"

	"salus/fhir/element"
)

// set joins what was loaded with an earlier set.
func (l *loader) set(base *Set) *Set {
	s := &Set{types: map[string]*Type{}, profiles: map[string]*Type{}, params: map[string][]*Param{}, sets: map[string]*ValueSet{}, compart: map[string]*Compartment{}}
	if base != nil {
		maps.Copy(s.types, base.types)
		maps.Copy(s.profiles, base.profiles)
		maps.Copy(s.params, base.params)
		maps.Copy(s.sets, base.sets)
		maps.Copy(s.compart, base.compart)
		s.model = base.model
		s.further = slices.Clip(base.further)
	}
	slices.SortFunc(l.types, func(a, b *Type) int { return strings.Compare(a.URL, b.URL) })
	slices.SortFunc(l.params, func(a, b *Param) int { return strings.Compare(a.URL, b.URL) })
	for _, t := range l.types {
		if base == nil && t.Profile && t.Name != "Quantity" {
			continue // of R4's own package only the types, and Quantity's, are kept
		}
		if t.Profile || base != nil {
			s.profiles[t.URL] = t
		} else {
			s.types[t.Name], s.profiles[t.URL] = t, t
		}
		for i := range t.Elements {
			if e := &t.Elements[i]; e.ValueSet != "" && (e.Strength == "required" || base != nil && e.Strength == "extensible") {
				v := l.terms.expand(e.ValueSet, 0)
				s.sets[v.URL] = v
			}
		}
	}
	for _, p := range l.params {
		if base != nil {
			s.further = append(s.further, p)
			continue
		}
		if p.Expression == "" && p.Type != "special" {
			continue
		}
		for _, b := range p.Base {
			if !slices.ContainsFunc(s.params[b], func(o *Param) bool { return o.URL == p.URL }) {
				s.params[b] = append(slices.Clip(s.params[b]), p)
			}
		}
	}
	for _, c := range l.compart {
		s.compart[c.Code] = c
	}
	if base == nil {
		s.link()
	}
	return s
}

// systems maps FHIR's primitives to the types of FHIRPath (FHIR R4, 2.9.1 "Type conversion").
var systems = map[string]string{
	"boolean": "Boolean", "integer": "Integer", "unsignedInt": "Integer", "positiveInt": "Integer", "decimal": "Decimal",
	"date": "Date", "dateTime": "DateTime", "instant": "DateTime", "time": "Time",
}

// link makes the model.
func (s *Set) link() {
	byName := map[string]*element.Type{}
	var all []*element.Type
	names := s.Types()
	for _, name := range names {
		t := s.types[name]
		for i := range t.Elements {
			p := t.Elements[i].Path
			if i > 0 && !inline(t, i) {
				continue
			}
			n := &element.Type{Name: p, Code: p}
			if i > 0 {
				n.Code = t.Elements[i].Types[0].Code
			}
			switch {
			case i > 0:
			case t.Kind == "primitive-type":
				n.Kind = element.Primitive
				if n.System = systems[name]; n.System == "" {
					n.System = "String"
				}
			case t.Kind == "resource":
				n.Kind = element.Resource
			}
			byName[p] = n
			all = append(all, n)
		}
	}
	for _, name := range names {
		t := s.types[name]
		byName[name].Base = byName[t.Base]
		for i := range t.Elements {
			e := &t.Elements[i]
			if i == 0 {
				continue
			}
			if n := byName[e.Path]; n != nil {
				n.Base = byName[n.Code]
			}
			cut := strings.LastIndexByte(e.Path, '.')
			parent := byName[e.Path[:cut]]
			if parent == nil || parent.Kind == element.Primitive && e.Path[cut+1:] == "value" {
				continue
			}
			parent.Fields = append(parent.Fields, field(byName, e, e.Path[cut+1:]))
		}
	}
	s.model = element.NewModel(all)
}

// inline reports whether element i of a type has elements of its own.
func inline(t *Type, i int) bool {
	return i+1 < len(t.Elements) && strings.HasPrefix(t.Elements[i+1].Path, t.Elements[i].Path+".") && len(t.Elements[i].Types) > 0
}

func field(byName map[string]*element.Type, e *Element, name string) element.Field {
	f := element.Field{Name: name, Many: e.Max != 1}
	if n, ok := strings.CutSuffix(name, "[x]"); ok {
		f.Name, f.Choice = n, true
	}
	if e.Content != "" {
		f.Types = []element.Option{{JSON: f.Name, Type: byName[e.Content]}}
		return f
	}
	for _, r := range e.Types {
		typ := byName[r.Code]
		if own := byName[e.Path]; own != nil {
			typ = own
		}
		json := f.Name
		switch {
		case f.Choice:
			json += strings.ToUpper(r.Code[:1]) + r.Code[1:]
		case name == "id" && e.Path == strings.SplitN(e.Path, ".", 2)[0]+".id" && typ == byName["string"] && byName[strings.SplitN(e.Path, ".", 2)[0]].Kind == element.Resource:
			typ = byName["id"] // Resource.id is an id, though R4 gives its value as a string
		}
		f.Types = append(f.Types, element.Option{JSON: json, Type: typ})
	}
	if len(f.Types) == 0 {
		f.Types = []element.Option{{JSON: f.Name}}
	}
	return f
}
