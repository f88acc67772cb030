package main

import (
	"context"
	"errors"
	"fmt"
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
		var next atomic.Int64 // in turns, because nonces may not be far apart
		take := func() []byte {
			if k := from + int(next.Add(1)) - 1; k < to {
				return l.txs[i][k]
			}
			return nil
		}
		for s := range senders {
			wg.Go(func() { errs[i*senders+s] = send(n, take, &refused) })
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	want := already + (to-from)*len(ch.nodes)
	err := until("the last transactions to commit", time.Minute, func() bool {
		n, _ := ch.meter.committed()
		return n >= want || refused.Load() > 0
	})
	if n, _ := ch.meter.committed(); err != nil || n < want {
		return fmt.Errorf("%d of %d committed, %d refused: %w", n, want, refused.Load(), errors.Join(errIncomplete, err))
	}
	return nil
}

var errIncomplete = errors.New("not every transaction was committed")

func send(n *cmtnode.Node, take func() []byte, refused *atomic.Int64) error {
	pool := n.Mempool()
	for raw := take(); raw != nil; raw = take() {
		if pool.Size() >= backlog {
			if err := until("room in the mempool", time.Minute, func() bool { return pool.Size() < backlog }); err != nil {
				return err
			}
		}
		err := pool.CheckTx(cmttypes.Tx(raw), func(r *abci.ResponseCheckTx) {
			if r.Code != 0 {
				refused.Add(1)
			}
		}, mempool.TxInfo{})
		if err != nil && !errors.Is(err, mempool.ErrTxInCache) {
			return err
		}
	}
	return nil
}
