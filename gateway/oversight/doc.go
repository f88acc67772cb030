// Package oversight stands in front of the FHIR server: what the patient says and what happened to
// her records are not resources that anybody may store.
//
//	oversight.go  Service: who asks, and where a request goes
//	recording.go  every request is recorded before its answer leaves
//	consent.go    Consent: what stands on the ledger, and what staff record from a form
//	explaining.go Consent/$explain: what somebody may read, and why
//	reading.go    Consent/$readers: who may read
//	auditing.go   AuditEvent: the journal and the ledger as one log
//	accounting.go the accounting of disclosures of 45 CFR 164.528
//	reply.go      answers and OperationOutcomes
//
// Contract: no answer of the FHIR server leaves before its AuditEvent is on disk; if that fails,
// nothing is answered. A Consent is on the ledger when it is acknowledged, whole, or it is refused.
// An AuditEvent can be read by the patient whom it is about, and by the organisation's operator;
// nobody can write one.
//
// It must never decide what a consent permits (the ledger does), and never log what a request or
// a resource says.
package oversight
