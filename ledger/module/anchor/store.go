package anchor

import (
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x05:
//
//	05 01 header hash[32]  -> Batch
//	05 02                  -> how many batches are ACTIVE
var (
	batches = state.NewTable[Batch]("batches", Prefix, 0x01)
	active  = state.NewTable[tally]("active batches", Prefix, 0x02)
)

type tally struct {
	Batches uint64 `cbor:"1,keyasint"`
}

// BatchKey is the state key of a batch's row, for proofs.
func BatchKey(header tx.Hash) []byte {
	return append([]byte{Prefix, 0x01}, header[:]...)
}

func tables() []state.TableInfo {
	return []state.TableInfo{batches.Info(), active.Info()}
}
