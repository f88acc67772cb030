package node

import (
	"context"
	"slices"
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
func (n *Node) connected(r *running) bool { return 3*(1+len(heights(r))) > 2*n.validators() }

// reached is the height of the newest block that the network has committed for certain, 0 when the peers do not tell.
// A block is committed everywhere within a moment, but a node that is short of time, or has just been started, is a
// few behind.
func (n *Node) reached() int64 {
	r := n.comet.Load()
	if r == nil {
		return 0
	}
	return certain(heights(r), n.validators())
}

// certain is the newest block that more peers have committed than may be dishonest, by what they say they decide:
// the one after it.
func certain(deciding []int64, validators int) int64 {
	faulty := (validators - 1) / 3
	if len(deciding) <= faulty {
		return 0
	}
	slices.Sort(deciding)
	return deciding[len(deciding)-1-faulty] - 1
}

// heights are those that connected peers say they decide. A peer that has not said it yet does not count.
func heights(r *running) []int64 {
	var at []int64
	for _, p := range r.node.Switch().Peers().Copy() {
		if s, ok := p.Get(cmttypes.PeerStateKey).(*consensus.PeerState); ok && s.GetHeight() > 0 {
			at = append(at, s.GetHeight())
		}
	}
	return at
}

// validators is how many there are.
func (n *Node) validators() int {
	v := n.app.View()
	defer v.Close()
	return len(governance.Validators(v))
}
