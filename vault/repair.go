package vault

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
)

// Repair fetches each damaged or lost pack (run Scrub first to find them) with fetch, verifies it and stores it; what it
// replaces is rewritten away. fetch returns an error that is ErrNotFound if no peer has the pack. One pack that cannot be
// had does not stop the others: it is in Failed, and stays damaged. Errors: ErrNoSpace, ErrClosed, ctx's.
func (s *Store) Repair(ctx context.Context, fetch func(context.Context, PackID) (io.ReadCloser, error)) (Report, error) {
	var r Report
	if err := s.listDamage(ctx, &r); err != nil {
		return r, err
	}
	for _, id := range slices.Concat(r.Corrupt, r.Suspect) {
		r.Packs++
		n, err := s.refetch(ctx, id, fetch)
		r.Bytes += n
		switch {
		case err == nil:
			r.Repaired = append(r.Repaired, id)
		case errors.Is(err, ErrNotFound) && slices.Contains(r.Suspect, id):
			err = s.forget(ctx, id)
		default:
			s.log.WarnContext(ctx, "pack not repaired", "pack", id, "error", err)
			r.Failed = append(r.Failed, id)
		}
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if errors.Is(err, ErrNoSpace) || errors.Is(err, ErrClosed) {
			return r, err
		}
	}
	if err := s.rewritePending(ctx); err != nil {
		return r, err
	}
	return r, s.listDamage(ctx, &r)
}

// refetch replaces one pack.
func (s *Store) refetch(ctx context.Context, id PackID, fetch func(context.Context, PackID) (io.ReadCloser, error)) (int64, error) {
	rc, err := fetch(ctx, id)
	if err != nil {
		return 0, err
	}
	defer rc.Close()
	b := bytes.NewBuffer(make([]byte, frameHeader))
	n, err := b.ReadFrom(io.LimitReader(rc, MaxPack+1))
	if err != nil {
		return n, err
	}
	if n > MaxPack {
		return n, ErrTooLarge
	}
	return n, s.importFrame(ctx, id, b.Bytes())
}

// forget gives a suspect pack up that nobody has: it was never acknowledged.
func (s *Store) forget(ctx context.Context, id PackID) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	return s.apply(func(c *change) {
		p, ok, err := indexPack(c.b, id)
		if c.fail(err) {
			return
		}
		if ok {
			var l *layout
			if f, err := s.files.acquire(p.num, s.segs[p.num].gen); err == nil {
				if l, err = readLayout(f, frame{off: int64(p.off), kind: p.kind, size: p.size}); err != nil {
					l = nil
				}
				f.release()
			}
			c.forget(id, p, l)
			c.set(key('w', u32(p.num)), nil)
		}
		c.clear(id)
	})
}
