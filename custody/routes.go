package custody

import (
	"context"

	"salus/exchange"
	"salus/internal/peer"
)

// Routes serves the custodian's part of the members' link.
func (c *Custodian) Routes(s *peer.Server) {
	s.Handle(exchange.PathParcel, func(ctx context.Context, r *peer.Request) (any, error) {
		var p exchange.Parcel
		if err := r.Decode(&p); err != nil {
			return nil, err
		}
		return struct{}{}, c.Accept(ctx, r.From, &p)
	})
	handle(s, exchange.PathParcelOf, c.Parcel)
	handle(s, exchange.PathKey, c.Key)
	handle(s, exchange.PathLocate, c.Locate)
	handle(s, exchange.PathRelease, c.Release)
	handle(s, exchange.PathOpenings, c.Openings)
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
