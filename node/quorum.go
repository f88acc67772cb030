package node

import (
	"context"
	"time"

	"github.com/cometbft/cometbft/consensus"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/ledger"
	"salus/ledger/module/governance"
)

const (
	// overdueAfter is how long after its heartbeat a block may still be on its way.
	overdueAfter = 2 * time.Second
	// watchEvery is how often it is looked whether a block is overdue.
	watchEvery = 500 * time.Millisecond
)

// committed is told of every block, before anybody who waits for one.
func (n *Node) committed(h ledger.Head) {
	n.blockAt.Store(time.Now().UnixNano())
	if n.quorum.Regain() {
		n.log.Info("quorum_back", "height", h.Height)
	}
	n.hub.Notify(h)
}

// watch says when the ledger stands still: the next block is overdue and too few validators are connected,
// or there was none for three heartbeats, whoever is connected. A block comes at least every heartbeat, so
// that silence means something. Who waits for a block learns it then, and not when its own patience ends.
func (n *Node) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		n.judge(ctx, time.Now())
	}
}

// judge is one look of watch.
func (n *Node) judge(ctx context.Context, now time.Time) {
	r := n.comet.Load()
	if r == nil {
		return
	}
	seen := n.blockAt.Load()
	silent := now.Sub(r.since)
	if seen != 0 {
		silent = min(silent, now.Sub(time.Unix(0, seen)))
	}
	beat := n.cfg.Ledger.Heartbeat.Duration
	if silent <= beat+overdueAfter || silent <= staleAfter*beat && n.connected(r) {
		return
	}
	since := time.Unix(int64(n.app.Head().Time), 0)
	if n.quorum.Lose(since) {
		if n.blockAt.Load() != seen { // a block came meanwhile
			n.quorum.Regain()
			return
		}
		n.log.WarnContext(ctx, "quorum_lost", "since", since.UTC(), "peers", r.node.Switch().Peers().Size())
	}
}

// connected reports whether more than two thirds of the validators are this node and those connected to it.
func (n *Node) connected(r *running) bool {
	here := 1
	for _, p := range r.node.Switch().Peers().Copy() {
		if s, ok := p.Get(cmttypes.PeerStateKey).(*consensus.PeerState); ok && s.GetHeight() > 0 {
			here++
		}
	}
	v := n.app.View()
	defer v.Close()
	return 3*here > 2*len(governance.Validators(v))
}
