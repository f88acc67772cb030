package state

// A pageCache keeps the pages used last, up to a number of bytes. It belongs to
// the writer.
type pageCache struct {
	limit, used int64
	pages       map[pageKey]*cached
	ring        cached // next is the newest, prev the oldest
}

type cached struct {
	prev, next *cached
	key        pageKey
	page       *page
}

func newPageCache(limit int64) *pageCache {
	c := &pageCache{limit: limit, pages: make(map[pageKey]*cached)}
	c.ring.prev, c.ring.next = &c.ring, &c.ring
	return c
}

// overhead is what a cached page takes beside itself: the map's bucket and the
// ring.
const overhead = 160

func (c *pageCache) get(k pageKey) *page {
	e := c.pages[k]
	if e == nil {
		return nil
	}
	c.unlink(e)
	c.link(e)
	return e.page
}

func (c *pageCache) put(k pageKey, p *page) {
	e := c.pages[k]
	if e == nil {
		e = &cached{key: k}
		c.pages[k] = e
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
	if e := c.pages[k]; e != nil {
		c.unlink(e)
		c.used -= e.page.size() + overhead
		delete(c.pages, k)
	}
}

func (c *pageCache) link(e *cached) {
	e.prev, e.next = &c.ring, c.ring.next
	e.prev.next, e.next.prev = e, e
}

func (c *pageCache) unlink(e *cached) { e.prev.next, e.next.prev = e.next, e.prev }
