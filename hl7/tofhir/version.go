package tofhir

// Source is the version of HL7's tables that rows.go and codes.txt derive from.
const Source = "HL7/v2-to-fhir 8c9b414be1729c98988b17e7fa86221fc8018c73"

// Version names this mapping in the Provenance of what it made, and Digest is the SHA-256 of all that it is made of:
// rows, codes and code (version_test.go). A change of the mapping changes both.
const (
	Version = "tofhir-3"
	Digest  = "6fbac37dbf5e4a3fd0cfb2246fd3b0c9e203da50182fd33bdb5d12e85fa7d2bf"
)
