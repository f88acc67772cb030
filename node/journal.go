package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/gateway/balp"
	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/tx"
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
	at, head := n.journalAt(), n.journal().Head()
	if n.app.Head().Height == 0 || head.Seq == at.Seq {
		return nil
	}
	_, err := member.Submit(ctx, audit.KindJournal, &audit.Journal{Seq: head.Seq, Head: head.Hash})
	return err
}

var errHeads = errors.New("node: the ledger's log does not hold the heads that its state counts")

// journalAt is the last head of the journal on the ledger.
func (n *Node) journalAt() audit.JournalPosition {
	v := n.app.View()
	defer v.Close()
	at, _ := audit.JournalAt(v, n.cfg.Member)
	return at
}

// heads are the journal's on the ledger, from a position back to the first.
func (n *Node) heads(at audit.JournalPosition) iter.Seq2[balp.Anchored, error] {
	return headsOf(n.app, n.cfg.Member, at)
}

// headsOf are the heads of a member's journal, from a position back to the first. No view is held between two.
func headsOf(app *ledger.App, member tx.Account, at audit.JournalPosition) iter.Seq2[balp.Anchored, error] {
	return func(yield func(balp.Anchored, error) bool) {
		index := at.Index
		for range at.Count {
			k, before, err := headAt(app, member, index)
			if !yield(k, err) || err != nil {
				return
			}
			index = before
		}
	}
}

// headAt is one head by its log entry, and the entry of the one before.
func headAt(app *ledger.App, member tx.Account, index uint64) (k balp.Anchored, before uint64, err error) {
	v := app.View()
	defer v.Close()
	raw, ok := v.Entry(index)
	if !ok {
		return k, 0, errHeads
	}
	e, rec, err := audit.JournalEntry(raw)
	if err != nil || rec.Member != member {
		return k, 0, fmt.Errorf("%w: entry %d", errHeads, index)
	}
	return balp.Anchored{Head: balp.Head{Seq: rec.Seq, Hash: rec.Head}, At: time.Unix(int64(e.Time), 0)}, rec.PrevIndex, nil
}

// checkJournal reads the journal from disk and compares it with every head that the ledger has of it, and what it says
// was received with what the ledger says was asked for.
func (n *Node) checkJournal(ctx context.Context) (gateway.JournalReport, error) {
	at := n.journalAt()
	verdict, err := n.keeper.compare(ctx, n.heads(at), context.Context.Err)
	if err != nil {
		return gateway.JournalReport{}, err
	}
	unmatched, err := n.arrivals.compare(ctx, context.Context.Err)
	rep := gateway.JournalReport{
		Member: n.cfg.Member, Heads: at.Count, Through: at.Seq, Time: at.Time, Faults: append([]balp.Fault{}, verdict.Faults...),
		Events: verdict.Events, First: verdict.First, Last: verdict.Head.Seq, Head: verdict.Head.Hash, Unmatched: unmatched,
	}
	if rep.Last > rep.Through {
		rep.Waiting = rep.Last - rep.Through
	}
	return rep, err
}
