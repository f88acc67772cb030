package audit

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ByPatient asks for one pseudonym's chain.
type ByPatient struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
}

// ByMember asks where one member's journal stands.
type ByMember struct {
	Member tx.Account `cbor:"1,keyasint" json:"member"`
}

// queries lists what may be asked; arguments and answers are canonical CBOR.
func queries() []ledger.Query {
	return []ledger.Query{
		// audit/position {patient} -> Position. The entries are fetched from the
		// log, newest first: each names the index of the one before.
		{Path: "audit/position", Arg: ByPatient{}, Reply: Position{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByPatient
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			at, ok := At(r, q.Patient)
			if !ok {
				return nil, ErrNoChain
			}
			return tx.Encode(at)
		}},
		// audit/journal {member} -> JournalPosition. Earlier heads are in the log, each names the one before.
		{Path: "audit/journal", Arg: ByMember{}, Reply: JournalPosition{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByMember
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			at, ok := JournalAt(r, q.Member)
			if !ok {
				return nil, ErrNoJournal
			}
			return tx.Encode(at)
		}},
	}
}
