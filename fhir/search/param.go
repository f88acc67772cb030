package search

import "maps"

// A Kind is the type of a search parameter (R4 3.1.1.4).
type Kind uint8

// The kinds of search parameters.
const (
	Number Kind = iota + 1
	Date
	String
	Token
	Reference
	Composite
	Quantity
	URI
	Special
	Spot // of a special parameter that is offered: a position, as Location-near asks for
)

var kindNames = [...]string{
	Number: "number", Date: "date", String: "string", Token: "token", Reference: "reference",
	Composite: "composite", Quantity: "quantity", URI: "uri", Special: "special", Spot: "special",
}

// String is the code of R4's value set search-param-type.
func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// ParseKind reads a code of the value set; ok is false for any other text.
func ParseKind(s string) (k Kind, ok bool) {
	for i, name := range kindNames {
		if name == s && name != "" {
			return Kind(i), true
		}
	}
	return 0, false
}

// A Param is one search parameter of one resource type.
type Param struct {
	Code       string
	Kind       Kind
	Expression string      // FHIRPath of the values
	Targets    []string    // of a reference: the resource types it may lead to
	Components []Component // of a composite, in their order

	// Of has, by type of resource, the codes of the parameters that find together what this one finds. It has
	// no entries of its own in resources of those types.
	Of map[string][]string

	Definition    string // canonical, of one that is not R4's own
	Documentation string // of such a one
	// Words: its values are looked for as words (see Words), in entries of one each. Only of kind String.
	Words bool
	// Unready: what is stored is still being indexed by it. Parse refuses it with CodeIndexing.
	Unready bool
}

// A Component is a part of a composite parameter.
type Component struct {
	Param      *Param
	Expression string // FHIRPath from one value of the composite
}

// Params knows the search parameters of a server: a *definition.Set, or a test's own.
type Params interface {
	// Param returns a parameter that a resource type can be searched by. Those of all
	// resources, as _id, are known for every type.
	Param(resourceType, code string) (*Param, bool)
	// Known reports whether that is a resource type.
	Known(resourceType string) bool
}

// A Lister is a Params that can name all parameters of a type.
type Lister interface {
	List(resourceType string) []*Param
}

// A Localizer is a Params that knows the server's own addresses: Local makes "Type/id" of an absolute
// reference to a resource of its own, and returns every other text as it is.
type Localizer interface {
	Local(reference string) string
}

// A Measurer is a Params whose quantities are indexed in base units too, as entries of the modifier
// InBase: Base returns the values that ask the same of those. ok is false if one of the values has
// no known unit.
type Measurer interface {
	Base(values []Value) (in []Value, ok bool)
}

// Entries are the codes of the parameters whose entries this one is found by in resources of a type: its own,
// or those of others.
func (p *Param) Entries(resourceType string) []string {
	if of := p.Of[resourceType]; of != nil {
		return of
	}
	return []string{p.Code}
}

// with is a parameter of the types of both; p may be nil.
func (p *Param) with(o *Param) *Param {
	if p == nil {
		return o
	}
	if len(o.Of) == 0 {
		return p
	}
	both := *p
	both.Of = maps.Clone(p.Of)
	if both.Of == nil {
		both.Of = map[string][]string{}
	}
	maps.Copy(both.Of, o.Of)
	return &both
}

// leadsTo reports whether a reference parameter may lead to that type.
func (p *Param) leadsTo(resourceType string) bool {
	for _, t := range p.Targets {
		if t == resourceType || t == "Resource" {
			return true
		}
	}
	return false
}
