package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// write is one frame waiting for the disk.
type write struct {
	id   PackID
	kind byte
	full []byte // the frame as it came, header still empty
	lay  *layout
	put  bool   // refuse tombstoned blobs; an import leaves them out instead
	seen uint64 // Store.drops when the tombstones were looked up

	frame []byte // what is written
	held  *layout
	sum   uint32

	done chan struct{}
	err  error // set before done is closed
}

// PutPack stores the blobs as one pack and returns when it is on disk. Callers that come while one fsync runs share the
// next. Putting a pack again is free. Errors: ErrInvalid, ErrTooLarge, ErrNoSpace, ErrDropped (one of the blobs was
// erased), ErrClosed, ctx's while it waits its turn; after any of them nothing of the pack is stored.
func (s *Store) PutPack(ctx context.Context, blobs [][]byte) (PackID, error) {
	size, err := checkBlobs(blobs)
	if err != nil {
		return PackID{}, err
	}
	if err := ctx.Err(); err != nil {
		return PackID{}, err
	}
	l := &layout{all: make([]Address, len(blobs)), live: make([]blobAt, len(blobs))}
	at := frameHeader + headSize(len(blobs))
	for i, b := range blobs {
		l.all[i] = AddressOf(b)
		l.live[i] = blobAt{l.all[i], uint32(at), uint32(len(b))}
		at += len(b)
	}
	frame := appendPack(make([]byte, frameHeader, frameHeader+size), l.all, blobs)
	w := &write{id: IDOf(frame[frameHeader:]), kind: framePack, full: frame, lay: l, put: true, done: make(chan struct{})}
	if err := s.submit(ctx, w); err != nil {
		return PackID{}, err
	}
	return w.id, nil
}

// ImportPack stores a pack that another member made: size bytes from r. It returns nil when a pack with this id, every
// blob of it checked, is on disk; blobs that were dropped here are left out. If the store has it, r is not read. Errors:
// ErrMismatch, ErrInvalid, ErrTooLarge, ErrNoSpace, ErrClosed, r's (io.ErrUnexpectedEOF if it ends early), ctx's.
func (s *Store) ImportPack(ctx context.Context, id PackID, r io.Reader, size int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if size > MaxPack {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, MaxPack)
	}
	if size < int64(headSize(1)) {
		return fmt.Errorf("%w: %d bytes", ErrInvalid, size)
	}
	if s.HasPack(id) {
		return nil
	}
	if err := s.imports.Acquire(ctx, size); err != nil {
		return err
	}
	defer s.imports.Release(size)
	frame, err := readAll(ctx, r, int(size))
	if err != nil {
		return err
	}
	return s.importFrame(ctx, id, frame)
}

// readAll reads size bytes behind an empty frame header. The buffer grows with what arrives: a peer that promises much
// and sends nothing holds no memory.
func readAll(ctx context.Context, r io.Reader, size int) ([]byte, error) {
	b := make([]byte, frameHeader, frameHeader+min(size, 1<<20))
	for want := frameHeader + size; len(b) < want; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(want, 2*cap(b))), b...)
		}
		n, err := r.Read(b[len(b):min(cap(b), want)])
		b = b[:len(b)+n]
		if err != nil && len(b) < want {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("vault: import: %d of %d bytes: %w", len(b)-frameHeader, size, err)
		}
	}
	return b, nil
}

// importFrame verifies and stores a pack that lies in frame behind an empty header.
func (s *Store) importFrame(ctx context.Context, id PackID, frame []byte) error {
	if IDOf(frame[frameHeader:]) != id {
		return ErrMismatch
	}
	if _, err := DecodePack(frame[frameHeader:]); err != nil {
		return err
	}
	l, err := layoutOf(framePack, frame[frameHeader:])
	if err != nil {
		return err
	}
	return s.submit(ctx, &write{id: id, kind: framePack, full: frame, lay: l, done: make(chan struct{})})
}

// prepare settles what of the pack is written, given the tombstones.
func (s *Store) prepare(w *write, ix *index) error {
	w.seen = s.drops.Load()
	w.frame, w.held = w.full, w.lay
	if w.kind == framePack || w.kind == frameReduced {
		w.kind = framePack
		gone := map[Address]bool{}
		if ix.shown.Load().Dropped > 0 {
			for _, a := range w.lay.all {
				dropped, err := ix.isDropped(a)
				if err != nil {
					return err
				}
				if dropped {
					gone[a] = true
				}
			}
		}
		if len(gone) > 0 && w.put {
			return ErrDropped
		}
		if len(gone) > 0 {
			w.kind = frameReduced
			w.frame = reduceFrame(w.full, w.lay, func(a Address) bool { return !gone[a] })
			var err error
			if w.held, err = layoutOf(w.kind, w.frame[frameHeader:]); err != nil {
				return err
			}
		}
	}
	w.sum = checksum(w.frame[frameHeader:])
	return nil
}

// submit brings w to the disk in the next group. Whoever gets the turn first commits for all who wait.
func (s *Store) submit(ctx context.Context, w *write) error {
	held := false
	err := s.view(ctx, func(ix *index) (err error) {
		if held, err = ix.settled(w); err != nil || held {
			return err
		}
		return s.prepare(w, ix)
	})
	if err != nil || held {
		return err
	}
	s.queueMu.Lock()
	s.queue = append(s.queue, w)
	s.queueMu.Unlock()
	select {
	case s.turn <- struct{}{}:
		s.commitQueue()
		<-s.turn
	case <-w.done:
	case <-ctx.Done():
		if s.withdraw(w) {
			return ctx.Err()
		}
	}
	<-w.done
	return w.err
}

// withdraw takes w back unless its group is being written.
func (s *Store) withdraw(w *write) bool {
	s.queueMu.Lock()
	defer s.queueMu.Unlock()
	for i, q := range s.queue {
		if q == w {
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			return true
		}
	}
	return false
}

// commitQueue writes all that wait. The caller holds the turn.
func (s *Store) commitQueue() {
	s.queueMu.Lock()
	group := s.queue
	s.queue = nil
	s.queueMu.Unlock()
	first := map[PackID]*write{}
	var todo []*write
	for _, w := range group {
		switch skip, err := s.settle(w); {
		case skip || err != nil:
			w.err = err
		case first[w.id] == nil:
			first[w.id] = w
			todo = append(todo, w)
		}
	}
	s.writeAll(todo)
	for _, w := range group {
		if f := first[w.id]; f != nil && f != w && w.err == nil {
			w.err = f.err
		}
		close(w.done)
	}
}

// settle looks again at what may have changed since w was prepared. It says whether w needs no writing.
func (s *Store) settle(w *write) (skip bool, err error) {
	if s.closed {
		return true, ErrClosed
	}
	err = s.retry(func() error {
		if skip, err = s.ix.settled(w); err != nil || skip {
			return err
		}
		if w.seen != s.drops.Load() {
			return s.prepare(w, s.ix)
		}
		return nil
	})
	return skip, err
}

// settled says whether the pack is here already.
func (ix *index) settled(w *write) (bool, error) {
	held, whole, err := ix.holds(w.id)
	if held && !whole && w.put {
		return true, ErrDropped
	}
	return held, err
}

// retry runs fn, which reads the index under the turn, again after a rebuild if the index is damaged.
func (s *Store) retry(fn func() error) error {
	err := fn()
	if errors.Is(err, errIndex) {
		if err = s.rebuild(err); err == nil {
			err = fn()
		}
	}
	return err
}

// writeAll appends frames in as few writes and fsyncs as the segments' sizes allow, and sets their errors.
func (s *Store) writeAll(ws []*write) {
	for len(ws) > 0 {
		n, err := s.writeSome(ws)
		if n > 1 && errors.Is(err, ErrNoSpace) { // what does not fit must not take others with it
			_, err = s.writeSome(ws[:1])
			n = 1
		}
		for _, w := range ws[:n] {
			w.err = err
		}
		ws = ws[n:]
	}
}

// writeSome appends as many of ws as fit into the segment, at least one.
func (s *Store) writeSome(ws []*write) (n int, err error) {
	if s.closed {
		return 1, ErrClosed
	}
	size := int64(len(ws[0].frame))
	end := int64(segHeader)
	if s.active != nil {
		if end = s.active.end; end+size > s.o.SegmentSize && end > segHeader {
			s.retire()
			s.ix.db.AsyncFlush() // keeps what the next Open has to read short
			end = segHeader
		}
	}
	for n = 1; n < len(ws) && end+size+int64(len(ws[n].frame)) <= s.o.SegmentSize; n++ {
		size += int64(len(ws[n].frame))
	}
	if s.o.Reserve > 0 {
		free, err := s.be.Free()
		if err != nil {
			return n, fmt.Errorf("vault: %w", err)
		}
		if free-size < s.o.Reserve {
			return n, fmt.Errorf("%w: %d bytes free, %d kept in reserve", ErrNoSpace, free, s.o.Reserve)
		}
	}
	if err := s.begin(); err != nil {
		return n, fmt.Errorf("vault: begin segment: %w", err)
	}
	a := s.active
	at, err := a.append(ws[:n])
	if err == nil {
		if err = a.Sync(); err != nil {
			s.abandon() // after a failed fsync nobody knows what the file holds
		}
	} else if a.Truncate(a.end) != nil {
		s.abandon()
	}
	if err != nil {
		return n, fmt.Errorf("vault: append: %w", err)
	}
	s.syncs.Add(1)
	from := a.end
	a.end = at
	s.mu.RLock()
	seg := s.segs[a.num]
	s.mu.RUnlock()
	seg.end, seg.size = at, at
	if err := s.apply(func(c *change) {
		for _, w := range ws[:n] {
			f := frame{off: from, kind: w.kind, size: uint32(len(w.frame) - frameHeader), id: w.id, sum: w.sum}
			from = f.end()
			if w.kind == frameDrop {
				c.drop(a.num, f, splitAddresses(w.frame[frameHeader:]))
				continue
			}
			c.pack(a.num, f, w.held)
			c.clear(w.id)
			s.puts.Add(1)
		}
		c.segment(a.num, seg)
	}); err != nil {
		return n, err
	}
	s.mu.Lock() // after the rows: up to segment.end, what is not in the index is not known
	s.segs[a.num] = seg
	s.mu.Unlock()
	return n, nil
}

// append writes the frames behind the end of the segment: small ones together, large ones from where they are.
func (a *active) append(ws []*write) (end int64, err error) {
	const gather = 1 << 20
	end = a.end
	buf := a.buf[:0]
	write := func(b []byte) {
		if err == nil && len(b) > 0 {
			_, err = a.WriteAt(b, end)
			end += int64(len(b))
		}
	}
	for _, w := range ws {
		putFrameHeader(w.frame, a.salt, w.kind, w.id, w.sum)
		if len(w.frame) >= gather || len(ws) == 1 {
			write(buf)
			write(w.frame)
			buf = buf[:0]
			continue
		}
		if len(buf)+len(w.frame) > gather {
			write(buf)
			buf = buf[:0]
		}
		buf = append(buf, w.frame...)
	}
	write(buf)
	a.buf = buf
	return end, err
}

// abandon gives a segment up whose tail cannot be trusted. What it has acknowledged stays readable.
func (s *Store) abandon() {
	s.log.Error("segment abandoned after a failed write", "segment", s.active.num)
	if s.active.Truncate(s.active.end) == nil {
		_ = s.active.Sync() // the segment is given up either way
	}
	s.retire()
}

// begin makes sure there is an active segment. Its header is durable before the first frame: a segment with frames has a
// salt.
func (s *Store) begin() error {
	if s.active != nil {
		return nil
	}
	a := &active{num: s.next, end: segHeader}
	rand.Read(a.salt[:])
	name := segmentName(a.num, 0)
	f, err := s.be.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(encodeSegmentHeader(a.num, 0, a.salt), 0); err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		s.next++ // the name may be taken now
		return errors.Join(err, s.be.Remove(name))
	}
	a.File = f
	s.active = a
	s.next++
	s.mu.Lock()
	s.segs[a.num] = segment{salt: a.salt, end: segHeader, size: segHeader}
	s.mu.Unlock()
	return nil
}
