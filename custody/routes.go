package custody

import (
	"context"
	"time"

	"salus/exchange"
	"salus/internal/peer"
)

// Routes serves the custodian's part of the members' link.
func (c *Custodian) Routes(s *peer.Server) {
	s.Handle(exchange.PathParcels, func(ctx context.Context, r *peer.Request) (any, error) {
		var l exchange.Load
		if err := r.Decode(&l); err != nil {
			return nil, err
		}
		return c.AcceptLoad(ctx, r.From, &l)
	})
	s.Handle(exchange.PathParcelOf, func(ctx context.Context, r *peer.Request) (any, error) {
		var q exchange.ParcelRequest
		if err := r.Decode(&q); err != nil {
			return nil, err
		}
		return c.Parcel(ctx, r.From, &q)
	})
	handle(s, exchange.PathKey, c.Key)
	handle(s, exchange.PathLocate, func(ctx context.Context, q *exchange.LocateRequest) (*exchange.Sealed, error) {
		if !c.await(ctx, q.Height) {
			return nil, c.refuse(ctx, notFresh)
		}
		return c.Locate(ctx, q)
	})
	handle(s, exchange.PathRelease, func(ctx context.Context, q *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) {
		if !c.await(ctx, q.Height) {
			return nil, c.refuse(ctx, notFresh)
		}
		return c.Release(ctx, q)
	})
	handle(s, exchange.PathOpenings, c.Openings)
	c.lookupRoutes(s)
	s.Handle(exchange.PathSubdeal, func(ctx context.Context, r *peer.Request) (any, error) {
		var q exchange.SubdealRequest
		if err := r.Decode(&q); err != nil {
			return nil, err
		}
		return c.Subdealt(ctx, r.From, &q)
	})
}

// awaitTime bounds how long a request waits for this replica to reach the reader's block.
const awaitTime = 2 * time.Second

// await returns when the own replica has reached a height, or false after awaitTime. A reader's own
// node is often a few milliseconds ahead of the others. What is decided afterwards is decided
// from the own replica.
func (c *Custodian) await(ctx context.Context, height uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, awaitTime)
	defer cancel()
	for {
		changed := c.Changed()
		if uint64(max(c.Ledger.Head().Height, 0)) >= height {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// handle serves a typed method.
func handle[Q, A any](s *peer.Server, path string, f func(context.Context, *Q) (*A, error)) {
	s.Handle(path, func(ctx context.Context, r *peer.Request) (any, error) {
		var q Q
		if err := r.Decode(&q); err != nil {
			return nil, err
		}
		return f(ctx, &q)
	})
}
