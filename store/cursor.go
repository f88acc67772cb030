package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// cursors seals where a page ended: it holds sort keys, which are values of resources, and row
// numbers, which would tell how much there is that the reader does not see. The key lives as long
// as the process; so do cursors.
type cursors struct{ aead cipher.AEAD }

func newCursors() (*cursors, error) {
	var key [32]byte
	_, _ = rand.Read(key[:]) // crypto/rand never fails on supported systems
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &cursors{aead}, nil
}

// fingerprint names a query with its order, so that a cursor goes with no other.
func fingerprint(where sqlText, keys []sortKey) (f [16]byte) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%q\x00%v", where.s, where.args, keys)
	copy(f[:], h.Sum(nil))
	return f
}

func (c *cursors) seal(where sqlText, keys []sortKey, at position) (string, error) {
	at.Query = fingerprint(where, keys)
	b, err := cbor.Marshal(at)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(c.aead.Seal(nil, nil, b, nil)), nil //nolint:gosec // the AEAD draws its nonces itself
}

func (c *cursors) open(s string, where sqlText, keys []sortKey) (at position, err error) {
	sealed, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return at, ErrCursor
	}
	b, err := c.aead.Open(nil, nil, sealed, nil)
	if err != nil || cbor.Unmarshal(b, &at) != nil {
		return at, ErrCursor
	}
	if at.Query != fingerprint(where, keys) || len(at.Texts) != len(keys) || len(at.Floats) != len(keys) {
		return at, ErrCursor
	}
	return at, nil
}
