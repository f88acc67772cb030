package tofhir

// Source is the version of HL7's tables that rows.go and codes.txt derive from.
const Source = "HL7/v2-to-fhir 8c9b414be1729c98988b17e7fa86221fc8018c73"

// Version names this mapping in the Provenance of what it made, and Digest is the SHA-256 of all that it is made of:
// rows, codes and code (version_test.go). A change of the mapping changes both.
const (
	Version = "tofhir-2"
	Digest  = "27ad0b7b6cec52e4ec5c573a6735a16349d17d21a4685b239ba269a67020ffee"
)
