package terminology

import (
	"context"
	"encoding/json"
)

// A Looked is what is known of a code.
type Looked struct {
	System       *CodeSystem
	Concept      *Concept
	Display      string
	Designations []Designation
	Properties   []Described
}

// A Described is a property with what its value is called.
type Described struct {
	Property
	Description string
}

// Lookup finds a code (R4 CodeSystem-lookup). Of properties, parent, child, inactive and definition
// are told like those that the code system gives. Errors: ErrNoSystem, ErrNoCode, ErrContent.
func (e *Engine) Lookup(ctx context.Context, c Coding, language string) (*Looked, error) {
	s, err := e.Source.CodeSystem(ctx, c.System, c.Version)
	if err != nil {
		return nil, err
	}
	return s.Lookup(c.Code, language)
}

// Lookup finds a code of this system.
func (s *CodeSystem) Lookup(code, language string) (*Looked, error) {
	c := s.Concept(code)
	if c == nil {
		if err := s.whole(); err != nil {
			return nil, err
		}
		return nil, ErrNoCode.about(s.URL)
	}
	l := &Looked{System: s, Concept: c, Display: s.display(c, language), Designations: c.Designations}
	if l.Display == "" {
		l.Display = c.Code // a display is always answered
	}
	told := map[string]bool{}
	for _, p := range c.Properties {
		told[p.Code] = true
		d := Described{Property: p}
		if p.Type == "Code" {
			if o := s.Concept(p.Text()); o != nil {
				d.Description = s.display(o, language)
			}
		}
		l.Properties = append(l.Properties, d)
	}
	add := func(code, typ string, value any, description string) {
		b, _ := json.Marshal(value) // strings and booleans do
		l.Properties = append(l.Properties, Described{Property{code, typ, b}, description})
	}
	if !told["parent"] {
		for _, p := range c.parents {
			add("parent", "Code", s.Concepts[p].Code, s.display(&s.Concepts[p], language))
		}
	}
	if !told["child"] {
		for _, p := range c.children {
			add("child", "Code", s.Concepts[p].Code, s.display(&s.Concepts[p], language))
		}
	}
	if !told["inactive"] {
		add("inactive", "Boolean", c.Inactive, "")
	}
	if !told["definition"] && c.Definition != "" {
		add("definition", "String", c.Definition, "")
	}
	return l, nil
}

// Subsumes tells how two codes stand to each other (R4 CodeSystem-subsumes): equivalent, subsumes,
// subsumed-by or not-subsumed. Errors: as of Lookup, and ErrHierarchy.
func (s *CodeSystem) Subsumes(codeA, codeB string) (string, error) {
	a, b := s.find(codeA), s.find(codeB)
	if a < 0 || b < 0 {
		if err := s.whole(); err != nil {
			return "", err
		}
		return "", ErrNoCode.about(s.URL)
	}
	switch {
	case a == b:
		return "equivalent", nil
	case !s.subsumes:
		return "", ErrHierarchy.about(s.URL)
	case s.reach(a, false)[b]:
		return "subsumes", nil
	case s.reach(b, false)[a]:
		return "subsumed-by", nil
	}
	if err := s.whole(); err != nil { // what is missing may lie between them
		return "", err
	}
	return "not-subsumed", nil
}
