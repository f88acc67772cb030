package tx

import (
	"crypto/ed25519"
	"fmt"
	"slices"
)

// A Signer signs digests for one account with one key. Implementations:
// Ed25519Signer here, passkeys in internal/passkey, and a wallet's own.
type Signer interface {
	Account() Account
	Public() PublicKey
	Sign(digest Hash) (Signature, error)
}

// Ed25519Signer signs with an Ed25519 key held in memory.
type Ed25519Signer struct {
	account Account
	key     ed25519.PrivateKey
}

// NewEd25519Signer makes a signer for account; priv is not copied.
func NewEd25519Signer(account Account, priv ed25519.PrivateKey) *Ed25519Signer {
	return &Ed25519Signer{account, priv}
}

// Ed25519Key returns the public key of that Ed25519 key.
func Ed25519Key(pub ed25519.PublicKey) PublicKey {
	return PublicKey{Alg: AlgEd25519, Key: slices.Clone(pub)}
}

// Account implements Signer.
func (s *Ed25519Signer) Account() Account { return s.account }

// Public implements Signer.
func (s *Ed25519Signer) Public() PublicKey {
	return Ed25519Key(s.key.Public().(ed25519.PublicKey))
}

// Sign implements Signer. It never fails.
func (s *Ed25519Signer) Sign(digest Hash) (Signature, error) {
	return Signature{
		Account: s.account,
		Key:     s.Public().ID(),
		Alg:     AlgEd25519,
		Sig:     ed25519.Sign(s.key, digest[:]),
	}, nil
}

// Format prints no key, with any verb.
func (s Ed25519Signer) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[sealed]") }

// Prepare encodes the body of a transaction and returns it with its digest, for
// a signer that is elsewhere, such as a browser. It validates msg and the body.
func Prepare(chain string, kind Kind, msg Message, signer Account, nonce, expiry uint64) (body []byte, digest Hash, err error) {
	if err := msg.Validate(); err != nil {
		return nil, Hash{}, err
	}
	payload, err := Encode(msg)
	if err != nil {
		return nil, Hash{}, err
	}
	b := Body{Chain: chain, Kind: kind, Payload: payload, Signer: signer, Nonce: nonce, Expiry: expiry}
	if err := b.Validate(); err != nil {
		return nil, Hash{}, err
	}
	if body, err = Encode(&b); err != nil {
		return nil, Hash{}, err
	}
	return body, Digest(body, chain), nil
}

// Assemble puts signatures around a body, in their order, and checks the form
// of the whole as a node would. It verifies no signature.
func Assemble(body []byte, signatures ...Signature) (raw []byte, err error) {
	sorted := slices.Clone(signatures)
	slices.SortFunc(sorted, func(a, b Signature) int { return a.compare(&b) })
	raw, err = Encode(&Envelope{Body: body, Signatures: sorted})
	if err != nil {
		return nil, err
	}
	if _, _, err := DecodeEnvelope(raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// Sign makes a transaction: it validates msg, encodes it for chain, has every
// signer sign, and returns the envelope and its id. A node takes it only if
// signers include one for the account signer; that is not checked here. The
// errors are *Refusal and those of the signers.
func Sign(chain string, kind Kind, msg Message, signer Account, nonce, expiry uint64, signers ...Signer) (raw []byte, id Hash, err error) {
	body, id, err := Prepare(chain, kind, msg, signer, nonce, expiry)
	if err != nil {
		return nil, Hash{}, err
	}
	signatures := make([]Signature, len(signers))
	for i, s := range signers {
		if signatures[i], err = s.Sign(id); err != nil {
			return nil, Hash{}, err
		}
	}
	if raw, err = Assemble(body, signatures...); err != nil {
		return nil, Hash{}, err
	}
	return raw, id, nil
}
