package recovery

import (
	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ByCase asks for one case.
type ByCase struct {
	Case tx.Hash `cbor:"1,keyasint" json:"case"`
}

// ByAccount asks about one patient, or about one member.
type ByAccount struct {
	Account tx.Account `cbor:"1,keyasint" json:"account"`
}

// PatientStatus is the answer of recovery/patient.
type PatientStatus struct {
	Number    uint64     `cbor:"1,keyasint" json:"number"` // of the last case
	Running   []Case     `cbor:"2,keyasint" json:"running"`
	Last      tx.Hash    `cbor:"3,keyasint" json:"last"`      // id of the last case; zeros for none
	Locked    bool       `cbor:"4,keyasint" json:"locked"`    // keys are asked for
	Recovered uint64     `cbor:"5,keyasint" json:"recovered"` // height of the last recovery of keys; 0 for none
	Deceased  uint64     `cbor:"6,keyasint" json:"deceased"`  // height at which her death was recorded; 0 for not
	Executor  tx.Account `cbor:"7,keyasint" json:"executor"`
	Guardians Guardians  `cbor:"8,keyasint" json:"guardians"`
}

// Running is the answer of recovery/running.
type Running struct {
	Cases []Case `cbor:"1,keyasint" json:"cases"`
}

// maxRunning bounds an answer.
const maxRunning = 256

// queries lists what may be asked; arguments and answers are canonical CBOR.
func queries() []ledger.Query {
	return []ledger.Query{
		// recovery/case {case} -> Case
		query("recovery/case", Case{}, func(r state.Reader, q ByCase) (any, error) {
			k, ok := Lookup(r, q.Case)
			if !ok {
				return nil, ErrUnknown
			}
			return k, nil
		}),
		// recovery/patient {account of a patient} -> PatientStatus
		query("recovery/patient", PatientStatus{}, func(r state.Reader, q ByAccount) (any, error) {
			at, cond := StandingOf(r, q.Account), identity.ConditionOf(r, q.Account)
			s := PatientStatus{
				Number: at.Number, Last: at.Last, Locked: cond.Recovery != (tx.Hash{}), Recovered: cond.Recovered,
				Deceased: cond.Deceased, Executor: cond.Executor, Guardians: GuardiansOf(r, q.Account),
			}
			for _, slot := range at.Running {
				k, _ := Lookup(r, slot.Case)
				s.Running = append(s.Running, k)
			}
			return s, nil
		}),
		// recovery/running {account of a member} -> Running: cases of patients it stewards, at most 256
		query("recovery/running", Running{}, func(r state.Reader, q ByAccount) (any, error) {
			var out Running
			queue.Scan(r, nil, func(key []byte, _ running) bool {
				k, _ := Lookup(r, tx.Hash(key[8:]))
				if p, ok := identity.Lookup(r, k.Terms.Patient); ok && p.Member == q.Account {
					out.Cases = append(out.Cases, k)
				}
				return len(out.Cases) < maxRunning
			})
			return out, nil
		}),
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
