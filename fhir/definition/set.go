// Package definition holds the definitions of FHIR R4 (4.0.1) in a compact form: types and
// their elements, search parameters, compartments, invariants, and the codes of value sets
// that are bound as required. R4 returns those that are embedded in the program; Add reads
// further packages (US Core, IPS) at run time.
//
// The embedded file r4.zst is generated from the npm package hl7.fhir.r4.examples@4.0.1 of
// HL7, which is dedicated to the public domain under CC0 1.0. It holds facts of the
// definitions, no narrative. "go generate" with HL7_R4 set to the package's .tgz makes it
// anew; the normal build never does.
//
// A Set is read-only once it is made and safe for concurrent use. The package must never
// fetch anything, and never take part of a package that it does not understand for all of it:
// what cannot be read is an error, what cannot be expanded says so (ValueSet.Open).
package definition

import (
	"slices"

	"salus/fhir/element"
)

//go:generate go run ./generate

// A Set is a closed set of definitions.
type Set struct {
	types    map[string]*Type
	profiles map[string]*Type
	params   map[string][]*Param // by resource type; "Resource" and "DomainResource" too
	further  []*Param            // of packages
	sets     map[string]*ValueSet
	compart  map[string]*Compartment
	model    *element.Model
}

// A Type is a type of FHIR or, in a further package, a profile of one.
type Type struct {
	Name     string
	URL      string
	Base     string // name of the type that it specialises; "" for Element and Resource
	Kind     string // "primitive-type", "complex-type", "resource"
	Abstract bool
	Profile  bool      // constrains the type Name
	Elements []Element // the snapshot, the root first
}

// An Element is one element definition of a snapshot.
type Element struct {
	ID, Path   string // they differ for slices
	Min        int
	Max        int // -1 is "*"
	Types      []TypeRef
	Strength   string // of the binding: required, extensible, preferred, example, or ""
	ValueSet   string // canonical of the binding
	Content    string // path of the element whose content this has
	MaxLength  int
	Regex      string // of a primitive's value
	Slice      string // name of the slice
	Rules      string // slicing rules: open, closed, openAtEnd; "" if not sliced
	Ordered    bool
	By         []string // discriminators: "value:code"
	Fixed      string   // JSON that the value must be equal to
	Pattern    string   // JSON that the value must contain
	Modifier   bool
	Summary    bool
	Must       bool // mustSupport
	Invariants []Invariant
}

// A TypeRef is one type that an element may have.
type TypeRef struct {
	Code     string
	Profiles []string
	Targets  []string // profiles of what a reference may point to
}

// An Invariant is a constraint in FHIRPath.
type Invariant struct {
	Key, Severity, Human, Expression, Source string
}

// A Param is a search parameter.
type Param struct {
	URL, Code, Type, Expression string
	Base, Target                []string
	Modifiers, Comparators      []string
	Components                  []Component

	// Of packages only; the compact form does not have them.
	Status, Derived, Description string
}

// A Component is one part of a composite search parameter.
type Component struct{ Definition, Expression string }

// A ValueSet is the expansion of a value set.
type ValueSet struct {
	URL   string
	Open  bool // it could not be expanded completely from what was loaded
	Codes []Coding
}

// A Coding is one code of a value set.
type Coding struct{ System, Code string }

// A Compartment says by which search parameters a resource belongs to it.
type Compartment struct {
	Code   string // "Patient"
	Params map[string][]string
}

// Type returns the named type, or nil.
func (s *Set) Type(name string) *Type { return s.types[name] }

// Profile returns the type or profile with the canonical URL, or nil.
func (s *Set) Profile(url string) *Type { return s.profiles[url] }

// Types returns the names of all types, sorted.
func (s *Set) Types() []string {
	names := make([]string, 0, len(s.types))
	for n := range s.types {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Profiles returns the canonicals of all types and profiles, sorted.
func (s *Set) Profiles() []string {
	names := make([]string, 0, len(s.profiles))
	for n := range s.profiles {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Params returns R4's search parameters of a resource type, its own first, then those of
// DomainResource and Resource.
func (s *Set) Params(resource string) []*Param {
	var out []*Param
	for name := resource; name != ""; {
		out = append(out, s.params[name]...)
		t := s.types[name]
		if t == nil {
			break
		}
		name = t.Base
	}
	return out
}

// Further returns the search parameters of the packages that were added, in their order, each package's
// by canonical: all that they define, whether or not they can be used.
func (s *Set) Further() []*Param { return s.further }

// ValueSet returns the expansion of a value set by its canonical, or nil. A version after
// "|" is not compared.
func (s *Set) ValueSet(url string) *ValueSet { return s.sets[unversioned(url)] }

// Compartment returns a compartment by the type of its resource ("Patient"), or nil.
func (s *Set) Compartment(code string) *Compartment { return s.compart[code] }

// Model returns the types for navigation.
func (s *Set) Model() *element.Model { return s.model }

// Element returns the element with a path ("Patient.contact"), or nil.
func (t *Type) Element(path string) *Element {
	for i := range t.Elements {
		if t.Elements[i].Path == path {
			return &t.Elements[i]
		}
	}
	return nil
}

// Has reports whether the value set contains a code; system may be "" where only the code is known.
func (v *ValueSet) Has(system, code string) bool {
	i, _ := slices.BinarySearchFunc(v.Codes, Coding{system, code}, compareCoding)
	for ; i < len(v.Codes) && v.Codes[i].Code == code; i++ {
		if system == "" || v.Codes[i].System == system {
			return true
		}
	}
	return false
}

func compareCoding(a, b Coding) int {
	switch {
	case a.Code != b.Code && a.Code < b.Code, a.Code == b.Code && a.System < b.System:
		return -1
	case a == b:
		return 0
	}
	return 1
}
