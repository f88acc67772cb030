package vault

import (
	"context"
	"errors"
	"fmt"
)

// Get returns the blob with this address, verified. If several packs hold it, any good copy will do. Errors: ErrNotFound
// (also ErrDropped if it was erased), ErrCorrupt, ErrClosed, ctx's.
func (s *Store) Get(ctx context.Context, a Address) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type source struct {
		f *openFile
		blobRow
	}
	var from []source
	var known int
	err := s.view(ctx, func(ix *index) error {
		if ix.shown.Load().Dropped > 0 {
			if gone, err := ix.isDropped(a); gone || err != nil {
				return errors.Join(err, ErrDropped)
			}
		}
		rows, err := blobRows(ix.db, a)
		known = len(rows)
		for _, r := range rows {
			if f, err := s.files.acquire(r.num, s.segs[r.num].gen); err == nil {
				from = append(from, source{f: f, blobRow: r})
			}
		}
		return err
	})
	defer func() {
		for _, x := range from {
			x.f.release()
		}
	}()
	if err != nil {
		return nil, err
	}
	if known == 0 {
		return nil, ErrNotFound
	}
	s.reads.Add(1)
	for _, x := range from {
		b := make([]byte, x.size)
		if n, _ := x.f.ReadAt(b, int64(x.frame)+int64(x.off)); n == len(b) && AddressOf(b) == a {
			return b, nil
		}
		s.corruptReads.Add(1)
		s.markAt(ctx, x.num, x.frame, a)
	}
	return nil, fmt.Errorf("%w: blob", ErrCorrupt)
}

// ReadPack returns a pack's bytes, verified against its id. Errors: ErrNotFound, ErrDropped (a blob of it was erased, so
// its bytes no longer exist), ErrCorrupt, ErrClosed, ctx's.
func (s *Store) ReadPack(ctx context.Context, id PackID) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var p place
	var f *openFile
	err := s.view(ctx, func(ix *index) error {
		var ok bool
		var err error
		if p, ok, err = indexPack(ix.db, id); err != nil {
			return err
		}
		if !ok {
			if d, err := indexDamage(ix.db, id); d != 0 || err != nil {
				return errors.Join(err, fmt.Errorf("%w: pack lost", ErrCorrupt))
			}
			return ErrNotFound
		}
		if p.kind == frameReduced {
			return ErrDropped
		}
		if f, err = s.files.acquire(p.num, s.segs[p.num].gen); err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer f.release()
	s.reads.Add(1)
	b := make([]byte, p.size)
	if n, _ := f.ReadAt(b, int64(p.off)+frameHeader); n == len(b) && IDOf(b) == id {
		return b, nil
	}
	s.corruptReads.Add(1)
	s.mark(ctx, id, p)
	return nil, fmt.Errorf("%w: pack", ErrCorrupt)
}

// HasPack says whether the store holds the pack undamaged, as far as it knows; of a pack with erased blobs, the rest.
func (s *Store) HasPack(id PackID) bool {
	var ok bool
	err := s.view(context.Background(), func(ix *index) (err error) {
		ok, _, err = ix.holds(id)
		return err
	})
	return ok && err == nil
}

// holds: the pack is here and not damaged; whole: none of its blobs was dropped.
func (ix *index) holds(id PackID) (held, whole bool, err error) {
	p, ok, err := indexPack(ix.db, id)
	if !ok || err != nil {
		return false, false, err
	}
	d, err := indexDamage(ix.db, id)
	return d == 0, p.kind == framePack, err
}

// mark notes that a pack is damaged where it lies, unless it has moved meanwhile. The read's own error does not depend on
// whether this succeeds.
func (s *Store) mark(ctx context.Context, id PackID, at place) {
	if s.take(ctx) != nil {
		return
	}
	defer func() { <-s.turn }()
	s.log.ErrorContext(ctx, "pack damaged", "pack", id, "segment", at.num, "offset", at.off)
	_ = s.apply(func(c *change) { // a failure shows again at the next scrub
		now, ok, err := indexPack(c.b, id)
		if !c.fail(err) && ok && now.num == at.num && now.off == at.off {
			c.mark(id, damageCorrupt)
		}
	})
}

// markAt is mark for the pack whose frame begins at off and holds a.
func (s *Store) markAt(ctx context.Context, num, off uint32, a Address) {
	var id PackID
	var p place
	err := s.view(ctx, func(ix *index) error {
		if _, ok, err := ix.get(key('b', a[:], u32(num, off))); !ok || err != nil {
			return errors.Join(err, ErrNotFound)
		}
		v, ok, err := ix.get(key('o', u32(num, off)))
		if !ok || err != nil || len(v) != 37 {
			return errors.Join(err, ErrNotFound)
		}
		id = PackID(v[:32])
		p, _, err = indexPack(ix.db, id)
		return err
	})
	if err == nil {
		s.mark(ctx, id, p)
	}
}
