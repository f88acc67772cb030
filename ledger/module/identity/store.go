package identity

import (
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x03:
//
//	03 01 account[16]            -> Principal
//	03 02 account[16] keyid[16]  -> Key that has ended
//	03 03 patient[16]            -> Condition
var (
	principals = state.NewTable[Principal]("principals", Prefix, 0x01)
	ended      = state.NewTable[Key]("ended keys", Prefix, 0x02)
	conditions = state.NewTable[Condition]("conditions", Prefix, 0x03)
)

func keyID(account tx.Account, id tx.KeyID) []byte {
	return append(account[:], id[:]...)
}

// retire keeps a key that has ended, so that KeyAt still knows its heights.
func retire(w state.Writer, account tx.Account, keys []Key) {
	for _, k := range keys {
		ended.Put(w, keyID(account, k.Public.ID()), k)
	}
}

func tables() []state.TableInfo {
	return []state.TableInfo{
		principals.Info(),
		ended.Info(),
		conditions.Info(),
	}
}
