// Package state is what the ledger agrees on: rows in an authenticated tree,
// entries in an append-only log, and the proofs of both.
//
//	cache    changes of one transaction or block, not yet decided    cache.go
//	table    typed rows under a prefix                              table.go
//	tree     compact sparse Merkle tree in pages                    page.go tree.go
//	log      RFC 6962 Merkle log with stored nodes                  log.go
//	store    one Pebble: stage a block, commit it with one fsync     store.go stage.go
//	view     a committed version that stays as it is                view.go
//	proof    what a stranger verifies against an app hash           prove.go proof.go
//	sync     the whole state in chunks, for a new member            export.go import.go
//	check    recompute everything, report the first damage          check.go
//
// The formats are spec/state-tree.md.
//
// Contract. AppHash is a function of the rows and the entries alone: neither
// the order of the writes nor the blocks they came in matter, and a block that
// changes nothing leaves it as it was. Commit returns after everything is on
// disk; a crash at any point leaves the version before or the version after,
// never a mix. Memory is bounded by Options, however large the state. A View
// never changes. Whatever cannot be trusted any more (a row that does not
// decode, a page that fails its checksum) panics with "state: corrupt": a
// replica must halt rather than answer.
//
// The package must never read a clock, the network or randomness, start a
// goroutine, log, use floating point or range over a map, and never put a key
// or a value into an error.
package state
