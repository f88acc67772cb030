package merge

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ByCase asks for one case.
type ByCase struct {
	Case tx.Hash `cbor:"1,keyasint" json:"case"`
}

// ByPatient asks which pseudonyms are merged with one.
type ByPatient struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
}

// Same is the answer of merge/linked.
type Same struct {
	Patients []tx.Account `cbor:"1,keyasint" json:"patients"` // ascending
}

// Open is the answer of merge/cases.
type Open struct {
	Cases []Case `cbor:"1,keyasint" json:"cases"` // proposed and merged, ascending by id
}

// queries lists what may be asked; arguments and answers are canonical CBOR.
func queries() []ledger.Query {
	return []ledger.Query{
		// merge/case {case} -> Case
		{Path: "merge/case", Arg: ByCase{}, Reply: Case{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByCase
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			c, ok := Lookup(r, q.Case)
			if !ok {
				return nil, ErrUnknown
			}
			return tx.Encode(c)
		}},
		// merge/cases {patient} -> Open
		{Path: "merge/cases", Arg: ByPatient{}, Reply: Open{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByPatient
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			return tx.Encode(Open{CasesOf(r, q.Patient)})
		}},
		// merge/linked {patient} -> Same
		{Path: "merge/linked", Arg: ByPatient{}, Reply: Same{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByPatient
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			return tx.Encode(Same{Linked(r, q.Patient)})
		}},
	}
}
