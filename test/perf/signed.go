package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"io"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/config"
	"salus/ledger/module/governance"
)

// Signed transactions are a public key, a signature of the rest, and the rest.
const signedHead = ed25519.PublicKeySize + ed25519.SignatureSize

// signedOnly is the least that an application which asks for signatures can do: it verifies each
// transaction once, when it first sees it, remembers that it did, and keeps the rest in memory.
// What stays below it is CometBFT and one Ed25519 verification on each validator.
type signedOnly struct {
	abci.BaseApplication
	mu    sync.Mutex        // guards what follows
	good  map[string]bool   // verified, not committed yet
	rows  map[string]string // what was committed, by its first 16 bytes
	block [][]byte
	at    int64
}

func openSigned(*config.Config) (abci.Application, io.Closer, error) {
	return &signedOnly{good: map[string]bool{}, rows: map[string]string{}}, io.NopCloser(nil), nil
}

// verify reports whether the signature is good.
func (a *signedOnly) verify(raw []byte) bool {
	a.mu.Lock()
	known := a.good[string(raw)]
	a.mu.Unlock()
	if known {
		return true
	}
	if len(raw) < signedHead || !ed25519.Verify(raw[:ed25519.PublicKeySize], raw[signedHead:], raw[ed25519.PublicKeySize:signedHead]) {
		return false
	}
	a.mu.Lock()
	a.good[string(raw)] = true
	a.mu.Unlock()
	return true
}

// Info implements abci.Application.
func (a *signedOnly) Info(context.Context, *abci.RequestInfo) (*abci.ResponseInfo, error) {
	return &abci.ResponseInfo{LastBlockHeight: a.at}, nil
}

// CheckTx implements abci.Application.
func (a *signedOnly) CheckTx(_ context.Context, r *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	if !a.verify(r.Tx) {
		return &abci.ResponseCheckTx{Code: 1}, nil
	}
	return &abci.ResponseCheckTx{}, nil
}

// ProcessProposal implements abci.Application.
func (a *signedOnly) ProcessProposal(_ context.Context, r *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	for _, raw := range r.Txs {
		if !a.verify(raw) {
			return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}, nil
		}
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

// FinalizeBlock implements abci.Application.
func (a *signedOnly) FinalizeBlock(_ context.Context, r *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	res := &abci.ResponseFinalizeBlock{TxResults: make([]*abci.ExecTxResult, len(r.Txs))}
	for i, raw := range r.Txs {
		res.TxResults[i] = &abci.ExecTxResult{}
		if !a.verify(raw) {
			res.TxResults[i].Code = 1
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.block, a.at = r.Txs, r.Height
	res.AppHash = binary.BigEndian.AppendUint64(nil, uint64(len(a.rows)+len(r.Txs)))
	return res, nil
}

// Commit implements abci.Application.
func (a *signedOnly) Commit(context.Context, *abci.RequestCommit) (*abci.ResponseCommit, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, raw := range a.block {
		a.rows[string(raw[signedHead:][:16])] = string(raw[signedHead:])
		delete(a.good, string(raw))
	}
	a.block = nil
	return &abci.ResponseCommit{}, nil
}

// asSigned is a load of as many transactions of the same sizes for signedOnly, each signed by
// its node's one key.
func (l *load) asSigned(dir string) (*load, error) {
	k, _, err := newHomes(dir, len(l.homes), governance.Changes{})
	if err != nil {
		return nil, err
	}
	k.size = l.size
	for _, mine := range l.txs {
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		signed := make([][]byte, len(mine))
		for i, raw := range mine {
			rest := bytes.Clone(raw[signedHead:])
			if _, err := rand.Read(rest[:16]); err != nil {
				return nil, err
			}
			signed[i] = append(append(append(make([]byte, 0, len(raw)), pub...), ed25519.Sign(key, rest)...), rest...)
		}
		k.txs = append(k.txs, signed)
	}
	return k, nil
}
