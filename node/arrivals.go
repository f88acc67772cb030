package node

import (
	"context"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"salus/gateway/balp"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/record"
)

const (
	// arrivalsEvery is how often both sides are compared; more often if the journal is anchored more often.
	arrivalsEvery = time.Minute
	// arrivalWithin is for how long one side may know of a list before the other does: so many comparisons.
	arrivalWithin = 10
	// arrivalsFor is how far back a start compares them: what is older was compared before.
	arrivalsFor = 31 * 24 * time.Hour
)

// arrived puts into the journal what came of a list of records that a session of this organisation asked for. The
// session hands nothing on before that is on disk.
func (n *Node) arrived(ctx context.Context, a record.Arrival) error {
	v := n.app.View()
	s, _ := access.Lookup(v, a.Session)
	v.Close()
	names := n.fhir.front.Events.Names
	e := balp.Event{
		Kind: balp.Receive, Outcome: balp.Success, User: names.Person(s.Actor), Patient: names.Person(a.Patient), Server: balp.TheLedger(n.record.Chain), Recipient: names.Member(n.cfg.Member),
		Purposes: consent.PurposesOf(s.Purpose), Session: a.Session, List: a.List, Count: uint32(a.Came), What: fmt.Sprintf("%d of %d records", a.Came, a.Count),
	}
	switch {
	case a.Err != nil:
		e.Outcome, e.Reason = balp.Major, "not-received"
	case a.Came == 0:
		e.Outcome, e.Reason = balp.Serious, "nothing-released"
	}
	return n.fhir.event(ctx, e)
}

// An arrivals compares the lists of records that the ledger says were asked for in this organisation's name with
// those that its journal says came. Whoever asks elsewhere, with a key of its staff, is told of by the ledger only.
type arrivals struct {
	self    tx.Account
	journal *balp.Journal
	app     *ledger.App
	log     *slog.Logger
	every   time.Duration

	mu    sync.Mutex // guards what follows
	match *balp.Matching
	entry uint64 // of the log, the next to be read
	event uint64 // of the journal, the last that was
	told  map[balp.Unmatched]bool

	unmatched atomic.Int64
}

func (n *Node) newArrivals() *arrivals {
	return &arrivals{
		self: n.cfg.Member, journal: n.journal(), app: n.app, log: n.log,
		every: min(arrivalsEvery, n.cfg.FHIR.Journal.Duration), told: map[balp.Unmatched]bool{},
	}
}

// compareArrivals compares from time to time, if the replica has caught up.
func (n *Node) compareArrivals(ctx context.Context) error {
	tick := time.NewTicker(n.arrivals.every)
	defer tick.Stop()
	for {
		if n.ready() == nil {
			if _, err := n.arrivals.compare(ctx, (&idler{time.Now()}).rest); err != nil && ctx.Err() == nil {
				n.log.WarnContext(ctx, "arrivals_not_compared", "err", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// compare reads on in the ledger's log and in the journal and returns what only one of them tells. It says each
// such transfer once. rest is called between two views; others may go on meanwhile.
func (a *arrivals) compare(ctx context.Context, rest func(context.Context) error) ([]balp.Unmatched, error) {
	// The log first: what the journal has to tell of it is on disk before the answer that waits for it.
	for more := true; more; {
		var err error
		if more, err = a.entries(); err != nil {
			return nil, err
		}
		if more {
			if err := rest(ctx); err != nil {
				return nil, err
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range a.journal.Arrivals(a.event) {
		a.match.Received(x)
		a.event = x.Seq
	}
	found := a.match.Unmatched(time.Now().Add(-arrivalWithin * a.every))
	for _, u := range found {
		if !a.told[u] {
			a.told[u] = true
			a.log.WarnContext(ctx, "journal_unmatched", "what", u.What, "session", u.Session.String(), "list", u.List.String(), "at", u.At.UTC().Format(time.RFC3339), "entry", u.Index, "event", u.Event)
		}
	}
	a.unmatched.Store(int64(len(found)))
	return found, nil
}

// begin finds where both sides begin to be compared. The caller holds a.mu.
func (a *arrivals) begin(v *state.View) error {
	since := time.Now().Add(-arrivalsFor)
	from := since.Add(-arrivalWithin * a.every)
	var failed error
	first := sort.Search(int(v.Size()), func(i int) bool {
		e, err := ledger.EntryAt(v, uint64(i))
		if err != nil {
			failed = err
			return true
		}
		return !time.Unix(int64(e.Time), 0).Before(from)
	})
	if failed != nil {
		return failed
	}
	for _, x := range a.journal.Arrivals(0) {
		if x.At.Before(from) {
			a.event = x.Seq
		}
	}
	a.match, a.entry = balp.NewMatching(since), uint64(first)
	return nil
}

// entries reads some entries of the log and reports whether there are more.
func (a *arrivals) entries() (more bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.app.View()
	defer v.Close()
	if a.match == nil {
		if err := a.begin(v); err != nil {
			return false, err
		}
	}
	a.entry, more, err = ledger.ReadEntries(v, a.entry, audit.EntryEvent, func(index uint64, e *ledger.Entry) error {
		var r audit.Record
		if err := tx.Decode(e.Payload, &r); err != nil {
			return fmt.Errorf("node: log entry %d: %w", index, err)
		}
		if a.asked(v, &r) {
			a.match.Sent(balp.Transfer{Session: r.Ref, List: r.Root}, time.Unix(int64(e.Time), 0), index)
		}
		return nil
	})
	return more, err
}

// asked reports whether an entry commits to a list that this organisation asked for. A patient's sessions are
// her own, whoever her steward is.
func (a *arrivals) asked(v *state.View, r *audit.Record) bool {
	if r.Member != a.self || r.Count == 0 || r.Action != audit.FetchCommitted && r.Action != audit.SessionOpened {
		return false
	}
	who, ok := identity.Lookup(v, r.Actor)
	return !ok || who.Class != ledger.ClassPatient
}
