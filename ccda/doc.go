// Package ccda maps C-CDA R2.1 documents to FHIR R4 transaction Bundles by HL7's
// "C-CDA on FHIR" mapping guide (repository HL7/ccda-on-fhir, commit in Source).
//
// Its contract: the same bytes and Options give the same Bundle. Every entry is a
// conditional create or update by an identifier, so that a document applied twice
// leaves what it left the first time. The document itself is carried whole in a
// DocumentReference, each section's narrative in the Composition. What an entry or
// the header holds and no map took is listed in Result.Unmapped with the template
// and the place.
//
// A document is read without DTDs or entities and within the limits of Options.
// The package must never put a value of a document into an error or a path, read
// a clock, or touch a store or the network.
package ccda
