package node

import (
	"context"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"salus/config"
	"salus/gateway/balp"
)

// A journalKeeper looks after the gateway's journal: it compares it with its heads on the ledger, and prunes
// what is old enough.
type journalKeeper struct {
	journal *balp.Journal
	keep    int // years; 0: for ever
	now     func() time.Time
	log     *slog.Logger

	faults atomic.Int64 // of the last comparison
}

// newJournalKeeper is the keeper of this node's journal.
func (n *Node) newJournalKeeper() *journalKeeper {
	return &journalKeeper{journal: n.journal(), keep: int(n.cfg.FHIR.KeepLog), now: time.Now, log: n.log}
}

// journalEvery is how often the journal is compared without being asked.
const journalEvery = 24 * time.Hour

// tendJournal looks after the journal once the replica has caught up, and then once a day.
func (n *Node) tendJournal(ctx context.Context) error {
	tick := time.NewTicker(journalEvery)
	defer tick.Stop()
	for changed := n.hub.Changed(); n.ready() != nil; changed = n.hub.Changed() {
		select {
		case <-changed:
			continue
		case <-tick.C: // what the replica has is compared all the same
		case <-ctx.Done():
			return nil
		}
		break
	}
	for {
		err := n.keeper.tend(ctx, n.heads(n.journalAt()))
		if err != nil && ctx.Err() == nil {
			n.log.WarnContext(ctx, "journal_not_compared", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// tend compares the journal with its heads, the newest first, and says what does not fit. Only if all fits
// it prunes what is older than is to be kept, and what the ledger had before then.
func (k *journalKeeper) tend(ctx context.Context, heads iter.Seq2[balp.Anchored, error]) error {
	now, through := k.now(), uint64(0)
	old := now.AddDate(-k.keep, 0, 0)
	v, err := k.compare(ctx, func(yield func(balp.Anchored, error) bool) {
		for h, err := range heads {
			if err == nil && through == 0 && h.At.Before(old) {
				through = h.Seq
			}
			if !yield(h, err) {
				return
			}
		}
	}, (&idler{time.Now()}).rest)
	if err != nil {
		return err
	}
	for _, f := range v.Faults {
		k.log.WarnContext(ctx, "journal_fault", "what", f.What, "from", f.From, "through", f.Through, "heads", f.Heads)
	}
	k.log.InfoContext(ctx, "journal_compared", "events", v.Events, "heads", v.Heads, "faults", len(v.Faults))
	if k.keep == 0 || len(v.Faults) > 0 {
		return nil
	}
	n, err := k.journal.Prune(old, through)
	if n > 0 {
		k.log.InfoContext(ctx, "journal_pruned", "events", n, "from", v.First, "through", v.First+uint64(n)-1, "years", k.keep)
	}
	return err
}

// compare compares the journal with its heads, the newest first, and counts what does not fit.
func (k *journalKeeper) compare(ctx context.Context, heads iter.Seq2[balp.Anchored, error], rest func(context.Context) error) (balp.Verdict, error) {
	// Whatever the setting is and was: nothing younger than this may ever be pruned.
	v, err := k.journal.Verify(ctx, heads, k.now().AddDate(-config.MinKeepLog, 0, 0), rest)
	if err == nil {
		k.faults.Store(int64(len(v.Faults)))
	}
	return v, err
}

// An idler makes work in the background take one part in ten of its time.
type idler struct{ since time.Time }

// rest waits nine times as long as the work since the last rest took.
func (i *idler) rest(ctx context.Context) error {
	t := time.NewTimer(9 * time.Since(i.since))
	defer t.Stop()
	select {
	case <-t.C:
		i.since = time.Now()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
