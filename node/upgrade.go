package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/config"
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// errOutdated ends a node whose program does not know the rules of the next block.
var errOutdated = tx.Refuse(0x2410, "node: the next block has rules that this program does not know: install the release that the members agreed on")

// outdated is nil, or why this program must not go on.
func (n *Node) outdated() error {
	if err := n.app.Outdated(); err != nil {
		return fmt.Errorf("%w: %w", errOutdated, err)
	}
	return nil
}

// upgrades ends the node after the last block whose rules it knows. Everything of that block is
// durable then, and the door holds consensus before the next one.
func (n *Node) upgrades(ctx context.Context) error {
	for {
		changed := n.hub.Changed()
		if err := n.outdated(); err != nil {
			n.warnOutdated(ctx)
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// warnOutdated writes the line that an operator looks for.
func (n *Node) warnOutdated(ctx context.Context) {
	if e, ok := errors.AsType[*ledger.OutdatedError](n.app.Outdated()); ok {
		n.log.ErrorContext(ctx, "upgrade_needed", "code", fmt.Sprintf("%#04x", errOutdated.Code), "height", e.Height, "version", e.Version,
			"release", e.Name, "this_program", e.Newest, "last_block", n.app.Head().Height)
	}
}

// Plan reads the upgrade that waits, and the last block, from a stopped node's replica. ok is false if
// none waits.
func Plan(c *config.Config) (p governance.Planned, height int64, ok bool, err error) {
	unlock, err := lockHome(c)
	if err != nil {
		return p, 0, false, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	store, err := state.Open(c.Data("ledger"), state.Options{})
	if err != nil {
		return p, 0, false, fmt.Errorf("node: ledger: %w", err)
	}
	v := store.View()
	p, ok = governance.LookupPlan(v)
	height = v.Meta().Height
	v.Close()
	return p, height, ok, store.Close()
}

// outdated reports why the application must not be asked about the next block.
func (d *door) outdated() error {
	if a, ok := d.Application.(interface{ Outdated() error }); ok {
		return a.Outdated()
	}
	return nil
}

// held waits, before a block whose rules this program does not know, until the node stops: its part in
// consensus ends here without a proposal, a vote or a fault that the others could see. nil means that
// there is nothing to wait for.
func (d *door) held() error {
	err := d.outdated()
	if err != nil && d.runs() {
		<-d.stopping
	}
	return err
}

// PrepareProposal implements abci.Application.
func (d *door) PrepareProposal(ctx context.Context, r *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	if err := d.held(); err != nil {
		return nil, err
	}
	return d.Application.PrepareProposal(ctx, r)
}

// ProcessProposal implements abci.Application.
func (d *door) ProcessProposal(ctx context.Context, r *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	if err := d.held(); err != nil {
		return nil, err
	}
	return d.Application.ProcessProposal(ctx, r)
}

// FinalizeBlock implements abci.Application.
func (d *door) FinalizeBlock(ctx context.Context, r *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	if err := d.held(); err != nil {
		if d.runs() && d.syncing() {
			// Whoever fetches blocks knows no answer to an error but a panic that ends the process. This
			// ends its goroutine alone, with all that it deferred.
			runtime.Goexit()
		}
		return nil, err
	}
	d.pause(pauseAfter(len(r.Txs)))
	return d.Application.FinalizeBlock(ctx, r)
}
