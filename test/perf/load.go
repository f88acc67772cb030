package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"
	cmtnode "github.com/cometbft/cometbft/node"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/config"
)

// backlog is how many transactions wait in each mempool while there are enough: a block or
// two, and a small part of a run, so that what is measured is the whole way from CheckTx.
const backlog = 1500

// A spend is what committing transactions came to.
type spend struct {
	rate float64 // committed per second
	cpu  float64 // microseconds of all cores for each
}

// spends are several runs of one kind.
type spends struct{ rate, cpu []float64 }

func (s *spends) add(x spend) { s.rate, s.cpu = append(s.rate, x.rate), append(s.cpu, x.cpu) }

// commit runs the load on a chain of its own.
func (l *load) commit(ctx context.Context, b *bench, profile string, open opener) (s spend, err error) {
	err = b.onChain(ctx, l.homes, open, func(ch *chain) error {
		s, err = l.run(ch, b, profile)
		return err
	})
	return s, err
}

// onChain starts a chain, runs f on it and stops it.
func (b *bench) onChain(ctx context.Context, homes []*config.Config, open opener, f func(*chain) error) error {
	ch, err := startChain(ctx, homes, open)
	if err != nil {
		return err
	}
	for _, s := range b.late {
		err = errors.Join(err, s.closeNow())
	}
	b.late = ch.stores
	if err == nil {
		err = f(ch)
	}
	return errors.Join(err, ch.stop())
}

// run sends every node its transactions, as fast as its mempool drains, and returns how many
// the network committed per second, from the first sent to the last committed, and what that
// cost. The first tenth warms up and does not count.
func (l *load) run(ch *chain, b *bench, profile string) (s spend, err error) {
	warm := len(l.txs[0]) / 10
	if err := l.send(ch, 0, warm); err != nil {
		return s, err
	}
	before, _ := ch.meter.committed()
	start := time.Now()
	c, err := b.spent(profile, func() error { return l.send(ch, warm, len(l.txs[0])) })
	if err != nil {
		return s, err
	}
	total, last := ch.meter.committed()
	return spend{float64(total-before) / last.Sub(start).Seconds(), c.each(total - before)}, nil
}

// senders is how many clients each node has, so that a node that can check transactions on
// both cores may do so.
const senders = 2

// send gives each node its transactions from number from up to to, and waits until the
// network has committed them all.
func (l *load) send(ch *chain, from, to int) error {
	already, _ := ch.meter.committed()
	var refused atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, len(ch.nodes)*senders)
	for i, n := range ch.nodes {
		turns := newTurns(l.txs[i][from:to])
		for s := range senders {
			wg.Go(func() { errs[i*senders+s] = turns.send(n, s, &refused) })
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	want := already + (to-from)*len(ch.nodes)
	err := until("the last transactions to commit", func() bool {
		n, _ := ch.meter.committed()
		return n >= want || refused.Load() > 0
	})
	if n, _ := ch.meter.committed(); err != nil || n < want {
		return fmt.Errorf("%d of %d committed, %d refused: %w", n, want, refused.Load(), errors.Join(errIncomplete, err))
	}
	return nil
}

var errIncomplete = errors.New("not every transaction was committed")

// turns hand out one node's transactions in their order. A nonce that is more than 1,023 below the
// highest used one is refused, so no sender may fall far behind the others.
type turns struct {
	txs  [][]byte
	next atomic.Int64
	held [senders]atomic.Int64 // the transaction that a sender has in its hands, none for MaxInt64
}

// farthest is how far senders may be apart.
const farthest = 256

func newTurns(txs [][]byte) *turns {
	t := &turns{txs: txs}
	for s := range t.held {
		t.held[s].Store(math.MaxInt64)
	}
	return t
}

// take waits for the slowest sender and returns the next transaction, nil after the last.
func (t *turns) take(sender int) ([]byte, error) {
	k := t.next.Add(1) - 1
	if k >= int64(len(t.txs)) {
		return nil, nil
	}
	t.held[sender].Store(k)
	near := func() bool {
		for s := range t.held {
			if t.held[s].Load() <= k-farthest {
				return false
			}
		}
		return true
	}
	if near() {
		return t.txs[k], nil
	}
	return t.txs[k], until("a sender that fell behind", near)
}

// send sends what is this sender's turn. While it waits for room it holds nothing.
func (t *turns) send(n *cmtnode.Node, sender int, refused *atomic.Int64) error {
	pool := n.Mempool()
	for {
		if pool.Size() >= backlog {
			if err := until("room in the mempool", func() bool { return pool.Size() < backlog }); err != nil {
				return err
			}
		}
		raw, err := t.take(sender)
		if raw == nil || err != nil {
			return err
		}
		err = pool.CheckTx(cmttypes.Tx(raw), func(r *abci.ResponseCheckTx) {
			if r.Code != 0 {
				refused.Add(1)
			}
		}, mempool.TxInfo{})
		if err != nil && !errors.Is(err, mempool.ErrTxInCache) {
			return err
		}
		t.held[sender].Store(math.MaxInt64)
	}
}
