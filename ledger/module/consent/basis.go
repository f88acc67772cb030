package consent

import (
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A Basis is everything that a decision about one patient rests on. Whoever wants to know what would follow
// from a grant before it is signed changes Consents and asks Decide: the rule is the ledger's own.
type Basis struct {
	Consents  Consents           // given under this pseudonym
	Others    []Other            // what was said under those merged with it
	Condition identity.Condition // her death, and who acts for what she left
}

// An Other is what was said under another pseudonym of the patient, as far as it denies: grants and proxies with
// what they except, in the slots of the pseudonym that was asked about. What they allow, their ids and their
// documents are left out: nobody is allowed anything by them here.
type Other struct {
	Patient  tx.Account `cbor:"1,keyasint" json:"patient"`
	Consents Consents   `cbor:"2,keyasint" json:"consents"`
}

// Denials is the answer of consent/denials.
type Denials struct {
	Others []Other `cbor:"1,keyasint" json:"others"` // at most MaxUnited-1
}

// BasisOf reads what decisions about one patient rest on.
func BasisOf(r state.Reader, patient tx.Account) Basis {
	return Basis{Consents: Load(r, patient), Others: OthersOf(r, patient), Condition: identity.ConditionOf(r, patient)}
}

// OthersOf reads what was said under the pseudonyms that hang together with one.
func OthersOf(r state.Reader, patient tx.Account) (out []Other) {
	if len(UnitedOf(r, patient).With) == 0 {
		return nil
	}
	for _, j := range Together(r, patient)[1:] {
		o := Other{Patient: j.Patient}
		all := Load(r, j.Patient)
		for _, s := range all.Grants {
			s.Grant = Grant{
				Version: s.Grant.Version, Grantee: s.Grant.Grantee, Except: j.Slots.Of(s.Grant.Except), Purposes: s.Grant.Purposes,
				NotBefore: s.Grant.NotBefore, NotAfter: s.Grant.NotAfter, Recorded: s.Grant.Recorded,
			}
			s.Left = 0
			o.Consents.Grants = append(o.Consents.Grants, s)
		}
		for _, s := range all.Proxies {
			s.Proxy.Mask, s.Proxy.Except, s.Proxy.Document = 0, j.Slots.Of(s.Proxy.Except), tx.Hash{}
			o.Consents.Proxies = append(o.Consents.Proxies, s)
		}
		out = append(out, o)
	}
	return out
}

// Decide decides a question about the patient whose basis it is: by her own consents, as far as they hold after
// her death, without what is withheld by the others.
func (b Basis) Decide(q Question) Decision {
	c := b.Consents
	if b.Condition.Deceased != 0 {
		c = rest(c, q.Purpose, b.Condition)
	}
	q.Requested &^= b.Withheld(q)
	return Decide(q, c)
}

// Withheld are the slots that consents given under other pseudonyms of the patient deny to who asks. Nothing is
// withheld from the patient herself.
func (b Basis) Withheld(q Question) (mask uint64) {
	if q.Actor.Account == q.Patient {
		return 0
	}
	for _, o := range b.Others {
		q.Patient = o.Patient
		mask |= denied(q, o.Consents)
	}
	return mask
}
