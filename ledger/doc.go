// Package ledger is the replicated state machine: the application that
// CometBFT drives through ABCI and that every member runs byte for byte alike.
//
// The life of a transaction, and the file of each step:
//
//	check     CheckTx runs it on a scratch copy and throws the copy away   check.go
//	propose   a proposer drops what fails; a validator refuses bad blocks  propose.go
//	deliver   FinalizeBlock runs it: decode, authenticate, replay window,
//	          handler; one cache per transaction, discarded on refusal    deliver.go
//	commit    rows, log and results become durable together               commit.go
//	query     anybody reads the result, with a proof                       query.go
//	snapshot  a new member fetches the state from its peers                snapshot.go
//
// What a transaction means is the modules' business. A Module is a plain
// struct: message kinds bound to typed handlers by On, queries, block hooks,
// and the tables of what it writes. Handlers have no modes: checking, proposing
// and delivering run the same code.
//
// Contract. The same blocks give the same app hash on every machine, for ever;
// a block that changes nothing leaves the app hash as it was. A refusal is a
// *tx.Refusal, changes nothing and never halts; corrupt state and broken
// invariants panic, because a replica that cannot trust itself must not answer.
// Nothing is visible before it is durable.
//
// The package must never read a clock, the network or randomness, start a
// goroutine, log, use floating point or range over a map, and never write
// anything but what a block told it. Its own rows begin with Prefix:
//
//	01 01 account[16]  -> window     nonces an account has used
//	01 02              -> chain      chain id, genesis, state-machine version
//	01 03 pubkey[32]   -> power      consensus keys that vote
//	01 04 address[20] height[8] kind[1]
//	                   -> noted      misbehaviour that the log tells of
package ledger
