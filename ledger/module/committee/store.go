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
var (
	epochs  = state.NewTable[Epoch]("custody epochs", Prefix, 0x01)
	current = state.NewTable[epochPointer]("current epoch", Prefix, 0x02)
	keys    = state.NewTable[CustodyKey]("custody keys", Prefix, 0x03)
	latest  = state.NewTable[keyPointer]("last custody keys", Prefix, 0x04)
)

type epochPointer struct {
	Epoch uint64 `cbor:"1,keyasint"`
}

type keyPointer struct {
	KeyEpoch uint64 `cbor:"1,keyasint"`
}

// EpochKey is the state key of an epoch's row, for proofs.
func EpochKey(n uint64) []byte { return epochs.Key(number(n)) }

// CustodyKeyKey is the state key of a custody key's row, for proofs.
func CustodyKeyKey(member tx.Account, keyEpoch uint64) []byte {
	return keys.Key(memberNumber(member, keyEpoch))
}

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
	}
}
