package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// cursors seals where a page ended: it holds sort keys, which are values of resources, and row
// numbers, which would tell how much there is that the reader does not see; so would their length,
// which is why it is filled up. The key lives as long as the process; so do cursors.
type cursors struct{ aead cipher.AEAD }

// cursorStep is what a cursor's plaintext is filled up to a multiple of, in bytes.
const cursorStep = 128

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

// SealSeq makes a cursor of a place in the order of everything written, which would tell how much
// that is.
func (s *Store) SealSeq(seq int64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(seq))
	return base64.RawURLEncoding.EncodeToString(s.cursors.aead.Seal(nil, nil, b[:], seqCursor)) //nolint:gosec // as below
}

// OpenSeq reads what SealSeq made. Error: ErrCursor.
func (s *Store) OpenSeq(cursor string) (int64, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, ErrCursor
	}
	b, err := s.cursors.aead.Open(nil, nil, sealed, seqCursor)
	if err != nil || len(b) != 8 {
		return 0, ErrCursor
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// seqCursor keeps cursors of histories and of searches apart.
var seqCursor = []byte("seq")

func (c *cursors) seal(at position) (string, error) {
	b, err := cbor.Marshal(at)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	filled := make([]byte, (4+len(b)+cursorStep-1)/cursorStep*cursorStep)
	binary.BigEndian.PutUint32(filled, uint32(len(b)))
	copy(filled[4:], b)
	return base64.RawURLEncoding.EncodeToString(c.aead.Seal(nil, nil, filled, nil)), nil //nolint:gosec // the AEAD draws its nonces itself
}

// open reads what seal made. Whether it is of this query is for the caller to see.
func (c *cursors) open(s string) (*position, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, ErrCursor
	}
	b, err := c.aead.Open(nil, nil, sealed, nil)
	if err != nil || len(b) < 4 || len(b)-4 < int(binary.BigEndian.Uint32(b)) {
		return nil, ErrCursor
	}
	var at position
	if b = b[4 : 4+int(binary.BigEndian.Uint32(b))]; cbor.Unmarshal(b, &at) != nil {
		return nil, ErrCursor
	}
	return &at, nil
}
