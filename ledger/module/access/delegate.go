package access

import (
	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A Delegation lets a key that its reader made for one session commit to lists in it, so that a
// person confirms with her passkey once and then reads. It ends with the session, with the key that
// gave it, and with its actor's standing.
type Delegation struct {
	Key []byte   `cbor:"1,keyasint" json:"key"` // Ed25519, 32 bytes
	By  tx.KeyID `cbor:"2,keyasint" json:"by"`  // the key that signed the request
}

// validDelegate says whether this is no delegate or one that could sign.
func validDelegate(key []byte) bool { return len(key) == 0 || tx.Ed25519Key(key).Validate() == nil }

func delegation(c *ledger.Context, key []byte) *Delegation {
	if len(key) == 0 {
		return nil
	}
	return &Delegation{Key: key, By: c.Signer.Key}
}

// Authenticate implements ledger.Authenticator: it is identity.Authenticate, but that the delegate of a
// session signs access.fetch and access.close of that session, alone, in the name of the session's actor.
// What it signs has verified no user.
func Authenticate(r state.Reader, h ledger.Head, p ledger.Params, b *tx.Body, e *tx.Envelope, digest tx.Hash, verify ledger.VerifyFunc) (ledger.Signer, error) {
	who, key, ok := delegate(r, h, b, e)
	if !ok {
		return identity.Authenticate(r, h, p, b, e, digest, verify)
	}
	if err := verify(key, digest, &e.Signatures[0], tx.PasskeyPolicy{}); err != nil {
		return ledger.Signer{}, err
	}
	return ledger.Signer{Account: who.Account, Class: who.Class, Member: who.Member, Key: key.ID()}, nil
}

// delegate returns the actor and the delegate of the session that a transaction is about, if its one
// signature names that key.
func delegate(r state.Reader, h ledger.Head, b *tx.Body, e *tx.Envelope) (who identity.Principal, key tx.PublicKey, ok bool) {
	if len(e.Signatures) != 1 || e.Signatures[0].Account != b.Signer {
		return who, key, false
	}
	id, ok := sessionOf(b)
	if !ok {
		return who, key, false
	}
	s, ok := Lookup(r, id)
	if !ok || s.Delegation == nil || s.Actor != b.Signer {
		return who, key, false
	}
	key = tx.Ed25519Key(s.Delegation.Key)
	if key.ID() != e.Signatures[0].Key {
		return who, key, false
	}
	who, _, ok = identity.Standing(r, s.Actor)
	if !ok {
		return who, key, false
	}
	by, ok := who.Keys.Find(s.Delegation.By)
	return who, key, ok && by.LiveAt(uint64(h.Height))
}

// sessionOf is the session that a transaction which a delegate may sign is about.
func sessionOf(b *tx.Body) (tx.Hash, bool) {
	switch b.Kind {
	case KindFetch:
		var m CommitFetch
		err := tx.Decode(b.Payload, &m)
		return m.Session, err == nil
	case KindClose:
		var m Close
		err := tx.Decode(b.Payload, &m)
		return m.Session, err == nil
	}
	return tx.Hash{}, false
}
