package consent

import (
	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ByPatient asks for what belongs to one patient.
type ByPatient struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
}

// ByGrant asks for one grant.
type ByGrant struct {
	Patient tx.Account `cbor:"1,keyasint" json:"patient"`
	ID      GrantID    `cbor:"2,keyasint" json:"id"`
}

// Ask is a dry run: what would a request of this actor get now? With Now set,
// it is asked about that time instead of the last block's.
type Ask struct {
	Patient   tx.Account `cbor:"1,keyasint" json:"patient"`
	Actor     tx.Account `cbor:"2,keyasint" json:"actor"`
	Purpose   Purpose    `cbor:"3,keyasint" json:"purpose"`
	Requested uint64     `cbor:"4,keyasint" json:"requested"`
	Now       uint64     `cbor:"5,keyasint" json:"now"`
}

// Answer is the answer to an Ask.
type Answer struct {
	Allowed uint64    `cbor:"1,keyasint" json:"allowed"`
	Grants  []GrantID `cbor:"2,keyasint" json:"grants"`
	Version uint64    `cbor:"3,keyasint" json:"version"`
}

// queries lists what may be asked; arguments and answers are canonical CBOR. A
// node answers them to its own operator and to the patient's wallet: who may
// ask is the gateway's to check.
func queries() []ledger.Query {
	return []ledger.Query{
		// consent/grants {patient} -> Consents: the head, every grant, every proxy
		{Path: "consent/grants", Arg: ByPatient{}, Reply: Consents{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByPatient
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			return tx.Encode(Load(r, q.Patient))
		}},
		// consent/grant {patient, id} -> Standing
		{Path: "consent/grant", Arg: ByGrant{}, Reply: Standing{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByGrant
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			s, ok := LookupGrant(r, q.Patient, q.ID)
			if !ok {
				return nil, ErrUnknownGrant
			}
			return tx.Encode(s)
		}},
		// consent/united {patient} -> United: the pseudonyms whose denials hold for this one too
		{Path: "consent/united", Arg: ByPatient{}, Reply: United{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByPatient
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			return tx.Encode(UnitedOf(r, q.Patient))
		}},
		// consent/denials {patient} -> Denials: what was said under those pseudonyms, as far as it denies
		{Path: "consent/denials", Arg: ByPatient{}, Reply: Denials{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByPatient
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			return tx.Encode(Denials{OthersOf(r, q.Patient)})
		}},
		// consent/evaluate {patient, actor, purpose, requested, now} -> Answer
		{Path: "consent/evaluate", Arg: Ask{}, Reply: Answer{}, Answer: func(r state.Reader, head ledger.Head, arg []byte) ([]byte, error) {
			var q Ask
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			if q.Now == 0 {
				q.Now = head.Time
			}
			d := q.evaluate(r)
			return tx.Encode(Answer{Allowed: d.Allowed, Grants: d.Grants, Version: d.Version})
		}},
	}
}

func (q *Ask) evaluate(r state.Reader) Decision {
	actor, member, ok := identity.Standing(r, q.Actor)
	if !ok {
		return Decision{Version: HeadOf(r, q.Patient).Version}
	}
	return Evaluate(r, Question{
		Patient: q.Patient, Actor: actor, Member: member, Purpose: q.Purpose, Requested: q.Requested, Now: q.Now,
	})
}
