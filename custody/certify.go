package custody

import (
	"context"
	"errors"
	"slices"

	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/erasure"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/vault"
)

// attend says what this custodian finds about received cases, and signs for what it has destroyed,
// until ctx ends.
func (c *Custodian) attend(ctx context.Context) error {
	nudge(c.erased) // what an earlier run left
	for {
		changed := c.Changed()
		err := c.attendOnce(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.Log.WarnContext(ctx, "erasure_waits", "err", err)
			if !sleep(ctx, retryPause) {
				return ctx.Err()
			}
			continue
		}
		select {
		case <-changed:
		case <-c.erased:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Custodian) attendOnce(ctx context.Context) error {
	found, err := c.findings()
	if err != nil {
		return err
	}
	for _, m := range found {
		if err := c.confirmCase(ctx, &m); err != nil {
			return err
		}
	}
	ids, err := c.noted(eraseDestroyed)
	for _, id := range ids {
		if err == nil {
			err = c.certify(ctx, id)
		}
	}
	return err
}

// confirmCase says what was found. When others have decided the case meanwhile, no block takes it any more, and nobody
// would answer: then it is given up.
func (c *Custodian) confirmCase(ctx context.Context, m *erasure.Confirm) error {
	ctx, cancel := context.WithCancel(ctx)
	decided := make(chan bool, 1)
	go func() {
		decided <- c.decided(ctx, m.Case)
		cancel()
	}()
	_, err := c.Submit.Submit(ctx, erasure.KindConfirm, m)
	cancel()
	if <-decided || errors.Is(err, erasure.ErrNoNews) || errors.Is(err, erasure.ErrStatus) {
		return nil
	}
	return err
}

// decided waits until a case is not received any more; false means that ctx ended first.
func (c *Custodian) decided(ctx context.Context, id tx.Hash) bool {
	for {
		changed := c.Changed()
		v := c.Ledger.View()
		e, ok := erasure.Lookup(v, id)
		v.Close()
		if ok && e.Status != erasure.Received {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// findings compares the received cases of which this custodian has not spoken with what it keeps.
func (c *Custodian) findings() (out []erasure.Confirm, err error) {
	v := c.Ledger.View()
	defer v.Close()
	epoch, err := committee.Current(v)
	if err != nil || c.behind(v) {
		return nil, nil
	}
	index, seated := epoch.IndexOf(c.Self)
	if !seated || index > anchor.MaxCustodians {
		return nil, nil
	}
	bit := uint64(1) << (index - 1)
	for _, e := range erasure.OpenCases(v) {
		if e.Status != erasure.Received || (e.Clear|e.NotHers|e.Retained|e.Held)&bit != 0 {
			continue
		}
		f, known, err := c.compare(v, &e)
		if err != nil {
			return nil, err
		}
		if known {
			out = append(out, erasure.Confirm{Case: e.ID, Finding: f})
		}
	}
	return out, nil
}

// compare is what stands against a case in the eyes of who knows whose the batches are; known is
// false if this custodian does not.
func (c *Custodian) compare(v *state.View, e *erasure.Case) (f erasure.Finding, known bool, err error) {
	if e.Scope == erasure.Patient {
		of, err := c.rows.ofPatient(e.Patient)
		if err != nil {
			return 0, false, err
		}
		for _, p := range of {
			b, ok := anchor.Lookup(v, p.Header)
			switch {
			case ok && erasure.HeldBatch(v, p.Header):
				return erasure.Held, true, nil
			case ok && !e.Ordered && v.Meta().Time < erasure.RetainedUntil(v, b.Time):
				f = erasure.Retained
			}
		}
		return f, true, nil
	}
	row, err := c.rows.batch(e.Batch)
	if errors.Is(err, errAbsent) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer row.wipe()
	if !e.Patient.IsZero() && row.Patient != e.Patient {
		return erasure.NotHers, true, nil
	}
	if e.Scope == erasure.Record {
		m, err := c.rows.manifest(e.Batch)
		if err != nil {
			return 0, false, err
		}
		if !slices.Contains(m.leaves(), [32]byte(e.Leaf)) {
			return erasure.NotHers, true, nil
		}
	}
	if erasure.HeldPatient(v, row.Patient) {
		return erasure.Held, true, nil
	}
	return erasure.Clear, true, nil
}

// certify erases what lies outside this store, signs what is gone, and forgets the case when the
// ledger shows all of it.
func (c *Custodian) certify(ctx context.Context, id tx.Hash) error {
	v := c.Ledger.View()
	e, ok := erasure.Lookup(v, id)
	b, _ := anchor.Lookup(v, e.Batch)
	v.Close()
	if !ok || !e.Stands() {
		return nil // the replica is behind
	}
	m := &erasure.Receipt{Case: id, Keys: true}
	if c.Outside != nil {
		if err := c.purge(ctx, &e, vault.PackID(b.Pack)); err != nil {
			return err
		}
		m.Ciphertext, m.Records = true, true
	}
	v = c.Ledger.View()
	awaited := erasure.Awaits(v, e, c.Self, m) // of whichever committee it sits in
	v.Close()
	if awaited {
		if _, err := c.Submit.Submit(ctx, erasure.KindReceipt, m); err != nil && !errors.Is(err, erasure.ErrNoNews) {
			return err
		}
	}
	return c.rows.drop(c.rows.update, rowKey(prefixErasure, id[:]))
}

// purge erases ciphertext and readable copies of a case.
func (c *Custodian) purge(ctx context.Context, e *erasure.Case, pack vault.PackID) error {
	blobs, err := c.Blobs()
	if err != nil {
		return err
	}
	if e.Scope == erasure.Batch {
		if err := c.Outside.Ciphertext(ctx, pack, nil); err != nil {
			return errorf("ciphertext", err)
		}
	}
	if err := c.Outside.Ciphertext(ctx, pack, Addresses(blobs)); err != nil {
		return errorf("ciphertext", err)
	}
	if err := c.Outside.Records(ctx, *e, blobs); err != nil {
		return errorf("records", err)
	}
	return nil
}
