package anchor

import (
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x05:
//
//	05 01 header hash[32]  -> Batch
var batches = state.NewTable[Batch]("batches", Prefix, 0x01)

// BatchKey is the state key of a batch's row, for proofs.
func BatchKey(header tx.Hash) []byte {
	return append([]byte{Prefix, 0x01}, header[:]...)
}

func tables() []state.TableInfo {
	return []state.TableInfo{batches.Info()}
}
