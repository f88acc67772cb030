package sim

import (
	"context"

	abci "github.com/cometbft/cometbft/abci/types"
)

// loseLedger loses a member's replica and blocks, but neither its votes nor its custody.
func (n *node) loseLedger() {
	n.w.log("member %d loses its replica", n.i)
	n.w.saw("replicas lost")
	n.crash()
	n.disk.wipe("ledger")
	n.blocks, n.acked = nil, 0
}

// stateSync takes a snapshot over from a peer; false if nobody offers one.
func (n *node) stateSync() bool {
	for _, k := range n.w.rng.Perm(len(n.w.nodes)) {
		p := n.w.nodes[k]
		if p == n || !p.up || p.byzantine() || p.app == nil || n.w.net.cut(n.i, k) {
			continue
		}
		list, err := p.app.ListSnapshots(context.Background(), &abci.RequestListSnapshots{})
		if err != nil || len(list.Snapshots) == 0 {
			continue
		}
		return n.takeSnapshot(p, list.Snapshots[len(list.Snapshots)-1])
	}
	return false
}

// takeSnapshot fetches one snapshot. The app hash and the block come from a verified header,
// which is the light client's part and not simulated.
func (n *node) takeSnapshot(p *node, s *abci.Snapshot) bool {
	ctx := context.Background()
	hash := n.w.truth.hashes[int64(s.Height)]
	offer, err := n.app.OfferSnapshot(ctx, &abci.RequestOfferSnapshot{Snapshot: s, AppHash: hash[:]})
	n.must("offer", err)
	if offer.GetResult() != abci.ResponseOfferSnapshot_ACCEPT {
		return false // it begins with the genesis
	}
	for i := range s.Chunks {
		chunk, err := p.app.LoadSnapshotChunk(ctx, &abci.RequestLoadSnapshotChunk{Height: s.Height, Format: s.Format, Chunk: i})
		n.must("load chunk", err)
		res, err := n.app.ApplySnapshotChunk(ctx, &abci.RequestApplySnapshotChunk{Index: i, Chunk: chunk.Chunk})
		n.must("apply chunk", err)
		if !n.alive() {
			return true
		}
		if res.Result != abci.ResponseApplySnapshotChunk_ACCEPT {
			n.w.fail("member %d: an honest peer's snapshot chunk: %v", n.i, res.Result)
		}
	}
	if n.alive() {
		if n.height() != int64(s.Height) {
			n.w.fail("member %d: at height %d after a snapshot of %d", n.i, n.height(), s.Height)
		}
		n.blocks[n.height()] = n.w.truth.blocks[n.height()]
		n.acked = n.height()
		n.w.saw("snapshots taken over")
	}
	return true
}
