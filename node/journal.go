package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/gateway/balp"
	"salus/ledger/module/audit"
)

// journal is the gateway's own: who asked it for what.
func (n *Node) journal() *balp.Journal { return n.fhir.front.Events.Recorder.Journal }

// anchorJournal puts the journal's head on the ledger from time to time, if it has grown, and as soon as
// the ledger goes on after it stood still. What happened meanwhile is in the journal, numbered without a
// gap, and bound by the next head.
func (n *Node) anchorJournal(ctx context.Context, member *client.Submitter) error {
	tick := time.NewTicker(n.cfg.FHIR.Journal.Duration)
	defer tick.Stop()
	for {
		var back <-chan struct{}
		if _, lost := n.quorum.Since(); lost {
			back = n.quorum.Back()
		}
		select {
		case <-tick.C:
		case <-back:
		case <-ctx.Done():
			return nil
		}
		err := n.anchorHead(ctx, member)
		if err != nil && ctx.Err() == nil && !errors.Is(err, client.ErrNoQuorum) {
			n.log.WarnContext(ctx, "journal_not_anchored", "err", err)
		}
	}
}

// anchorHead anchors where the journal stands, unless the ledger has that.
func (n *Node) anchorHead(ctx context.Context, member *client.Submitter) error {
	v := n.app.View()
	at, _ := audit.JournalAt(v, n.cfg.Member)
	height := v.Meta().Height
	v.Close()
	head := n.journal().Head()
	if height == 0 || head.Seq == at.Seq {
		return nil
	}
	_, err := member.Submit(ctx, audit.KindJournal, &audit.Journal{Seq: head.Seq, Head: head.Hash})
	return err
}

var errHeads = errors.New("node: the ledger's log does not hold the heads that its state counts")

// checkJournal reads the journal from disk and compares it with every head that the ledger has of it.
func (n *Node) checkJournal(ctx context.Context) (gateway.JournalReport, error) {
	v := n.app.View()
	defer v.Close()
	at, _ := audit.JournalAt(v, n.cfg.Member)
	rep := gateway.JournalReport{Member: n.cfg.Member, Heads: at.Count, Through: at.Seq, Time: at.Time, Faults: []string{}}
	var kept []balp.Head
	index := at.Index
	for range at.Count {
		if err := ctx.Err(); err != nil {
			return rep, err
		}
		raw, ok := v.Entry(index)
		if !ok {
			return rep, errHeads
		}
		_, rec, err := audit.JournalEntry(raw)
		if err != nil || rec.Member != n.cfg.Member {
			return rep, fmt.Errorf("%w: entry %d", errHeads, index)
		}
		kept = append(kept, balp.Head{Seq: rec.Seq, Hash: rec.Head})
		index = rec.PrevIndex
	}
	verdict, err := n.journal().Verify(kept)
	if err != nil {
		return rep, err
	}
	rep.Events, rep.First, rep.Last, rep.Head = verdict.Events, verdict.First, verdict.Head.Seq, verdict.Head.Hash
	rep.Faults = append(rep.Faults, verdict.Faults...)
	if rep.Last > rep.Through {
		rep.Waiting = rep.Last - rep.Through
	}
	return rep, nil
}
