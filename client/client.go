// Package client submits transactions to the ledger, reads it back, and makes
// receipts of what a node's replica holds, for the node's own parts, the command
// line and other Go programs.
//
//	submit     one intent, one transaction                       client.go
//	quorum     whether the ledger goes on or stands still        quorum.go
//	transport  to the node in this process, to another's gateway local.go, http.go
//	prove      receipts for strangers                            prover.go, claims.go, trail.go
//
// Contract: Submit returns only after the transaction is committed or refused, or
// says that it does not know; it never turns one intent into two committed
// transactions: the same bytes are sent again until they commit or expire, and only
// a transaction that can never commit is signed anew. A Transport's node is believed
// about the ledger; who does not trust it asks for receipts (package receipt). It must
// never hold a key: signing is the caller's tx.Signer.
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
	// *tx.Refusal; ErrBusy means that the node kept nothing and may be asked again; already
	// known is no error. After any other error the node may or may not have it.
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

// Errors of submission.
var (
	// ErrBusy: the node takes no transactions at the moment; nothing was kept.
	ErrBusy = errors.New("client: the node takes no transactions at the moment")
	// ErrUnreachable wraps transport failures.
	ErrUnreachable = errors.New("client: the node is unreachable")
	// ErrUncertain: the transaction was sent, and nobody said what became of it. It may still
	// commit until it expires. The Committed beside it holds its id: Client.Wait tells.
	ErrUncertain = errors.New("client: the transaction was sent but its result is not known")
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
func (c *Client) As(signers ...tx.Signer) *Submitter { return &Submitter{client: c, signers: signers} }

// A Submitter sends transactions of one signer.
type Submitter struct {
	client     *Client
	signers    []tx.Signer
	repeatable bool
}

// Repeatable is s for messages that the ledger takes once however often they are said: a custodian's
// receipts, an author's header. For them Submit returns a refusal at once also when the bytes were
// taken before: an earlier process may have said the same, and whether these bytes commit after all
// makes no difference. Without it the caller would wait until they expire.
func (s *Submitter) Repeatable() *Submitter { return &Submitter{s.client, s.signers, true} }

// Account is the signer of what this submitter sends.
func (s *Submitter) Account() tx.Account { return s.signers[0].Account() }

// Submit signs and sends msg and waits until it is committed.
//
// Errors: *tx.Refusal when the ledger refused it, for good unless it is Repeatable, ErrNoQuorum among them. ErrUnreachable,
// ErrBusy or ctx's error when it was not sent. ErrUncertain, with ctx's error, ErrUnreachable or
// ErrUnsettled in the chain, when it may still commit. The ID of the result is set as soon as there is one.
func (s *Submitter) Submit(ctx context.Context, kind tx.Kind, msg tx.Message) (Committed, error) {
	if err := msg.Validate(); err != nil {
		return Committed{}, err
	}
	for {
		got, err := s.attempt(ctx, kind, msg)
		if !errors.Is(err, errAgain) {
			return got, err
		}
	}
}

// errAgain: the transaction can never commit, so the intent may be signed anew.
var errAgain = errors.New("client: sign anew")

// attempt takes one signed transaction to its end.
func (s *Submitter) attempt(ctx context.Context, kind tx.Kind, msg tx.Message) (Committed, error) {
	c := s.client
	if t, ok := c.transport.(interface{ Takes() error }); ok { // before a nonce is spent on it
		if err := t.Takes(); err != nil {
			return Committed{}, err
		}
	}
	head, err := c.transport.Head(ctx)
	if err != nil {
		return Committed{}, err
	}
	nonce, err := c.nonce(ctx, s.Account())
	if err != nil {
		return Committed{}, err
	}
	expiry := uint64(head.Height) + expiryBlocks
	raw, id, err := tx.Sign(c.chain, kind, msg, s.Account(), nonce, expiry, s.signers...)
	if err != nil {
		return Committed{}, fmt.Errorf("client: %w", err)
	}
	p := &pending{client: c, account: s.Account(), raw: raw, id: id, expiry: expiry, repeatable: s.repeatable}
	for {
		if got, over, err := p.send(ctx); over {
			got.ID = id
			return got, err
		}
		wait, cancel := context.WithTimeout(ctx, resendEvery)
		got, over, err := c.await(wait, id, expiry)
		late := wait.Err() != nil
		cancel()
		got.ID = id
		switch {
		case err != nil && ctx.Err() != nil:
			return got, fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
		case err != nil && !late:
			return got, fmt.Errorf("%w: %w", ErrUncertain, err)
		case over && got.Height == 0 && p.refused != nil: // expired, and not for want of a place
			return got, p.refused
		case over && got.Height == 0:
			return got, errAgain
		case over:
			return got, refusal(got)
		}
	}
}

// pending is one signed transaction on its way.
type pending struct {
	client  *Client
	account tx.Account
	raw     []byte
	id      tx.Hash
	expiry  uint64
	taken   bool  // the node took it once: others may have it, and it may commit until it expires
	refused error // what the node said when it was sent again

	repeatable bool
}

// send broadcasts the bytes; over is true when that settled the transaction.
func (p *pending) send(ctx context.Context) (got Committed, over bool, err error) {
	err = p.client.broadcast(ctx, p.raw)
	if err == nil {
		p.taken, p.refused = true, nil
		return got, false, nil
	}
	code, refused := tx.CodeOf(err)
	if !refused {
		if errors.Is(err, ErrBusy) && !p.taken {
			return got, true, err // the node kept nothing
		}
		return got, true, fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	// A transaction that committed a moment ago is refused too: as a replay, or because
	// what it asks for is done.
	got, done, rerr := p.client.transport.Result(ctx, p.id)
	switch {
	case rerr == nil && done:
		return got, true, refusal(got)
	case rerr != nil && p.taken:
		return got, true, fmt.Errorf("%w: %w", ErrUncertain, rerr)
	case nonceTaken(code):
		if err := p.client.skip(ctx, p.account); err != nil {
			return got, true, err
		}
		return got, true, errAgain
	case code == tx.CodeExpired:
		return got, true, errAgain
	case p.taken && !p.repeatable:
		// Another node may hold it still, and the state may change back: the refusal is
		// final only when the transaction has expired.
		p.refused = err
		return got, false, nil
	}
	return got, true, err
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

// broadcast hands the bytes to the node. Being full, and having had this signer's share of
// the next block already, pass by themselves: it waits for that.
func (c *Client) broadcast(ctx context.Context, raw []byte) error {
	for {
		err := c.transport.Broadcast(ctx, raw)
		code, _ := tx.CodeOf(err)
		if !errors.Is(err, ErrBusy) && code != tx.CodeQuota {
			return err
		}
		pause := time.NewTimer(busyPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
		}
	}
}

// nonce hands out the next nonce of an account, each once: the first is the ledger's.
func (c *Client) nonce(ctx context.Context, account tx.Account) (uint64, error) {
	c.mu.Lock()
	_, known := c.nonces[account]
	c.mu.Unlock()
	if !known {
		if err := c.skip(ctx, account); err != nil {
			return 0, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nonces[account]
	c.nonces[account] = n + 1
	return n, nil
}

// skip moves an account's next nonce past those that the ledger has seen, never back:
// those between may be under way.
func (c *Client) skip(ctx context.Context, account tx.Account) error {
	next, err := c.transport.NextNonce(ctx, account)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nonces[account] = max(c.nonces[account], next)
	return nil
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
