package vault

import (
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/vfs"
)

func segmentName(num, gen uint32) string    { return fmt.Sprintf("%08x-%08x.seg", num, gen) }
func unfinishedName(num, gen uint32) string { return fmt.Sprintf("%08x-%08x.tmp", num, gen) }

// indexDir and its two companions during a rebuild.
func (s *Store) indexDir(suffix string) string { return s.fs.PathJoin(s.dir, "index"+suffix) }

// IndexDir is where the index of the vault in dir lives. Without it the next Open makes it
// again from the segments.
func IndexDir(dir string) string { return filepath.Join(dir, "index") }

// openIndex opens the index. A rebuild that crashed between its two renames has left a complete new index: it is used.
func (s *Store) openIndex() error {
	exists := func(suffix string) bool { _, err := s.fs.Stat(s.indexDir(suffix)); return err == nil }
	if !exists("") && exists(".old") && exists(".new") {
		if err := s.fs.Rename(s.indexDir(".new"), s.indexDir("")); err != nil {
			return err
		}
	}
	for _, suffix := range []string{".old", ".new"} {
		if err := s.fs.RemoveAll(s.indexDir(suffix)); err != nil {
			return err
		}
	}
	ix, err := openIndex(s.fs, s.indexDir(""), s.o.IndexCache, s.log)
	if err != nil {
		return err
	}
	s.ix = ix
	return nil
}

// rebuild makes a new index from the segments. What the old one still says is kept where the segments cannot say it: a
// pack they no longer hold is lost, not forgotten; a tombstone and a known damage stay. The caller holds the turn.
func (s *Store) rebuild(why error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Warn("rebuilding the index from the segments", "reason", why)
	s.rebuilt.Add(1)
	if err := s.fs.RemoveAll(s.indexDir(".new")); err != nil {
		return err
	}
	ix, err := openIndex(s.fs, s.indexDir(".new"), s.o.IndexCache, s.log)
	if err != nil {
		return err
	}
	segs, next := s.segs, s.next
	var salts map[uint32]segment
	if s.ix != nil {
		salts, _ = s.ix.segments()
	}
	s.files.close()
	if err = s.recover(ix, salts); err == nil && s.ix != nil {
		err = carryOver(s.ix, ix)
	}
	if err == nil {
		err = ix.flush()
	}
	if err = errors.Join(err, ix.close()); err != nil {
		s.retire()
		s.segs, s.next = segs, next
		return err
	}
	if s.ix != nil {
		s.ix.close()
	}
	if err = swapIndex(s.fs, s.indexDir("")); err == nil {
		err = s.openIndex()
	}
	if err != nil { // there is no index to go on with
		s.ix, s.closed = nil, true
		return err
	}
	s.epoch++
	return nil
}

func swapIndex(fs vfs.FS, dir string) error {
	if err := fs.RemoveAll(dir + ".old"); err != nil {
		return err
	}
	if _, err := fs.Stat(dir); err == nil {
		if err := fs.Rename(dir, dir+".old"); err != nil {
			return err
		}
	}
	return fs.Rename(dir+".new", dir)
}

// carryOver brings along what only the old index knows. The old one may be damaged: what can be read of it is used.
func carryOver(old, fresh *index) error {
	c := fresh.change()
	dropped, _, _ := old.ids('d')
	for _, a := range dropped {
		c.erase(Address(a))
	}
	held, places, _ := old.ids('p')
	for i, id := range held {
		now, ok, err := indexPack(c.b, id)
		if c.fail(err) {
			break
		}
		was, err := decodePlace(places[i])
		d, _ := indexDamage(old.db, id)
		switch {
		case !ok:
			c.mark(id, damageLost)
		case d != 0 && err == nil && was.num == now.num && was.off == now.off:
			c.mark(id, d)
		default:
			if d, err := indexDamage(c.b, id); !c.fail(err) && d == damageSuspect { // the old index knew that it was acknowledged
				c.mark(id, damageCorrupt)
			}
		}
	}
	damaged, values, _ := old.ids('x')
	for i, id := range damaged {
		if _, ok, err := indexPack(c.b, id); !c.fail(err) && !ok && len(values[i]) == 1 {
			c.mark(id, damage(values[i][0]))
		}
	}
	return c.commit()
}

// recover reads into ix what it has not seen of the segments, cuts the torn tail of the last one and sets segs, active
// and next. It fails with errIndex if ix does not fit the segments.
// salts are remembered from an earlier index, for segments whose own headers are unreadable.
func (s *Store) recover(ix *index, salts map[uint32]segment) error {
	gens, err := s.listSegments()
	if err != nil {
		return err
	}
	known, err := ix.segments()
	if err != nil {
		return err
	}
	for num, k := range known {
		if gen, ok := gens[num]; !ok || gen != k.gen {
			return fmt.Errorf("%w: segment %d is missing or another", errIndex, num)
		}
	}
	s.retire()
	s.segs, s.next = map[uint32]segment{}, 0
	nums := slices.Sorted(maps.Keys(gens))
	for i, num := range nums {
		s.next = num + 1
		k, had := known[num]
		if !had {
			k.salt = salts[num].salt
		}
		if err := s.recoverSegment(ix, num, gens[num], k, had, i == len(nums)-1); err != nil {
			return fmt.Errorf("segment %d: %w", num, err)
		}
	}
	return nil
}

// listSegments returns each segment's generation. A name appears only when its file is complete, so of two generations the
// later one is right; the earlier one and unfinished files are what a crash left, and go.
func (s *Store) listSegments() (map[uint32]uint32, error) {
	names, err := s.be.List()
	if err != nil {
		return nil, err
	}
	gens := map[uint32]uint32{}
	for _, name := range names {
		var num, gen uint32
		if n, _ := fmt.Sscanf(name, "%08x-%08x", &num, &gen); n != 2 {
			continue // not ours
		}
		switch {
		case name == unfinishedName(num, gen):
		case name != segmentName(num, gen):
			continue
		default:
			was, ok := gens[num]
			gens[num] = gen // names are sorted: gen is the later one
			if !ok {
				continue
			}
			name = segmentName(num, was)
		}
		if err := s.be.Remove(name); err != nil {
			return nil, err
		}
	}
	return gens, nil
}

// recoverSegment indexes one segment from where ix stands.
func (s *Store) recoverSegment(ix *index, num, gen uint32, k segment, had, last bool) error {
	f, err := s.be.Open(segmentName(num, gen))
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		if !keep {
			f.Close()
		}
	}()
	size, err := f.Size()
	if err != nil {
		return err
	}
	sl, readable := readSalt(f, size)
	if had && (readable && sl != k.salt || size < k.end) {
		return fmt.Errorf("%w: segment %d was replaced or cut", errIndex, num)
	}
	if !readable && k.salt != (salt{}) && size > segHeader {
		sl, readable = k.salt, true
	}
	if !readable {
		if size <= segHeader && gen == 0 { // a crash while it was begun: no frame fits in here
			return s.be.Remove(segmentName(num, gen))
		}
		s.log.Error("segment cannot be read; left as it is", "segment", num)
		s.segs[num] = segment{gen: gen, end: size, size: size}
		return nil
	}
	seg := segment{gen: gen, end: segHeader, salt: sl, size: size}
	if had {
		seg.end = k.end
	}
	r := &recovery{s: s, ix: ix, f: f, num: num, seg: seg, last: last, deep: had || last, c: ix.change()}
	if err := r.run(); err != nil {
		return err
	}
	s.segs[num] = r.seg
	if last && r.seg.end < s.o.SegmentSize {
		s.active = &active{File: f, num: num, salt: sl, end: r.seg.end}
		keep = true
	}
	return nil
}

// recovery is one segment being read into an index.
type recovery struct {
	s    *Store
	ix   *index
	f    File
	num  uint32
	seg  segment
	last bool
	deep bool // check payloads too: the crash may have been here
	c    *change
	rows int
	torn []scanned // damaged frames since the last good one
	good int64     // end of the last good frame
}

func (r *recovery) run() error {
	r.good = r.seg.end
	if _, err := scanFrames(r.f, r.seg.salt, r.seg.end, r.seg.size, r.frame); err != nil {
		r.c.b.Close()
		return err
	}
	cut := r.last && r.good < r.seg.size
	for _, f := range r.torn {
		r.damaged(f, !cut)
	}
	if cut {
		r.s.log.Warn("cut a torn tail", "segment", r.num, "bytes", r.seg.size-r.good)
		if err := errors.Join(r.f.Truncate(r.good), r.f.Sync()); err != nil {
			r.c.b.Close()
			return err
		}
		r.seg.size = r.good
	}
	r.seg.end = r.seg.size
	r.c.segment(r.num, r.seg)
	return r.c.commit()
}

func (r *recovery) frame(f scanned) error {
	var l *layout
	var drop []byte
	ok := !f.cut
	switch {
	case !ok:
	case f.kind == frameDrop:
		drop = make([]byte, f.size)
		readSoft(r.f, drop, f.off+frameHeader, f.end())
		ok = IDOf(drop) == f.id && len(drop)%32 == 0
	default:
		var err error
		l, err = readLayout(r.f, f.frame)
		ok = err == nil && (!r.deep || r.sum(f.frame) == f.sum)
	}
	if !ok {
		r.torn = append(r.torn, f)
		return nil
	}
	for _, t := range r.torn { // a good frame follows: these are damage, not a tail
		r.damaged(t, true)
	}
	r.torn, r.good = nil, f.end()
	if drop != nil {
		r.c.drop(r.num, f.frame, splitAddresses(drop))
	} else {
		r.c.pack(r.num, f.frame, l)
		r.c.clear(f.id)
		r.rows += len(l.all)
	}
	if r.rows++; r.rows < 1<<14 {
		return r.c.err
	}
	r.rows = 0
	err := r.c.commit()
	r.c = r.ix.change()
	return err
}

// damaged notes a frame whose header is good and whose payload is not, unless there is another copy of the pack. In the
// part that only now is read into the index the store cannot tell whether it had been acknowledged: then it is suspect.
func (r *recovery) damaged(f scanned, stays bool) {
	if f.kind == frameDrop {
		r.s.log.Error("drop frame damaged", "segment", r.num)
		return
	}
	_, ok, err := indexPack(r.c.b, f.id)
	if r.c.fail(err) || ok {
		return
	}
	if stays {
		l, err := readLayout(r.f, f.frame)
		if err != nil {
			l = nil
		}
		r.c.pack(r.num, f.frame, l)
	}
	d := damageCorrupt
	if r.deep {
		d = damageSuspect
	}
	r.c.mark(f.id, d)
}

func (r *recovery) sum(f frame) uint32 {
	var sum uint32
	buf := make([]byte, min(int(f.size), 1<<20))
	for at := f.off + frameHeader; at < f.end(); {
		n := readSoft(r.f, buf, at, f.end())
		sum = crc32.Update(sum, castagnoli, buf[:n])
		at += int64(max(n, 1))
	}
	return sum
}

func splitAddresses(b []byte) []Address {
	out := make([]Address, 0, len(b)/32)
	for ; len(b) >= 32; b = b[32:] {
		out = append(out, Address(b[:32]))
	}
	return out
}
