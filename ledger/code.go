package ledger

import (
	"slices"

	"salus/ledger/tx"
)

// Prefix begins the ledger's own state keys, result codes and log entry kinds;
// modules have the prefixes above it. Codes below 0x0100 are those of the wire
// and of authentication, see package tx.
const Prefix = 0x01

// Refusals of the ledger itself: 0x0100 | n, unique for ever.
var (
	errNotStarted   = tx.Refuse(0x0101, "ledger: this node has no state yet; it is waiting for the genesis or a snapshot")
	errPath         = tx.Refuse(0x0102, "ledger: nothing answers at this query path")
	errHeight       = tx.Refuse(0x0103, "ledger: this node keeps no state of that height")
	errArgument     = tx.Refuse(0x0104, "ledger: the query's argument does not decode")
	errNoEntry      = tx.Refuse(0x0105, "ledger: the log has no entry of that index")
	errNoResult     = tx.Refuse(0x0106, "ledger: no transaction of that id is committed")
	errNoProof      = tx.Refuse(0x0108, "ledger: an answer of a module has no proof; ask for its rows by key")
	errNoExtension  = tx.Refuse(0x0109, "ledger: the log was never of that size")
	errHalted       = tx.Refuse(0x010a, "ledger: this node has halted; its operator must look at it")
	errAnswerFailed = tx.Refuse(0x010b, "ledger: the answer cannot be given")
)

// Refusals whose codes belong to package tx.
var (
	errTooLarge     = tx.Refuse(tx.CodeTooLarge, "ledger: the transaction is larger than the network allows")
	errWrongChain   = tx.Refuse(tx.CodeWrongChain, "ledger: the transaction is for another chain")
	errUnknownKind  = tx.Refuse(tx.CodeUnknownKind, "ledger: no module takes messages of this kind")
	errExpired      = tx.Refuse(tx.CodeExpired, "ledger: the transaction has expired")
	errExpiryTooFar = tx.Refuse(tx.CodeExpiryTooFar, "ledger: the transaction expires too far in the future")
	errNonceReplay  = tx.Refuse(tx.CodeNonceReplay, "ledger: the nonce is used already")
	errNonceTooOld  = tx.Refuse(tx.CodeNonceTooOld, "ledger: the nonce is below the replay window")
	errNonceTooFar  = tx.Refuse(tx.CodeNonceTooFarAhead, "ledger: the nonce is too far above the highest one used")
	errDuplicate    = tx.Refuse(tx.CodeDuplicateInBlock, "ledger: the transaction is in the block twice")
	errPayload      = tx.Refuse(tx.CodePayload, "ledger: the payload is not the canonical encoding of a message of its kind")
	errQuota        = tx.Refuse(tx.CodeQuota, "ledger: the member or pseudonym has used up its share of this block")
)

// codes names the ledger's own codes for the table of codes.
func codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: errNotStarted.Code, Name: "ledger-not-started", Text: errNotStarted.Text},
		{Code: errPath.Code, Name: "ledger-path", Text: errPath.Text},
		{Code: errHeight.Code, Name: "ledger-height", Text: errHeight.Text},
		{Code: errArgument.Code, Name: "ledger-argument", Text: errArgument.Text},
		{Code: errNoEntry.Code, Name: "ledger-no-entry", Text: errNoEntry.Text},
		{Code: errNoResult.Code, Name: "ledger-no-result", Text: errNoResult.Text},
		{Code: errNoProof.Code, Name: "ledger-no-proof", Text: errNoProof.Text},
		{Code: errNoExtension.Code, Name: "ledger-no-extension", Text: errNoExtension.Text},
		{Code: errHalted.Code, Name: "ledger-halted", Text: errHalted.Text},
		{Code: errAnswerFailed.Code, Name: "ledger-answer-failed", Text: errAnswerFailed.Text},
	}
}

// Codes returns every result code of a network with those modules, in order.
// A code is unique for ever: it is never given to anything else, also when what
// it meant is gone.
func Codes(mods []Module) []tx.CodeInfo {
	all := slices.Concat(tx.Codes(), codes())
	for _, m := range mods {
		all = append(all, m.Codes...)
	}
	slices.SortStableFunc(all, func(a, b tx.CodeInfo) int { return int(a.Code) - int(b.Code) })
	return all
}
