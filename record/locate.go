package record

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"time"

	"salus/exchange"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
)

// ErrTooFew: fewer custodians than the threshold could be reached.
var ErrTooFew = errors.New("record: too few custodians")

// Bounds of what one custodian's answer may cost the reader, should it lie.
const (
	maxPages = 1024 // of up to 256 batches each
	maxLies  = 16   // batches that do not check out, before the rest is not looked at
)

// Locate asks every custodian which records the session may open. It needs t answers: fewer
// could hide a record together. A record is believed to be there when more than f custodians
// say so, each with a proof against the header on the ledger. Fewer could name another
// patient's record, which the honest ones would refuse together with the whole list; and what
// fewer than t hold nobody could open. That the session allows nothing looks like no data.
// Error: ErrTooFew.
func (s *Session) Locate(ctx context.Context) ([]Located, error) {
	if s.key == nil { // spent
		return []Located{}, nil
	}
	c, err := s.reading.Chain.Committee(ctx)
	if err != nil {
		return nil, err
	}
	answers := make([][]exchange.LocatedBatch, len(c.Epoch.Members))
	errs := ask(ctx, c.Epoch, hurry{grace: graceAnswers}, func(ctx context.Context, i int, m tx.Account) (err error) {
		answers[i], err = s.locateAt(ctx, m)
		if errors.Is(err, exchange.ErrNotReleased) {
			return nil // which is an answer: nothing
		}
		return err
	})
	answered := 0
	found := &sightings{seen: map[exchange.Item]*sighting{}, batches: map[tx.Hash]*exchange.Anchored{}}
	for i, batches := range answers {
		if errs[i] == nil {
			answered++
			found.add(ctx, s.reading.Chain, i, batches)
		}
	}
	if answered < int(c.Epoch.T) {
		return nil, fmt.Errorf("%w: %d of %d custodians answered, %d needed: %w", ErrTooFew, answered, c.Epoch.N, c.Epoch.T, errors.Join(errs...))
	}
	return found.believed(c.Epoch.F()), nil
}

// graceAnswers is how long the last custodians are waited for when t have answered: they may
// know of records that some of the others miss or hide.
const graceAnswers = 2 * time.Second

// hurry says when the custodians that are still silent need not be waited for.
type hurry struct {
	grace   time.Duration // after t have answered
	settled bool          // refusals of more than f settle it too
}

// ask calls all custodians at once, so that nobody learns a choice and one that is down costs
// nothing. It returns each one's error.
func ask(ctx context.Context, epoch committee.Epoch, h hurry, call func(ctx context.Context, i int, m tx.Account) error) []error {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	errs := make([]error, len(epoch.Members))
	var mu sync.Mutex // guards answered, refused, timer
	var timer *time.Timer
	answered, refused := 0, 0
	var wg sync.WaitGroup
	settled := make(chan struct{}) // t have answered
	for i, m := range epoch.Members {
		wg.Go(func() {
			errs[i] = again(ctx, settled, func() error { return call(ctx, i, m) })
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errs[i] == nil:
				if answered++; answered == int(epoch.T) {
					close(settled)
					timer = time.AfterFunc(h.grace, enough)
				}
			case errors.Is(errs[i], exchange.ErrNotReleased):
				if refused++; h.settled && refused > epoch.F() {
					enough()
				}
			}
		})
	}
	wg.Wait()
	if timer != nil {
		timer.Stop()
	}
	return errs
}

// How often, and for how long, a custodian is asked again that cannot decide yet.
const (
	againAfter = 100 * time.Millisecond
	againFor   = 3 * time.Second
)

// again calls until the custodian can decide: its replica is a block behind, or its pace is used up. It gives
// up after a while, and when the others are enough.
func again(ctx context.Context, settled <-chan struct{}, call func() error) error {
	late := time.NewTimer(againFor)
	defer late.Stop()
	for {
		err := call()
		if !errors.Is(err, exchange.ErrNotNow) {
			return err
		}
		t := time.NewTimer(againAfter)
		select {
		case <-t.C:
			continue
		case <-late.C:
		case <-settled:
		case <-ctx.Done():
		}
		t.Stop()
		return err
	}
}

func (s *Session) locateAt(ctx context.Context, custodian tx.Account) ([]exchange.LocatedBatch, error) {
	var out []exchange.LocatedBatch
	after := uint64(0)
	for range maxPages {
		box, err := s.reading.Custodians.Locate(ctx, custodian, &exchange.LocateRequest{Session: s.ID, ReaderKey: s.public, After: after, Height: uint64(s.Opened.Height)})
		if err != nil {
			return nil, err
		}
		var page exchange.Located
		if err := s.open("locate", box, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Batches...)
		if page.Next <= after {
			break
		}
		after = page.Next
	}
	return out, nil
}

// open decrypts an answer to the session's key.
func (s *Session) open(what string, box *exchange.Sealed, v any) error {
	return s.openOf(what, s.ID, box, v)
}

// openOf decrypts an answer to the session's key about another session.
func (s *Session) openOf(what string, about tx.Hash, box *exchange.Sealed, v any) error {
	plain, err := seal.Unbox(s.key, exchange.AnswerInfo(what, about), box.Box)
	if err != nil {
		return fmt.Errorf("record: a custodian's answer does not open: %w", err)
	}
	return tx.DecodeAny(plain, v, len(plain))
}

// sightings gathers what the custodians say is there.
type sightings struct {
	seen    map[exchange.Item]*sighting
	batches map[tx.Hash]*exchange.Anchored // asked of the chain once; nil: not there
}

// A sighting is a record that checks out, and the custodians who named it.
type sighting struct {
	Located
	by uint64 // bit i: custodian i+1
}

// add takes one custodian's answer as far as it verifies.
func (f *sightings) add(ctx context.Context, chain Chain, custodian int, batches []exchange.LocatedBatch) {
	lies := 0
	for i := range batches {
		if b := &batches[i]; !f.addBatch(ctx, chain, custodian, b) {
			if lies++; lies == maxLies {
				return
			}
		}
	}
}

func (f *sightings) addBatch(ctx context.Context, chain Chain, custodian int, b *exchange.LocatedBatch) bool {
	a, asked := f.batches[b.Header]
	if !asked {
		var err error
		if a, err = chain.Anchored(ctx, b.Header); err != nil || tx.Hash(a.Put.Header.Hash()) != b.Header {
			a = nil
		}
		f.batches[b.Header] = a
	}
	if a == nil || seal.ShareRootsHash(b.ShareRoots) != a.Put.Header.ShareRoots {
		return false
	}
	whole := true
	for _, e := range b.Entries {
		item := exchange.Item{Header: b.Header, Index: e.Index}
		x := f.seen[item]
		// The manifest fixes the entry, so an equal one needs no proof of its own.
		if x == nil || x.Entry != e.Entry {
			if seal.VerifyEntry(a.Put.Header.ManifestRoot, int(e.Index), int(a.Put.Header.Count), &e.Entry, e.Path) != nil {
				whole = false
				continue
			}
			x = &sighting{Located: Located{
				Item: item, Entry: e.Entry, Author: a.Batch.Author, Time: a.Batch.Time, Log: a.Batch.Index,
				header: &a.Put.Header, roots: b.ShareRoots, holders: a.Holders, epoch: a.HeldBy(),
			}}
			f.seen[item] = x
		}
		x.by |= 1 << custodian
	}
	return whole
}

// believed returns what more than f custodians named, in the order of batch and index.
func (f *sightings) believed(faulty int) []Located {
	out := []Located{}
	for _, x := range f.seen {
		if bits.OnesCount64(x.by) > faulty {
			out = append(out, x.Located)
		}
	}
	slices.SortFunc(out, func(a, b Located) int { return a.Item.Compare(b.Item) })
	return out
}
