// Package validate checks FHIR R4 resources against their StructureDefinitions and against
// profiles: those that meta.profile claims, those that the caller asks for, and those that
// Options names for a type.
//
// New compiles every type and profile of a definition.Set into a tree of rules; a profile
// keeps only what it adds to its type. A Validator is read-only afterwards and safe for
// concurrent use. Validate walks the resource once for its type and once for each profile,
// over the bytes as they were submitted.
//
// What is checked: names, JSON forms, cardinality, choices, formats of primitives, fixed
// values and patterns, bindings, invariants, slices, extensions and their contexts,
// references and what they may point to, contained resources, Bundles, and narratives.
// Every Issue has a stable code, a FHIRPath expression of the place and a sentence.
//
// A valid resource is never refused: what cannot be decided from what was loaded (a value
// set of SNOMED CT, an invariant that does not evaluate, a slice told by a profile of what
// a reference points to) is said with an issue of severity "information", or passed over
// and listed by Skipped. A comparison that the precision of dates leaves open holds.
//
// The package must never fetch anything, never change a resource, and never put a value of
// a resource into an issue: expressions are made of names that FHIR defines and of counts.
package validate

import (
	"context"
	"errors"
	"slices"
	"sync"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/element"
	"salus/fhir/fhirpath"
)

// A Strictness says how much is checked.
type Strictness uint8

// The levels, each with all of the one before it. The zero value is Required.
const (
	// Required is what a server needs before it stores: structure, required bindings,
	// invariants, slices, extensions, references, narratives and profiles.
	Required Strictness = iota
	// Structure is names, JSON forms, cardinality, choices and formats of primitives alone.
	Structure
	// Full adds what is no error: extensible bindings, invariants that warn, extensions
	// that nothing loaded defines, and what R4 calls best practice.
	Full
)

// DefaultLimit is how many issues Validate returns at most.
const DefaultLimit = 100

// Options of a Validator. The zero Options are usable.
type Options struct {
	Strictness Strictness
	Limit      int // of issues; DefaultLimit if 0
	// Profiles are checked on every resource of their type, claimed or not.
	Profiles []string
	// Unclaimed passes over the profiles that meta.profile claims.
	Unclaimed bool
	// Contexts says where an extension may stand, by its canonical (see ReadContexts).
	Contexts map[string][]Context
	// Terminology answers for value sets that the Set could not expand. It may be nil.
	Terminology fhirpath.Terminology
	// Exists says whether a literal reference leads to a resource; known is false for one
	// that it cannot tell. Without it nobody looks.
	Exists func(ctx context.Context, reference string) (exists, known bool)
}

// A Validator checks resources.
type Validator struct {
	o        Options
	set      *definition.Set
	model    *element.Model
	types    map[string]*shape // of R4 itself, inline types too
	profiles map[string]*shape // by canonical
	always   map[string][]*shape
	skipped  []string
	walks    sync.Pool
}

// New compiles a set. An error says that the set itself is damaged, or that Options names
// a profile that it does not have.
func New(set *definition.Set, o Options) (*Validator, error) {
	if set == nil {
		return nil, errors.New("validate: there are no definitions")
	}
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	c := newCompiler(set)
	if err := c.all(); err != nil {
		return nil, err
	}
	v := &Validator{o: o, set: set, model: set.Model(), types: c.types, profiles: c.profiles, always: map[string][]*shape{}, skipped: c.skipped}
	for _, url := range o.Profiles {
		s := v.profiles[unversioned(url)]
		if s == nil {
			return nil, errors.New("validate: a profile that the options name is not in the set")
		}
		v.always[s.of] = append(v.always[s.of], s)
	}
	v.walks.New = func() any { return &walk{v: v} }
	return v, nil
}

// Skipped lists what of the definitions cannot be checked, as "canonical element reason".
func (v *Validator) Skipped() []string { return slices.Clone(v.skipped) }

// Validate checks a resource against its type, the profiles in meta.profile and those
// given. It returns no issues of severity "error" exactly if the resource is valid as far
// as the strictness goes.
func (v *Validator) Validate(ctx context.Context, r fhir.Resource, profiles ...string) []Issue {
	tree, err := element.Parser{Size: fhir.MaxBundle, Known: v.model.Known}.Parse(r.Raw())
	if err != nil {
		i := Issue{Severity: Error, Type: "structure", Code: element.CodeSyntax, Text: "this is not JSON that can be read"}
		if e, ok := errors.AsType[*element.Error](err); ok {
			i.Code, i.Text, i.Expression = e.Code, e.Text(), e.Path
		}
		return []Issue{i}
	}
	return v.ValidateTree(ctx, tree, profiles...)
}

// ValidateTree does what Validate does, for a resource that is parsed already.
func (v *Validator) ValidateTree(ctx context.Context, tree *element.Tree, profiles ...string) []Issue {
	w := v.walks.Get().(*walk)
	w.begin(ctx)
	w.document(tree.Root(), profiles)
	out := w.issues
	w.end()
	v.walks.Put(w)
	return out
}

// Valid reports whether none of the issues is an error.
func Valid(issues []Issue) bool {
	return !slices.ContainsFunc(issues, func(i Issue) bool { return i.Severity == Error || i.Severity == Fatal })
}
