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
	errNoProof      = tx.Refuse(0x0107, "ledger: an answer of a module has no proof; ask for its rows by key")
	errNoExtension  = tx.Refuse(0x0108, "ledger: the log was never of that size")
	errHalted       = tx.Refuse(0x0109, "ledger: this node has halted or is stopping")
	errInternal     = tx.Refuse(0x010b, "ledger: the transaction ran into a fault of this program; please report it")
	errOutdated     = tx.Refuse(0x010c, "ledger: the next block has rules that this program does not know; its operator installs the release that the members agreed on")
	errAnswerFailed = tx.Refuse(0x010a, "ledger: the answer cannot be given")
)

// Waits reports whether a code says that this node cannot judge anything now:
// it has no state yet, halted, or does not know the next block's rules. It is no
// verdict on what it was asked.
func Waits(code uint32) bool {
	return code == errNotStarted.Code || code == errHalted.Code || code == errOutdated.Code
}

// Refusals that belong to package tx.
var (
	errTooLarge     = core(tx.CodeTooLarge)
	errWrongChain   = core(tx.CodeWrongChain)
	errUnknownKind  = core(tx.CodeUnknownKind)
	errExpired      = core(tx.CodeExpired)
	errExpiryTooFar = core(tx.CodeExpiryTooFar)
	errNonceReplay  = core(tx.CodeNonceReplay)
	errNonceTooOld  = core(tx.CodeNonceTooOld)
	errNonceTooFar  = core(tx.CodeNonceTooFarAhead)
	errDuplicate    = core(tx.CodeDuplicateInBlock)
	errPayload      = core(tx.CodePayload)
	errQuota        = core(tx.CodeQuota)
)

// core makes the refusal of a code of package tx, with its sentence.
func core(code uint32) *tx.Refusal {
	for _, c := range tx.Codes() {
		if c.Code == code {
			return tx.Refuse(c.Code, c.Text)
		}
	}
	panic("ledger: internal error: code without a sentence")
}

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
		{Code: errInternal.Code, Name: "ledger-internal", Text: errInternal.Text},
		{Code: errOutdated.Code, Name: "ledger-outdated", Text: errOutdated.Text},
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
