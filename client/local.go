package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/ledger"
	"salus/ledger/tx"
)

// Pool is the part of CometBFT's mempool that a local transport needs.
type Pool interface {
	CheckTx(raw cmttypes.Tx, done func(*abci.ResponseCheckTx), info mempool.TxInfo) error
}

// Local is a Transport to the node in the same process.
type Local struct {
	app     *ledger.App
	pool    func() Pool
	reached func() int64
	hub     *Hub
	quorum  *Quorum
}

// NewLocal makes a transport over a running node. pool may return nil while the node is not started.
// reached is the height of a block that the network has committed for certain, 0 when nothing is known
// of it: what the state before that block refuses, the network has not refused.
// While quorum says that the ledger stands still, nothing is taken and nobody waits.
func NewLocal(app *ledger.App, pool func() Pool, reached func() int64, hub *Hub, quorum *Quorum) *Local {
	return &Local{app, pool, reached, hub, quorum}
}

// Takes returns ErrNoQuorum while the ledger stands still.
func (l *Local) Takes() error {
	if _, lost := l.quorum.Since(); lost {
		return ErrNoQuorum
	}
	return nil
}

// Broadcast implements Transport. Whoever was told of a block by another node may build on it here at
// once: a refusal counts when this node's state is as new as the network's was.
func (l *Local) Broadcast(ctx context.Context, raw []byte) error {
	at := l.app.Head().Height
	err := l.offer(ctx, raw)
	if _, refused := tx.CodeOf(err); !refused {
		return err
	}
	reached := l.reached()
	if at >= reached {
		return err
	}
	for ; at < reached; at = l.app.Head().Height {
		if err := l.WaitChange(ctx, at); err != nil {
			return fmt.Errorf("%w: its state is %d blocks old: %w", ErrBusy, reached-at, err)
		}
	}
	return l.offer(ctx, raw)
}

// offer hands the bytes to the mempool, which has them checked against the newest state here.
func (l *Local) offer(ctx context.Context, raw []byte) error {
	pool := l.pool()
	if pool == nil {
		return ErrUnreachable
	}
	if err := l.Takes(); err != nil {
		return err
	}
	verdict := make(chan *abci.ResponseCheckTx, 1)
	err := pool.CheckTx(raw, func(r *abci.ResponseCheckTx) { verdict <- r }, mempool.TxInfo{})
	var full mempool.ErrMempoolIsFull
	var large mempool.ErrTxTooLarge
	switch {
	case errors.Is(err, mempool.ErrTxInCache):
		return nil // sent before: committed, waiting, or dropped from the pool and soon out of the cache
	case errors.As(err, &full):
		return ErrBusy
	case errors.As(err, &large), mempool.IsPreCheckError(err):
		return tx.Refuse(tx.CodeTooLarge, "client: the transaction does not fit into a block")
	case err != nil:
		return fmt.Errorf("%w: mempool: %w", ErrUnreachable, err)
	}
	select {
	case r := <-verdict:
		if r.Code == tx.CodeQuota {
			return ErrBusy // the next block has room again
		}
		if ledger.Waits(r.Code) {
			return fmt.Errorf("%w: %s", ErrUnreachable, r.Log) // nobody has decided on it
		}
		if r.Code != tx.CodeOK {
			return tx.Refuse(r.Code, r.Log)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Result implements Transport.
func (l *Local) Result(_ context.Context, id tx.Hash) (Committed, bool, error) {
	r, ok := l.app.Result(id)
	if !ok {
		return Committed{}, false, nil
	}
	return Committed{ID: id, Height: r.Height, Code: r.Code, Text: r.Text}, true, nil
}

// Head implements Transport.
func (l *Local) Head(context.Context) (ledger.Head, error) { return l.app.Head(), nil }

// NextNonce implements Transport.
func (l *Local) NextNonce(_ context.Context, account tx.Account) (uint64, error) {
	v := l.app.View()
	defer v.Close()
	return ledger.NextNonce(v, account), nil
}

// WaitChange implements Transport.
func (l *Local) WaitChange(ctx context.Context, height int64) error {
	for {
		changed, lost := l.hub.Changed(), l.quorum.Lost()
		if l.app.Head().Height > height {
			return nil
		}
		select {
		case <-changed:
		case <-lost:
			return ErrUnsettled
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Hub tells any number of waiters that a block is committed. The zero value is not usable; see NewHub.
type Hub struct {
	mu sync.Mutex
	ch chan struct{}
}

// NewHub makes a hub; give Notify to ledger.Config.Committed.
func NewHub() *Hub { return &Hub{ch: make(chan struct{})} }

// Notify wakes everybody who waits. It never blocks.
func (h *Hub) Notify(ledger.Head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.ch)
	h.ch = make(chan struct{})
}

// Changed returns a channel that is closed at the next commit.
func (h *Hub) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ch
}
