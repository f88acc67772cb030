// Package pcf is a patient's consent in the words of IHE Privacy Consent on FHIR
// (ITI.PCF 1.1, FHIR R4 Consent), both ways: what is posted becomes grants on the
// ledger, and what stands on the ledger reads as Consents.
//
//	read.go     a posted Consent, every element of it accounted for
//	actor.go    whom a provision names, as a grantee, and back
//	label.go    security labels as the closed set of the ledger's masks, and back
//	period.go   FHIR's inclusive dates as the ledger's half-open seconds, and back
//	provision.go  the elements of a provision
//	compile.go  the provision tree as wishes: one for each grant
//	wish.go     a wish as masks under the patient's slot map, and back
//	write.go    wishes as a provision tree
//	from.go     grants as a Consent
//	plan.go     what must be submitted to come from what stands to what is wished
//	service.go  create, update, delete
//	version.go  read, history, search: what the audit chain says of each Consent
//	replica.go  what a service asks of this node's replica
//	explain.go  why somebody may read or not, and what a Consent would change
//	readers.go  who may read something now
//	paper.go    the posted bytes and their commitment
//	folder.go   papers as sealed files
//
// Contract: the ledger enforces what it was given, so a Consent is either enforced
// whole or refused with the place of each element that is not; nothing is ignored. A
// record is permitted if each label it bears is. Inside a Consent a nested provision
// overrides the one around it, and a denying one the others beside it; a purpose
// covers what lies below it, but ETREAT, BTG and ERTREAT only when named; across
// Consents, deny wins. A Consent is put, replaced or ended by one transaction, so that it
// is never there in part. Data-centred rules (dataPeriod, data),
// actions, classes and codes are refused: the ledger sees no record, only slots.
//
// It must never sign for a patient, decide an access, or put what a Consent says into
// an error or a log.
package pcf
