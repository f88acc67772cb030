package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"

	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// assignable refuses privileges that the member itself could not have.
func assignable(m governance.Member, privileges uint32) error {
	if privileges&PrivEmergency != 0 && !m.Clinical {
		return ErrEmergency
	}
	return nil
}

// ClaimCommit is what an enrolment commits to:
// SHA-256("salus/claim/v1\0" ‖ Ed25519 public key of the claim secret).
func ClaimCommit(claimKey tx.PublicKey) tx.Hash {
	return sha256.Sum256(append([]byte("salus/claim/v1\x00"), claimKey.Key...))
}

// ClaimSigner signs with the claim secret for the pseudonym it belongs to. The
// secret is 32 random bytes, handed to the patient on paper or by QR code.
func ClaimSigner(patient tx.Account, secret [32]byte) tx.Signer {
	return tx.NewEd25519Signer(patient, ed25519.NewKeyFromSeed(secret[:]))
}

// claimable returns the patient whose enrolled commitment the claim key opens.
func claimable(r state.Reader, m *Claim) (Principal, error) {
	p, ok := principals.Get(r, m.Patient[:])
	switch {
	case !ok:
		return p, ErrUnknown
	case p.Claim == (tx.Hash{}):
		return p, ErrNoClaim
	case p.Claim != ClaimCommit(m.ClaimKey):
		return p, ErrClaimKey
	}
	return p, nil
}

// keyRefusal gives a ring's refusal this module's code.
func keyRefusal(err error) error {
	switch {
	case errors.Is(err, governance.ErrRingUsed):
		return ErrKeyUsed
	case errors.Is(err, governance.ErrRingUnknown):
		return ErrKeyUnknown
	case errors.Is(err, governance.ErrRingFull):
		return ErrTooManyKeys
	case errors.Is(err, governance.ErrRingEmpty):
		return ErrLastKey
	}
	return err
}
