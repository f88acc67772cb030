package record

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble"

	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/vault"
)

// Who sees to the copies of a pack whose author is a member no more: the first holder in
// ReplicaOrder that still is one. What was copied later is not on the ledger; when all holders
// that are there have gone, everybody who has the pack sends it on.

// lookedRow says for which committee and for how many removed members the orphans were looked after.
type lookedRow struct {
	Epoch uint64 `cbor:"1,keyasint"`
	Gone  uint64 `cbor:"2,keyasint"`
}

// orphansKey keeps a lookedRow.
func orphansKey() []byte { return []byte{prefixMeta, 'o'} }

// there reports whether somebody is a member, whose node can be asked.
func there(v *state.View, m tx.Account) bool {
	member, _ := governance.LookupMember(v, m)
	return member.Active
}

// copyOrphans makes the copies that are missing of packs of authors that are gone, once for every
// committee and every removal.
func (s *Service) copyOrphans(ctx context.Context, v *state.View, epoch committee.Epoch) error {
	now := lookedRow{Epoch: epoch.Epoch}
	for _, m := range governance.Members(v) {
		if !m.Active {
			now.Gone++
		}
	}
	var before lookedRow
	if err := s.store.get(orphansKey(), &before); err != nil && !errors.Is(err, errNotFound) {
		return err
	}
	if now.Gone == 0 || now == before {
		return nil
	}
	var failed error
	anchor.EachActive(v, 0, uint64(v.Meta().Height), func(hh tx.Hash, b anchor.Batch) bool {
		if s.inherits(v, hh, &b) {
			failed = errors.Join(failed, s.copyTo(ctx, v, epoch, b.Author, hh, vault.PackID(b.Pack)))
		}
		return ctx.Err() == nil
	})
	if failed = errors.Join(failed, ctx.Err()); failed != nil {
		return failed
	}
	b := s.store.db.NewBatch()
	defer b.Close()
	if err := s.store.put(b, orphansKey(), now); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

// inherits reports whether this member sees to the copies of a batch whose author is gone.
func (s *Service) inherits(v *state.View, hh tx.Hash, b *anchor.Batch) bool {
	if there(v, b.Author) || erasure.Erased(v, hh, tx.Hash{}) {
		return false
	}
	for _, m := range ReplicaOrder(anchor.Holders(v, hh), b.Author, hh) {
		if there(v, m) {
			return m == s.Self
		}
	}
	return s.Vault.HasPack(vault.PackID(b.Pack))
}
