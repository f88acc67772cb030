package client

import (
	"context"
	"fmt"

	cmttypes "github.com/cometbft/cometbft/types"

	"salus/receipt"
)

// trail finds blocks between what is trusted and a later block that lead from the one's
// validators to the other's, by bisection: none while the set is the same or changes little.
// It returns them and what is trusted after the last.
func (p *Prover) trail(ctx context.Context, from receipt.Trust, to *cmttypes.LightBlock) ([]*cmttypes.LightBlock, receipt.Trust, error) {
	after, err := from.Follow(to)
	if err == nil {
		return nil, after, nil
	}
	middle := (from.Height() + to.Height) / 2
	if middle <= from.Height() {
		// Neighbours always follow from each other, so one of the two is not of this chain.
		return nil, from, fmt.Errorf("client: trail to block %d: %w", to.Height, err)
	}
	mid, err := p.block(ctx, middle)
	if err != nil {
		return nil, from, err
	}
	first, from, err := p.trail(ctx, from, mid)
	if err != nil {
		return nil, from, err
	}
	rest, after, err := p.trail(ctx, from, to)
	if err != nil {
		return nil, from, err
	}
	return append(append(first, mid), rest...), after, nil
}
