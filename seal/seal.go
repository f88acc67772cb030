// Package seal encrypts records in batches and lets t of n custodians, and nobody
// else, open them one by one to a reader of their choosing.
//
// An author calls [Seal]: every record gets its own key, derived from a secret that
// is shared among the custodians; the ciphertexts go to the vault, one envelope per
// custodian carries its shares, and a [Header] of fixed size goes to the ledger. A
// custodian calls [OpenEnvelope] against the committed header and later [Release] to
// a reader's key. A reader calls [OpenRelease], [Combine] and [Decrypt].
//
// Contract: everything is bound to the header's hash, so that no envelope, share or
// release fits another batch, custodian, session or list; a key is compared with its
// commitment before it decrypts anything; every failure is a typed error that says
// which check failed, so that blame can be put on the ledger. Pure functions: the
// network, the disk and the decision who may read are elsewhere.
// It must never put a key, share, plaintext or patient pseudonym into an error or a
// printed value, nor combine secrets with values that a requester chose.
//
// The format is spec/seal.md, byte for byte.
package seal

import (
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Constants of format version 1.
const (
	// Version of the header, the manifest and the envelopes.
	Version = 1
	// Suite is the HPKE KEM MLKEM768-X25519 with HKDF-SHA256 and AES-256-GCM.
	Suite = 0x647a
	// MaxRecords is the largest batch.
	MaxRecords = 1024
	// MaxPlain is the largest record in bytes, as handed to [Seal].
	MaxPlain = 16 << 20
	// PublicKeySize is the size of a custodian's or a reader's public key in bytes.
	PublicKeySize = 1216
	// Overhead is what HPKE adds to a message in bytes: encapsulated key and tag.
	Overhead = 1120 + 16

	domain   = "salus/custody/v1/"
	maxChain = 64
)

// Kinds of a record.
const (
	KindRecord uint8 = 0 // a clinical record
	KindIndex  uint8 = 1 // an index record: what the records under the same slots are
)

// Errors. [EnvelopeError] and [BadShare] carry more.
var (
	// ErrInvalid means an argument or header no sound caller uses.
	ErrInvalid = errors.New("seal: invalid")
	// ErrProof means a Merkle path that does not lead to its root.
	ErrProof = errors.New("seal: proof does not verify")
	// ErrCiphertext means bytes that are not the ciphertext the manifest commits to.
	ErrCiphertext = errors.New("seal: ciphertext is not the committed one")
	// ErrAuthor means a fault that only the batch's author can have made: what it
	// committed to contradicts itself.
	ErrAuthor = errors.New("seal: author's fault")
	// ErrOpen means a message that does not open under this key and these bindings.
	ErrOpen = errors.New("seal: does not open with this key and context")
	// ErrTooFew means fewer usable shares than the threshold.
	ErrTooFew = errors.New("seal: fewer usable shares than the threshold")
	// ErrDisputed means that shares contradict each other and that the shares alone do not
	// tell whose are wrong, for liars who agree among themselves can make honest ones look
	// wrong: ask for share proofs. The keys that come with it are right.
	ErrDisputed = errors.New("seal: shares contradict each other")
	// ErrMismatch means shares that do not give the committed key, and too few to tell
	// whose is wrong: ask more custodians, or ask for share proofs.
	ErrMismatch = errors.New("seal: shares do not give the committed key")
)

// Sum is the domain-separated hash of the format: SHA-256 over the label, prefixed by
// "salus/custody/v1/", and the parts, each preceded by its length in 8 bytes big
// endian, so that no two lists of parts give the same input.
func Sum(label string, parts ...[]byte) [32]byte {
	size := 8 + len(domain) + len(label)
	for _, p := range parts {
		size += 8 + len(p)
	}
	var room [512]byte // leaves are small: no allocation for them
	b := room[:0]
	if size > len(room) {
		b = make([]byte, 0, size)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(len(domain)+len(label)))
	b = append(append(b, domain...), label...)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	clear(b)
	return sum
}

func u32(v int) []byte    { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
func u64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// A Key decrypts one record. It prints as "[sealed]".
type Key [32]byte

// A Seed is the private half of a custody or reader key pair. It prints as "[sealed]".
type Seed [32]byte

const redacted = "[sealed]"

// String hides the key.
func (Key) String() string { return redacted }

// Format hides the key from every verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue hides the key from logs.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the key from JSON and other text forms.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// String hides the seed.
func (Seed) String() string { return redacted }

// Format hides the seed from every verb.
func (Seed) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue hides the seed from logs.
func (Seed) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the seed from JSON and other text forms.
func (Seed) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// NewCustodyKey draws a key pair for a custodian's envelopes. A reader's ephemeral
// session key is the same kind of key and made the same way. Exchange the seed and the
// public key, never an intermediate: stacks differ in how they derive pairs.
func NewCustodyKey(rand io.Reader) (seed Seed, public []byte, err error) {
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return Seed{}, nil, fmt.Errorf("seal: randomness: %w", err)
	}
	sk, err := CustodyKeyFromSeed(seed)
	if err != nil {
		return Seed{}, nil, err
	}
	return seed, sk.PublicKey().Bytes(), nil
}

// CustodyKeyFromSeed expands a seed to the private key it stands for.
func CustodyKeyFromSeed(seed Seed) (hpke.PrivateKey, error) {
	sk, err := hpke.MLKEM768X25519().NewPrivateKey(seed[:])
	if err != nil {
		return nil, fmt.Errorf("seal: seed: %w", err)
	}
	return sk, nil
}

// Box encrypts plain to a custodian's or reader's public key. The info must bind
// everything the message is about: it opens only under the same one. For the messages
// of this package use their own functions; Box is for answers that go with them.
func Box(public []byte, info [32]byte, plain []byte) ([]byte, error) {
	pk, err := hpke.MLKEM768X25519().NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("%w: public key", ErrInvalid)
	}
	return box(pk, info, plain)
}

// ParsePublicKey reads a custodian's or reader's public key, 1,216 bytes, and tries it. It fails with [ErrInvalid]
// on what nothing can be sealed to: whose key it is may have published anything. To parse takes as long as to seal,
// so keep what it returns.
func ParsePublicKey(public []byte) (hpke.PublicKey, error) {
	pk, err := hpke.MLKEM768X25519().NewPublicKey(public)
	if err == nil {
		_, err = box(pk, [32]byte{}, nil) // an X25519 point of low order parses
	}
	if err != nil {
		return nil, fmt.Errorf("%w: public key", ErrInvalid)
	}
	return pk, nil
}

func box(pk hpke.PublicKey, info [32]byte, plain []byte) ([]byte, error) {
	b, err := hpke.Seal(pk, hpke.HKDFSHA256(), hpke.AES256GCM(), info[:], plain)
	if err != nil {
		return nil, fmt.Errorf("seal: encrypt: %w", err)
	}
	return b, nil
}

// Unbox opens what [Box] encrypted. It fails with [ErrOpen].
func Unbox(sk hpke.PrivateKey, info [32]byte, sealed []byte) ([]byte, error) {
	if sk == nil || sk.KEM().ID() != Suite {
		return nil, fmt.Errorf("%w: private key of another suite", ErrInvalid)
	}
	if len(sealed) < Overhead {
		return nil, ErrOpen
	}
	plain, err := hpke.Open(sk, hpke.HKDFSHA256(), hpke.AES256GCM(), info[:], sealed)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}
