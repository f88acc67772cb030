package terminology

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

// A Concept is one of a code system.
type Concept struct {
	Code, Display, Definition string
	Designations              []Designation
	Properties                []Property
	Inactive, Abstract        bool
	parents, children         []int32
}

// A CodeSystem is a CodeSystem resource. It is safe for concurrent use.
type CodeSystem struct {
	URL, Version, Name, Title, Status, Language string
	Content                                     string // complete, fragment, example, not-present, supplement
	ValueSet                                    string // canonical of the value set of all its codes
	Concepts                                    []Concept
	insensitive                                 bool
	subsumes                                    bool              // its hierarchy is one of is-a
	properties                                  map[string]string // those that it declares, with their types
	byCode                                      map[string]int32
	once                                        sync.Once
	words                                       *words
}

// ParseCodeSystem reads a CodeSystem resource.
func ParseCodeSystem(b []byte) (*CodeSystem, error) {
	var in systemJSON
	if err := json.Unmarshal(b, &in); err != nil || in.ResourceType != "CodeSystem" {
		return nil, unreadable("CodeSystem")
	}
	s := &CodeSystem{
		URL: in.URL, Version: in.Version, Name: in.Name, Title: in.Title, Status: in.Status, Language: in.Language, Content: in.Content, ValueSet: in.ValueSet,
		insensitive: in.CaseSensitive != nil && !*in.CaseSensitive, subsumes: in.Meaning == "" || in.Meaning == "is-a",
		properties: map[string]string{}, byCode: map[string]int32{},
	}
	for _, p := range in.Property {
		s.properties[p.Code] = p.Type
	}
	s.add(in.Concept, -1, 0)
	s.link()
	return s, nil
}

// maxNesting bounds how deep concepts are nested; the readers of JSON before bound it too.
const maxNesting = 1000

func (s *CodeSystem) add(list []conceptJSON, parent int32, depth int) {
	if depth > maxNesting {
		return
	}
	for i := range list {
		c := &list[i]
		at, known := s.byCode[s.key(c.Code)]
		if !known { // a code that stands in several places is one concept with several parents
			at = int32(len(s.Concepts))
			s.byCode[s.key(c.Code)] = at
			x := Concept{Code: c.Code, Display: c.Display, Definition: c.Definition, Designations: c.Designation, Properties: c.Property}
			for j := range x.Properties {
				switch p := &x.Properties[j]; {
				case p.Code == "inactive" && p.Text() == "true", p.Code == "status" && slices.Contains([]string{"retired", "inactive"}, strings.ToLower(p.Text())):
					x.Inactive = true
				case (p.Code == "notSelectable" || p.Code == "abstract") && p.Text() == "true":
					x.Abstract = true
				}
			}
			s.Concepts = append(s.Concepts, x)
		}
		if parent >= 0 {
			s.relate(parent, at)
		}
		s.add(c.Concept, at, depth+1)
	}
}

// link follows the properties that say what a concept is beneath or above (R4 4.8.9).
func (s *CodeSystem) link() {
	for i := range s.Concepts {
		for j := range s.Concepts[i].Properties {
			p := &s.Concepts[i].Properties[j]
			other, ok := s.byCode[s.key(p.Text())]
			if !ok {
				continue
			}
			switch p.Code {
			case "parent", "subsumedBy":
				s.relate(other, int32(i))
			case "child":
				s.relate(int32(i), other)
			}
		}
	}
}

func (s *CodeSystem) relate(parent, child int32) {
	if parent == child || slices.Contains(s.Concepts[child].parents, parent) {
		return
	}
	s.Concepts[child].parents = append(s.Concepts[child].parents, parent)
	s.Concepts[parent].children = append(s.Concepts[parent].children, child)
}

func (s *CodeSystem) key(code string) string {
	if s.insensitive {
		return strings.ToLower(code)
	}
	return code
}

// find returns the place of a code, or -1.
func (s *CodeSystem) find(code string) int32 {
	if at, ok := s.byCode[s.key(code)]; ok {
		return at
	}
	return -1
}

// Concept returns the concept with a code, or nil.
func (s *CodeSystem) Concept(code string) *Concept {
	if at := s.find(code); at >= 0 {
		return &s.Concepts[at]
	}
	return nil
}

// whole reports whether all codes are here.
func (s *CodeSystem) whole() error {
	switch s.Content {
	case "complete":
		return nil
	case "supplement":
		return ErrSupplement.about(s.URL)
	case "not-present":
		return ErrNoSystem.about(s.URL)
	}
	return ErrContent.about(s.URL)
}

// reach marks what can be reached from a concept, itself too. A hierarchy that is a circle ends.
func (s *CodeSystem) reach(from int32, up bool) []bool {
	seen := make([]bool, len(s.Concepts))
	seen[from] = true
	for todo := []int32{from}; len(todo) > 0; {
		c := &s.Concepts[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		next := c.children
		if up {
			next = c.parents
		}
		for _, n := range next {
			if !seen[n] {
				seen[n] = true
				todo = append(todo, n)
			}
		}
	}
	return seen
}

// display is what a concept is called in a language; "" is the code system's own.
func (s *CodeSystem) display(c *Concept, language string) string {
	if language == "" || speaks(s.Language, language) {
		return c.Display
	}
	for _, d := range c.Designations {
		if speaks(d.Language, language) {
			return d.Value
		}
	}
	return c.Display
}

// speaks reports whether a text in one language serves who asked for another (RFC 4647, 3.3.1): the
// range "de" is served by "de-CH".
func speaks(tag, asked string) bool {
	return tag != "" && len(tag) >= len(asked) && strings.EqualFold(tag[:len(asked)], asked) && (len(tag) == len(asked) || tag[len(asked)] == '-')
}

// named reports whether a text is one of the concept's names.
func (c *Concept) named(text string) bool {
	f := fold(text)
	return f == fold(c.Display) || slices.ContainsFunc(c.Designations, func(d Designation) bool { return fold(d.Value) == f })
}
