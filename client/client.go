// Package client submits transactions to the ledger and reads it back, for the
// node's own parts, the command line and other Go programs.
//
// Contract: Submit returns only after the transaction is committed (or refused)
// and never turns one intent into two committed transactions: the same bytes are
// sent again until they commit or expire, and only an expired transaction is
// signed anew. Everything read can be verified against a header (see light.go).
// It must never hold a key: signing is the caller's tx.Signer.
package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"salus/ledger"
	"salus/ledger/tx"
)

// A Transport reaches one node of the network.
type Transport interface {
	// Broadcast hands a transaction to the node's mempool. A refusal by CheckTx is a
	// *tx.Refusal; ErrBusy means try again later; already known is no error.
	Broadcast(ctx context.Context, raw []byte) error
	// Result says whether a transaction is committed and how it went.
	Result(ctx context.Context, id tx.Hash) (Committed, bool, error)
	// Head is the node's last committed block.
	Head(ctx context.Context) (ledger.Head, error)
	// NextNonce is one above the highest nonce the ledger has seen from an account.
	NextNonce(ctx context.Context, account tx.Account) (uint64, error)
	// WaitChange returns when the node has committed a block above height, or ctx ends.
	WaitChange(ctx context.Context, height int64) error
}

// Committed is a transaction's place on the ledger.
type Committed struct {
	ID     tx.Hash `cbor:"1,keyasint" json:"id"`
	Height int64   `cbor:"2,keyasint" json:"height"`
	Code   uint32  `cbor:"3,keyasint" json:"code"`
	Text   string  `cbor:"4,keyasint,omitempty" json:"text,omitempty"`
}

// Errors of submission. ErrUnreachable wraps transport failures.
var (
	ErrBusy        = errors.New("client: the node takes no transactions at the moment")
	ErrUnreachable = errors.New("client: the node is unreachable")
)

// How long a transaction stays valid, in blocks, and how often its bytes are sent again.
const (
	expiryBlocks = 100
	resendEvery  = 2 * time.Second
	busyPause    = 50 * time.Millisecond
)

// Client submits to one chain over one transport. It is safe for concurrent use.
type Client struct {
	transport Transport
	chain     string

	mu     sync.Mutex            // guards nonces
	nonces map[tx.Account]uint64 // next nonce to hand out per account
}

// New makes a client of the chain.
func New(t Transport, chain string) *Client {
	return &Client{transport: t, chain: chain, nonces: map[tx.Account]uint64{}}
}

// Chain is the chain id that every transaction names.
func (c *Client) Chain() string { return c.chain }

// Transport is the node behind the client.
func (c *Client) Transport() Transport { return c.transport }

// As returns a submitter that signs as the account of the first signer; the others co-sign.
func (c *Client) As(signers ...tx.Signer) *Submitter { return &Submitter{c, signers} }

// A Submitter sends transactions of one signer.
type Submitter struct {
	client  *Client
	signers []tx.Signer
}

// Account is the signer of what this submitter sends.
func (s *Submitter) Account() tx.Account { return s.signers[0].Account() }

// Submit signs and sends msg and waits until it is committed.
// Errors: *tx.Refusal when the ledger refused it, ErrUnreachable, or ctx's error,
// after which the transaction may still commit.
func (s *Submitter) Submit(ctx context.Context, kind tx.Kind, msg tx.Message) (Committed, error) {
	if err := msg.Validate(); err != nil {
		return Committed{}, err
	}
	for {
		got, again, err := s.attempt(ctx, kind, msg)
		if !again {
			return got, err
		}
	}
}

// attempt sends one signed transaction to its end; again is true when it can never
// commit (expired, or its nonce was taken by somebody else) and must be signed anew.
func (s *Submitter) attempt(ctx context.Context, kind tx.Kind, msg tx.Message) (got Committed, again bool, err error) {
	c := s.client
	head, err := c.transport.Head(ctx)
	if err != nil {
		return got, false, err
	}
	nonce, err := c.nonce(ctx, s.Account())
	if err != nil {
		return got, false, err
	}
	expiry := uint64(head.Height) + expiryBlocks
	raw, id, err := tx.Sign(c.chain, kind, msg, s.Account(), nonce, expiry, s.signers...)
	if err != nil {
		return got, false, fmt.Errorf("client: %w", err)
	}
	for {
		if err := c.broadcast(ctx, raw); err != nil {
			if got, done, rerr := c.transport.Result(ctx, id); rerr == nil && done {
				return got, false, refusal(got)
			}
			if code, ok := tx.CodeOf(err); ok && nonceTaken(code) {
				c.forget(s.Account())
				return got, true, nil
			}
			return got, false, err
		}
		wait, cancel := context.WithTimeout(ctx, resendEvery)
		got, done, err := c.await(wait, id, expiry)
		cancel()
		switch {
		case err != nil && ctx.Err() != nil:
			return got, false, ctx.Err()
		case err != nil && wait.Err() == nil:
			return got, false, err
		case done && got.Height == 0: // expired without being committed
			return got, true, nil
		case done:
			return got, false, refusal(got)
		}
	}
}

// await watches commits until the transaction is there (done) or expired (done, height 0).
func (c *Client) await(ctx context.Context, id tx.Hash, expiry uint64) (Committed, bool, error) {
	for {
		head, err := c.transport.Head(ctx)
		if err != nil {
			return Committed{}, false, err
		}
		got, ok, err := c.transport.Result(ctx, id)
		if err != nil || ok {
			return got, ok, err
		}
		if uint64(head.Height) > expiry {
			return Committed{}, true, nil
		}
		if err := c.transport.WaitChange(ctx, head.Height); err != nil {
			return Committed{}, false, err
		}
	}
}

// Wait returns the result of a transaction that was sent by other means.
func (c *Client) Wait(ctx context.Context, id tx.Hash) (Committed, error) {
	got, _, err := c.await(ctx, id, ^uint64(0)>>1)
	if err != nil {
		return got, err
	}
	return got, refusal(got)
}

func (c *Client) broadcast(ctx context.Context, raw []byte) error {
	for {
		err := c.transport.Broadcast(ctx, raw)
		if !errors.Is(err, ErrBusy) {
			return err
		}
		pause := time.NewTimer(busyPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

func (c *Client) nonce(ctx context.Context, account tx.Account) (uint64, error) {
	c.mu.Lock()
	n, ok := c.nonces[account]
	if ok {
		c.nonces[account] = n + 1
	}
	c.mu.Unlock()
	if ok {
		return n, nil
	}
	next, err := c.transport.NextNonce(ctx, account)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := c.nonces[account]; ok { // somebody asked at the same time
		next = max(next, n)
	}
	c.nonces[account] = next + 1
	return next, nil
}

func (c *Client) forget(account tx.Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.nonces, account)
}

func nonceTaken(code uint32) bool {
	return code == tx.CodeNonceReplay || code == tx.CodeNonceTooOld
}

func refusal(got Committed) error {
	if got.Code == tx.CodeOK {
		return nil
	}
	return tx.Refuse(got.Code, got.Text)
}
