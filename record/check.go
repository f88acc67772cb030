package record

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble"

	"salus/ledger/module/anchor"
	"salus/seal/compress"
)

// Check verifies the own store against the ledger: every row opens, every delivered batch is
// anchored, the outbox has no gap. It returns the first damage.
func (s *Service) Check(ctx context.Context) error {
	if err := s.store.scan([]byte{prefixRecord}, func(rest, value []byte) error {
		var r row
		if err := s.store.open(key(prefixRecord, rest), value, &r); err != nil {
			return err
		}
		if r.Erased != nil {
			return ctx.Err()
		}
		if _, err := compress.Decompress(r.Body, maxPlain); err != nil {
			return errDamaged
		}
		return ctx.Err()
	}); err != nil {
		return err
	}
	v := s.Ledger.View()
	defer v.Close()
	return s.outbox.check(func(header [32]byte, pending bool) error {
		b, ok := anchor.Lookup(v, header)
		var again bool
		if s.store.get(lapsedKey(header), &again) == nil {
			return ctx.Err() // its records were sealed again
		}
		if !pending && (!ok || b.Active == 0) {
			return fmt.Errorf("%w: a delivered batch is not on the ledger", ErrOutbox)
		}
		return ctx.Err()
	})
}

// Rebuild makes the store's indexes again from the records and the outbox: which records a
// patient has and which wait to be dealt. It returns the number of records.
func (s *Service) Rebuild() (int, error) {
	b := s.store.db.NewBatch()
	defer b.Close()
	for _, prefix := range []byte{prefixOf, prefixStored} {
		if err := b.DeleteRange([]byte{prefix}, []byte{prefix + 1}, nil); err != nil {
			return 0, fmt.Errorf("record: rebuild: %w", err)
		}
	}
	n := 0
	err := s.store.scan([]byte{prefixRecord}, func(rest, value []byte) error {
		var r row
		if err := s.store.open(key(prefixRecord, rest), value, &r); err != nil {
			return err
		}
		n++
		if r.Status == Stored && r.Erased == nil {
			if err := b.Set(key(prefixStored, r.ID[:]), nil, nil); err != nil {
				return err
			}
		}
		return b.Set(key(prefixOf, r.Patient[:], r.ID[:]), nil, nil)
	})
	if err != nil {
		return n, err
	}
	return n, b.Commit(pebble.Sync)
}
