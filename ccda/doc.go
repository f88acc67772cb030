// Package ccda maps C-CDA R2.1 documents to FHIR R4 transaction Bundles by HL7's
// "C-CDA on FHIR" mapping guide (repository HL7/ccda-on-fhir, commit in Source), and by
// base R4 and US Core shapes where the guide has no map (docs/ccda.md lists them).
//
// Its contract: the same bytes and Options give the same Bundle. Every entry is a
// conditional create or update by an identifier, so that a document applied twice
// leaves what it left the first time; the condition of clinical content names the
// patient too, since documents reuse ids. The document itself is carried whole in a
// DocumentReference, each section's narrative in the Composition.
//
// Every attribute and run of text that a map reads is marked. What has content and is
// neither in a resource nor on the documented list of what says nothing more is in
// Result.Unmapped, with the template and the place.
//
// A document is read without DTDs or entities and within the limits of Options.
// The package must never put a value of a document into an error or a path, read
// a clock, or touch a store or the network.
package ccda
