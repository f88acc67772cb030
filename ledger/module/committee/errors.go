package committee

import "salus/ledger/tx"

// Refusals of this module: 0x0400 | n, unique for ever.
var (
	ErrNotCustodian = tx.Refuse(0x0401, "committee: only a custodian of the current epoch may do this")
	ErrKeyEpoch     = tx.Refuse(0x0402, "committee: key epochs go up by one")
	ErrHash         = tx.Refuse(0x0403, "committee: the hash of the public key is missing")
	ErrPeriod       = tx.Refuse(0x0404, "committee: the key's period is empty, over already, or longer than allowed")
	ErrTooEarly     = tx.Refuse(0x0405, "committee: the key's period begins too far ahead, or the last key has not begun yet")
	ErrOrder        = tx.Refuse(0x0406, "committee: a key begins and ends later than the one before")
	ErrOverlap      = tx.Refuse(0x0407, "committee: at most two keys of a custodian overlap")
	ErrUnknownEpoch = tx.Refuse(0x0408, "committee: no such custody epoch")
	ErrUnknownKey   = tx.Refuse(0x0409, "committee: no such custody key")
	ErrQuery        = tx.Refuse(0x040a, "committee: the query's argument does not decode")
)

// Codes lists the refusals of this module for the table of codes.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrNotCustodian.Code, Name: "committee-not-custodian", Text: ErrNotCustodian.Text},
		{Code: ErrKeyEpoch.Code, Name: "committee-key-epoch", Text: ErrKeyEpoch.Text},
		{Code: ErrHash.Code, Name: "committee-hash", Text: ErrHash.Text},
		{Code: ErrPeriod.Code, Name: "committee-period", Text: ErrPeriod.Text},
		{Code: ErrTooEarly.Code, Name: "committee-too-early", Text: ErrTooEarly.Text},
		{Code: ErrOrder.Code, Name: "committee-order", Text: ErrOrder.Text},
		{Code: ErrOverlap.Code, Name: "committee-overlap", Text: ErrOverlap.Text},
		{Code: ErrUnknownEpoch.Code, Name: "committee-unknown-epoch", Text: ErrUnknownEpoch.Text},
		{Code: ErrUnknownKey.Code, Name: "committee-unknown-key", Text: ErrUnknownKey.Text},
		{Code: ErrQuery.Code, Name: "committee-query", Text: ErrQuery.Text},
	}
}
