// Package tabular maps CSV (RFC 4180) to FHIR R4 resources by a mapping file (docs/csv.md).
//
//	mapping.go  a mapping file, read and checked
//	path.go     the elements that it names, checked against FHIR's definitions
//	row.go      CSV, row by row, with the bytes of each
//	value.go    a field as a FHIR primitive
//	group.go    rows as resources, and the groups that are kept or refused whole
//
// Contract: a mapping that Load takes names only elements that FHIR R4 has, in the shape that it has
// them. The same bytes and mapping give the same resources. Every row is part of a Group or is
// reported as rejected, with its line, the column and a stable code. Rows are read one group at a
// time: memory does not grow with the file.
//
// The package must never put a value of a file into an error, read a clock, or touch a store or
// the network.
package tabular
