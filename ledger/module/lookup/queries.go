package lookup

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Nothing is the argument of a question that needs none.
type Nothing struct{}

// ByEntry asks for one entry.
type ByEntry struct {
	Entry tx.Hash `cbor:"1,keyasint" json:"entry"`
}

// ByCard asks for one card.
type ByCard struct {
	Card tx.Hash `cbor:"1,keyasint" json:"card"`
}

// ByAccount asks about one practitioner or member.
type ByAccount struct {
	Account tx.Account `cbor:"1,keyasint" json:"account"`
}

// Report is the answer of lookup/counts.
type Report struct {
	Recent uint64 `cbor:"1,keyasint" json:"recent"` // entries that count against the account's quota now
	Counts Counts `cbor:"2,keyasint" json:"counts"` // of a member, since ever
}

// queries lists what may be asked; arguments and answers are canonical CBOR.
func queries() []ledger.Query {
	return []ledger.Query{
		// lookup/key {} -> Key
		query("lookup/key", Key{}, func(r state.Reader, _ ledger.Head, _ Nothing) (any, error) {
			k, ok := Current(r)
			if !ok {
				return nil, ErrNoKey
			}
			return k, nil
		}),
		// lookup/ceremony {} -> Ceremony
		query("lookup/ceremony", Ceremony{}, func(r state.Reader, _ ledger.Head, _ Nothing) (any, error) {
			c, ok := LastCeremony(r)
			if !ok {
				return nil, ErrCeremony
			}
			return c, nil
		}),
		// lookup/entry {entry} -> Entry
		query("lookup/entry", Entry{}, func(r state.Reader, _ ledger.Head, q ByEntry) (any, error) {
			e, ok := Lookup(r, q.Entry)
			if !ok {
				return nil, ErrUnknown
			}
			return e, nil
		}),
		// lookup/card {card} -> Card
		query("lookup/card", Card{}, func(r state.Reader, _ ledger.Head, q ByCard) (any, error) {
			c, ok := LookupCard(r, q.Card)
			if !ok {
				return nil, ErrCard
			}
			return c, nil
		}),
		// lookup/counts {account} -> Report, at the time of the last block
		query("lookup/counts", Report{}, func(r state.Reader, head ledger.Head, q ByAccount) (any, error) {
			u, _ := usages.Get(r, q.Account[:])
			return Report{Recent: recent(u, head.Time).total(), Counts: CountsOf(r, q.Account)}, nil
		}),
	}
}

func query[Q any](path string, reply any, answer func(state.Reader, ledger.Head, Q) (any, error)) ledger.Query {
	var zero Q
	return ledger.Query{Path: path, Arg: zero, Reply: reply, Answer: func(r state.Reader, head ledger.Head, arg []byte) ([]byte, error) {
		var q Q
		if tx.Decode(arg, &q) != nil {
			return nil, ErrQuery
		}
		a, err := answer(r, head, q)
		if err != nil {
			return nil, err
		}
		return tx.Encode(a)
	}}
}
