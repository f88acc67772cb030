package sim

import (
	"crypto/rand"
	"fmt"
	"slices"

	"salus/exchange"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// readAgain lets somebody use an old session.
func (c *clients) readAgain() {
	if len(c.sessions) > 0 {
		c.again(c.sessions[c.w.rng.IntN(len(c.sessions))])
	}
}

// again asks for the shares of a list of an old session anew, without any that came before.
// Only that it succeeds says something.
func (c *clients) again(s *session) {
	if len(s.lists) == 0 {
		return
	}
	l := s.lists[c.w.rng.IntN(len(s.lists))]
	r := &reading{c: c, s: s, began: c.history.now(), brief: true, items: l.list.Items, entries: map[exchange.Item]seal.Entry{}}
	r.ends = c.begins("read again by " + s.reader)
	for _, it := range l.list.Items {
		if e, ok := c.entry(it); ok {
			r.entries[it] = e
		}
	}
	r.release(l.fetch, l.list, unknown)
}

// entry finds a record's manifest entry, which is no secret among custodians.
func (c *clients) entry(it exchange.Item) (seal.Entry, bool) {
	if b := c.batches[it.Header]; b != nil && int(it.Index) < len(b.entries) {
		return b.entries[it.Index], true
	}
	return seal.Entry{}, false
}

// steal tries to read a record that the thief may not, in one of the ways there are, from all
// custodians at once. Byzantine ones may help; the honest ones must not.
func (c *clients) steal() {
	w := c.w
	var open []*batchInfo
	for _, b := range c.order {
		if t := w.truth.batches[b.header]; t != nil && t.active > 0 {
			open = append(open, b)
		}
	}
	if len(open) == 0 || len(c.sessions) == 0 {
		return
	}
	b := open[w.rng.IntN(len(open))]
	s := c.sessions[w.rng.IntN(len(c.sessions))]
	item := exchange.Item{Header: b.header, Index: uint16(w.rng.IntN(len(b.records)))}
	list := &exchange.List{Items: []exchange.Item{item}}
	_, _ = rand.Read(list.Salt[:])
	how := w.rng.IntN(4)
	ends := c.begins(fmt.Sprintf("theft %d of batch %d", how, b.number))
	w.saw("thefts tried")
	thief := *s
	fetch := uint32(1)
	switch how {
	case 0: // no session at all
		thief.id = tx.Hash(digestOf(fmt.Sprintf("no session %d", c.ids)))
	case 1: // another's session, a key of one's own
		seed, public, err := seal.NewCustodyKey(rand.Reader)
		if err != nil {
			w.fail("thief's key: %v", err)
		}
		if thief.key, err = seal.CustodyKeyFromSeed(seed); err != nil {
			w.fail("thief's key: %v", err)
		}
		thief.public = public
		if len(s.lists) > 0 {
			fetch, list = s.lists[0].fetch, s.lists[0].list
		}
	case 2: // a list that was never committed
	case 3: // a committed list with a record of another patient, or in a slot that is closed
		other := c.foreign(open, s)
		if other.Header == (tx.Hash{}) {
			ends()
			return
		}
		list.Items = []exchange.Item{other}
		c.commit(s, list, func(fetch uint32, ok bool) {
			if ok {
				s.lists = s.lists[:len(s.lists)-1]
				c.ask(&thief, fetch, list, ends)
			} else {
				ends()
			}
		})
		return
	}
	c.ask(&thief, fetch, list, ends)
}

// foreign is a record that the session may not see though its patient's consent is there.
func (c *clients) foreign(open []*batchInfo, s *session) (none exchange.Item) {
	for _, b := range slices.Backward(open) {
		for i, r := range b.records {
			if b.patient != s.patient || r.slots != openSlot {
				return exchange.Item{Header: b.header, Index: uint16(i)}
			}
		}
	}
	return none
}

// ask asks every custodian a few times and then counts what came.
func (c *clients) ask(s *session, fetch uint32, list *exchange.List, ends func()) {
	w := c.w
	r := &reading{c: c, s: s, entries: map[exchange.Item]seal.Entry{}}
	for _, it := range list.Items {
		r.entries[it], _ = c.entry(it)
	}
	got := &shares{r: r, list: list, by: map[tx.Hash]map[int][]threshold.Share{}}
	req := &exchange.ReleaseRequest{Session: s.id, Fetch: fetch, ReaderKey: s.public, List: *list}
	home := w.nodes[s.home]
	times := 0
	c.every(1500, func() bool {
		if times++; times > 4 {
			if got.combine() != nil {
				w.fail("a thief has read a record")
			}
			ends()
			return true
		}
		if home.up {
			for _, n := range w.nodes {
				w.net.send(home, n.i, func(to *node) { to.asked(req, home, func(reply *exchange.ReleaseReply) { got.take(to, reply) }) })
			}
		}
		return false
	})
}
