package custody

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/client"
	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/erasure"
	"salus/ledger/tx"
	"salus/vault"
)

// What is due on the ledger for a batch.
const (
	dueReceipt   = 1
	dueComplaint = 16 // + the reason
)

// foldReceipts is how long receipts gather before one transaction carries them.
const (
	foldReceipts = 3 * time.Millisecond
	retryPause   = 500 * time.Millisecond
	rootsEvery   = 10 * time.Second
)

// markDue notes durably that the ledger is to be told.
func (c *Custodian) markDue(what byte, of ...[32]byte) error {
	if len(of) == 0 {
		return nil
	}
	c.dueMu.Lock()
	defer c.dueMu.Unlock()
	err := c.rows.update(func(b *pebble.Batch) error {
		for _, hh := range of {
			if err := b.Set(rowKey(prefixDue, hh[:]), []byte{what}, nil); err != nil {
				return errorf("store", err)
			}
		}
		return nil
	})
	nudge(c.due)
	return err
}

// sendReceipts brings what is due to the ledger. The due rows are durable and go only
// when the ledger shows their effect, so a crash repeats at most a harmless receipt.
func (c *Custodian) sendReceipts(ctx context.Context) error {
	nudge(c.due) // what an earlier run left
	for {
		select {
		case <-c.due:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !sleep(ctx, foldReceipts) {
			return ctx.Err()
		}
		more, err := c.sendDue(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			c.Log.Log(ctx, loud(err), "receipts_wait", "err", err)
			if !sleep(ctx, retryPause) {
				return ctx.Err()
			}
			more = true
		}
		if more {
			nudge(c.due)
		}
	}
}

// sendDue sends one transaction of receipts and the complaints. more says that there was
// not room for all.
func (c *Custodian) sendDue(ctx context.Context) (more bool, err error) {
	msg, complaints, more, err := c.collectDue()
	if err != nil {
		return false, err
	}
	if len(msg.List) > 0 {
		if _, err := c.Submit.Submit(ctx, anchor.KindReceipts, msg); err != nil && !errors.Is(err, anchor.ErrNoNews) {
			return false, err
		}
		c.metrics.receipts.Add(float64(len(msg.List)))
		if err := c.settle(msg.List); err != nil {
			return false, err
		}
	}
	for _, m := range complaints {
		_, err := c.Submit.Submit(ctx, anchor.KindComplain, &m)
		if err != nil && !errors.Is(err, anchor.ErrNoNews) && !errors.Is(err, anchor.ErrHasReceipt) {
			return false, err
		}
		c.metrics.complaints.Inc()
		if err := c.drop(m.Header, dueComplaint+m.Reason); err != nil {
			return false, err
		}
	}
	return more, nil
}

// collectDue reads what is due and leaves out, and settles, what the ledger shows already
// or may not be told any more: the receipts of another epoch than the current one, and the
// first for a batch whose author seals its records again.
func (c *Custodian) collectDue() (msg *anchor.Receipts, complaints []anchor.Complain, more bool, err error) {
	v := c.Ledger.View()
	defer v.Close()
	msg = &anchor.Receipts{}
	epoch, err := committee.Current(v)
	if err != nil {
		return msg, nil, false, nil
	}
	index, seated := epoch.IndexOf(c.Self)
	var done [][]byte
	c.dueMu.Lock()
	defer c.dueMu.Unlock()
	err = c.rows.scan([]byte{prefixDue}, func(rest, value []byte) (bool, error) {
		hh := [32]byte(rest)
		b, ok := anchor.Lookup(v, hh)
		switch {
		case !ok:
			return true, nil // this replica is behind the one that ingested it
		case erasure.Erased(v, hh, tx.Hash{}):
			done = append(done, rowKey(prefixDue, rest))
		case !seated || b.Epoch != epoch.Epoch || len(value) != 1:
			done = append(done, rowKey(prefixDue, rest))
		case value[0] >= dueComplaint:
			complaints = append(complaints, anchor.Complain{Header: hh, Reason: value[0] - dueComplaint})
		case b.Receipts&(1<<(index-1)) == 0 && exchange.Stale(v, &b):
			done = append(done, rowKey(prefixDue, rest))
		default:
			holds := c.HasPack(vault.PackID(b.Pack))
			bit := uint64(1) << (index - 1)
			if b.Holds&bit != 0 {
				done = append(done, rowKey(prefixPack, b.Pack[:], rest))
			}
			if b.Receipts&bit != 0 && (b.Holds&bit != 0 || !holds) {
				done = append(done, rowKey(prefixDue, rest))
			} else {
				msg.List = append(msg.List, anchor.Receipt{Header: hh, Holds: holds})
			}
		}
		more = len(msg.List) == anchor.MaxReceipts
		return !more && len(complaints) < anchor.MaxReceipts, nil
	})
	if err != nil {
		return nil, nil, false, err
	}
	slices.SortFunc(msg.List, func(a, b anchor.Receipt) int { return bytes.Compare(a.Header[:], b.Header[:]) })
	return msg, complaints, more, c.rows.drop(c.rows.updateLazy, done...)
}

// settle removes what a committed transaction has told. A pack that came in between makes
// its receipt due again, under the same key.
func (c *Custodian) settle(list []anchor.Receipt) error {
	v := c.Ledger.View()
	defer v.Close()
	c.dueMu.Lock()
	defer c.dueMu.Unlock()
	var done [][]byte
	for _, r := range list {
		b, ok := anchor.Lookup(v, r.Header)
		switch {
		case !ok:
		case r.Holds:
			done = append(done, rowKey(prefixDue, r.Header[:]), rowKey(prefixPack, b.Pack[:], r.Header[:]))
		case !c.HasPack(vault.PackID(b.Pack)):
			done = append(done, rowKey(prefixDue, r.Header[:]))
		default:
			nudge(c.due)
		}
	}
	return c.rows.drop(c.rows.updateLazy, done...)
}

// drop removes one due row if it still says what.
func (c *Custodian) drop(hh tx.Hash, what byte) error {
	c.dueMu.Lock()
	defer c.dueMu.Unlock()
	k := rowKey(prefixDue, hh[:])
	if b, err := c.rows.get(k); err != nil || len(b) != 1 || b[0] != what {
		if errors.Is(err, errAbsent) {
			return nil
		}
		return err
	}
	return c.rows.drop(c.rows.updateLazy, k)
}

// loud is how an error is logged while something is tried again and again: that there is no quorum, the
// node says once.
func loud(err error) slog.Level {
	if errors.Is(err, client.ErrNoQuorum) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// sendRoots tells the ledger of the release receipts while there are new ones.
func (c *Custodian) sendRoots(ctx context.Context) error {
	for sleep(ctx, rootsEvery) {
		if err := c.sendRoot(ctx); err != nil && ctx.Err() == nil {
			c.Log.Log(ctx, loud(err), "release_root_waits", "err", err)
		}
	}
	return ctx.Err()
}

func (c *Custodian) sendRoot(ctx context.Context) error {
	v := c.Ledger.View()
	next := access.ReleasedBy(v, c.Self).Next
	v.Close()
	root, count := c.wal.report(next)
	if count == 0 {
		return nil
	}
	_, err := c.Submit.Submit(ctx, access.KindReceipts, &access.Receipts{Root: root, From: next, Count: count})
	return err
}

// sleep waits for d; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
