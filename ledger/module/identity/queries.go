package identity

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ByAccount asks for one principal.
type ByAccount struct {
	Account tx.Account `cbor:"1,keyasint" json:"account"`
}

// ByKey asks for one key of an account, as of a height.
type ByKey struct {
	Account tx.Account `cbor:"1,keyasint" json:"account"`
	Key     tx.KeyID   `cbor:"2,keyasint" json:"key"`
	Height  uint64     `cbor:"3,keyasint" json:"height"`
}

// queries lists what may be asked; arguments and answers are canonical CBOR.
func queries() []ledger.Query {
	return []ledger.Query{
		// identity/principal {account} -> Principal
		{Path: "identity/principal", Arg: ByAccount{}, Reply: Principal{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByAccount
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			p, ok := Lookup(r, q.Account)
			if !ok {
				return nil, ErrUnknown
			}
			return tx.Encode(p)
		}},
		// identity/key {account, key, height} -> Key that was live at the height
		{Path: "identity/key", Arg: ByKey{}, Reply: Key{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByKey
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			k, ok := KeyAt(r, q.Account, q.Key, q.Height)
			if !ok {
				return nil, ErrKeyUnknown
			}
			return tx.Encode(k)
		}},
	}
}
