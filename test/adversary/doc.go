// Package adversary is the register of the attacks that Salus must withstand: which defence stops
// each of them, and which test plays it against the real components.
//
// An attack on a custodian, the ledger, a reader or the gateway is played in that room's own world,
// and the register names its test there; what needs a network of four organisations is played here.
// `make adversary` runs all of them. `make mutants` takes each defence out of a copy of the module
// and demands that its test fails: a test that nothing makes fail proves nothing.
//
// Contract: a defence's text stands exactly once in its file, inside the function it names, and its
// test exists; a test checks that. The register must never be read by what it defends.
package adversary
