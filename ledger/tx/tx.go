// Package tx is the wire: the transaction envelope, its one canonical encoding,
// the identifiers that appear in it, who signed it, and the coded refusals.
//
// Contract: one value has one encoding (RFC 8949 section 4.2.1), and Decode
// takes no other. A transaction is named by the Digest of its body, which is
// also what is signed and what a passkey is challenged with, so no change to a
// signature changes the name. Every refusal of bad input is a *Refusal with a
// code that is unique for ever. Verification is a pure function of its
// arguments: the same verdict on every machine and with every Go release.
//
// It must never read a clock, a network, randomness or state, never judge what
// a message means, and never put bytes of its input into an error.
package tx

import "bytes"

// Limits of the wire. A change of any is a change of the state machine.
const (
	MaxTx         = 65536 // bytes of one encoded envelope, and of anything Decode takes
	MaxSignatures = 8     // signatures of one envelope
	MaxKind       = 48    // bytes of a Kind
	MaxChain      = 50    // bytes of a chain id, as in CometBFT
)

// A Kind names a message: "<module>.<verb>", lower case ASCII, at most MaxKind
// bytes. Each part begins with a letter and goes on with letters and digits.
type Kind string

// Validate reports CodeBadKind unless k is well formed.
func (k Kind) Validate() error {
	if len(k) > MaxKind {
		return errBadKind
	}
	dot, start := false, true
	for i := range len(k) {
		switch c := k[i]; {
		case c >= 'a' && c <= 'z':
			start = false
		case c >= '0' && c <= '9' && !start:
		case c == '.' && !dot && !start:
			dot, start = true, true
		default:
			return errBadKind
		}
	}
	if !dot || start {
		return errBadKind
	}
	return nil
}

// Module is the part of k before the dot, or all of k if there is none.
func (k Kind) Module() string {
	for i := range len(k) {
		if k[i] == '.' {
			return string(k[:i])
		}
	}
	return string(k)
}

// A Message is the payload of a transaction. Validate checks what can be said
// without state; its error is a *Refusal.
type Message interface{ Validate() error }

// Body is what is signed: spec/tx.cddl, rule body.
type Body struct {
	Chain   string  `cbor:"1,keyasint"` // 1..50 bytes
	Kind    Kind    `cbor:"2,keyasint"`
	Payload []byte  `cbor:"3,keyasint"` // canonical CBOR of the message
	Signer  Account `cbor:"4,keyasint"` // who acts; not zero
	Nonce   uint64  `cbor:"5,keyasint"` // used once per signer
	Expiry  uint64  `cbor:"6,keyasint"` // last block height at which it may be included
}

// Validate checks lengths and forms; it does not look into the payload.
func (b *Body) Validate() error {
	if len(b.Chain) == 0 || len(b.Chain) > MaxChain || len(b.Payload) == 0 || b.Signer.IsZero() {
		return errFieldLength
	}
	return b.Kind.Validate()
}

// Signature is one account's signature over the Digest of the body.
type Signature struct {
	Account    Account `cbor:"1,keyasint"`
	Key        KeyID   `cbor:"2,keyasint"`
	Alg        Alg     `cbor:"3,keyasint"`
	Sig        []byte  `cbor:"4,keyasint"`           // 64 bytes: R||S (Ed25519), r||s with low s (P-256)
	AuthData   []byte  `cbor:"5,keyasint,omitempty"` // passkeys only: authenticatorData, 37..512 bytes
	ClientData []byte  `cbor:"6,keyasint,omitempty"` // passkeys only: clientDataJSON, at most 1024 bytes
}

// Validate checks lengths and forms; it verifies nothing.
func (s *Signature) Validate() error {
	if len(s.Sig) != sigSize {
		return errFieldLength
	}
	switch s.Alg {
	case AlgEd25519:
		if len(s.AuthData) != 0 || len(s.ClientData) != 0 {
			return errFieldLength
		}
	case AlgPasskeyES256:
		if len(s.AuthData) < minAuthData || len(s.AuthData) > maxAuthData ||
			len(s.ClientData) == 0 || len(s.ClientData) > maxClientData {
			return errFieldLength
		}
	default:
		return errUnknownAlg
	}
	return nil
}

// compare orders signatures by account, then key.
func (s *Signature) compare(o *Signature) int {
	if c := bytes.Compare(s.Account[:], o.Account[:]); c != 0 {
		return c
	}
	return bytes.Compare(s.Key[:], o.Key[:])
}

// Envelope is a transaction as it travels.
type Envelope struct {
	Body       []byte      `cbor:"1,keyasint"` // canonical CBOR of Body
	Signatures []Signature `cbor:"2,keyasint"` // 1..8, ascending by (Account, Key), each pair once
}

// Validate checks the number, order and form of the signatures.
func (e *Envelope) Validate() error {
	switch {
	case len(e.Signatures) == 0:
		return errMissingSignature
	case len(e.Signatures) > MaxSignatures:
		return errTooManySignatures
	}
	for i := range e.Signatures {
		s := &e.Signatures[i]
		if err := s.Validate(); err != nil {
			return err
		}
		if i == 0 {
			continue
		}
		switch c := e.Signatures[i-1].compare(s); {
		case c == 0:
			return errDuplicateSignature
		case c > 0:
			return errSignatureOrder
		}
	}
	return nil
}

// DecodeEnvelope decodes a transaction of at most MaxTx bytes, envelope and
// body, and validates the form of both. It verifies no signature and does not
// look into the payload. The errors are *Refusal.
func DecodeEnvelope(b []byte) (*Envelope, *Body, error) {
	e := new(Envelope)
	if err := Decode(b, e); err != nil {
		return nil, nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, nil, err
	}
	body := new(Body)
	if err := Decode(e.Body, body); err != nil {
		return nil, nil, err
	}
	if err := body.Validate(); err != nil {
		return nil, nil, err
	}
	return e, body, nil
}
