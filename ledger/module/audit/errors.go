package audit

import "salus/ledger/tx"

// Refusals of this module: 0x0800 | n, unique for ever.
var (
	ErrQuery   = tx.Refuse(0x0801, "audit: the query's argument does not decode")
	ErrNoChain = tx.Refuse(0x0802, "audit: nothing was ever recorded about this pseudonym")
)

// Codes lists the refusals of this module for the table of codes.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrQuery.Code, Name: "audit-query", Text: ErrQuery.Text},
		{Code: ErrNoChain.Code, Name: "audit-no-chain", Text: ErrNoChain.Text},
	}
}
