package sim

import (
	"bytes"
	"context"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger"
	"salus/ledger/module/anchor"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// finish checks, at the end of a run, what can only be checked then.
func (w *world) finish() {
	w.restarts()
	w.logs()
	w.dealings()
	w.journals()
	w.canaries()
	w.clients.history.check(w)
}

// restarts cuts the power of every honest member once more, and compares what comes back
// with a replay of all blocks from the genesis.
func (w *world) restarts() {
	again := w.replayed()
	want := again.Head()
	if err := again.Close(); err != nil {
		w.fail("replay: %v", err)
	}
	for _, n := range w.honest() {
		n.discard()
		n.up = false
		n.life++
		n.disk = n.disk.cutPower()
		n.start()
		if got := n.app.Head(); got.Height < want.Height || got.Height == want.Height && got != want {
			w.fail("member %d is at %d after a restart, a replay from the genesis at %d, or their app hashes differ", n.i, got.Height, want.Height)
		}
		if n.cust != nil {
			if err := n.cust.Check(context.Background()); err != nil {
				w.fail("member %d: its custody does not check out: %v", n.i, err)
			}
		}
		for h := n.oldest(); h <= want.Height; h++ {
			for _, raw := range w.truth.blocks[h].block.Txs {
				id := idOf(raw)
				f := w.truth.txs[id]
				if r, ok := n.app.Result(id); !ok || r.Code != f.code || r.Height != f.height {
					w.fail("member %d has lost the result of a transaction of block %d", n.i, h)
				}
			}
		}
		w.saw("restarts compared with a replay")
	}
}

// oldest is the first block whose results a member has: all, but for state sync.
func (n *node) oldest() int64 {
	for h := n.height(); h > 0; h-- {
		if n.blocks[h] == nil {
			return h + 2 // the block of the snapshot is there, its results are not
		}
	}
	return 1
}

// logs checks that the Merkle log at the end extends what it was at other heights, by the
// proofs that every member gives.
func (w *world) logs() {
	for _, n := range w.honest() {
		v := n.app.View()
		end := v.Meta()
		v.Close()
		for range 5 {
			h := 1 + w.rng.Int64N(w.truth.tip)
			was := w.truth.metas[h]
			res, err := n.app.Query(context.Background(), &abci.RequestQuery{Path: ledger.PathExtension, Data: tx.MustEncode(&ledger.BySize{Size: was.LogSize})})
			if err != nil || res.Code != tx.CodeOK {
				w.fail("member %d gives no proof that its log extends that of block %d", n.i, h)
			}
			var p state.ExtensionProof
			if err := tx.Decode(res.Value, &p); err != nil {
				w.fail("member %d: extension proof: %v", n.i, err)
			}
			if err := p.Verify(was.AppHash, was.Roots(), end.AppHash); err != nil {
				w.fail("member %d: its log does not extend that of block %d: %v", n.i, h, err)
			}
			w.saw("log extensions proven")
		}
	}
}

// dealings checks that no honest custodian has put its name to a share that is wrong, and
// that it has complained if it got one.
func (w *world) dealings() {
	v := w.honest()[0].app.View()
	defer v.Close()
	for _, b := range w.clients.order {
		row, anchored := anchor.Lookup(v, b.header)
		if !anchored {
			continue
		}
		for _, n := range w.honest() {
			seat := w.truth.seat(n.account)
			bit := uint64(1) << (seat - 1)
			switch {
			case b.bad[seat] && row.Receipts&bit != 0:
				w.fail("member %d has receipted a bad share of batch %d", n.i, b.number)
			case b.bad[seat] && row.Complaints&bit != 0:
				w.saw("bad dealings complained of")
			case !b.bad[seat] && row.Complaints&bit != 0:
				w.fail("member %d complains of batch %d without a reason", n.i, b.number)
			}
		}
	}
}

// journals checks that every reply's receipt is still there, in one chain without a gap.
func (w *world) journals() {
	for _, n := range w.honest() {
		var prev [32]byte
		last := uint64(0)
		for _, r := range journalOf(n.disk.durableBytes("custody/receipts.wal")) {
			if r.Sequence != last+1 || r.Prev != prev {
				w.fail("member %d: its release receipts have a gap at %d", n.i, r.Sequence)
			}
			last, prev = r.Sequence, r.Hash()
			what := fmt.Sprintf("%x/%d/%x/%d", r.Session, r.Fetch, r.List, r.Height)
			if said, replied := w.truth.replies[fmt.Sprintf("%d/%d", n.i, r.Sequence)]; replied && said != what {
				w.fail("member %d: receipt %d is not of the reply that bore its number", n.i, r.Sequence)
			}
		}
		if last < w.truth.last[n.i] {
			w.fail("member %d has lost release receipts: %d of %d are left", n.i, last, w.truth.last[n.i])
		}
	}
}

// canaries looks for plaintext where none may be: in blocks and on members' disks.
func (w *world) canaries() {
	canary := []byte("canary plaintext")
	for h := int64(1); h <= w.truth.tip; h++ {
		for _, raw := range w.truth.blocks[h].block.Txs {
			if bytes.Contains(raw, canary) {
				w.fail("block %d holds plaintext", h)
			}
		}
	}
	for _, n := range w.nodes {
		n.disk.mu.Lock()
		for name, f := range n.disk.names {
			if bytes.Contains(f.data, canary) {
				n.disk.mu.Unlock()
				w.fail("member %d: plaintext in %s", n.i, name)
			}
		}
		n.disk.mu.Unlock()
	}
}
