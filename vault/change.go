package vault

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble"
)

// change is a set of index rows that appear together. Reads inside it see its own writes. Only the holder of the
// writer's turn makes one.
type change struct {
	ix  *index
	b   *pebble.Batch
	n   counts
	err error // the first; commit returns it
}

func (ix *index) change() *change {
	return &change{ix: ix, b: ix.db.NewIndexedBatch(), n: ix.n}
}

func (c *change) commit() error {
	defer c.b.Close()
	if c.err != nil {
		return c.err
	}
	v := make([]byte, 0, 48)
	for _, p := range c.n.fields() {
		v = binary.BigEndian.AppendUint64(v, uint64(*p))
	}
	c.set([]byte{'m'}, v)
	if c.err == nil {
		if err := c.b.Commit(pebble.NoSync); err != nil {
			c.err = fmt.Errorf("%w: %w", errIndex, err)
		} else {
			c.ix.n = c.n
			n := c.n
			c.ix.shown.Store(&n)
		}
	}
	return c.err
}

func (c *change) fail(err error) bool {
	if err != nil && c.err == nil {
		if !errors.Is(err, errIndex) {
			err = fmt.Errorf("%w: %w", errIndex, err)
		}
		c.err = err
	}
	return c.err != nil
}

func (c *change) set(k, v []byte) { c.fail(c.b.Set(k, v, nil)) }
func (c *change) delete(k []byte) { c.fail(c.b.Delete(k, nil)) }

// pack makes f the live frame of its pack, in place of any earlier one. l is nil if its front cannot be read.
func (c *change) pack(num uint32, f frame, l *layout) {
	old, had, err := indexPack(c.b, f.id)
	if c.fail(err) {
		return
	}
	if had {
		c.forget(f.id, old, l)
		if old.num != num || old.off != uint32(f.off) { // its bytes are dead weight
			c.set(key('w', u32(old.num)), nil)
		}
	}
	p := place{num: num, off: uint32(f.off), size: f.size, kind: f.kind}
	if l != nil {
		p.blobs = uint32(len(l.live))
		for _, b := range l.live {
			if c.n.Dropped > 0 {
				gone, err := c.isDropped(b.addr)
				if c.fail(err) {
					return
				}
				if gone {
					p.kind = frameReduced
					c.set(key('w', u32(num)), nil)
				}
			}
			c.set(key('b', b.addr[:], u32(num, p.off)), u32(b.off, b.size))
		}
		for _, a := range l.dropped {
			c.tombstone(a)
		}
	}
	c.frame(num, f)
	c.set(key('p', f.id[:]), p.encode())
	c.n.Packs++
	c.n.Blobs += int64(p.blobs)
	c.n.PackBytes += int64(f.size)
}

// forget takes away a frame's rows.
func (c *change) forget(id PackID, p place, l *layout) {
	c.delete(key('o', u32(p.num, p.off)))
	c.delete(key('p', id[:]))
	if l != nil {
		for _, a := range l.all {
			c.delete(key('b', a[:], u32(p.num, p.off)))
		}
	}
	c.n.Packs--
	c.n.Blobs -= int64(p.blobs)
	c.n.PackBytes -= int64(p.size)
	c.n.Live -= frameHeader + int64(p.size)
}

func (c *change) frame(num uint32, f frame) {
	c.set(key('o', u32(num, uint32(f.off))), append(append([]byte(nil), f.id[:]...), append([]byte{f.kind}, u32(f.size)...)...))
	c.n.Live += frameHeader + int64(f.size)
}

func (c *change) isDropped(a Address) (bool, error) {
	_, ok, err := indexGet(c.b, key('d', a[:]))
	return ok, err
}

func (c *change) tombstone(a Address) {
	ok, err := c.isDropped(a)
	if c.fail(err) || ok {
		return
	}
	c.set(key('d', a[:]), nil)
	c.n.Dropped++
}

// drop applies a drop frame: its addresses are gone from now on, and the segments that still hold their bytes are to be
// rewritten.
func (c *change) drop(num uint32, f frame, addrs []Address) {
	c.frame(num, f)
	for _, a := range addrs {
		c.erase(a)
	}
}

func (c *change) erase(a Address) {
	c.tombstone(a)
	rows, err := blobRows(c.b, a)
	if c.fail(err) {
		return
	}
	for _, r := range rows {
		c.set(key('w', u32(r.num)), nil)
		v, ok, err := indexGet(c.b, key('o', u32(r.num, r.frame)))
		if c.fail(err) {
			return
		}
		if !ok || len(v) != 37 {
			c.fail(fmt.Errorf("%w: blob row without its frame", errIndex))
			return
		}
		p, ok, err := indexPack(c.b, PackID(v[:32]))
		if c.fail(err) {
			return
		}
		if ok && p.num == r.num && p.off == r.frame {
			p.kind = frameReduced
			c.set(key('p', v[:32]), p.encode())
		}
	}
}

func (c *change) mark(id PackID, d damage) {
	was, err := indexDamage(c.b, id)
	if c.fail(err) || was == d {
		return
	}
	if was == 0 {
		c.n.Damaged++
	}
	c.set(key('x', id[:]), []byte{byte(d)})
}

func (c *change) clear(id PackID) {
	was, err := indexDamage(c.b, id)
	if c.fail(err) || was == 0 {
		return
	}
	c.n.Damaged--
	c.delete(key('x', id[:]))
}

func (c *change) segment(num uint32, s segment) {
	c.set(key('s', u32(num)), append(binary.BigEndian.AppendUint64(u32(s.gen), uint64(s.end)), s.salt[:]...))
}
