package record

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble"

	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/vault"
)

// Copies of a pack were made among the custodians of the batch's epoch. Members that leave take
// theirs along, so after a change of the committee the author sees to f + 1 among those there are;
// of an author that is gone itself, orphans.go says who does.

// copies keeps up with the committee until the service stops.
func (s *Service) copies() {
	for {
		changed := s.Changed()
		if err := s.copyOn(s.ctx); err != nil && s.ctx.Err() == nil {
			s.Log.WarnContext(s.ctx, "copies_wait", "err", err)
			if !pause(s.ctx, retryPause) {
				return
			}
			continue
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			return
		}
	}
}

// copiedKey keeps the last epoch whose custodians hold copies enough of everything before it.
func copiedKey() []byte { return []byte{prefixMeta, 'c'} }

// copyOn makes the copies that are missing in the epoch in force, once.
func (s *Service) copyOn(ctx context.Context) error {
	v := s.Ledger.View()
	defer v.Close()
	epoch, err := committee.Current(v)
	if err != nil || committee.HeldNow(v).Late {
		return nil // a change that is not over
	}
	return errors.Join(s.copyOwn(ctx, v, epoch), s.copyOrphans(ctx, v, epoch))
}

// copyOwn makes those of this member's own packs, once for every epoch.
func (s *Service) copyOwn(ctx context.Context, v *state.View, epoch committee.Epoch) error {
	if epoch.Epoch == 1 {
		return nil
	}
	var done uint64
	if err := s.store.get(copiedKey(), &done); err != nil && !errors.Is(err, errNotFound) {
		return err
	}
	if done >= epoch.Epoch {
		return nil
	}
	var headers [][32]byte
	err := s.store.scan([]byte{prefixDone}, func(rest, sealed []byte) error {
		var r doneRow
		if err := s.store.open(key(prefixDone, rest), sealed, &r); err != nil {
			return err
		}
		headers = append(headers, r.Header)
		return nil
	})
	if err != nil {
		return err
	}
	var failed error
	for _, hh := range headers {
		if b, ok := anchor.Lookup(v, hh); ok && b.Active > 0 && b.Epoch < epoch.Epoch {
			failed = errors.Join(failed, s.copyTo(ctx, v, epoch, s.Self, hh, vault.PackID(b.Pack)))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if failed != nil {
		return failed
	}
	b := s.store.db.NewBatch()
	defer b.Close()
	if err := s.store.put(b, copiedKey(), epoch.Epoch); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

// copyTo makes f + 1 copies of a pack, which is here, among the custodians of an epoch that are
// members still; this member's own is counted.
func (s *Service) copyTo(ctx context.Context, v *state.View, epoch committee.Epoch, author tx.Account, hh [32]byte, pack vault.PackID) error {
	missing := epoch.F() + 1
	if _, ok := epoch.IndexOf(author); ok && author == s.Self {
		missing--
	}
	var to []tx.Account
	held := anchor.Holders(v, hh)
	for _, m := range ReplicaOrder(epoch.Members, author, hh) {
		switch {
		case !there(v, m):
		case m == s.Self, slices.Contains(held, m):
			missing--
		default:
			to = append(to, m)
		}
	}
	var failed error
	for _, m := range to {
		if missing <= 0 {
			return nil
		}
		err := s.count("pack", s.sendPack(ctx, m, pack))
		if errors.Is(err, vault.ErrNotFound) {
			return nil // erased here
		}
		if err == nil {
			missing--
		}
		failed = errors.Join(failed, err)
	}
	if missing <= 0 {
		return nil
	}
	return fmt.Errorf("record: copies of a pack are missing: %w", failed)
}
