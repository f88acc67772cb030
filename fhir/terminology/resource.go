package terminology

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A Coding is a code of a system, with what it is called if that is known.
type Coding struct {
	System  string `json:"system,omitempty"`
	Version string `json:"version,omitempty"`
	Code    string `json:"code,omitempty"`
	Display string `json:"display,omitempty"`
}

// A Designation is another name of a concept.
type Designation struct {
	Language string  `json:"language,omitempty"`
	Use      *Coding `json:"use,omitempty"`
	Value    string  `json:"value"`
}

// A Property is a value of a concept: Value is JSON, Type the type of it as in valueX ("Code").
type Property struct {
	Code, Type string
	Value      json.RawMessage
}

// UnmarshalJSON reads code and value[x].
func (p *Property) UnmarshalJSON(b []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	for name, v := range m {
		if name == "code" {
			if err := json.Unmarshal(v, &p.Code); err != nil {
				return err
			}
		} else if t, ok := strings.CutPrefix(name, "value"); ok {
			p.Type, p.Value = t, v
		}
	}
	return nil
}

// Text is the value as a filter compares it: of a Coding, the code.
func (p *Property) Text() string {
	var s string
	if json.Unmarshal(p.Value, &s) == nil {
		return s
	}
	var c Coding
	if json.Unmarshal(p.Value, &c) == nil {
		return c.Code
	}
	return string(p.Value)
}

// head is what all three have.
type head struct {
	ID      string `json:"id"`
	URL     string `json:"url"`
	Version string `json:"version"`
	Name    string `json:"name"`
	Title   string `json:"title"`
	Status  string `json:"status"`
}

type systemJSON struct {
	ResourceType string `json:"resourceType"`
	head
	Language      string        `json:"language"`
	CaseSensitive *bool         `json:"caseSensitive"`
	ValueSet      string        `json:"valueSet"`
	Meaning       string        `json:"hierarchyMeaning"`
	Content       string        `json:"content"`
	Supplements   string        `json:"supplements"`
	Compositional bool          `json:"compositional"`
	Property      []propertyDef `json:"property"`
	Concept       []conceptJSON `json:"concept"`
}

type propertyDef struct {
	Code string `json:"code"`
	URI  string `json:"uri"`
	Type string `json:"type"`
}

type conceptJSON struct {
	Code        string        `json:"code"`
	Display     string        `json:"display"`
	Definition  string        `json:"definition"`
	Designation []Designation `json:"designation"`
	Property    []Property    `json:"property"`
	Concept     []conceptJSON `json:"concept"`
}

// A ValueSet is a ValueSet resource.
type ValueSet struct {
	ResourceType string `json:"resourceType"`
	head
	Compose *struct {
		LockedDate string `json:"lockedDate"`
		Inactive   *bool  `json:"inactive"`
		Include    []part `json:"include"`
		Exclude    []part `json:"exclude"`
	} `json:"compose"`
	Expansion *struct {
		Total    *int       `json:"total"`
		Offset   int        `json:"offset"`
		Contains []contains `json:"contains"`
	} `json:"expansion"`
	raw []byte
}

// A part is one include or exclude.
type part struct {
	Extension []struct {
		URL string `json:"url"`
	} `json:"extension"`
	System   string        `json:"system"`
	Version  string        `json:"version"`
	Concept  []conceptJSON `json:"concept"`
	Filter   []filterJSON  `json:"filter"`
	ValueSet []string      `json:"valueSet"`
}

type filterJSON struct {
	Property string `json:"property"`
	Op       string `json:"op"`
	Value    string `json:"value"`
}

type contains struct {
	System      string        `json:"system,omitempty"`
	Abstract    bool          `json:"abstract,omitempty"`
	Inactive    bool          `json:"inactive,omitempty"`
	Version     string        `json:"version,omitempty"`
	Code        string        `json:"code,omitempty"`
	Display     string        `json:"display,omitempty"`
	Designation []Designation `json:"designation,omitempty"`
	Contains    []contains    `json:"contains,omitempty"`
}

// A ConceptMap is a ConceptMap resource.
type ConceptMap struct {
	ResourceType string `json:"resourceType"`
	head
	SourceURI       string  `json:"sourceUri"`
	SourceCanonical string  `json:"sourceCanonical"`
	TargetURI       string  `json:"targetUri"`
	TargetCanonical string  `json:"targetCanonical"`
	Group           []group `json:"group"`
}

type group struct {
	Source        string    `json:"source"`
	SourceVersion string    `json:"sourceVersion"`
	Target        string    `json:"target"`
	TargetVersion string    `json:"targetVersion"`
	Element       []mapped  `json:"element"`
	Unmapped      *unmapped `json:"unmapped"`
}

type mapped struct {
	Code    string `json:"code"`
	Display string `json:"display"`
	Target  []struct {
		Code        string      `json:"code"`
		Display     string      `json:"display"`
		Equivalence string      `json:"equivalence"`
		DependsOn   []dependent `json:"dependsOn"`
		Product     []dependent `json:"product"`
	} `json:"target"`
}

type unmapped struct {
	Mode    string `json:"mode"`
	Code    string `json:"code"`
	Display string `json:"display"`
	URL     string `json:"url"`
}

type dependent struct {
	Property string `json:"property"`
	System   string `json:"system"`
	Value    string `json:"value"`
	Display  string `json:"display"`
}

// ParseValueSet reads a ValueSet resource.
func ParseValueSet(b []byte) (*ValueSet, error) {
	v := &ValueSet{}
	if err := json.Unmarshal(b, v); err != nil || v.ResourceType != "ValueSet" {
		return nil, unreadable("ValueSet")
	}
	v.raw = b
	if v.Compose != nil {
		for _, list := range [][]part{v.Compose.Include, v.Compose.Exclude} {
			for i := range list {
				// A system is a uri without a version, but US Core 7.0.0 has one written behind it.
				if url, version := Cut(list[i].System); version != "" && list[i].Version == "" {
					list[i].System, list[i].Version = url, version
				}
			}
		}
	}
	return v, nil
}

// ParseConceptMap reads a ConceptMap resource.
func ParseConceptMap(b []byte) (*ConceptMap, error) {
	m := &ConceptMap{}
	if err := json.Unmarshal(b, m); err != nil || m.ResourceType != "ConceptMap" {
		return nil, unreadable("ConceptMap")
	}
	return m, nil
}

func unreadable(typ string) *Error {
	return &Error{Kind: Invalid, Code: "terminology-resource", Text: "this is no readable " + typ}
}

// A Kind is what an Error means for who asked.
type Kind uint8

// The kinds.
const (
	NotFound     Kind = iota + 1 // a resource or code that is not here
	NotSupported                 // the standard has it, this package does not
	TooCostly                    // the answer would be too large
	Invalid                      // the question, or a resource, is wrong
)

// An Error says why there is no answer. Text may name canonicals of terminology, nothing else.
type Error struct {
	Kind Kind
	Code string // stable
	Text string
}

// Error returns code and sentence.
func (e *Error) Error() string { return "terminology: " + e.Code + ": " + e.Text }

// Is reports whether target is an Error with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// The errors that callers tell apart.
var (
	ErrNoSystem   = &Error{Kind: NotFound, Code: "terminology-code-system", Text: "the code system is not loaded here"}
	ErrNoValueSet = &Error{Kind: NotFound, Code: "terminology-value-set", Text: "there is no such value set here"}
	ErrNoMap      = &Error{Kind: NotFound, Code: "terminology-concept-map", Text: "there is no such concept map here"}
	ErrNoCode     = &Error{Kind: NotFound, Code: "terminology-code", Text: "the code system has no such code"}
	ErrTooCostly  = &Error{Kind: TooCostly, Code: "terminology-too-costly", Text: "the value set has too many codes for one answer; ask for pages with count, or filter"}
	ErrContent    = &Error{Kind: NotSupported, Code: "terminology-content", Text: "only a part of the code system is loaded here, so this cannot be told"}
	ErrCycle      = &Error{Kind: Invalid, Code: "terminology-cycle", Text: "the value set includes itself"}
	ErrDeep       = &Error{Kind: TooCostly, Code: "terminology-depth", Text: "value sets include each other too deep, or too many of them"}
	ErrFilter     = &Error{Kind: NotSupported, Code: "terminology-filter", Text: "the value set has a filter that the code system or this server does not know"}
	ErrHierarchy  = &Error{Kind: NotSupported, Code: "terminology-hierarchy", Text: "the code system's hierarchy is not one of subsumption (is-a)"}
	ErrSupplement = &Error{Kind: NotSupported, Code: "terminology-supplement", Text: "supplements of code systems are not supported"}
	ErrVersion    = &Error{Kind: Invalid, Code: "terminology-version", Text: "the value set uses another version of the code system than was asked for"}
	ErrLocked     = &Error{Kind: NotSupported, Code: "terminology-locked-date", Text: "the value set is locked to a date; versions by date are not kept here"}
	ErrEmpty      = &Error{Kind: NotSupported, Code: "terminology-no-compose", Text: "the value set has neither a compose nor a whole expansion"}
)

// about adds which canonical it is about.
func (e *Error) about(canonical string) *Error {
	if canonical == "" {
		return e
	}
	if len(canonical) > 200 {
		canonical = canonical[:200]
	}
	return &Error{Kind: e.Kind, Code: e.Code, Text: e.Text + ": " + fmt.Sprintf("%q", canonical)}
}
