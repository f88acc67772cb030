package identity

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Authenticate implements ledger.Authenticator: it resolves every signature of
// the envelope to a key that is live at the block's height, verifies it, and
// returns who signed. Passkey assertions must have verified their user, at an
// origin the members agreed on.
//
// The signer's own signature must be there; signatures of other accounts are
// verified too and their accounts must be able to act, but they confer nothing
// by themselves. An account of this module comes before a member's of the same
// name, so that no vote can take a pseudonym over.
func Authenticate(r state.Reader, h ledger.Head, p ledger.Params, b *tx.Body, e *tx.Envelope, digest tx.Hash, verify ledger.VerifyFunc) (ledger.Signer, error) {
	who, _, ok := Standing(r, b.Signer)
	if !ok {
		if who.Account != b.Signer {
			return ledger.Signer{}, errUnknownSigner
		}
		return ledger.Signer{}, errSignerInactive
	}
	claim, err := claimOf(r, b)
	if err != nil {
		return ledger.Signer{}, err
	}
	var primary *tx.Signature
	proved := 0
	for i := range e.Signatures {
		s := &e.Signatures[i]
		var key tx.PublicKey
		switch {
		case s.Account != b.Signer:
			if key, err = cosigner(r, s, uint64(h.Height)); err != nil {
				return ledger.Signer{}, err
			}
		case claim != nil:
			if key, ok = claim.key(s.Key); !ok {
				return ledger.Signer{}, errKeyInactive
			}
			proved++
		default:
			if key, err = live(who, s.Key, uint64(h.Height)); err != nil {
				return ledger.Signer{}, err
			}
		}
		if err := verify(key, digest, s, tx.PasskeyPolicy{Origins: p.Origins, RequireUV: true}); err != nil {
			return ledger.Signer{}, err
		}
		if s.Account == b.Signer && (primary == nil || claim != nil && s.Key == claim.Key.ID()) {
			primary = s
		}
	}
	if primary == nil || claim != nil && proved != 2 {
		return ledger.Signer{}, errMissingSignature
	}
	return ledger.Signer{
		Account:      b.Signer,
		Class:        who.Class,
		Member:       who.Member,
		Key:          primary.Key,
		UserVerified: true,
	}, nil
}

// cosigner resolves the signature of an account other than the signer's.
func cosigner(r state.Reader, s *tx.Signature, height uint64) (tx.PublicKey, error) {
	p, _, ok := Standing(r, s.Account)
	if !ok {
		return tx.PublicKey{}, errSignerInactive
	}
	return live(p, s.Key, height)
}

// live returns the principal's key of that id if it is live at the height of
// the block that is run. Keys that left the ring ended before it.
func live(p Principal, id tx.KeyID, height uint64) (tx.PublicKey, error) {
	if k, ok := p.Keys.Find(id); ok && k.LiveAt(height) {
		return k.Public, nil
	}
	return tx.PublicKey{}, errKeyInactive
}

// claimOf returns the claim a transaction makes, or nil if it makes none. A
// claim is signed by keys that the account does not have yet: the new one, and
// the one whose commitment was enrolled.
func claimOf(r state.Reader, b *tx.Body) (*Claim, error) {
	if b.Kind != KindClaim {
		return nil, nil
	}
	m := new(Claim)
	if err := tx.Decode(b.Payload, m); err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if m.Patient != b.Signer {
		return nil, ErrNotSelf
	}
	_, err := claimable(r, m)
	return m, err
}

// key returns the key of that id that a claim must be signed with.
func (m *Claim) key(id tx.KeyID) (tx.PublicKey, bool) {
	switch id {
	case m.Key.ID():
		return m.Key, true
	case m.ClaimKey.ID():
		return m.ClaimKey, true
	}
	return tx.PublicKey{}, false
}
