// Package index says what a resource can be found by: it reads the values of R4's search
// parameters out of a resource, as the entries that a store's index keeps, and knows which
// parameters there are.
//
//	index.go     Index: the parameters of every type, and the entries of a resource
//	path.go      FHIRPath of the simple kind that nearly all parameters have, as steps
//	plan.go      the steps of all parameters of a type, as one tree over names of members
//	walk.go      one walk through a resource along that tree
//	emit.go      tokens, texts, URIs and references: from a value to its entries
//	measure.go   dates, numbers and quantities as ranges
//	owner.go     whose compartment a resource is in
//	package.go   the parameters of further packages: which can be used, and from when on
//	words.go     _text and _content, which find resources by their words
//	subset.go    what _summary and _elements keep
//
// Contract: Entries is a function of the resource and the definitions alone; it never fails on
// a resource that fhir.Parse took, and leaves a value out that is not of its type. An expression
// that is no simple path is evaluated by package fhirpath; both ways give the same entries. Whether
// a reference leads to a Patient (resolve() is Patient) is told by the text of the reference, its
// type element, or the contained resource that it names; nothing is ever resolved.
//
// What entries look like, beside what R4 3.1.1.4 says:
//
//   - a code has the system of the value set that it is bound to by strength required; other
//     primitives and ContactPoint have none.
//   - display and text of codings, concepts and identifier types are entries of the modifier Text,
//     each type of an identifier is one of OfType, Reference.identifier one of Identifier.
//   - a concept without codes, and a reference without an address of its own (only an identifier or
//     a display, contained, conditional), has an entry with an empty text: it is not missing.
//   - a reference is "Type/id" where it is relative or its address begins with one of the Index'
//     own; elsewhere as it is written. A version of it (_history) is it. A canonical with a version
//     is found with and without it.
//   - a date is the range that its precision leaves open. A Timing is the range from its first to
//     its last event and bound; without any it has no entry. Text in place of a date has none.
//   - a quantity with a comparator is open to that side; Money has the system of ISO 4217;
//     SampledData is the range from its lowest to its highest sample.
//   - a quantity in a unit of UCUM has a second entry in base units, of the modifier InBase: 1 g is
//     found by 1000 mg. That is not so within composites.
//   - the parts of one value of a composite have one Group; a value that lacks a part has none.
//
// Parameters of packages (With) have entries beside those of R4, which they change in nothing: not in what
// R4's give, nor in whose compartment a resource is. They are searched by from Offer on, and one whose
// expression fails on a resource has no entry there.
//
// Chains, _has and includes follow entries of the form "Type/id": they end at canonicals and at the
// addresses of other servers. Resources contained in others are not found.
//
// _text and _content (FullText) come as parameters of packages do, since they are many entries: one for each
// word. A word of a narrative that is in two tags is two.
//
// Not offered, and not listed: _filter, _list, _query, which have no expression. phonetic is searched
// by its letters, as name is. _id and _lastUpdated are listed and have no entries: the store knows them. _type, _has, _sort, _include and the like are package search's.
//
// It must never put content of a resource into an error, never fetch, and never log.
package index
