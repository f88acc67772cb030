// Package module is the map of the state machine's rooms; it holds no code.
//
// A module is one noun of the network. It owns the state keys that begin with
// its prefix, the message kinds "<module>.<verb>", the refusal codes
// prefix<<8|n and the log entry kinds prefix<<8|n. The prefix therefore names
// one module in keys, codes, log entries and documents alike.
//
//	prefix  module      what it keeps                                            may read
//	0x02    governance  members, equal-power validators, parameters, proposals   nothing
//	0x03    identity    practitioners, devices, patients, their keys by height   governance
//	0x04    committee   custody epochs, custody keys                             governance
//	0x05    anchor      batch headers, custody receipts, ACTIVE                  committee
//	0x06    consent     grants as slot masks, proxies, their evaluation          governance, identity
//	0x07    access      sessions, committed record lists, release receipts       governance, identity, committee, anchor, consent, emergency, erasure, recovery
//	0x08    audit       the gap-free chain of every pseudonym; heads of journals nothing
//	0x09    emergency   directives, cases of break-glass, what they owe          governance, identity, consent
//	0x0a    erasure     requests and orders, legal holds, tombstones, receipts   governance, identity, committee, anchor
//	0x0e    recovery    guardians, recoveries of keys, deaths, executors         governance, identity, consent
//	0x0b    reshare     how shares pass from one custody epoch to the next       governance, committee, anchor, erasure
//	0x0c    lookup      the custodians' lookup key, entries, enrolments, cards   governance, identity, committee, consent
//	0x0d    merge       which pseudonyms are one patient                         governance, identity
//
// Blocks run the modules in this order; the order is part of consensus.
//
// A module reads another through that module's exported pure functions over a
// state.Reader and never writes another's keys. The exceptions are functions of
// the module that owns the keys: identity, consent, access, emergency, erasure, lookup, merge and
// recovery extend a patient's chain with audit.Append; access takes uses of grants with
// consent.TakeUses, and opens, widens, extends and closes cases of emergency;
// recovery locks and replaces a patient's keys, records her death and appoints her
// executor with functions of identity and consent; reshare prepares, begins and ends custody epochs of committee.
// There are no keepers; the import graph above is the whole wiring and has no
// cycles.
//
// Every module has the same files: <noun>.go (package doc, types, Module),
// messages.go (what may be sent, stateless checks), handlers.go (read, rule,
// write, entry), rules.go (pure decisions), store.go (tables and keys),
// queries.go (what may be asked), errors.go (refusal codes), genesis.go.
//
// A module must never read a clock, the network or randomness, start a
// goroutine, log, use floats or range over a map: every replica has to reach
// the same bytes. It must never keep personal data, ciphertext, key material
// or a hash of anything guessable.
package module
