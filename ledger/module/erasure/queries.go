package erasure

import (
	"salus/ledger"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ByCase asks for one case.
type ByCase struct {
	Case tx.Hash `cbor:"1,keyasint" json:"case"`
}

// A Certificate is what stands of a case's destruction: by whom, and who is
// missing.
type Certificate struct {
	Case       Case         `cbor:"1,keyasint" json:"case"`
	N          uint8        `cbor:"2,keyasint" json:"n"` // custodians of its epoch
	T          uint8        `cbor:"3,keyasint" json:"t"` // shares that open a record
	Left       uint8        `cbor:"4,keyasint" json:"left"`
	Keys       []tx.Account `cbor:"5,keyasint" json:"keys"`       // of its epoch, destroyed shares, envelopes and openings
	Ciphertext []tx.Account `cbor:"6,keyasint" json:"ciphertext"` // destroyed ciphertext
	Records    []tx.Account `cbor:"7,keyasint" json:"records"`    // destroyed their own readable copies
	Missing    []tx.Account `cbor:"8,keyasint" json:"missing"`    // a receipt of whom is missing
	Others     []Kept       `cbor:"9,keyasint,omitempty" json:"others,omitempty"`
}

// Kept is what stands of the destruction in another committee of a case.
type Kept struct {
	Epoch uint64       `cbor:"1,keyasint" json:"epoch"`
	Start uint64       `cbor:"2,keyasint" json:"start"`
	N     uint8        `cbor:"3,keyasint" json:"n"`
	T     uint8        `cbor:"4,keyasint" json:"t"`
	Left  uint8        `cbor:"5,keyasint" json:"left"`
	Keys  []tx.Account `cbor:"6,keyasint" json:"keys"` // destroyed their shares of it
}

// CaseList is the answer of erasure/open.
type CaseList struct {
	Cases []Case `cbor:"1,keyasint" json:"cases"`
}

// HoldList is the answer of erasure/holds.
type HoldList struct {
	Holds []LegalHold `cbor:"1,keyasint" json:"holds"`
}

// Certify returns the certificate of a case: ErrUnknown, or ErrStatus if no
// tombstone stands. It says "done" of nothing whose receipts are missing.
func Certify(r state.Reader, id tx.Hash) (Certificate, error) {
	c, ok := Lookup(r, id)
	switch {
	case !ok:
		return Certificate{}, ErrUnknown
	case !c.Stands():
		return Certificate{}, ErrStatus
	}
	e, err := committee.At(r, c.Epoch)
	if err != nil {
		return Certificate{}, ErrStatus
	}
	out := Certificate{
		Case: c, N: e.N, T: e.T, Left: e.N - uint8(c.Destroyed()), Missing: Missing(r, c),
		Keys: names(nil, e, c.Keys), Ciphertext: names(nil, e, c.Ciphertext), Records: names(nil, e, c.Records),
	}
	for i := range c.Others {
		o := &c.Others[i]
		h, _ := committee.HoldingOf(r, o.Epoch, o.Start)
		out.Others = append(out.Others, Kept{
			Epoch: o.Epoch, Start: o.Start, N: o.N, T: o.T, Left: o.N - uint8(o.Destroyed()), Keys: names(nil, h.Committee, o.Keys),
		})
		out.Ciphertext, out.Records = names(out.Ciphertext, h.Committee, o.Ciphertext), names(out.Records, h.Committee, o.Records)
	}
	return out, nil
}

// queries lists what may be asked; arguments and answers are canonical CBOR.
func queries() []ledger.Query {
	return []ledger.Query{
		// erasure/case {case} -> Case
		query("erasure/case", Case{}, func(r state.Reader, q ByCase) (any, error) {
			c, ok := Lookup(r, q.Case)
			if !ok {
				return nil, ErrUnknown
			}
			return c, nil
		}),
		// erasure/certificate {case} -> Certificate
		query("erasure/certificate", Certificate{}, func(r state.Reader, q ByCase) (any, error) { return Certify(r, q.Case) }),
		// erasure/open -> CaseList: those that are not closed
		{Path: "erasure/open", Reply: CaseList{}, Answer: func(r state.Reader, _ ledger.Head, _ []byte) ([]byte, error) {
			return tx.Encode(CaseList{OpenCases(r)})
		}},
		// erasure/holds -> HoldList
		{Path: "erasure/holds", Reply: HoldList{}, Answer: func(r state.Reader, _ ledger.Head, _ []byte) ([]byte, error) {
			return tx.Encode(HoldList{Holds(r)})
		}},
	}
}

func query[Q any](path string, reply any, answer func(state.Reader, Q) (any, error)) ledger.Query {
	var zero Q
	return ledger.Query{Path: path, Arg: zero, Reply: reply, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
		var q Q
		if tx.Decode(arg, &q) != nil {
			return nil, ErrQuery
		}
		a, err := answer(r, q)
		if err != nil {
			return nil, err
		}
		return tx.Encode(a)
	}}
}
