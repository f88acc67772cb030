package merge

import "salus/ledger/tx"

// Refusals of this module: 0x0d00 | n, unique for ever.
var (
	ErrPair       = tx.Refuse(0x0d01, "merge: two different pseudonyms of patients are merged")
	ErrBasis      = tx.Refuse(0x0d02, "merge: the salted commitment to the reasons is missing")
	ErrSigner     = tx.Refuse(0x0d03, "merge: only a practitioner with the write privilege of a patient's steward does this")
	ErrLinked     = tx.Refuse(0x0d04, "merge: the two are merged or proposed already, or one of them has too many open cases")
	ErrUnknown    = tx.Refuse(0x0d05, "merge: there is no such case")
	ErrStanding   = tx.Refuse(0x0d06, "merge: the case was approved or ended already, or the proposal is too old")
	ErrSamePerson = tx.Refuse(0x0d07, "merge: a second person approves, of the other steward if there are two")
	ErrSlots      = tx.Refuse(0x0d09, "merge: the translation of the slots is no permutation of 64")
	ErrCondition  = tx.Refuse(0x0d0a, "merge: other keys are asked for, or a death is recorded, of one of the two")
	ErrTooMany    = tx.Refuse(0x0d0b, "merge: more than 8 pseudonyms would hang together")
	ErrQuery      = tx.Refuse(0x0d08, "merge: the query's argument does not decode")
)

// Codes lists the refusals of this module.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrPair.Code, Name: "merge-pair", Text: ErrPair.Text},
		{Code: ErrBasis.Code, Name: "merge-basis", Text: ErrBasis.Text},
		{Code: ErrSigner.Code, Name: "merge-signer", Text: ErrSigner.Text},
		{Code: ErrLinked.Code, Name: "merge-linked", Text: ErrLinked.Text},
		{Code: ErrUnknown.Code, Name: "merge-unknown", Text: ErrUnknown.Text},
		{Code: ErrStanding.Code, Name: "merge-standing", Text: ErrStanding.Text},
		{Code: ErrSamePerson.Code, Name: "merge-same-person", Text: ErrSamePerson.Text},
		{Code: ErrSlots.Code, Name: "merge-slots", Text: ErrSlots.Text},
		{Code: ErrCondition.Code, Name: "merge-condition", Text: ErrCondition.Text},
		{Code: ErrTooMany.Code, Name: "merge-too-many", Text: ErrTooMany.Text},
		{Code: ErrQuery.Code, Name: "merge-query", Text: ErrQuery.Text},
	}
}
