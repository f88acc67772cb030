package vault

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
)

// Report is what Scrub found or Repair did.
type Report struct {
	Segments int
	Packs    int      // packs looked at
	Blobs    int      // blobs verified
	Bytes    int64    // bytes verified
	Corrupt  []PackID // damaged or lost: Repair fetches them from a peer
	Suspect  []PackID // damaged by a crash, perhaps never acknowledged: Repair asks a peer, and forgets what no peer has
	Repaired []PackID
	Failed   []PackID // Repair found no good copy
	Rebuilt  bool     // the index did not say what the segments hold and was built anew
}

// Progress is told to Scrub's callback after each segment.
type Progress struct {
	Segment, Segments int
	Bytes, Total      int64
}

// Scrub reads every segment again and verifies every live frame, and that the index says the same. Packs it finds damaged
// are listed, no longer held (HasPack) and wait for Repair; those that read well again are cleared. Reads and puts go on
// meanwhile. progress may be nil. Errors: ErrClosed, ctx's, the backend's; damage is no error.
func (s *Store) Scrub(ctx context.Context, progress func(Progress)) (Report, error) {
	var r Report
	s.mu.RLock()
	nums := slices.Sorted(maps.Keys(s.segs))
	var total int64
	for _, g := range s.segs {
		total += g.size
	}
	s.mu.RUnlock()
	for i, num := range nums {
		stale, err := s.scrubSegment(ctx, num, &r)
		if err == nil && stale {
			r.Rebuilt = true
			if err = s.take(ctx); err == nil {
				err = s.rebuild(fmt.Errorf("%w: segment %d holds something else", errIndex, num))
				<-s.turn
			}
			if err == nil {
				_, err = s.scrubSegment(ctx, num, &r)
			}
		}
		if err != nil {
			return r, err
		}
		if progress != nil {
			progress(Progress{i + 1, len(nums), r.Bytes, total})
		}
	}
	err := s.listDamage(ctx, &r)
	return r, err
}

func (s *Store) listDamage(ctx context.Context, r *Report) error {
	return s.view(ctx, func(ix *index) error {
		r.Corrupt, r.Suspect = nil, nil
		ids, values, err := ix.ids('x')
		for i, id := range ids {
			if len(values[i]) == 1 && damage(values[i][0]) == damageSuspect {
				r.Suspect = append(r.Suspect, id)
			} else {
				r.Corrupt = append(r.Corrupt, id)
			}
		}
		return err
	})
}

// scrubSegment verifies one segment. stale: the index misses something or says something wrong about it.
func (s *Store) scrubSegment(ctx context.Context, num uint32, r *Report) (stale bool, err error) {
	var f *openFile
	var seg segment
	var frames []frame
	err = s.view(ctx, func(ix *index) (err error) {
		if seg = s.segs[num]; seg.size == 0 {
			return nil
		}
		if frames, err = indexFrames(ix.db, num); err != nil {
			return err
		}
		if f, err = s.files.acquire(num, seg.gen); err != nil { // its packs are lost; the scrub goes on
			s.log.ErrorContext(ctx, "segment cannot be opened", "segment", num, "packs", len(frames), "error", err)
			f = nil
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if f == nil {
		for _, x := range frames {
			if err := s.verdict(ctx, num, seg.gen, x, ErrCorrupt); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	defer f.release()
	r.Segments++
	size := seg.size
	if n := len(frames); n > 0 { // a put may have come between the two
		size = max(size, frames[n-1].end())
	}
	live := map[int64]bool{}
	for _, x := range frames {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		live[x.off] = true
		b := make([]byte, frameHeader+int(x.size))
		readSoft(f, b, x.off, size)
		got, l, bad := verifyFrame(b, seg.salt)
		if bad == nil && (got.id != x.id || got.kind != x.kind || got.size != x.size) {
			return true, nil
		}
		if x.kind != frameDrop {
			r.Packs++
		}
		if err := s.verdict(ctx, num, seg.gen, x, bad); err != nil {
			return false, err
		}
		if bad != nil || l == nil {
			continue
		}
		r.Blobs += len(l.live)
		r.Bytes += int64(len(b))
		if stale, err := s.misindexed(ctx, num, seg.gen, x, l); stale || err != nil {
			return stale, err
		}
	}
	return s.unindexed(ctx, f, num, seg, live)
}

// verdict notes a frame's state if that differs from what is known.
func (s *Store) verdict(ctx context.Context, num, gen uint32, x frame, bad error) error {
	var was damage
	err := s.view(ctx, func(ix *index) (err error) {
		was, err = indexDamage(ix.db, x.id)
		return err
	})
	if err != nil || (bad != nil) == (was != 0) && x.kind != frameDrop || bad == nil && x.kind == frameDrop {
		return err
	}
	if err := s.take(ctx); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	if s.segs[num].gen != gen {
		return nil
	}
	if x.kind == frameDrop {
		return s.renewDrops(num, x)
	}
	if bad != nil {
		s.log.ErrorContext(ctx, "pack damaged", "pack", x.id, "segment", num, "offset", x.off)
	}
	return s.apply(func(c *change) {
		p, ok, err := indexPack(c.b, x.id)
		if c.fail(err) || !ok || p.num != num || p.off != uint32(x.off) {
			return
		}
		if bad != nil {
			c.mark(x.id, damageCorrupt)
		} else {
			c.clear(x.id)
		}
	})
}

// renewDrops writes all tombstones down again when a frame that held some is damaged. The caller holds the turn.
func (s *Store) renewDrops(num uint32, bad frame) error {
	ids, _, err := s.ix.ids('d')
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, MaxPack/32) {
		body := make([]byte, frameHeader, frameHeader+32*len(part))
		for _, a := range part {
			body = append(body, a[:]...)
		}
		if err := s.writeDrop(body); err != nil {
			return err
		}
	}
	return s.apply(func(c *change) {
		c.delete(key('o', u32(num, uint32(bad.off))))
		c.n.Live -= frameHeader + int64(bad.size)
		c.set(key('w', u32(num)), nil)
	})
}

// misindexed says whether the index lacks a blob of a good frame or places it wrongly.
func (s *Store) misindexed(ctx context.Context, num, gen uint32, x frame, l *layout) (stale bool, err error) {
	err = s.view(ctx, func(ix *index) error {
		if s.segs[num].gen != gen {
			return nil
		}
		if v, ok, err := ix.get(key('o', u32(num, uint32(x.off)))); err != nil || !ok || PackID(v[:32]) != x.id {
			return err // replaced meanwhile
		}
		for _, b := range l.live {
			v, ok, err := ix.get(key('b', b.addr[:], u32(num, uint32(x.off))))
			if err != nil {
				return err
			}
			stale = stale || !ok || len(l.live) == len(l.all) && len(v) == 8 && !bytes.Equal(v, u32(b.off, b.size)) && !repeated(l, b.addr)
		}
		return nil
	})
	return stale, err
}

// repeated: a pack may hold the same blob twice, and the index then points to the last one.
func repeated(l *layout, a Address) bool {
	n := 0
	for _, b := range l.live {
		if b.addr == a {
			n++
		}
	}
	return n > 1
}

// unindexed says whether the segment holds a good pack that the index does not know at all.
func (s *Store) unindexed(ctx context.Context, f *openFile, num uint32, seg segment, live map[int64]bool) (stale bool, err error) {
	_, err = scanFrames(f, seg.salt, segHeader, seg.end, func(x scanned) error {
		if live[x.off] || x.cut || x.kind == frameDrop {
			return ctx.Err()
		}
		return s.view(ctx, func(ix *index) error {
			if s.segs[num].gen != seg.gen {
				return nil
			}
			_, held, err := indexPack(ix.db, x.id)
			if err != nil || held {
				return err
			}
			d, err := indexDamage(ix.db, x.id)
			stale = stale || d == 0 && err == nil
			return err
		})
	})
	return stale, err
}
