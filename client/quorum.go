package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"salus/ledger/tx"
)

// ErrNoQuorum refuses a transaction while the ledger stands still. Nothing of it was kept: it does not
// come to life when the members are back, whoever still wants it sends it again.
var ErrNoQuorum = tx.Refuse(0x2409, "client: the ledger stands still, because too few members can be reached; nothing was sent")

// ErrUnsettled ends the waiting for a transaction that was sent before the ledger stood still. It may be
// committed when enough members are back.
var ErrUnsettled = errors.New("client: the ledger stands still, because too few members can be reached; what was sent before may be committed when they are back")

// CodeUnsettled is ErrUnsettled on the wire. It is no refusal: nobody refused.
const CodeUnsettled = "unsettled"

// A Quorum is what a node believes of the ledger: that it goes on, or that it has stood still for a while.
// It begins with going on. It is safe for concurrent use.
type Quorum struct {
	mu    sync.Mutex // guards what follows
	since time.Time  // of the last block before; zero: it goes on
	lost  chan struct{}
	back  chan struct{}
}

// NewQuorum makes one that goes on.
func NewQuorum() *Quorum {
	q := &Quorum{lost: make(chan struct{}), back: make(chan struct{})}
	close(q.back)
	return q
}

// Lose says that there was no block after that time. It reports whether that is news.
func (q *Quorum) Lose(since time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.since.IsZero() {
		return false
	}
	q.since, q.back = since, make(chan struct{})
	close(q.lost)
	return true
}

// Regain says that there are blocks again. It reports whether that is news.
func (q *Quorum) Regain() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.since.IsZero() {
		return false
	}
	q.since, q.lost = time.Time{}, make(chan struct{})
	close(q.back)
	return true
}

// Since tells since when there was no block; ok is false while there are.
func (q *Quorum) Since() (t time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.since, !q.since.IsZero()
}

// Lost returns a channel that is closed while the ledger stands still, or when it next does.
func (q *Quorum) Lost() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// Back returns a channel that is closed while the ledger goes on, or when it next does.
func (q *Quorum) Back() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.back
}

// While returns a context that also ends when the ledger stands still, for whoever waits only for a
// block. Cancel it when the wait is over.
func (q *Quorum) While(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	lost := q.Lost()
	go func() {
		select {
		case <-lost:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
