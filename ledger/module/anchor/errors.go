package anchor

import "salus/ledger/tx"

// Refusals of this module: 0x0500 | n, unique for ever.
var (
	ErrHeader       = tx.Refuse(0x0501, "anchor: the batch header is malformed")
	ErrChain        = tx.Refuse(0x0502, "anchor: the batch header is for another chain")
	ErrVersion      = tx.Refuse(0x0503, "anchor: the version of the batch header is not supported")
	ErrSuite        = tx.Refuse(0x0504, "anchor: the cipher suite of the batch header is not supported")
	ErrCount        = tx.Refuse(0x0505, "anchor: a batch holds 1 to 1024 records")
	ErrCommitment   = tx.Refuse(0x0506, "anchor: a commitment of the batch is missing")
	ErrAuthor       = tx.Refuse(0x0507, "anchor: a batch is anchored by the member that authored it")
	ErrEpoch        = tx.Refuse(0x0508, "anchor: the batch is sealed for another custody epoch than the one in force; seal it again")
	ErrCommittee    = tx.Refuse(0x0509, "anchor: n and t of the batch are not those of its custody epoch")
	ErrKnown        = tx.Refuse(0x050a, "anchor: this batch is anchored already")
	ErrNotCustodian = tx.Refuse(0x050b, "anchor: only a custodian of the current epoch may do this")
	ErrReceipts     = tx.Refuse(0x050c, "anchor: receipts are 1 to 512, in rising order of the header hash")
	ErrUnknownBatch = tx.Refuse(0x050d, "anchor: there is no such batch")
	ErrNoNews       = tx.Refuse(0x050e, "anchor: the custodian has said all this before")
	ErrReason       = tx.Refuse(0x050f, "anchor: the reason of the complaint is unknown")
	ErrHasReceipt   = tx.Refuse(0x0510, "anchor: the custodian has already confirmed its shares of this batch")
	ErrQuery        = tx.Refuse(0x0511, "anchor: the query's argument does not decode")
)

// Codes lists the refusals of this module.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrHeader.Code, Name: "anchor-header", Text: ErrHeader.Text},
		{Code: ErrChain.Code, Name: "anchor-chain", Text: ErrChain.Text},
		{Code: ErrVersion.Code, Name: "anchor-version", Text: ErrVersion.Text},
		{Code: ErrSuite.Code, Name: "anchor-suite", Text: ErrSuite.Text},
		{Code: ErrCount.Code, Name: "anchor-count", Text: ErrCount.Text},
		{Code: ErrCommitment.Code, Name: "anchor-commitment", Text: ErrCommitment.Text},
		{Code: ErrAuthor.Code, Name: "anchor-author", Text: ErrAuthor.Text},
		{Code: ErrEpoch.Code, Name: "anchor-epoch", Text: ErrEpoch.Text},
		{Code: ErrCommittee.Code, Name: "anchor-committee", Text: ErrCommittee.Text},
		{Code: ErrKnown.Code, Name: "anchor-known", Text: ErrKnown.Text},
		{Code: ErrNotCustodian.Code, Name: "anchor-not-custodian", Text: ErrNotCustodian.Text},
		{Code: ErrReceipts.Code, Name: "anchor-receipts", Text: ErrReceipts.Text},
		{Code: ErrUnknownBatch.Code, Name: "anchor-unknown-batch", Text: ErrUnknownBatch.Text},
		{Code: ErrNoNews.Code, Name: "anchor-no-news", Text: ErrNoNews.Text},
		{Code: ErrReason.Code, Name: "anchor-reason", Text: ErrReason.Text},
		{Code: ErrHasReceipt.Code, Name: "anchor-has-receipt", Text: ErrHasReceipt.Text},
		{Code: ErrQuery.Code, Name: "anchor-query", Text: ErrQuery.Text},
	}
}
