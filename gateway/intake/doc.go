// Package intake takes documents and tables in: C-CDA by package ccda, CSV by package tabular
// (docs/csv.md, docs/intake.md).
//
//	intake.go  Service: who sends what, and how it is answered
//	ccda.go    a document: one transaction
//	table.go   a table: a transaction for each group of rows
//	plan.go    what a transaction would change: what is there already and says the same is left alone
//	apply.go   the transaction itself
//	report.go  what became of it all
//
// Contract: what comes in is written as if its sender had sent the transaction to the FHIR server:
// with her leave, checked, whole or not at all. The bytes that it came in are kept with the patient's
// resources, and labelled restricted: whoever reads them reads everything. The same bytes again write
// nothing. Every intake is in the log before it is answered.
//
// It must never say in an answer, an error or a log what a document says, nor store a byte before
// document and mapping have been read and permitted.
package intake
