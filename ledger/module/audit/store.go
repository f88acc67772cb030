package audit

import (
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x08:
//
//	08 01 patient[16] -> Position
var chains = state.NewTable[Position]("audit chains", Prefix, 0x01)

// Key is the state key of a pseudonym's position, for proofs.
func Key(patient tx.Account) []byte {
	return chains.Key(patient[:])
}

func tables() []state.TableInfo {
	return []state.TableInfo{
		chains.Info(),
	}
}
