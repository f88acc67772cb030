// Package chart is what one caller sees of patients whose records lie with many organisations: the
// organisation's own store, and beside it what the caller's ledger session may open.
//
//	chart.go      Service: its parts, its life
//	pump.go       what is written to the store becomes records on the ledger, in the background
//	version.go    a version as a record: its bytes, its deletion
//	provenance.go where versions are on the ledger
//	receipt.go    the proof of it
//	await.go      whoever wants to know when a version is active
//	acknowledge.go  how long the answer to a write waits
//	guard.go      from a request to what it may see: the caller, the patient, the purpose
//	session.go    one caller's open session about one patient, and its part of the store
//	emergency.go  an emergency declared over FHIR, and its second step
//	translate.go  another organisation's resource among one's own
//	rebuild.go    the store made again from the records
//	check.go      what the store must say of a resource
//
// Contract: nothing of another organisation is seen without a session that the ledger says is open
// at that moment, for the purpose that the caller named; when the session ends, or consent is
// narrowed, what it had opened is gone from the store before the next answer. A version that the
// store has taken becomes a record, also after a crash, once. The mask of the session decides what
// is seen, never a label read here.
//
// It must never open a session for a purpose that nobody named, keep a session's key or plaintext
// anywhere but in memory and in the encrypted store's scope of that session, or log what a record
// says.
package chart
