package custody

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
)

// What is due on the ledger for a batch.
const (
	dueReceipt   = 1
	dueComplaint = 16 // + the reason
)

// foldReceipts is how long receipts gather before one transaction carries them; maxReceipts
// is how many it carries.
const (
	foldReceipts = 3 * time.Millisecond
	maxReceipts  = 512
	retryPause   = 500 * time.Millisecond
	rootsEvery   = 10 * time.Second
)

func (c *Custodian) markDue(hh [32]byte, what byte) error {
	if err := c.rows.db.Set(rowKey(prefixDue, hh[:]), []byte{what}, pebble.Sync); err != nil {
		return errorf("store", err)
	}
	nudge(c.due)
	return nil
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
			c.Log.WarnContext(ctx, "receipts_wait", "err", err)
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

func (c *Custodian) sendDue(ctx context.Context) (more bool, err error) {
	var receipts [][32]byte
	var complaints []anchor.Complain
	err = c.rows.scan([]byte{prefixDue}, func(rest, value []byte) (bool, error) {
		if value[0] >= dueComplaint {
			complaints = append(complaints, anchor.Complain{Header: tx.Hash(rest), Reason: value[0] - dueComplaint})
		} else {
			receipts = append(receipts, [32]byte(rest))
		}
		return len(receipts) < maxReceipts, nil
	})
	if err != nil {
		return false, err
	}
	msg, settled := c.receiptsFor(receipts)
	if len(msg.List) > 0 {
		if _, err := c.Submit.Submit(ctx, anchor.KindReceipts, msg); err != nil && !errors.Is(err, anchor.ErrNoNews) {
			return false, err
		}
		for _, r := range msg.List {
			// If the pack came in between, it is due again under the same key.
			if r.Holds || !c.holds(r.Header) {
				settled = append(settled, r.Header)
			}
		}
		c.metrics.receipts.Add(float64(len(msg.List)))
	}
	for _, m := range complaints {
		if _, err := c.Submit.Submit(ctx, anchor.KindComplain, &m); err != nil && !errors.Is(err, anchor.ErrNoNews) && !errors.Is(err, anchor.ErrHasReceipt) {
			return false, err
		}
		settled = append(settled, m.Header)
	}
	for _, hh := range settled {
		if err := c.rows.db.Delete(rowKey(prefixDue, hh[:]), pebble.NoSync); err != nil {
			return false, errorf("store", err)
		}
	}
	return len(receipts) == maxReceipts, nil
}

// receiptsFor leaves out what the ledger shows already.
func (c *Custodian) receiptsFor(due [][32]byte) (*anchor.Receipts, [][32]byte) {
	v := c.Ledger.View()
	defer v.Close()
	msg := &anchor.Receipts{}
	var settled [][32]byte
	for _, hh := range due {
		b, ok := anchor.Lookup(v, hh)
		if !ok {
			continue
		}
		epoch, err := committee.At(v, b.Epoch)
		if err != nil {
			continue
		}
		i, ok := epoch.IndexOf(c.Self)
		if !ok {
			continue
		}
		bit := uint64(1) << (i - 1)
		holds := c.holds(hh)
		if b.Receipts&bit != 0 && (b.Holds&bit != 0 || !holds) {
			settled = append(settled, hh)
			continue
		}
		msg.List = append(msg.List, anchor.Receipt{Header: hh, Holds: holds})
	}
	slices.SortFunc(msg.List, func(a, b anchor.Receipt) int { return bytes.Compare(a.Header[:], b.Header[:]) })
	return msg, settled
}

func (c *Custodian) holds(hh [32]byte) bool {
	row, err := c.rows.batch(hh)
	return err == nil && c.HasPack(row.Pack)
}

// sendRoots puts the head of the release receipts on the ledger while there are new ones.
func (c *Custodian) sendRoots(ctx context.Context) error {
	for sleep(ctx, rootsEvery) {
		v := c.Ledger.View()
		next := access.ReleasedBy(v, c.Self).Next
		v.Close()
		seq, head := c.wal.end()
		if seq < next {
			continue
		}
		msg := &access.Receipts{Root: head, From: next, Count: uint32(seq - next + 1)}
		if _, err := c.Submit.Submit(ctx, access.KindReceipts, msg); err != nil && ctx.Err() == nil {
			var refusal *tx.Refusal
			c.Log.WarnContext(ctx, "release_root_waits", "refused", errors.As(err, &refusal), "err", err)
		}
	}
	return ctx.Err()
}

// compact replaces the root of everything at rest.
func (c *Custodian) compact(ctx context.Context) error {
	for sleep(ctx, c.CompactEvery) {
		if err := c.rows.compactRoots(); err != nil {
			return err
		}
	}
	return ctx.Err()
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
