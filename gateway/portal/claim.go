package portal

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net/http"
	"time"

	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// ClaimStart is the body of POST /api/claim/start: the pseudonym and the claim key of a code, and a
// signature with that key over claimDigest. The code itself stays in the browser.
type ClaimStart struct {
	Account tx.Account   `json:"account"`
	Key     tx.PublicKey `json:"key"`
	Proof   Proof        `json:"proof"`
}

// Claimable is what a transaction must say that an account signs next.
type Claimable struct {
	Nonce  uint64 `json:"nonce"`
	Height int64  `json:"height"`
}

// claimDigest is what the claim key signs to ask whether its code is open:
//
//	SHA-256("salus/portal-claim/v1" 00 ‖ len(chain) in 8 bytes ‖ chain ‖ len(origin) in 8 bytes ‖ origin ‖ account ‖ nonce)
func claimDigest(chain, origin string, account tx.Account, nonce [32]byte) tx.Hash {
	h := sha256.New()
	h.Write([]byte("salus/portal-claim/v1\x00"))
	for _, s := range []string{chain, origin} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	h.Write(account[:])
	h.Write(nonce[:])
	return tx.Hash(h.Sum(nil))
}

// claimStart tells the holder of a claim code what her claim must say. The code proves itself: whoever
// lacks it gets one and the same answer for every pseudonym, claimed, open or unknown.
func (p *Portal) claimStart(w http.ResponseWriter, r *http.Request, _ *session) error {
	var in ClaimStart
	if err := body(r, &in); err != nil {
		return err
	}
	s, nonce, err := in.Proof.signature()
	if err != nil {
		return err
	}
	if in.Account == (tx.Account{}) || in.Key.Alg != tx.AlgEd25519 || s.Alg != tx.AlgEd25519 || in.Key.Validate() != nil {
		return errArgument
	}
	s.Account, s.Key = in.Account, in.Key.ID()
	if !p.proofs.take(nonce, p.Now()) || s.Validate() != nil || in.Key.Verify(claimDigest(p.Chain, p.Origin, in.Account, nonce), &s, tx.PasskeyPolicy{}) != nil {
		return errProof
	}
	if err := p.claimOpen(in.Account, in.Key); err != nil {
		return err
	}
	n, err := p.Transport.NextNonce(r.Context(), in.Account)
	if err != nil {
		return err
	}
	return answer(w, Claimable{n, p.Ledger.Head().Height})
}

// claimOpen reports why a claim with that key would fail. That a code was used is said to its holder
// alone, and only by the organisation that made it: the ledger forgets the code with its use.
// Errors: errClaim, errClaimed.
func (p *Portal) claimOpen(patient tx.Account, key tx.PublicKey) error {
	who, ok := p.Ledger.Standing(patient)
	if !ok || who.Class != ledger.ClassPatient {
		return errClaim
	}
	if who.Claim == identity.ClaimCommit(key) {
		return nil
	}
	if p.ClaimKey != nil && who.Claim == (tx.Hash{}) {
		if made, ok := p.ClaimKey(patient); ok && made.ID() == key.ID() {
			return errClaimed
		}
	}
	return errClaim
}

// claimTime is how long a claim may wait for its block.
const claimTime = commitTime + 15*time.Second

// claim takes the transaction of a claim, which needs no session: its two signatures are the proof.
// It waits for the block, and says how it went. A claim that cannot succeed is not passed on: the
// ledger's refusals would tell strangers which pseudonyms are open.
func (p *Portal) claim(w http.ResponseWriter, r *http.Request, _ *session) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	e, b, err := tx.DecodeEnvelope(raw)
	if err != nil {
		return err
	}
	if b.Kind != identity.KindClaim || b.Chain != p.Chain {
		return errArgument
	}
	var m identity.Claim
	if err := tx.Decode(b.Payload, &m); err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return err
	}
	if b.Signer != m.Patient {
		return errArgument
	}
	if err := p.claimOpen(m.Patient, m.ClaimKey); err != nil {
		return err
	}
	if err := p.Transport.Broadcast(r.Context(), raw); err != nil {
		return err
	}
	return p.await(w, r, tx.Digest(e.Body, b.Chain), claimTime)
}
