package audit

import (
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x08:
//
//	08 01 patient[16] -> Position
//	08 02 member[16]  -> JournalPosition
var (
	chains   = state.NewTable[Position]("audit chains", Prefix, 0x01)
	journals = state.NewTable[JournalPosition]("journals", Prefix, 0x02)
)

// Key is the state key of a pseudonym's position, for proofs.
func Key(patient tx.Account) []byte {
	return chains.Key(patient[:])
}

func tables() []state.TableInfo {
	return []state.TableInfo{
		chains.Info(),
		journals.Info(),
	}
}
