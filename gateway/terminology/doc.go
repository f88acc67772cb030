// Package terminology offers FHIR R4's operations on codes (4.0.1, chapter 4.7 and the definitions of
// the operations): ValueSet/$expand and $validate-code, CodeSystem/$lookup, $validate-code and
// $subsumes, ConceptMap/$translate; the search modifiers :in, :not-in, :above and :below; and the
// TerminologyCapabilities.
//
//	service.go    Service: what it stands on, its operations
//	source.go     the resources of the store, as the caller sees them, before those of packages
//	question.go   parameters, from an address or a Parameters resource
//	operate.go    the operations
//	answer.go     Parameters resources as answers; errors as the caller sees them
//	search.go     value sets and hierarchies for searches
//	capability.go TerminologyCapabilities
//
// Contract: what the caller may not see of the store does not exist for her, in no expansion and no
// error; what packages brought is everybody's. A question with a parameter that is known and not
// offered is refused, never answered without it. Nothing is ever fetched from elsewhere.
package terminology
