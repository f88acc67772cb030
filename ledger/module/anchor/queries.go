package anchor

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ByHeader asks for one batch.
type ByHeader struct {
	Header tx.Hash `cbor:"1,keyasint" json:"header"`
}

// Answer is a batch with the members behind its bitmaps.
type Answer struct {
	Batch      Batch        `cbor:"1,keyasint" json:"batch"`
	Custodians []tx.Account `cbor:"2,keyasint" json:"custodians"` // that hold verified shares
	Holders    []tx.Account `cbor:"3,keyasint" json:"holders"`    // that hold the pack
}

// queries lists what may be asked; arguments and answers are canonical CBOR.
func queries() []ledger.Query {
	return []ledger.Query{
		// anchor/batch {header} -> Answer
		{Path: "anchor/batch", Arg: ByHeader{}, Reply: Answer{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByHeader
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			b, ok := Lookup(r, q.Header)
			if !ok {
				return nil, ErrUnknownBatch
			}
			return tx.Encode(Answer{Batch: b, Custodians: Custodians(r, q.Header), Holders: Holders(r, q.Header)})
		}},
	}
}
