package pcf

import (
	"context"
	"crypto/sha256"
	"io"

	"salus/ledger/tx"
)

// A Paper is what a patient agreed to, as it was posted. The ledger has a salted commitment to it
// only (consent.Grant.Document).
type Paper struct {
	Salt [32]byte
	Body []byte
}

// Commitment is SHA-256("salus/consent/document/v1" 00 ‖ salt ‖ body).
func (p *Paper) Commitment() (h tx.Hash) {
	d := sha256.New()
	d.Write([]byte("salus/consent/document/v1\x00"))
	d.Write(p.Salt[:])
	d.Write(p.Body)
	d.Sum(h[:0])
	return h
}

// Papers keep what was posted, encrypted and durably: when Keep returns nil, the paper is on disk.
type Papers interface {
	Keep(ctx context.Context, patient tx.Account, p *Paper) error
	// Find returns the paper with that commitment; nil if it is not kept here.
	Find(ctx context.Context, patient tx.Account, commitment tx.Hash) (*Paper, error)
}

func newPaper(random io.Reader, body []byte) (*Paper, error) {
	p := &Paper{Body: body}
	_, err := io.ReadFull(random, p.Salt[:])
	return p, err
}
