package main

import (
	"context"
	"sync"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
)

// counted counts the transactions that commit with code 0.
type counted struct {
	abci.Application

	mu      sync.Mutex // guards what follows
	decided int        // of the block that Commit will commit
	total   int
	last    time.Time // when the last of them was committed
	block   [][]byte  // what the watch is to be told of at Commit
	watched *watch    // nil while nobody asks for times
}

// FinalizeBlock implements abci.Application.
func (c *counted) FinalizeBlock(ctx context.Context, r *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	res, err := c.Application.FinalizeBlock(ctx, r)
	if err != nil {
		return res, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decided, c.block = 0, nil
	for i, t := range res.TxResults {
		if t.Code != 0 {
			continue
		}
		c.decided++
		if c.watched != nil {
			c.block = append(c.block, r.Txs[i])
		}
	}
	return res, nil
}

// Commit implements abci.Application.
func (c *counted) Commit(ctx context.Context, r *abci.RequestCommit) (*abci.ResponseCommit, error) {
	res, err := c.Application.Commit(ctx, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.decided > 0 {
		c.total += c.decided
		c.decided, c.last = 0, time.Now()
		if c.watched != nil {
			c.watched.committed(c.block, c.last)
		}
	}
	return res, err
}

// committed is how many were committed, and when the last of them was.
func (c *counted) committed() (int, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total, c.last
}

// A watch takes the time of transactions from when they are sent to when they are committed.
type watch struct {
	mu    sync.Mutex // guards what follows
	since map[string]time.Time
	took  []float64 // milliseconds
	last  time.Time
}

// watch begins to take times; the watch before it gets no more.
func (c *counted) watch() *watch {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched = &watch{since: map[string]time.Time{}}
	return c.watched
}

func (w *watch) sent(raw []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since[string(raw)] = time.Now()
}

func (w *watch) committed(txs [][]byte, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, raw := range txs {
		if t, ok := w.since[string(raw)]; ok {
			delete(w.since, string(raw))
			w.took, w.last = append(w.took, millis(at.Sub(t))), at
		}
	}
}

// done is how many of the sent transactions were committed.
func (w *watch) done() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.took)
}

// times are those of the committed ones, and when the last of them was.
func (w *watch) times() ([]float64, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.took, w.last
}
