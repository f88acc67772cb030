// Package terminology answers questions about codes (FHIR R4 4.0.1, chapter 4): what a value set
// holds, what a code means, whether one code is beneath another, what it is in another system.
//
//	resource.go  CodeSystem, ValueSet and ConceptMap as this package reads them
//	system.go    a code system: its concepts by code, their hierarchy, their words
//	words.go     the index of words that a text filter is answered from
//	source.go    where resources come from, and several such places as one
//	loaded.go    the resources of packages; those of R4 itself are embedded
//	filter.go    the filters of a value set's compose
//	select.go    which codes a value set selects, and whether a code is among them
//	expand.go    ValueSet/$expand
//	lookup.go    CodeSystem/$lookup and $subsumes
//	validate.go  $validate-code of both
//	translate.go ConceptMap/$translate
//	query.go     sets of codes for searches: :in, :not-in, :above, :below
//
// Contract: an answer is complete or it is an error. A code system whose content is not here, as
// SNOMED CT and LOINC, makes an error that names it, never an empty or shorter answer. Every answer
// is bounded (MaxCodes, MaxDepth, MaxSets).
//
// The package is pure: it reads what a Source gives, and fetches nothing. It must never ask who the
// caller is: a Source shows only what she may see.
//
// The embedded file r4.zst is made from the npm package hl7.fhir.r4.examples@4.0.1 of HL7, which is
// dedicated to the public domain under CC0 1.0: its code systems, value sets and concept maps without
// narrative. "go generate" with HL7_R4 set to the package's .tgz makes it anew; the build never does.
package terminology
