// Package store keeps an organisation's FHIR resources as its clinical store: every version of
// each in its exact bytes, and the index that search reads. It is a projection: what is in it can
// be made again from ledger, vault and custody.
//
//	store.go    Store: opening and closing
//	dialect.go  what SQLite and PostgreSQL say differently
//	schema.go   tables, and how they become those of a later version
//	writer.go   the one connection that writes: jobs, groups of them, commits
//	tx.go       Tx: what one job writes, and how it is taken back
//	write.go    putting and deleting versions with their index entries
//	added.go    the index rows that a commit adds, written in the order of their tables
//	entry.go    index entries as rows, and as the bytes beside a resource
//	read.go     reading resources, versions and histories
//	point.go    one resource by its key, past database/sql
//	search.go   answering a search.Query, page by page
//	driver.go   which clause drives a search, so that all others are asked of what it leaves
//	walk.go     pages of what has one value, read in the order of its index
//	clause.go   one clause of it as SQL (sqltext.go, value.go, composite.go, chain.go)
//	include.go  what the matches refer to, and what refers to them
//	follow.go   what was written after something, for those who carry it on
//	reindex.go  the index of what is there, after a change of what it is made by
//	check.go    whether all of it fits together (checkrows.go)
//	scope.go    what a session opened: visible beside the own resources until the session ends
//
// Contract: what Write has returned without an error survives a crash, whole; what it returned an
// error for has left nothing. A version never changes. Readers see what was committed when they
// began. SQLite files are encrypted; a PostgreSQL server's disks are its operator's to encrypt.
//
// It must never look into a resource, decide who may see one, or put a value of one into an error:
// errors name types, parameters and positions only.
package store
