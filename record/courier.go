package record

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"salus/exchange"
	"salus/ledger/tx"
)

// A courier brings parcels to one custodian. What comes while a load is on its way gathers and goes with
// the next one; what comes while none is, leaves at once.
type courier struct {
	call func(ctx context.Context, l *exchange.Load, r *exchange.LoadReply) error

	mu      sync.Mutex // guards what follows
	away    bool       // a load is on its way; who brings it takes what waits afterwards
	waiting []*errand
}

// An errand is one parcel on its way.
type errand struct {
	ctx  context.Context //nolint:containedctx // the sender's: it may go away before its part has left
	part []byte
	done chan error // takes one without a receiver
}

// linger is how long a load that nobody waits for any more may take. Its batches are ACTIVE by then, most often by the
// receipts of members that are closer: who is slow gets its part all the same, instead of having to ask for it.
const linger = 2 * time.Second

// couriers are at most one for each member that ever was.
type couriers struct {
	mu sync.Mutex // guards at
	at map[tx.Account]*courier
}

// bring sends an encoded parcel to a custodian, with others that go there, and returns what became of it, or ctx's error.
func (s *Service) bring(ctx context.Context, to tx.Account, part []byte) error {
	c := s.courier(to)
	e := &errand{ctx: ctx, part: part, done: make(chan error, 1)}
	if len(part) > exchange.MaxShared {
		c.carry(ctx, []*errand{e})
		return <-e.done
	}
	if c.add(e) {
		s.work.Go(func() {
			for load := c.next(); len(load) > 0; load = c.next() {
				c.carry(s.ctx, load)
			}
		})
	}
	select {
	case err := <-e.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Service) courier(to tx.Account) *courier {
	s.couriers.mu.Lock()
	defer s.couriers.mu.Unlock()
	c := s.couriers.at[to]
	if c == nil {
		c = &courier{call: func(ctx context.Context, l *exchange.Load, r *exchange.LoadReply) error {
			return s.Links.Call(ctx, to, exchange.PathParcels, l, r)
		}}
		s.couriers.at[to] = c
	}
	return c
}

// add queues an errand; true means that the caller has to see to it that the courier leaves.
func (c *courier) add(e *errand) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	crowded := len(c.waiting) >= 2*exchange.MaxParts // the member hangs: what nobody waits for is not kept for it
	c.waiting = slices.DeleteFunc(c.waiting, func(w *errand) bool { return w.ctx.Err() != nil && (crowded || bytes.Equal(w.part, e.part)) })
	c.waiting = append(c.waiting, e)
	first := !c.away
	c.away = true
	return first
}

// next takes the next load; it is empty if nothing waits.
func (c *courier) next() []*errand {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), exchange.MaxParts)
	load := slices.Clone(c.waiting[:n])
	c.waiting = slices.Delete(c.waiting, 0, n)
	c.away = n > 0
	return load
}

// carry brings a load to the member and tells everybody what became of his part. It ends with ctx, and soon after the
// last one stopped waiting.
func (c *courier) carry(ctx context.Context, load []*errand) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait atomic.Int64
	wait.Store(int64(len(load)))
	l, r := new(exchange.Load), new(exchange.LoadReply)
	for _, e := range load {
		l.Parts = append(l.Parts, e.part)
		defer context.AfterFunc(e.ctx, func() {
			if wait.Add(-1) == 0 && pause(ctx, linger) {
				cancel()
			}
		})()
	}
	err := c.call(ctx, l, r)
	if err == nil {
		err = r.Answers(l)
	}
	for i, e := range load {
		switch {
		case err != nil:
			e.done <- err
		case r.Codes[i] != 0:
			e.done <- tx.Refuse(r.Codes[i], "")
		default:
			e.done <- nil
		}
	}
}
