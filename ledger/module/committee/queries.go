package committee

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ByEpoch asks for one custody epoch; 0 is the current one.
type ByEpoch struct {
	Epoch uint64 `cbor:"1,keyasint" json:"epoch"`
}

// ByKeyEpoch asks for one custody key of a member.
type ByKeyEpoch struct {
	Member   tx.Account `cbor:"1,keyasint" json:"member"`
	KeyEpoch uint64     `cbor:"2,keyasint" json:"keyEpoch"`
}

// LiveKeyList is the answer of committee/keys.
type LiveKeyList struct {
	Keys []LiveKey `cbor:"1,keyasint" json:"keys"` // in index order
}

// queries lists what may be asked; arguments and answers are canonical CBOR.
func queries() []ledger.Query {
	return []ledger.Query{
		// committee/epoch {epoch} -> Epoch
		{Path: "committee/epoch", Arg: ByEpoch{}, Reply: Epoch{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByEpoch
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			e, err := At(r, q.Epoch)
			if q.Epoch == 0 {
				e, err = Current(r)
			}
			if err != nil {
				return nil, ErrUnknownEpoch
			}
			return tx.Encode(e)
		}},
		// committee/key {member, keyEpoch} -> CustodyKey
		{Path: "committee/key", Arg: ByKeyEpoch{}, Reply: CustodyKey{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByKeyEpoch
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			k, ok := Key(r, q.Member, q.KeyEpoch)
			if !ok {
				return nil, ErrUnknownKey
			}
			return tx.Encode(k)
		}},
		// committee/keys -> LiveKeyList, as of the last block's time
		{Path: "committee/keys", Reply: LiveKeyList{}, Answer: func(r state.Reader, head ledger.Head, _ []byte) ([]byte, error) {
			return tx.Encode(LiveKeyList{LiveKeys(r, head.Time)})
		}},
	}
}
