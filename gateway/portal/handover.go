package portal

import (
	"net/http"

	"salus/ledger/module/identity"
)

// HandOver is the body of POST /api/claims: a patient as this organisation refers to her.
type HandOver struct {
	Patient string `json:"patient"` // "Patient/<id>"
}

// Handed is its answer: what the patient who stands there takes the record over with, once.
type Handed struct {
	Code string `json:"code"` // as record.ClaimCode.Text writes it
}

// handOver tells staff the claim code of a patient, to show or print it for her in person. Whoever
// has the code can take her record over, so it is told only to who may write here, which the ledger
// is asked for anew, and only while it opens something.
// Errors: errRole, errUnknown for who is not known here, errClaimed, errClaim, a refusal if another organisation
// stewards her.
func (p *Portal) handOver(w http.ResponseWriter, r *http.Request, s *session) error {
	var in HandOver
	if err := body(r, &in); err != nil {
		return err
	}
	if p.ClaimCode == nil || in.Patient == "" {
		return errUnknown
	}
	if who, ok := p.Ledger.Standing(s.account); !ok || who.Member != p.Self || !who.Has(identity.PrivWrite) {
		return errRole
	}
	c, err := p.ClaimCode(in.Patient)
	if err != nil {
		return err
	}
	text, err := c.Text()
	if err != nil {
		return errUnknown // she enrolled herself: there never was a code
	}
	if err := p.claimOpen(c.Patient, identity.ClaimSigner(c.Patient, [32]byte(c.Secret)).Public()); err != nil {
		return err
	}
	p.Log.InfoContext(r.Context(), "claim_code_shown", "staff", s.name)
	return answer(w, Handed{text})
}
