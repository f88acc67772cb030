package emergency

import (
	"cmp"
	"encoding/binary"
	"slices"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ByCase asks for one case.
type ByCase struct {
	Case tx.Hash `cbor:"1,keyasint" json:"case"`
}

// ByPatient asks for a patient's directive.
type ByPatient struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
}

// ByAccount asks about one practitioner, or about one member.
type ByAccount struct {
	Account tx.Account `cbor:"1,keyasint" json:"account"`
}

// Standing is the answer of emergency/conduct.
type Standing struct {
	Suspended bool   `cbor:"1,keyasint" json:"suspended"`
	Recent    uint32 `cbor:"2,keyasint" json:"recent"`  // declarations of the last 24 hours
	Overdue   uint32 `cbor:"3,keyasint" json:"overdue"` // cases with an overdue obligation
}

// Waiting is the answer of emergency/waiting: cases that owe something, first those that are
// overdue, then those whose time is not over yet, each with the one that is due first first.
type Waiting struct {
	Cases []Case `cbor:"1,keyasint" json:"cases"`
}

// maxWaiting bounds an answer.
const maxWaiting = 256

// queries lists what may be asked; arguments and answers are canonical CBOR.
func queries() []ledger.Query {
	return []ledger.Query{
		// emergency/case {case} -> Case
		query("emergency/case", Case{}, func(r state.Reader, _ ledger.Head, q ByCase) (any, error) {
			e, ok := Lookup(r, q.Case)
			if !ok {
				return nil, ErrUnknown
			}
			return e, nil
		}),
		// emergency/directive {patient} -> Directive
		query("emergency/directive", Directive{}, func(r state.Reader, _ ledger.Head, q ByPatient) (any, error) {
			d, _ := LookupDirective(r, q.Patient)
			return d, nil
		}),
		// emergency/conduct {account} -> Standing, at the time of the last block
		query("emergency/conduct", Standing{}, func(r state.Reader, head ledger.Head, q ByAccount) (any, error) {
			c := ConductOf(r, q.Account)
			return Standing{Suspended: c.Overdue > 0, Recent: uint32(len(recent(c.Recent, head.Time))), Overdue: c.Overdue}, nil
		}),
		// emergency/counts {account of a member} -> Counts
		query("emergency/counts", Counts{}, func(r state.Reader, _ ledger.Head, q ByAccount) (any, error) {
			return CountsOf(r, q.Account), nil
		}),
		// emergency/flags {case} -> Flagged
		query("emergency/flags", Flagged{}, func(r state.Reader, _ ledger.Head, q ByCase) (any, error) {
			return Flagged{FlagsOf(r, q.Case)}, nil
		}),
		// emergency/escalated {account of a member} -> Escalated
		query("emergency/escalated", Escalated{}, func(r state.Reader, _ ledger.Head, q ByAccount) (any, error) {
			return EscalatedOf(r, q.Account), nil
		}),
		// emergency/waiting {account of a member} -> Waiting, at most 256
		query("emergency/waiting", Waiting{}, func(r state.Reader, _ ledger.Head, q ByAccount) (any, error) {
			return waiting(r, q.Account), nil
		}),
	}
}

// waiting lists a member's cases that are overdue, which are in no queue any more, and then those in
// the queue, each once.
func waiting(r state.Reader, member tx.Account) Waiting {
	var w Waiting
	cases.Scan(r, nil, func(_ []byte, e Case) bool {
		if e.Member == member && e.Overdue != 0 && !e.Closed() {
			w.Cases = append(w.Cases, e)
		}
		return len(w.Cases) < maxWaiting
	})
	slices.SortStableFunc(w.Cases, func(a, b Case) int { return cmp.Compare(a.Declared, b.Declared) })
	if len(w.Cases) == maxWaiting {
		return w
	}
	duties.Scan(r, nil, func(key []byte, d duty) bool {
		e, ok := Lookup(r, tx.Hash(key[8:]))
		first := d.What&Attestation != 0 || e.Attested != 0
		if ok && e.Member == member && e.Overdue == 0 && first && binary.BigEndian.Uint64(key) != 0 {
			w.Cases = append(w.Cases, e)
		}
		return len(w.Cases) < maxWaiting
	})
	return w
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
