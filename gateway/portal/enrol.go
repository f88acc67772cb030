package portal

import (
	"context"
	"net/http"
	"time"

	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// commitTime is how long an answer may wait for a block.
const commitTime = 30 * time.Second

// SignUp is the body of POST /api/sign-up: a fresh random pseudonym, its first passkey, and a
// proof that the passkey signs at this origin.
type SignUp struct {
	Account tx.Account   `json:"account"`
	Key     tx.PublicKey `json:"key"`
	Proof   Proof        `json:"proof"`
}

// signUp enrols a pseudonym, this organisation being its steward, and opens a session. Nobody's
// identity is proofed by it: the pseudonym holds no records until an organisation that knows the
// person writes some for it.
func (p *Portal) signUp(w http.ResponseWriter, r *http.Request, _ *session) error {
	if !p.SignUp {
		return errSignUp
	}
	var in SignUp
	if err := body(r, &in); err != nil {
		return err
	}
	s, nonce, err := in.Proof.signature()
	if err != nil {
		return err
	}
	if in.Account == (tx.Account{}) || in.Key.Alg != tx.AlgPasskeyES256 || in.Key.Validate() != nil || string(in.Key.RPIDHash) != string(p.rpHash[:]) {
		return errArgument
	}
	if !p.proofs.take(nonce, p.Now()) || !p.verifies(in.Key, in.Account, nonce, s) {
		return errProof
	}
	ctx, cancel := context.WithTimeout(r.Context(), commitTime)
	defer cancel()
	if _, err := p.Enrol(ctx, &identity.Enrol{Patient: in.Account, Keys: []tx.PublicKey{in.Key}}); err != nil {
		return err
	}
	if p.TakeIn != nil {
		// She is enrolled, whatever comes of this: her wallet asks again.
		if err := p.TakeIn(ctx, in.Account); err != nil {
			p.Log.WarnContext(ctx, "patient_not_taken_in", "err", err)
		}
	}
	return p.enter(w, r, session{account: in.Account, role: patient})
}

// takeIn is for a patient who has no slot map yet, because she enrolled before there was one for
// those who enrol themselves, or the node failed in between. Errors: a refusal if another
// organisation stewards her.
func (p *Portal) takeIn(w http.ResponseWriter, r *http.Request, s *session) error {
	if p.TakeIn == nil {
		return errUnknown
	}
	ctx, cancel := context.WithTimeout(r.Context(), commitTime)
	defer cancel()
	if err := p.TakeIn(ctx, s.account); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
