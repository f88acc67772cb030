package audit

import "salus/ledger/tx"

// Refusals of this module: 0x0800 | n, unique for ever.
var (
	ErrQuery   = tx.Refuse(0x0801, "audit: the query's argument does not decode")
	ErrNoChain = tx.Refuse(0x0802, "audit: nothing was ever recorded about this pseudonym")

	ErrJournal       = tx.Refuse(0x0803, "audit: the head of a journal needs a sequence number and a hash")
	ErrJournalMember = tx.Refuse(0x0804, "audit: only a member anchors its own journal")
	ErrJournalBack   = tx.Refuse(0x0805, "audit: a journal goes on: a head at or after this number is anchored already")
	ErrNoJournal     = tx.Refuse(0x0806, "audit: this member never anchored its journal")
)

// Codes lists the refusals of this module for the table of codes.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrQuery.Code, Name: "audit-query", Text: ErrQuery.Text},
		{Code: ErrNoChain.Code, Name: "audit-no-chain", Text: ErrNoChain.Text},
		{Code: ErrJournal.Code, Name: "audit-journal", Text: ErrJournal.Text},
		{Code: ErrJournalMember.Code, Name: "audit-journal-member", Text: ErrJournalMember.Text},
		{Code: ErrJournalBack.Code, Name: "audit-journal-back", Text: ErrJournalBack.Text},
		{Code: ErrNoJournal.Code, Name: "audit-no-journal", Text: ErrNoJournal.Text},
	}
}
