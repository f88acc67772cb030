package reshare

import (
	"encoding/binary"

	"salus/ledger/state"
)

// Keys of prefix 0x0b:
//
//	0b 01 epoch[8]  -> Resharing that makes the epoch
//	0b 02           -> mark: the last order that was taken up
var (
	resharings = state.NewTable[Resharing]("resharings", Prefix, 0x01)
	taken      = state.NewTable[mark]("resharing orders taken up", Prefix, 0x02)
)

type mark struct {
	Order uint64 `cbor:"1,keyasint"`
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func tables() []state.TableInfo {
	return []state.TableInfo{resharings.Info(), taken.Info()}
}
