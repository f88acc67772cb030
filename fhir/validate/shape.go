package validate

import (
	"salus/fhir/definition"
	"salus/fhir/element"
	"salus/fhir/fhirpath"
)

// A shape is what the members of an object must be: those of a type, or what a profile
// adds to them. It is read-only once the compiler is done.
type shape struct {
	name       string // "Patient", "Patient.contact", or the canonical of a profile
	of         string // the type that a profile constrains
	profile    bool   // it adds to a type: what it does not name is left alone
	blank      bool   // its snapshot is missing, so it checks nothing
	typ        *element.Type
	fields     []field
	members    map[string]place // by the name in JSON
	invariants []*invariant
	required   []int // fields that must be there, or whose slices must
}

// A place is where a member belongs.
type place struct{ field, option int }

// A field is one element of a shape.
type field struct {
	rule
	name string // in FHIRPath: "value"
	def  string // in definitions: "value[x]"
	path string // "Observation.value[x]"
	many bool   // an array in JSON
	mod  bool   // modifierExtension
}

// A rule is what holds for an element wherever it stands: in a field or in a slice of it.
type rule struct {
	min, max   int // max -1 is "*"
	options    []option
	fixed      element.Node
	pattern    element.Node
	binding    *binding
	maxLength  int
	invariants []*invariant
	slicing    *slicing
	resources  []string // types of resource that may stand here; nil is all
}

// empty reports whether a rule of a profile checks nothing.
func (r *rule) empty() bool {
	if r.min > 0 || r.max >= 0 || r.fixed.Kind() != element.Absent || r.pattern.Kind() != element.Absent || r.binding != nil ||
		r.maxLength > 0 || r.invariants != nil || r.slicing != nil || r.resources != nil {
		return false
	}
	for i := range r.options {
		if o := &r.options[i]; o.refused || o.shape != nil || o.profiles != nil || o.targets != nil || o.aims != nil {
			return false
		}
	}
	return true
}

// An option is one type that an element may have.
type option struct {
	json     string // name in JSON: "valueQuantity"
	code     string // "Quantity"
	typ      *element.Type
	format   format
	refused  bool     // the profile does not allow it
	shape    *shape   // of an object, or of what stands beside a primitive
	profiles []*shape // one of them must hold
	targets  []string // types that a reference may lead to; nil is any
	aims     []*shape // profiles of which what a reference leads to must fit one, if it is at hand
}

// A binding ties a coded element to a value set.
type binding struct {
	url      string
	required bool
	set      *definition.ValueSet // nil if it is not loaded
	syntax   func(string) bool    // what is known of the codes of a set that cannot be expanded
}

// An invariant is a constraint in FHIRPath.
type invariant struct {
	text     string // "obs-6: sentence"
	warning  bool
	contains bool // it can fail only with contained resources
	referred bool // dom-3
	ordered  bool // it compares: an empty result holds
	expr     *fhirpath.Expression
}

// A slicing divides the items of an element.
type slicing struct {
	closed, end bool // no others at all; others only after the slices
	ordered     bool
	unsure      bool // its discriminators cannot be evaluated
	slices      []slice
}

// A slice is one part of a slicing.
type slice struct {
	rule
	name  string
	tests []test // an item belongs to it if all hold
}

// A test is one discriminator, with what a slice wants of it.
type test struct {
	path    []pathStep
	exists  int // 1: must be there, -1: must not
	fixed   element.Node
	pattern element.Node
	binding *binding
	types   []string
	shapes  []*shape
}

// A pathStep is one step of a discriminator's path.
type pathStep struct {
	name    string
	sym     element.Sym
	ofType  string
	ext     string
	resolve bool
}
