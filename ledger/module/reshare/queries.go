package reshare

import (
	"salus/ledger"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ByEpoch asks for the resharing that makes an epoch; 0 is the latest.
type ByEpoch struct {
	Epoch uint64 `cbor:"1,keyasint" json:"epoch"`
}

// Answer is a resharing with the committees behind its bitmaps.
type Answer struct {
	Resharing Resharing       `cbor:"1,keyasint" json:"resharing"`
	Old       committee.Epoch `cbor:"2,keyasint" json:"old"`
	Next      committee.Epoch `cbor:"3,keyasint" json:"next"`
}

// queries lists what may be asked; arguments and answers are canonical CBOR.
func queries() []ledger.Query {
	return []ledger.Query{
		// reshare/status {epoch} -> Answer
		{Path: "reshare/status", Arg: ByEpoch{}, Reply: Answer{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByEpoch
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			row, ok := Lookup(r, q.Epoch)
			if q.Epoch == 0 {
				row, ok = Latest(r)
			}
			if !ok {
				return nil, ErrUnknown
			}
			old, next, err := Members(r, &row)
			if err != nil {
				return nil, ErrUnknown
			}
			return tx.Encode(Answer{Resharing: row, Old: old, Next: next})
		}},
	}
}
