package tx_test

import (
	"crypto/ed25519"
	"math/rand/v2"
	"testing"

	"salus/internal/passkey"
	"salus/ledger/tx"
)

const (
	testChain  = "salus-test-1"
	testKind   = tx.Kind("example.note")
	testRPID   = "wallet.example.org"
	testOrigin = "https://wallet.example.org"
)

var (
	testPolicy = tx.PasskeyPolicy{Origins: []string{"https://portal.example.org", testOrigin}, RequireUV: true}
	alice      = account("alice")
	bob        = account("bob")
)

// note is a message with every shape of field that messages have.
type note struct {
	Subject tx.Account     `cbor:"1,keyasint" json:"subject"`
	Digest  tx.Hash        `cbor:"2,keyasint" json:"digest"`
	Count   uint64         `cbor:"3,keyasint" json:"count"`
	Words   []string       `cbor:"4,keyasint" json:"words"`
	Keys    []tx.PublicKey `cbor:"5,keyasint" json:"keys"`
	Flag    bool           `cbor:"6,keyasint" json:"flag"`
	Inner   *inner         `cbor:"7,keyasint,omitempty" json:"inner,omitempty"`
	Signed  int64          `cbor:"8,keyasint" json:"signed"`
}

type inner struct {
	Small [4]uint16 `cbor:"1,keyasint" json:"small"`
	Blob  []byte    `cbor:"2,keyasint,omitempty" json:"blob,omitempty"`
}

var errNoSubject = tx.Refuse(0xf001, "example: a note needs a subject")

func (n *note) Validate() error {
	if n.Subject.IsZero() {
		return errNoSubject
	}
	return nil
}

func account(name string) (a tx.Account) {
	copy(a[:], name)
	return a
}

func seeded(n uint64) *rand.ChaCha8 {
	var seed [32]byte
	seed[0], seed[1] = byte(n), byte(n>>8)
	return rand.NewChaCha8(seed)
}

func edKey(n uint64) ed25519.PrivateKey {
	var seed [32]byte
	seeded(n).Read(seed[:])
	return ed25519.NewKeyFromSeed(seed[:])
}

func edSigner(a tx.Account, n uint64) tx.Signer { return tx.NewEd25519Signer(a, edKey(n)) }

func newPasskey(t testing.TB, n uint64) *passkey.Passkey {
	t.Helper()
	p, err := passkey.New(seeded(n), testRPID, testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustSign(t testing.TB, signers ...tx.Signer) (raw []byte, id tx.Hash) {
	t.Helper()
	raw, id, err := tx.Sign(testChain, testKind, &note{Subject: bob, Count: 7}, alice, 1, 100, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return raw, id
}

// wantCode fails unless err is the refusal of that code, CodeOK for none.
func wantCode(t testing.TB, what string, err error, want uint32) {
	t.Helper()
	got, ok := tx.CodeOf(err)
	if !ok || got != want {
		t.Errorf("%s: got %v (0x%04x), want code 0x%04x", what, err, got, want)
	}
}
