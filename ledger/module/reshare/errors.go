package reshare

import "salus/ledger/tx"

// Refusals of this module: 0x0b00 | n, unique for ever.
var (
	ErrUnknown     = tx.Refuse(0x0b01, "reshare: there is no such resharing")
	ErrPass        = tx.Refuse(0x0b02, "reshare: this pass is not open")
	ErrDealer      = tx.Refuse(0x0b03, "reshare: only a custodian of the epoch before deals")
	ErrCustodian   = tx.Refuse(0x0b04, "reshare: only a custodian of the next epoch may do this")
	ErrCount       = tx.Refuse(0x0b05, "reshare: the pass has another number of batches")
	ErrRoot        = tx.Refuse(0x0b06, "reshare: the root is missing")
	ErrDealt       = tx.Refuse(0x0b07, "reshare: this custodian has dealt in this pass; a dealing is final")
	ErrNoNews      = tx.Refuse(0x0b08, "reshare: the custodian has said this before")
	ErrLeftOut     = tx.Refuse(0x0b09, "reshare: the confirmation goes by other dealers than those that count now")
	ErrTooFew      = tx.Refuse(0x0b0a, "reshare: fewer sound dealers than the threshold have dealt")
	ErrNotDealt    = tx.Refuse(0x0b0b, "reshare: the accused has not dealt, or is left out already")
	ErrShape       = tx.Refuse(0x0b0c, "reshare: the complaint's parts have impossible sizes")
	ErrBatch       = tx.Refuse(0x0b0d, "reshare: the batch is not of this pass")
	ErrPrevious    = tx.Refuse(0x0b0e, "reshare: these are not the commitments of the batch")
	ErrNotProved   = tx.Refuse(0x0b0f, "reshare: the opened dealing is not under the dealer's root")
	ErrNotOpened   = tx.Refuse(0x0b10, "reshare: these are not the shares dealt to the one who complains")
	ErrSoundDeal   = tx.Refuse(0x0b11, "reshare: the opened dealing is sound")
	ErrTooEarly    = tx.Refuse(0x0b12, "reshare: the dealer has still time to hand over what it dealt")
	ErrNotDone     = tx.Refuse(0x0b13, "reshare: the resharing is not done, or new custodians may still need the old shares")
	ErrNoPlainDeal = tx.Refuse(0x0b14, "reshare: a pass without batches needs no dealing")
	ErrQuery       = tx.Refuse(0x0b15, "reshare: the query's argument does not decode")
)

// Codes lists the refusals of this module.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrUnknown.Code, Name: "reshare-unknown", Text: ErrUnknown.Text},
		{Code: ErrPass.Code, Name: "reshare-pass", Text: ErrPass.Text},
		{Code: ErrDealer.Code, Name: "reshare-dealer", Text: ErrDealer.Text},
		{Code: ErrCustodian.Code, Name: "reshare-custodian", Text: ErrCustodian.Text},
		{Code: ErrCount.Code, Name: "reshare-count", Text: ErrCount.Text},
		{Code: ErrRoot.Code, Name: "reshare-root", Text: ErrRoot.Text},
		{Code: ErrDealt.Code, Name: "reshare-dealt", Text: ErrDealt.Text},
		{Code: ErrNoNews.Code, Name: "reshare-no-news", Text: ErrNoNews.Text},
		{Code: ErrLeftOut.Code, Name: "reshare-left-out", Text: ErrLeftOut.Text},
		{Code: ErrTooFew.Code, Name: "reshare-too-few", Text: ErrTooFew.Text},
		{Code: ErrNotDealt.Code, Name: "reshare-not-dealt", Text: ErrNotDealt.Text},
		{Code: ErrShape.Code, Name: "reshare-shape", Text: ErrShape.Text},
		{Code: ErrBatch.Code, Name: "reshare-batch", Text: ErrBatch.Text},
		{Code: ErrPrevious.Code, Name: "reshare-previous", Text: ErrPrevious.Text},
		{Code: ErrNotProved.Code, Name: "reshare-not-proved", Text: ErrNotProved.Text},
		{Code: ErrNotOpened.Code, Name: "reshare-not-opened", Text: ErrNotOpened.Text},
		{Code: ErrSoundDeal.Code, Name: "reshare-sound-deal", Text: ErrSoundDeal.Text},
		{Code: ErrTooEarly.Code, Name: "reshare-too-early", Text: ErrTooEarly.Text},
		{Code: ErrNotDone.Code, Name: "reshare-not-done", Text: ErrNotDone.Text},
		{Code: ErrNoPlainDeal.Code, Name: "reshare-no-plain-deal", Text: ErrNoPlainDeal.Text},
		{Code: ErrQuery.Code, Name: "reshare-query", Text: ErrQuery.Text},
	}
}
