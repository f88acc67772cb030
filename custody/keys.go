package custody

import (
	"context"
	"crypto/sha256"

	"golang.org/x/sync/errgroup"

	"salus/exchange"
	"salus/internal/hedge"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// copyKeys keeps copies of the public keys that authors may need of the other custodians, to
// answer while their owner is down: the valid one, and the last one, also when it has ended.
func (c *Custodian) copyKeys(ctx context.Context, v *state.View, epoch committee.Epoch) error {
	keep := map[tx.Hash]bool{}
	var g errgroup.Group
	g.SetLimit(askAtOnce)
	want := func(k committee.CustodyKey) {
		if keep[k.Hash] || k.Member == c.Self {
			return
		}
		keep[k.Hash] = true
		if _, known := c.copied(k.Hash); !known {
			g.Go(func() error { c.copyKey(ctx, k, epoch); return nil })
		}
	}
	for _, l := range committee.LiveKeys(v, v.Meta().Time) {
		want(l.Key)
	}
	for _, m := range epoch.Members {
		if k, ok := committee.Latest(v, m); ok {
			want(k)
		}
	}
	_ = g.Wait() // who could not be reached is asked again
	c.mu.Lock()
	defer c.mu.Unlock()
	for hash := range c.copies {
		if !keep[hash] {
			delete(c.copies, hash)
		}
	}
	return ctx.Err()
}

// copyKey asks the key's owner, then the others.
func (c *Custodian) copyKey(ctx context.Context, k committee.CustodyKey, epoch committee.Epoch) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	public, err := hedge.First(ctx, c.others(k.Member, epoch), askNext, func(ctx context.Context, m tx.Account) ([]byte, error) {
		var reply exchange.KeyReply
		err := c.Links.Call(ctx, m, exchange.PathKey, exchange.KeyRequest{Hash: k.Hash}, &reply)
		if err == nil && sha256.Sum256(reply.Public) != k.Hash {
			err = ErrNoKey
		}
		return reply.Public, err
	}, nil)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.copies[k.Hash] = public
	}
}

func (c *Custodian) copied(hash tx.Hash) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	public, ok := c.copies[hash]
	return public, ok
}

// Key answers for a public custody key by its hash: an own one or a copy.
// Errors: ErrNoKey.
func (c *Custodian) Key(_ context.Context, req *exchange.KeyRequest) (*exchange.KeyReply, error) {
	if public, ok := c.copied(req.Hash); ok {
		return &exchange.KeyReply{Public: public}, nil
	}
	seeds, err := c.rows.seeds()
	if err != nil {
		return nil, err
	}
	for i := range seeds {
		if seeds[i].hash() == req.Hash {
			return &exchange.KeyReply{Public: seeds[i].Public}, nil
		}
	}
	return nil, ErrNoKey
}
