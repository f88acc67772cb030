package pcf

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"salus/internal/durable"
	"salus/ledger/tx"
)

// A Folder keeps papers as files, sealed with AES-256-GCM under one key. A file's name is the paper's
// commitment, which says nothing without the salt inside. It is safe for concurrent use.
type Folder struct {
	dir  string
	aead cipher.AEAD
}

var errPaperSealed = errors.New("pcf: a kept document is damaged or sealed under another key")

// OpenFolder makes the folder if there is none.
func OpenFolder(dir string, key [32]byte) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("pcf: documents: %w", err)
	}
	derived := sha256.Sum256(append([]byte("salus/pcf/papers/v1\x00"), key[:]...))
	block, err := aes.NewCipher(derived[:])
	if err != nil {
		return nil, fmt.Errorf("pcf: documents: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("pcf: documents: %w", err)
	}
	return &Folder{dir, aead}, nil
}

func (f *Folder) file(h tx.Hash) string {
	return filepath.Join(f.dir, hex.EncodeToString(h[:])+".paper")
}

func bound(patient tx.Account, h tx.Hash) []byte { return append(h[:], patient[:]...) }

// Keep implements Papers: when it returns nil, file and name are on disk. The salt makes the name one that nobody else writes.
func (f *Folder) Keep(_ context.Context, patient tx.Account, p *Paper) error {
	h := p.Commitment()
	sealed := f.aead.Seal(nil, nil, append(p.Salt[:], p.Body...), bound(patient, h)) //nolint:gosec // the AEAD draws its nonces itself
	if err := durable.WriteFile(f.file(h), sealed); err != nil {
		return fmt.Errorf("pcf: documents: %w", err)
	}
	return nil
}

// Find implements Papers. A paper of another patient is not found.
func (f *Folder) Find(_ context.Context, patient tx.Account, h tx.Hash) (*Paper, error) {
	sealed, err := os.ReadFile(f.file(h))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // nil is what the interface says of a paper that is not here
	}
	if err != nil {
		return nil, fmt.Errorf("pcf: documents: %w", err)
	}
	plain, err := f.aead.Open(nil, nil, sealed, bound(patient, h))
	if err != nil || len(plain) < 32 {
		return nil, errPaperSealed
	}
	p := &Paper{Salt: [32]byte(plain[:32]), Body: plain[32:]}
	if p.Commitment() != h {
		return nil, errPaperSealed
	}
	return p, nil
}
