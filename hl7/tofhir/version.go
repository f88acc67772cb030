package tofhir

// Source is the version of HL7's tables that rows.go and codes.txt derive from.
const Source = "HL7/v2-to-fhir 8c9b414be1729c98988b17e7fa86221fc8018c73"

// Version names this mapping in the Provenance of what it made, and Digest is the SHA-256 of all that it is made of:
// rows, codes and code (version_test.go). A change of the mapping changes both.
const (
	Version = "tofhir-3"
	Digest  = "bebad7480464900f4853deb70b8e7ff6329c742d1f0b67de2d532fa25f9cda4d"
)
