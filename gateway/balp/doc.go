// Package balp tells who did what with whose record: FHIR R4 AuditEvent as IHE Basic
// Audit Log Patterns (ITI.BALP 1.1), and the accounting of disclosures of 45 CFR 164.528.
//
//	event.go       what happened, whoever tells it
//	code.go        code systems, profiles and the codes of each kind of event
//	build.go       an event as an AuditEvent
//	ledger.go      the entries of a patient's audit chain as events
//	journal.go     this member's events, sealed on disk, each bound to the one before
//	append.go      events written to it, those that come at the same time with one sync
//	segment.go     the files of the journal
//	salvage.go     a journal that does not open, for its operator
//	recorder.go    events of this gateway, durable before they are acknowledged
//	answer.go      an HTTP answer that waits for its event
//	rest.go        a request to the gateway as the beginning of its event
//	checkpoint.go  the journal's head, signed for others to keep
//	verify.go      the journal compared with its heads that others keep
//	match.go       what was sent and what was received, compared
//	query.go       what is searched for
//	reader.go      both sources as one log of a patient
//	accounting.go  disclosures: which are accounted for, and how they fold
//	register.go    what the privacy officer keeps for it, sealed on disk
//	report.go      the accounting as JSON, CSV and FHIR
//
// Contract: an event that Record has acknowledged survives a crash; one that is taken
// out, changed or put elsewhere in the journal is evident when it is opened, and one that
// is taken off its end is evident to whoever has kept a later Head. The ledger's entries
// are complete by their own chain (package audit). What BALP fixes is fixed here; an
// event that it has no profile for, failures of RESTful interactions above all, is an R4
// AuditEvent without one.
//
// It must never hold a clinical value, but for the query that BALP asks for, nor a token,
// and never answer a search without having recorded it.
package balp
