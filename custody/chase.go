package custody

import (
	"context"
	"slices"
	"time"

	"github.com/cockroachdb/pebble"
	"golang.org/x/sync/errgroup"

	"salus/exchange"
	"salus/internal/hedge"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
)

const (
	// overdue is how long a committed batch may lack its parcel before this custodian asks.
	overdue = 2 * time.Second
	// askFor bounds one question for a parcel; askNext is how long one member may take before the next is asked as
	// well; askAgain is the longest wait after a vain one.
	askFor   = 10 * time.Second
	askNext  = time.Second
	askAgain = 5 * time.Minute
	// askAtOnce is how many are asked for at the same time.
	askAtOnce = 8
	// tidyEvery is how often what is not needed any more is looked for.
	tidyEvery = time.Minute
)

// chase asks for parcels that should have come, and tidies up.
func (c *Custodian) chase(ctx context.Context) error {
	if err := c.heldPacks(); err != nil {
		return err
	}
	asked, tidied := map[[32]byte]asking{}, c.Now()
	for sleep(ctx, overdue) {
		if err := c.chaseOnce(ctx, asked); err != nil {
			return err
		}
		if now := c.Now(); now.Sub(tidied) >= tidyEvery {
			tidied = now
			if err := c.tidy(); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// asking is when a parcel may be asked for again.
type asking struct {
	next time.Time
	wait time.Duration
}

// chaseOnce asks for what is overdue and was not asked for lately.
func (c *Custodian) chaseOnce(ctx context.Context, asked map[[32]byte]asking) error {
	v := c.Ledger.View()
	defer v.Close()
	now := c.Now()
	missing := map[[32]byte]bool{}
	var ask [][32]byte
	err := c.rows.scan([]byte{prefixWanted}, func(rest, _ []byte) (bool, error) {
		hh := [32]byte(rest)
		missing[hh] = true
		if !now.Before(asked[hh].next) && !c.parking.has(hh) {
			ask = append(ask, hh)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for hh := range asked {
		if !missing[hh] {
			delete(asked, hh)
		}
	}
	var g errgroup.Group
	g.SetLimit(askAtOnce)
	for _, hh := range ask {
		b, ok := anchor.Lookup(v, hh)
		epoch, err := committee.At(v, b.Epoch)
		if !ok || err != nil || v.Meta().Time < b.Time+uint64(overdue/time.Second) {
			continue
		}
		wait := min(max(2*asked[hh].wait, overdue), askAgain)
		asked[hh] = asking{now.Add(wait), wait}
		g.Go(func() error { c.fetchParcel(ctx, hh, b.Author, epoch); return nil })
	}
	return g.Wait()
}

// fetchParcel asks the author, then the other custodians, for a parcel.
func (c *Custodian) fetchParcel(ctx context.Context, hh [32]byte, author tx.Account, epoch committee.Epoch) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	_, _ = hedge.First(ctx, c.others(author, epoch), askNext, func(ctx context.Context, m tx.Account) (struct{}, error) {
		var p exchange.Parcel
		if err := c.Links.Call(ctx, m, exchange.PathParcelOf, exchange.ParcelRequest{Header: hh}, &p); err != nil {
			return struct{}{}, err
		}
		if p.Header.Hash() != hh {
			return struct{}{}, errOtherParcel
		}
		return struct{}{}, c.Accept(ctx, m, &p)
	}, nil) // without an answer it is asked again
}

// others are a member and the custodians of an epoch behind it, without this one.
func (c *Custodian) others(first tx.Account, epoch committee.Epoch) []tx.Account {
	out := append([]tx.Account{first}, slices.DeleteFunc(slices.Clone(epoch.Members), func(m tx.Account) bool { return m == first })...)
	return slices.DeleteFunc(out, func(m tx.Account) bool { return m == c.Self })
}

// tidy deletes parcels that no header came for, and relays that nobody needs.
func (c *Custodian) tidy() error {
	v := c.Ledger.View()
	defer v.Close()
	var gone [][32]byte
	for _, hh := range c.parking.overdue(c.Now()) {
		if !c.rows.has(rowKey(prefixWanted, hh[:])) {
			gone = append(gone, hh)
		}
	}
	if err := c.parking.take(gone, func(*pebble.Batch) error { return nil }); err != nil {
		return err
	}
	return c.dropRelays(v)
}

// dropRelays deletes the parcels of batches that every custodian has receipted, or whose
// custody epoch is over.
func (c *Custodian) dropRelays(v *state.View) error {
	now, err := committee.Current(v)
	if err != nil {
		return nil // no committee yet, so no batches
	}
	var done [][]byte
	if err := c.rows.scan([]byte{prefixOwed}, func(rest, _ []byte) (bool, error) {
		b, ok := anchor.Lookup(v, [32]byte(rest))
		if ok && (b.Epoch != now.Epoch || b.Received() == len(now.Members)) {
			done = append(done, rowKey(prefixRelay, rest), rowKey(prefixOwed, rest))
			if c.rows.has(rowKey(prefixRefused, rest)) {
				done = append(done, rowKey(prefixKey, rest)) // it kept nothing but the relay
			}
		}
		return len(done) < 4096, nil
	}); err != nil {
		return err
	}
	return c.rows.drop(c.rows.updateLazy, done...)
}
