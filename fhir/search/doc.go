// Package search is FHIR R4 search (4.0.1, section 3.1.1) as data: a query string becomes a
// Query, a tree that a store can answer, and the values of a resource's search parameters
// become the entries that a store's index keeps.
//
//	param.go    what a search parameter is, and who knows them
//	value.go    what queries ask for and entries hold, one type per kind of parameter
//	date.go     dates, dateTimes and Periods as ranges of time
//	number.go   numbers and quantities as ranges, by their written precision
//	position.go places on the Earth, and what is near them
//	query.go    Query and its parts
//	parse.go    from the query string to a Query
//	clause.go   one parameter with its modifier, prefixes, chain or _has
//	filter.go   _filter as a tree of clauses
//	words.go    what _text and _content look for, as such a tree
//	codes.go    value sets and hierarchies as the codes they stand for
//	issue.go    what may be wrong with a query
//
// Contract: Parse takes any bytes and gives either a Query of which every part is known and
// bounded, or an Issue with a stable code and the name of the parameter; nothing is silently
// left out unless the caller asked to be lenient, and then it is listed. It must never read a
// resource, never answer a query, and never put a searched value into an error.
package search
