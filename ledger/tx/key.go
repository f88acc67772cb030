package tx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Alg is a signature algorithm.
type Alg uint8

const (
	AlgEd25519      Alg = 1 // RFC 8032, as narrowed in verifyEd25519
	AlgPasskeyES256 Alg = 2 // a WebAuthn assertion by a P-256 key (COSE -7)
)

const (
	sigSize     = 64
	ed25519Size = 32
	p256Size    = 64 // X||Y
)

// String returns the name that begins a public key's text form.
func (a Alg) String() string {
	switch a {
	case AlgEd25519:
		return "ed25519"
	case AlgPasskeyES256:
		return "passkey-es256"
	}
	return "unknown"
}

// KeyID names a public key: the first 16 bytes of SHA-256("salus/key/v1\0" ||
// alg || key). Its text form is 32 lower case hexadecimal digits.
type KeyID [16]byte

// String returns the text form.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// ParseKeyID reads the text form, and no other. The error is CodeText.
func ParseKeyID(s string) (KeyID, error) {
	var k KeyID
	if !parseHex(k[:], s) {
		return KeyID{}, errText
	}
	return k, nil
}

// MarshalText implements encoding.TextMarshaler.
func (k KeyID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *KeyID) UnmarshalText(b []byte) error {
	v, err := ParseKeyID(string(b))
	if err != nil {
		return err
	}
	*k = v
	return nil
}

// PublicKey is a key that can sign transactions. Its text form is
// "ed25519:<hex>" or "passkey-es256:<hex of X||Y>:<hex of the RP ID's hash>".
type PublicKey struct {
	Alg      Alg    `cbor:"1,keyasint"`
	Key      []byte `cbor:"2,keyasint"`           // 32 bytes, or 64 (X||Y)
	RPIDHash []byte `cbor:"3,keyasint,omitempty"` // passkeys only: SHA-256 of the relying party's id
}

// ID names the key.
func (p PublicKey) ID() KeyID {
	const domain = "salus/key/v1\x00"
	var buf [len(domain) + 1 + p256Size]byte
	b := append(buf[:0], domain...)
	b = append(b, byte(p.Alg))
	b = append(b, p.Key...)
	sum := sha256.Sum256(b)
	return KeyID(sum[:16])
}

// Equal reports whether p and q are the same key.
func (p PublicKey) Equal(q PublicKey) bool {
	return p.Alg == q.Alg && bytes.Equal(p.Key, q.Key) && bytes.Equal(p.RPIDHash, q.RPIDHash)
}

// Validate checks that the key is one that may enter the state: a P-256 point
// on the curve, or an Ed25519 point of prime order in its canonical encoding
// (so neither of small order nor with a part of small order, on which verifiers
// differ). The errors are CodeUnknownAlg, CodeFieldLength and CodeBadKey.
func (p PublicKey) Validate() error {
	switch p.Alg {
	case AlgEd25519:
		if len(p.Key) != ed25519Size || len(p.RPIDHash) != 0 {
			return errFieldLength
		}
		return validEd25519(p.Key)
	case AlgPasskeyES256:
		if len(p.Key) != p256Size || len(p.RPIDHash) != sha256.Size {
			return errFieldLength
		}
		_, err := parseP256(p.Key)
		return err
	}
	return errUnknownAlg
}

// Verify checks one signature over digest. pol matters to passkeys only. The
// key is one that Validate took. The errors are *Refusal; CodeBadSignature also
// when s is by another key or algorithm. The account of s is not signed: the
// caller looks the key up in that account's ring, and must.
func (p PublicKey) Verify(digest Hash, s *Signature, pol PasskeyPolicy) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if s.Alg != p.Alg || s.Key != p.ID() {
		return errBadSignature
	}
	switch p.Alg {
	case AlgEd25519:
		return verifyEd25519(p.Key, digest, s.Sig)
	case AlgPasskeyES256:
		return verifyPasskey(p, digest, s, pol)
	}
	return errUnknownAlg
}

func parseP256(xy []byte) (*ecdsa.PublicKey, error) {
	var buf [1 + p256Size]byte
	if len(xy) != p256Size {
		return nil, errFieldLength
	}
	buf[0] = 4 // uncompressed, SEC 1 section 2.3.3
	copy(buf[1:], xy)
	k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), buf[:])
	if err != nil {
		return nil, errBadKey
	}
	return k, nil
}

// String returns the text form, empty for the zero key.
func (p PublicKey) String() string {
	switch p.Alg {
	case AlgEd25519:
		return p.Alg.String() + ":" + hex.EncodeToString(p.Key)
	case AlgPasskeyES256:
		return p.Alg.String() + ":" + hex.EncodeToString(p.Key) + ":" + hex.EncodeToString(p.RPIDHash)
	}
	return ""
}

// ParsePublicKey reads the text form, and no other, and validates the key.
// The errors are CodeText and those of Validate.
func ParsePublicKey(s string) (PublicKey, error) {
	alg, rest, _ := strings.Cut(s, ":")
	var p PublicKey
	switch alg {
	case "ed25519":
		p = PublicKey{Alg: AlgEd25519, Key: make([]byte, ed25519Size)}
		if !parseHex(p.Key, rest) {
			return PublicKey{}, errText
		}
	case "passkey-es256":
		key, rp, _ := strings.Cut(rest, ":")
		p = PublicKey{Alg: AlgPasskeyES256, Key: make([]byte, p256Size), RPIDHash: make([]byte, sha256.Size)}
		if !parseHex(p.Key, key) || !parseHex(p.RPIDHash, rp) {
			return PublicKey{}, errText
		}
	default:
		return PublicKey{}, errText
	}
	if err := p.Validate(); err != nil {
		return PublicKey{}, err
	}
	return p, nil
}

// MarshalText implements encoding.TextMarshaler.
func (p PublicKey) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. The empty text is the zero
// key, which stands for none and does not validate.
func (p *PublicKey) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*p = PublicKey{}
		return nil
	}
	v, err := ParsePublicKey(string(b))
	if err != nil {
		return err
	}
	*p = v
	return nil
}
