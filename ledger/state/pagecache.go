package state

// A pageCache keeps the pages used last, up to a number of bytes. It belongs to
// the writer.
type pageCache struct {
	limit, used int64
	upper       [1 + 1<<4 + 1<<8 + 1<<12 + 1<<16]*cached // depths 0 to 4: no hashing for the busy ones
	lower       map[pageKey]*cached
	ring        cached // next is the newest, prev the oldest
}

type cached struct {
	prev, next *cached
	key        pageKey
	page       *page
}

func newPageCache(limit int64) *pageCache {
	c := &pageCache{limit: limit, lower: make(map[pageKey]*cached)}
	c.ring.prev, c.ring.next = &c.ring, &c.ring
	return c
}

// overhead is what a cached page takes beside itself: the map's bucket and the
// ring.
const overhead = 160

// place returns where upper keeps the page; nil if that is in lower.
func (c *pageCache) place(k *pageKey) **cached {
	if k.n > 4 {
		return nil
	}
	first := (1<<(pageBits*k.n) - 1) / (pageSlots - 1) // pages above
	prefix := (int(k.path[0])<<8 | int(k.path[1])) >> (16 - pageBits*k.n)
	return &c.upper[first+prefix]
}

func (c *pageCache) find(k *pageKey) *cached {
	if p := c.place(k); p != nil {
		return *p
	}
	return c.lower[*k]
}

func (c *pageCache) get(k pageKey) *page {
	e := c.find(&k)
	if e == nil {
		return nil
	}
	c.unlink(e)
	c.link(e)
	return e.page
}

func (c *pageCache) put(k pageKey, p *page) {
	e := c.find(&k)
	if e == nil {
		e = &cached{key: k}
		if at := c.place(&k); at != nil {
			*at = e
		} else {
			c.lower[k] = e
		}
	} else {
		c.unlink(e)
		c.used -= e.page.size() + overhead
	}
	e.page = p
	c.used += p.size() + overhead
	c.link(e)
	for c.used > c.limit && c.ring.prev != e {
		c.drop(c.ring.prev.key)
	}
}

func (c *pageCache) drop(k pageKey) {
	e := c.find(&k)
	if e == nil {
		return
	}
	c.unlink(e)
	c.used -= e.page.size() + overhead
	if at := c.place(&k); at != nil {
		*at = nil
	} else {
		delete(c.lower, k)
	}
}

func (c *pageCache) link(e *cached) {
	e.prev, e.next = &c.ring, c.ring.next
	e.prev.next, e.next.prev = e, e
}

func (c *pageCache) unlink(e *cached) { e.prev.next, e.next.prev = e.next, e.prev }
