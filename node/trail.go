package node

import (
	"context"
	"errors"
	"time"

	"salus/client"
	"salus/exchange"
	"salus/internal/peer"
	"salus/ledger/module/governance"
)

const (
	// trailBytes is about what one reply with blocks of the trail may have.
	trailBytes = 4 << 20
	// trailPause is for how long a gap in the trail is left alone after members were asked, and logs say nothing new.
	trailPause = time.Minute
	// trailCall bounds one question to a member.
	trailCall = 10 * time.Second
)

// keepTrail looks at each block before it may be pruned, and keeps what receipts need of it. A node that
// joined by a snapshot, or was switched off when validators changed, asks the others for what it did not see.
func (n *Node) keepTrail(ctx context.Context) error {
	var asked time.Time
	for {
		changed := n.hub.Changed()
		if r := n.comet.Load(); r != nil {
			height := n.app.Head().Height
			err := n.prover.Extend(ctx, r.node.BlockStore().Base(), height)
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.Is(err, client.ErrGap) && time.Since(asked) >= trailPause:
				if asked = time.Now(); !n.askTrail(ctx) {
					n.log.WarnContext(ctx, "receipt_trail_gap", "height", height, "err", err)
				}
				n.trail.Skip(height)
			case errors.Is(err, client.ErrGap):
				n.trail.Skip(height)
			case err != nil && !errors.Is(err, client.ErrUnreachable) && time.Since(asked) >= trailPause:
				asked = time.Now()
				n.log.WarnContext(ctx, "receipt_trail_waits", "height", height, "err", err)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// askTrail adopts what other members keep and reports whether anything of it led on.
func (n *Node) askTrail(ctx context.Context) bool {
	v := n.app.View()
	members := governance.Active(v)
	v.Close()
	took := false
	for i := range members {
		if members[i].Account == n.cfg.Member {
			continue
		}
		if n.askTrailOf(ctx, &members[i]) {
			took = true
		}
	}
	return took
}

func (n *Node) askTrailOf(ctx context.Context, m *governance.Member) (took bool) {
	ctx, cancel := context.WithTimeout(ctx, trailCall)
	defer cancel()
	for after := uint64(0); ; {
		var reply exchange.TrailReply
		if err := n.links.Call(ctx, m.Account, exchange.PathTrail, exchange.TrailRequest{After: after}, &reply); err != nil || len(reply.Blocks) == 0 {
			return took
		}
		led, err := n.trail.Adopt(reply.Blocks)
		took = took || led
		if err != nil {
			n.log.WarnContext(ctx, "receipt_trail_refused", "member", m.Account.String(), "err", err)
			return took
		}
		last, err := client.HeightOf(reply.Blocks[len(reply.Blocks)-1])
		if err != nil || uint64(last) <= after {
			return took
		}
		after = uint64(last)
	}
}

// giveTrail answers what this node keeps. It is public: every receipt carries some of it.
func (n *Node) giveTrail(_ context.Context, r *peer.Request) (any, error) {
	var q exchange.TrailRequest
	if err := r.Decode(&q); err != nil {
		return nil, err
	}
	if q.After > 1<<62 {
		return nil, errArg
	}
	blocks, err := n.trail.After(int64(q.After), trailBytes)
	if err != nil {
		return nil, err
	}
	return exchange.TrailReply{Blocks: blocks}, nil
}
