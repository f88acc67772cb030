// Package rest is FHIR R4's RESTful API (4.0.1, section 3.1.0) over a store: read, vread, create,
// update, patch, delete, the conditional forms, history, search, batch and transaction, and the
// CapabilityStatement of what is served.
//
//	server.go      routes, and what every answer has in common
//	ask.go         one request: preferences, who asks and what for
//	format.go      which format is asked for
//	inxml.go       bodies and answers in XML
//	outcome.go     errors as OperationOutcome: the only place
//	splice.go      id and meta put into a resource's bytes, nothing else changed
//	read.go        read, vread, HEAD
//	write.go       create, update, delete and their conditions
//	patch.go       JSON Patch and FHIRPath Patch
//	validate.go    $validate
//	everything.go  Patient/$everything
//	lastn.go       Observation/$lastn
//	meta.go        $meta, $meta-add, $meta-delete
//	refer.go       whether references of what is written lead to something
//	list.go        _list
//	history.go     history of a resource, a type, the system
//	search.go      search by GET and POST, in a type, a compartment, the system
//	bundle.go      batch and transaction
//	foresee.go     what the conditions of writes ask of terminology
//	resolve.go     the references inside a transaction
//	load.go        many resources at once, for other rooms
//	tick.go        when answers to who sees only a part leave
//	subset.go      _elements and _summary
//	operation.go   operations that other rooms offer: found, permitted, listed
//	capability.go  the CapabilityStatement, from what is really served
//
// Contract: a resource comes back in the bytes in which it was sent, but for its id and
// meta.versionId and meta.lastUpdated, which are the server's. A transaction is whole or leaves
// nothing. Input that is wrong is answered with 4xx and an OperationOutcome that has a stable
// code and, where it helps, the place; never with 5xx.
//
// The package decides nothing about access: a Guard says what a request may see and do, and what
// it may not see does not exist for it, in any count, page or error. It must never log or put
// into an error what a resource says.
package rest
