package committee

import (
	"encoding/binary"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x04:
//
//	04 01 epoch[8]               -> Epoch
//	04 02                        -> pointer to the current epoch
//	04 03 member[16] keyEpoch[8] -> CustodyKey
//	04 04 member[16]             -> pointer to its last custody key
//	04 05                        -> Epoch that is being prepared
//	04 06 epoch[8] start[8]      -> Holding: a committee that can hold shares
var (
	epochs   = state.NewTable[Epoch]("custody epochs", Prefix, 0x01)
	current  = state.NewTable[epochPointer]("current epoch", Prefix, 0x02)
	keys     = state.NewTable[CustodyKey]("custody keys", Prefix, 0x03)
	latest   = state.NewTable[keyPointer]("last custody keys", Prefix, 0x04)
	coming   = state.NewTable[Epoch]("coming epoch", Prefix, 0x05)
	holdings = state.NewTable[Holding]("committees that can hold shares", Prefix, 0x06)
)

// epochPointer says which epoch is in force and which batches it holds: see Held.
type epochPointer struct {
	Epoch uint64 `cbor:"1,keyasint"`
	Cut   uint64 `cbor:"2,keyasint,omitempty"`
	Tail  bool   `cbor:"3,keyasint,omitempty"`
}

type keyPointer struct {
	KeyEpoch uint64 `cbor:"1,keyasint"`
}

// EpochKey is the state key of an epoch's row, for proofs.
func EpochKey(n uint64) []byte { return epochs.Key(number(n)) }

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func memberNumber(member tx.Account, n uint64) []byte {
	return binary.BigEndian.AppendUint64(member[:], n)
}

func tables() []state.TableInfo {
	return []state.TableInfo{
		epochs.Info(),
		current.Info(),
		keys.Info(),
		latest.Info(),
		coming.Info(),
		holdings.Info(),
	}
}
