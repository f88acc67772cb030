package access

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// BySession asks for one session.
type BySession struct {
	Session tx.Hash `cbor:"1,keyasint" json:"session"`
}

// ByFetch asks for one committed list of a session.
type ByFetch struct {
	Session tx.Hash `cbor:"1,keyasint" json:"session"`
	Fetch   uint32  `cbor:"2,keyasint" json:"fetch"`
}

// ByCustodian asks for what one custodian has reported.
type ByCustodian struct {
	Custodian tx.Account `cbor:"1,keyasint" json:"custodian"`
}

// Opened is the answer of access/open: what a release would go by now.
type Opened struct {
	Session Session `cbor:"1,keyasint" json:"session"`
	Allowed uint64  `cbor:"2,keyasint" json:"allowed"`
}

// queries lists what may be asked; arguments and answers are canonical CBOR.
func queries() []ledger.Query {
	return []ledger.Query{
		// access/session {session} -> Session, whatever its state
		{Path: "access/session", Arg: BySession{}, Reply: Session{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q BySession
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			s, ok := Lookup(r, q.Session)
			if !ok {
				return nil, ErrUnknown
			}
			return tx.Encode(s)
		}},
		// access/open {session} -> Opened, at the time of the last block
		{Path: "access/open", Arg: BySession{}, Reply: Opened{}, Answer: func(r state.Reader, head ledger.Head, arg []byte) ([]byte, error) {
			var q BySession
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			s, allowed, err := Open(r, q.Session, head.Time)
			if err != nil {
				return nil, err
			}
			return tx.Encode(Opened{Session: s, Allowed: allowed})
		}},
		// access/fetch {session, fetch} -> Fetch
		{Path: "access/fetch", Arg: ByFetch{}, Reply: Fetch{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByFetch
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			f, ok := LookupFetch(r, q.Session, q.Fetch)
			if !ok {
				return nil, ErrUnknownFetch
			}
			return tx.Encode(f)
		}},
		// access/released {custodian} -> Released
		{Path: "access/released", Arg: ByCustodian{}, Reply: Released{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByCustodian
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			return tx.Encode(ReleasedBy(r, q.Custodian))
		}},
	}
}
