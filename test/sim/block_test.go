package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger"
	"salus/ledger/tx"
)

// A block is what members agree on.
type block struct {
	Height   int64
	Time     int64 // milliseconds since the genesis
	Proposer int
	Prev     [32]byte
	AppHash  [32]byte // after the block before
	Txs      [][]byte
	Evidence []evidence
	Nonce    uint64 // tells two blocks of an equivocating proposer apart
}

func (b *block) id() [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d/%d/%d/%x/%x/%v/%d/", b.Height, b.Time, b.Proposer, b.Prev, b.AppHash, b.Evidence, b.Nonce)
	for _, raw := range b.Txs {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(raw))))
		h.Write(raw)
	}
	return [32]byte(h.Sum(nil))
}

func (b *block) when() time.Time {
	return time.Unix(genesis, 0).Add(time.Duration(b.Time) * time.Millisecond).UTC()
}

// Evidence is two votes of one member in one round. It carries them in full, so whoever has
// it can check it.
type evidence struct {
	Voter  int
	Height int64
	Round  int
	Kind   voteKind
	One    [32]byte
	Other  [32]byte
}

func (e evidence) key() string { return fmt.Sprintf("%d/%d/%d/%d", e.Voter, e.Height, e.Round, e.Kind) }

// misbehavior is the evidence as the application is told of it.
func (b *block) misbehavior(w *world) []abci.Misbehavior {
	var out []abci.Misbehavior
	for _, e := range b.Evidence {
		d := digestOf("validator/" + memberName(e.Voter))
		address := sha256.Sum256(d[:])
		out = append(out, abci.Misbehavior{
			Type: abci.MisbehaviorType_DUPLICATE_VOTE, Validator: abci.Validator{Address: address[:20], Power: 1},
			Height: e.Height, Time: b.when(), TotalVotingPower: int64(w.Members),
		})
	}
	return out
}

// A decided block comes with the precommits of a quorum.
type decided struct {
	block *block
	round int
	by    []int
}

const (
	maxBlockTxs = 1 << 19 // bytes
	drift       = 3000    // milliseconds that a block's time may be ahead of a member's clock
)

// propose makes a block of what waits.
func (n *node) propose() *block {
	last := n.engine.last
	b := &block{Height: n.height() + 1, Proposer: n.i, AppHash: n.app.Head().AppHash}
	b.Time = n.w.now + n.skew
	if last != nil {
		b.Prev = last.block.id()
		b.Time = max(b.Time, last.block.Time+1)
	}
	b.Time = max(b.Time, 1)
	for _, e := range n.engine.evidence {
		if !n.engine.punished[e.key()] && len(b.Evidence) < 4 {
			b.Evidence = append(b.Evidence, e)
		}
	}
	res, err := n.app.PrepareProposal(context.Background(), &abci.RequestPrepareProposal{
		MaxTxBytes: maxBlockTxs, Txs: n.pool.list(), Height: b.Height, Time: b.when(), Misbehavior: b.misbehavior(n.w),
	})
	n.must("prepare", err)
	if err == nil {
		b.Txs = res.Txs
	}
	return b
}

// valid says whether this member would vote for a block.
func (n *node) valid(b *block) bool {
	last := n.engine.last
	switch {
	case b.Height != n.height()+1, b.AppHash != n.app.Head().AppHash:
		return false
	case last != nil && (b.Prev != last.block.id() || b.Time <= last.block.Time):
		return false
	case b.Time <= 0 || b.Time > n.w.now+n.skew+drift:
		return false
	}
	var before []string
	for _, e := range b.Evidence {
		if e.One == e.Other || e.Height > b.Height || n.engine.punished[e.key()] || slices.Contains(before, e.key()) || !n.w.nodes[e.Voter].signedBoth(e) {
			return false
		}
		before = append(before, e.key())
	}
	id := b.id()
	res, err := n.app.ProcessProposal(context.Background(), &abci.RequestProcessProposal{
		Txs: b.Txs, Height: b.Height, Time: b.when(), Hash: id[:], Misbehavior: b.misbehavior(n.w),
	})
	n.must("process", err)
	return err == nil && res.IsAccepted()
}

// signedBoth stands for the check of the two signatures in an evidence.
func (n *node) signedBoth(e evidence) bool {
	sent := n.kept.sent[voteAt{e.Height, e.Round, e.Kind}]
	return slices.Contains(sent, e.One) && slices.Contains(sent, e.Other)
}

// A pool is the transactions that wait at one member.
type pool struct {
	n    *node
	raws [][]byte
}

func newPool(n *node) *pool { return &pool{n: n} }

func (p *pool) list() [][]byte { return p.raws }

// add checks a transaction, keeps it and, if it is new, tells the others.
func (p *pool) add(raw []byte, tell bool) {
	if slices.ContainsFunc(p.raws, func(o []byte) bool { return bytes.Equal(o, raw) }) {
		return
	}
	if p.n.rogue == nil {
		res, err := p.n.app.CheckTx(context.Background(), &abci.RequestCheckTx{Tx: raw})
		p.n.must("check", err)
		if err != nil || res.Code != tx.CodeOK {
			p.n.w.saw("transactions refused at the door")
			return
		}
	}
	p.raws = append(p.raws, raw)
	if tell {
		p.n.w.net.spread(p.n, func(to *node) { to.pool.add(raw, false) })
	}
	p.n.engine.hurry()
}

// committed drops what is decided, and what the new state does not take any more.
func (p *pool) committed(txs [][]byte) {
	gone := map[string]bool{}
	for _, raw := range txs {
		gone[string(raw)] = true
	}
	p.raws = slices.DeleteFunc(p.raws, func(raw []byte) bool {
		if gone[string(raw)] {
			return true
		}
		_, body, err := tx.DecodeEnvelope(raw)
		return err != nil || int64(body.Expiry) <= p.n.height()
	})
}

// replayed runs all decided blocks again on an empty store.
func (w *world) replayed() *ledger.App {
	n := &node{w: w, i: -1, name: "replay", genesis: w.nodes[0].genesis, disk: newDisk(), up: true}
	n.openLedger()
	n.pool = newPool(n)
	for h := int64(1); w.truth.blocks[h] != nil; h++ {
		b := w.truth.blocks[h].block
		id := b.id()
		res, err := n.app.FinalizeBlock(context.Background(), &abci.RequestFinalizeBlock{
			Txs: b.Txs, Height: b.Height, Time: b.when(), Hash: id[:], Misbehavior: b.misbehavior(w),
		})
		n.must("replay", err)
		if [32]byte(res.AppHash) != w.truth.hashes[h] {
			w.fail("block %d comes to another app hash when it is replayed from the genesis", h)
		}
		_, err = n.app.Commit(context.Background(), &abci.RequestCommit{})
		n.must("replay", err)
	}
	return n.app
}
