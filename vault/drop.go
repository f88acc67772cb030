package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Drop erases blobs. When it returns nil their bytes are in no segment file any more, they never come back by PutPack or
// ImportPack, and Get says ErrDropped. The rest of their packs stays readable blob by blob; ReadPack of such a pack says
// ErrDropped. Addresses the store does not hold are remembered too.
//
// First the addresses are written down (fsync): from then on they are unreadable, whatever happens. Then each segment that
// holds them is written anew beside the old one and takes its name in one step. If Drop fails in between (ErrNoSpace) or the
// process dies, the next Open, Drop or Repair finishes it.
func (s *Store) Drop(ctx context.Context, addrs []Address) error {
	addrs = slices.Clone(addrs)
	slices.SortFunc(addrs, func(a, b Address) int { return bytes.Compare(a[:], b[:]) })
	addrs = slices.Compact(addrs)
	if len(addrs)*32 > MaxPack {
		return fmt.Errorf("%w: %d addresses at once", ErrTooLarge, len(addrs))
	}
	if err := s.take(ctx); err != nil {
		return err
	}
	err := s.tombstone(addrs)
	<-s.turn
	if err != nil {
		return err
	}
	return s.rewritePending(ctx)
}

// tombstone writes a drop frame for those addresses that have none. The caller holds the turn.
func (s *Store) tombstone(addrs []Address) error {
	var body []byte
	err := s.retry(func() error {
		body = make([]byte, frameHeader)
		for _, a := range addrs {
			gone, err := s.ix.isDropped(a)
			if err != nil {
				return err
			}
			if !gone {
				body = append(body, a[:]...) //nolint:makezero // writeSome fills the header in
			}
		}
		return nil
	})
	if err != nil || len(body) == frameHeader {
		return err
	}
	return s.writeDrop(body)
}

// writeDrop appends the addresses behind an empty frame header.
func (s *Store) writeDrop(body []byte) error {
	w := &write{id: IDOf(body[frameHeader:]), kind: frameDrop, frame: body, sum: checksum(body[frameHeader:])}
	_, err := s.writeSome([]*write{w})
	s.drops.Add(1) // after the rows are there: a put that looked before looks again
	return err
}

// rewritePending rewrites segment after segment until none holds what it should not; puts go on in between.
func (s *Store) rewritePending(ctx context.Context) error {
	for done := 0; ; done++ {
		if err := s.take(ctx); err != nil {
			return err
		}
		var nums []uint32
		err := s.removeStale()
		if err != nil {
			<-s.turn
			return err
		}
		err = s.retry(func() (err error) {
			nums, err = s.ix.rewrites()
			return err
		})
		if err == nil && len(nums) > 0 {
			err = s.rewrite(nums[0])
		} else if err == nil && done > 0 {
			s.ix.flush() // or else the next Open finds generations that its index does not know, and rebuilds it
		}
		<-s.turn
		if err != nil || len(nums) == 0 {
			return err
		}
	}
}

// rewrite makes the next generation of a segment out of its live frames without the dropped blobs. The old file is then
// stale, and removeStale is the caller's next step.
func (s *Store) rewrite(num uint32) error {
	if s.active != nil && s.active.num == num {
		s.retire()
	}
	s.mu.RLock()
	seg, ok := s.segs[num]
	s.mu.RUnlock()
	if !ok { // the file is lost, with all that was to be erased
		return s.apply(func(c *change) { c.delete(key('w', u32(num))) })
	}
	src, err := s.files.acquire(num, seg.gen)
	if err != nil {
		return err
	}
	defer src.release()
	next := segment{gen: seg.gen + 1, salt: seg.salt}
	tmp := unfinishedName(num, next.gen)
	if err := s.be.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an attempt that failed
		return fmt.Errorf("vault: rewrite: %w", err)
	}
	dst, err := s.be.Create(tmp)
	if err != nil {
		return fmt.Errorf("vault: rewrite: %w", err)
	}
	var moved []movedFrame
	err = s.retry(func() (err error) {
		moved, next.size, err = s.copyFrames(src, dst, num, next)
		return err
	})
	if err == nil {
		err = dst.Sync()
	}
	if err = errors.Join(err, dst.Close()); err != nil {
		return errors.Join(fmt.Errorf("vault: rewrite: %w", err), s.be.Remove(tmp))
	}
	if err := s.be.Rename(tmp, segmentName(num, next.gen)); err != nil {
		return fmt.Errorf("vault: rewrite: %w", err)
	}
	next.end = next.size
	s.mu.Lock()
	c := s.ix.change()
	for _, m := range moved {
		c.move(num, m)
	}
	c.segment(num, next)
	c.delete(key('w', u32(num)))
	err = c.commit()
	s.segs[num] = next
	s.files.forget(num)
	s.mu.Unlock()
	s.stale = append(s.stale, segmentName(num, seg.gen))
	if errors.Is(err, errIndex) {
		err = s.rebuild(err)
	}
	return err
}

// removeStale removes the files that rewritten segments have left. The caller holds the turn.
func (s *Store) removeStale() error {
	for len(s.stale) > 0 {
		if err := s.be.Remove(s.stale[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("vault: rewrite: %w", err)
		}
		s.stale = s.stale[1:]
	}
	return nil
}

// movedFrame is a frame's place before and after.
type movedFrame struct {
	from    int64
	frame   // now
	lay     *layout
	damaged bool
	rows    []keyedBlob // lay == nil: its blobs as the index knows them
}

type keyedBlob struct {
	addr Address
	blobRow
}

// copyFrames writes the live frames of src to dst, each as it is or, if it holds dropped blobs, reduced.
func (s *Store) copyFrames(src *openFile, dst File, num uint32, next segment) (moved []movedFrame, end int64, err error) {
	frames, err := indexFrames(s.ix.db, num)
	if err != nil {
		return nil, 0, err
	}
	if _, err := dst.WriteAt(encodeSegmentHeader(num, next.gen, next.salt), 0); err != nil {
		return nil, 0, err
	}
	size, err := src.Size()
	if err != nil {
		return nil, 0, err
	}
	end = segHeader
	for _, f := range frames {
		b := make([]byte, frameHeader+int(f.size))
		readSoft(src, b, f.off, size)
		m := movedFrame{from: f.off, frame: f}
		if f.kind != frameDrop {
			if b, err = s.reduce(b, num, next.salt, &m); err != nil {
				return nil, 0, err
			}
		}
		m.off, m.size = end, uint32(len(b)-frameHeader)
		if _, err := dst.WriteAt(b, end); err != nil {
			return nil, 0, err
		}
		end += int64(len(b))
		moved = append(moved, m)
	}
	return moved, end, nil
}

// reduce returns the frame b without its dropped blobs.
func (s *Store) reduce(b []byte, num uint32, sl salt, m *movedFrame) ([]byte, error) {
	_, l, bad := verifyFrame(b, sl)
	m.damaged = bad != nil
	if bad != nil {
		var err error
		if l, err = layoutOf(m.kind, b[frameHeader:]); err != nil || l.size() != int64(m.size) {
			return b, s.blank(b, num, m)
		}
	}
	m.lay = l
	gone := map[Address]bool{}
	for _, x := range l.live {
		dropped, err := s.ix.isDropped(x.addr)
		if err != nil {
			return nil, err
		}
		if dropped {
			gone[x.addr] = true
		}
	}
	if len(gone) == 0 {
		return b, nil
	}
	out := reduceFrame(b, l, func(a Address) bool { return !gone[a] })
	m.kind = frameReduced
	putFrameHeader(out, sl, m.kind, m.id, checksum(out[frameHeader:]))
	var err error
	m.lay, err = layoutOf(m.kind, out[frameHeader:])
	return out, err
}

// blank overwrites the dropped blobs in a frame whose table is damaged, at the places the index remembers; the others
// stay readable where they are. It reads all blob rows: slow, and rare.
func (s *Store) blank(b []byte, num uint32, m *movedFrame) error {
	err := indexScan(s.ix.db, key('b'), func(k, v []byte) error {
		if len(k) != 40 || len(v) != 8 || !bytes.Equal(k[32:], u32(num, uint32(m.from))) {
			return nil
		}
		row := keyedBlob{addr: Address(k[:32])}
		rows, err := blobRows(s.ix.db, row.addr)
		for _, row.blobRow = range rows {
			if row.num == num && row.frame == uint32(m.from) {
				m.rows = append(m.rows, row)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range m.rows {
		gone, err := s.ix.isDropped(r.addr)
		if err != nil {
			return err
		}
		if at, end := int(r.off), int(r.off)+int(r.size); gone && end <= len(b) {
			clear(b[at:end])
		}
	}
	return nil
}

// move gives a frame of a rewritten segment its new place.
func (c *change) move(num uint32, m movedFrame) {
	if m.kind == frameDrop {
		c.delete(key('o', u32(num, uint32(m.from))))
		c.n.Live -= frameHeader + int64(m.size)
		c.frame(num, m.frame)
		return
	}
	c.pack(num, m.frame, m.lay)
	for _, r := range m.rows {
		c.delete(key('b', r.addr[:], u32(num, r.frame)))
		if gone, err := c.isDropped(r.addr); !c.fail(err) && !gone {
			c.set(key('b', r.addr[:], u32(num, uint32(m.off))), u32(r.off, r.size))
		}
	}
	if m.damaged {
		c.mark(m.id, damageCorrupt)
	}
}
