package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/config"
	"salus/gateway/balp"
)

// A kept is a journal with its keeper, a clock, and its heads as a ledger has them.
type kept struct {
	t      *testing.T
	dir    string
	log    bytes.Buffer
	now    time.Time
	heads  []balp.Anchored // the oldest first
	keeper *journalKeeper
}

// newKept is a journal of ten years in which something happens every ten days, each time on the ledger an hour later.
func newKept(t *testing.T, keep int) *kept {
	k := &kept{t: t, dir: t.TempDir(), now: time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC)}
	k.keeper = &journalKeeper{keep: keep, now: func() time.Time { return k.now }, log: slog.New(slog.NewTextHandler(&k.log, nil))}
	k.open()
	t.Cleanup(func() {
		if err := k.keeper.journal.Close(); err != nil {
			t.Error(err)
		}
	})
	for end := k.now.AddDate(10, 0, 0); k.now.Before(end); k.now = k.now.AddDate(0, 0, 10) {
		k.happens()
	}
	return k
}

func (k *kept) open() {
	k.t.Helper()
	var err error
	if k.keeper.journal, err = balp.OpenJournal(k.dir, [32]byte{1}); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kept) happens() {
	k.t.Helper()
	_, err := k.keeper.journal.Append(k.t.Context(), balp.Event{
		Kind: balp.Read, Time: k.now, Outcome: balp.Success, User: balp.Who{Reference: "Practitioner/sample"},
		Patient: balp.Who{Reference: "Patient/sample"}, Resources: []string{"Observation/sample"},
	})
	if err != nil {
		k.t.Fatal(err)
	}
	k.heads = append(k.heads, balp.Anchored{Head: k.keeper.journal.Head(), At: k.now.Add(time.Hour)})
}

// newest yields the heads and then an error, if there is one.
func (k *kept) newest(last error) iter.Seq2[balp.Anchored, error] {
	return func(yield func(balp.Anchored, error) bool) {
		for _, h := range slices.Backward(k.heads) {
			if !yield(h, nil) {
				return
			}
		}
		if last != nil {
			yield(balp.Anchored{}, last)
		}
	}
}

// tend looks after the journal and returns what the log says of it; what is left fits the heads on the ledger.
func (k *kept) tend() string {
	k.t.Helper()
	k.log.Reset()
	if err := k.keeper.tend(k.t.Context(), k.newest(nil)); err != nil {
		k.t.Fatal(err)
	}
	return k.log.String()
}

func (k *kept) fits(first uint64) {
	k.t.Helper()
	v, err := k.keeper.compare(k.t.Context(), k.newest(nil), context.Context.Err)
	if err != nil || len(v.Faults) != 0 || v.First != first || uint64(v.Events) != v.Head.Seq-first+1 || k.keeper.faults.Load() != 0 {
		k.t.Errorf("got %d events from %d on, %v, %v; want those from %d on without a fault", v.Events, v.First, v.Faults, err, first)
	}
}

func TestTheJournalIsPrunedAfterItsYears(t *testing.T) {
	k := newKept(t, 7)
	said := k.tend()
	v, err := k.keeper.compare(t.Context(), k.newest(nil), context.Context.Err)
	if err != nil {
		t.Fatal(err)
	}
	gone := v.First - 1
	if !strings.Contains(said, fmt.Sprintf("msg=journal_pruned events=%d from=1 through=%d years=7", gone, gone)) || strings.Contains(said, "ample") {
		t.Errorf("got %s, want %d events told of", said, gone)
	}
	cutoff := k.now.AddDate(-7, 0, 0)
	// Whole files go, of a month and a few days each: not one event that is younger, and few that are older stay.
	if youngest, oldest := k.heads[gone-1].At, k.heads[gone].At; !youngest.Before(cutoff) || oldest.Before(cutoff.AddDate(0, 0, -50)) {
		t.Errorf("got what is younger than %v away and what is younger than %v kept, want about %v", youngest, oldest, cutoff)
	}
	k.fits(v.First)
	if said = k.tend(); strings.Contains(said, "journal_pruned") {
		t.Errorf("at once again: got %s", said)
	}
	// The log is searched, and disclosures are accounted for, in what is left; also after the next start.
	for range 2 {
		log := &balp.Reader{Recorder: &balp.Recorder{Journal: k.keeper.journal, Now: k.keeper.now}}
		by := balp.Event{User: balp.Who{Reference: "Practitioner/sample"}}
		before := int(k.keeper.journal.Head().Seq - gone)
		page, err := log.Search(t.Context(), balp.Subject{Ref: "Patient/sample"}, balp.Query{}, by)
		if err != nil || page.Total != before {
			t.Fatalf("got %+v, %v, want %d events", page, err, before)
		}
		if _, err := log.Accounting(t.Context(), balp.Subject{Ref: "Patient/sample"}, balp.Terms{Patient: balp.Who{Reference: "Patient/sample"}, To: k.now, Requested: k.now, Everything: true}, by); err != nil {
			t.Error(err)
		}
		if err := k.keeper.journal.Close(); err != nil {
			t.Fatal(err)
		}
		k.open()
		k.fits(v.First)
	}
	// A year later another year is over.
	for range 36 {
		k.now = k.now.AddDate(0, 0, 10)
		k.happens()
	}
	if said = k.tend(); !strings.Contains(said, fmt.Sprintf("from=%d", v.First)) {
		t.Errorf("a year later: got %s", said)
	}
	if v, err = k.keeper.compare(t.Context(), k.newest(nil), context.Context.Err); err != nil || v.First <= gone+30 {
		t.Errorf("a year later: got the first event %d, %v", v.First, err)
	}
	k.fits(v.First)
}

func TestTheJournalIsKeptForEverWithoutASetting(t *testing.T) {
	k := newKept(t, 0)
	if said := k.tend(); strings.Contains(said, "journal_pruned") {
		t.Errorf("got %s", said)
	}
	k.fits(1)
}

func TestNothingIsPrunedThatTheLedgerHadTooLate(t *testing.T) {
	k := newKept(t, config.MinKeepLog)
	for i := range k.heads { // as if the ledger had stood still for all these years
		k.heads[i].At = k.now
	}
	if said := k.tend(); strings.Contains(said, "journal_pruned") {
		t.Errorf("got %s", said)
	}
	k.fits(1)
	k.heads = nil // and as if it had none at all
	if said := k.tend(); strings.Contains(said, "journal_pruned") {
		t.Errorf("got %s", said)
	}
	k.fits(1)
}

func TestWhatDoesNotFitIsSaidAndNothingIsPruned(t *testing.T) {
	k := newKept(t, config.MinKeepLog)
	k.heads[99].Hash[0] ^= 1
	if said := k.tend(); !strings.Contains(said, "level=WARN msg=journal_fault what=altered from=100 through=100 heads=1") || strings.Contains(said, "journal_pruned") {
		t.Errorf("got %s", said)
	}
	k.heads[99].Hash[0] ^= 1
	k.heads = append(k.heads, balp.Anchored{Head: balp.Head{Seq: uint64(len(k.heads)) + 5, Hash: [32]byte{1}}, At: k.now})
	n := len(k.heads)
	if said := k.tend(); !strings.Contains(said, fmt.Sprintf("msg=journal_fault what=missing from=%d through=%d heads=1", n, n+4)) {
		t.Errorf("got %s", said)
	}
	if got := k.keeper.faults.Load(); got != 1 {
		t.Errorf("got %d faults, want 1", got)
	}
	// What cannot be compared says nothing new.
	k.log.Reset()
	broken := errors.New("no such entry")
	if err := k.keeper.tend(t.Context(), k.newest(broken)); !errors.Is(err, broken) || k.keeper.faults.Load() != 1 || k.log.Len() > 0 {
		t.Errorf("got %v, %d faults, %s", err, k.keeper.faults.Load(), &k.log)
	}
	k.heads = k.heads[:n-1]
	k.fits(1)
}

// TestEventsTakenAwayTooEarlyAreMissed: a journal that begins later is as good as a pruned one only if what is gone was old enough.
func TestEventsTakenAwayTooEarlyAreMissed(t *testing.T) {
	k := newKept(t, 0)
	if n, err := k.keeper.journal.Prune(k.now.AddDate(-5, 0, 0), ^uint64(0)); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	said := k.tend()
	if !strings.Contains(said, "msg=journal_fault what=missing from=") || k.keeper.faults.Load() != 1 {
		t.Errorf("got %s", said)
	}
}

func TestTheComparisonEndsWithTheNode(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k := newKept(t, 0)
	if err := k.keeper.tend(ctx, k.newest(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
