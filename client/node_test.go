package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"salus/ledger"
	"salus/ledger/tx"
)

const chain = "salus-test"

// note is a message that says which intent it is.
type note struct {
	Intent uint64 `cbor:"1,keyasint"`
}

func (n *note) Validate() error {
	if n.Intent == 0 {
		return errNote
	}
	return nil
}

var (
	errNote    = tx.Refuse(0x0901, "no intent")
	errBlocked = tx.Refuse(0x0902, "the state does not allow it")
	noteKind   = tx.Kind("test.note")
	someone    = tx.Account{1}
)

func signer(a tx.Account) tx.Signer {
	seed := sha256.Sum256(a[:])
	return tx.NewEd25519Signer(a, ed25519.NewKeyFromSeed(seed[:]))
}

// node is a Transport to a ledger of one script.
type node struct {
	mu      sync.Mutex // guards everything
	height  int64
	changed chan struct{}
	results map[tx.Hash]Committed
	used    map[tx.Account]map[uint64]bool
	commits map[uint64]int // of each intent
	sent    [][]byte
	// on is the script: what the node does with the n-th broadcast, from 1.
	on   func(n int, raw []byte) error
	away error // Head and Result fail with it
}

func newNode(on func(n int, raw []byte) error) *node {
	return &node{height: 10, changed: make(chan struct{}), results: map[tx.Hash]Committed{}, used: map[tx.Account]map[uint64]bool{}, commits: map[uint64]int{}, on: on}
}

func decoded(raw []byte) (tx.Hash, *tx.Body) {
	e, b, err := tx.DecodeEnvelope(raw)
	if err != nil {
		panic(err)
	}
	return tx.Digest(e.Body, chain), b
}

// block commits transactions as the ledger would: an expired or replayed one changes nothing
// and has no result.
func (n *node) block(code uint32, raws ...[]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.height++
	for _, raw := range raws {
		id, b := decoded(raw)
		if n.check(b) != nil {
			continue
		}
		n.results[id] = Committed{ID: id, Height: n.height, Code: code, Text: "in a block"}
		if code == tx.CodeOK {
			n.use(b.Signer, b.Nonce)
			var m note
			if err := tx.Decode(b.Payload, &m); err != nil {
				panic(err)
			}
			n.commits[m.Intent]++
		}
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *node) use(a tx.Account, nonce uint64) {
	if n.used[a] == nil {
		n.used[a] = map[uint64]bool{}
	}
	n.used[a][nonce] = true
}

func (n *node) check(b *tx.Body) error {
	if uint64(n.height) > b.Expiry {
		return tx.Refuse(tx.CodeExpired, "expired")
	}
	if n.used[b.Signer][b.Nonce] {
		return tx.Refuse(tx.CodeNonceReplay, "replay")
	}
	return nil
}

// judge is CheckTx.
func (n *node) judge(raw []byte) error {
	_, b := decoded(raw)
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.check(b)
}

func (n *node) Broadcast(_ context.Context, raw []byte) error {
	n.mu.Lock()
	n.sent = append(n.sent, bytes.Clone(raw))
	count := len(n.sent)
	n.mu.Unlock()
	return n.on(count, raw)
}

func (n *node) Result(_ context.Context, id tx.Hash) (Committed, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	got, ok := n.results[id]
	return got, ok && n.away == nil, n.away
}

func (n *node) Head(context.Context) (ledger.Head, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return ledger.Head{Height: n.height, Chain: chain}, n.away
}

func (n *node) NextNonce(_ context.Context, a tx.Account) (uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := uint64(1)
	for u := range n.used[a] {
		next = max(next, u+1)
	}
	return next, n.away
}

func (n *node) WaitChange(ctx context.Context, height int64) error {
	for {
		n.mu.Lock()
		above, changed := n.height > height, n.changed
		n.mu.Unlock()
		if above {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *node) distinct() int {
	seen := map[string]bool{}
	for _, raw := range n.sent {
		seen[string(raw)] = true
	}
	return len(seen)
}

// blocks makes an empty block every second until ctx ends.
func (n *node) blocks(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			n.block(tx.CodeOK)
		case <-ctx.Done():
			return
		}
	}
}

// submit runs one submission in a bubble with fake time, beside blocks every second.
func submit(t *testing.T, n *node, timeout time.Duration, check func(t *testing.T, c *Client, got Committed, err error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n.changed = make(chan struct{}) // of this bubble
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go n.blocks(ctx)
		sub := ctx
		if timeout > 0 {
			var stop context.CancelFunc
			sub, stop = context.WithTimeout(ctx, timeout)
			defer stop()
		}
		c := New(n, chain)
		got, err := c.As(signer(someone)).Submit(sub, noteKind, &note{1})
		check(t, c, got, err)
		cancel()
		synctest.Wait()
	})
}
