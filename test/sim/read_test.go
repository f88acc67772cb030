package sim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// A session is a reader's, with the key that only the reader has.
type session struct {
	id      tx.Hash
	patient string
	reader  string
	home    int
	key     hpke.PrivateKey
	public  []byte
	granted bool
	shut    bool
	began   int64 // stamp of the request
	opened  int64 // height
	lists   []openedList
}

type openedList struct {
	fetch uint32
	list  *exchange.List
}

// patience is how long a reader waits for custodians before it gives up, in milliseconds.
const patience = 20_000

// open asks for a session.
func (c *clients) open(patient, reader string, ttl uint64, then func(*session)) {
	seed, public, err := seal.NewCustodyKey(rand.Reader)
	if err != nil {
		c.w.fail("session key: %v", err)
	}
	key, err := seal.CustodyKeyFromSeed(seed)
	if err != nil {
		c.w.fail("session key: %v", err)
	}
	s := &session{patient: patient, reader: reader, home: c.homeOf(reader).i, key: key, public: public}
	op := c.history.call(patient, action{kind: "open", who: reader})
	s.began = op.call
	c.send(reader, access.KindRequest, &access.Request{
		Patient: accountOf(patient), Purpose: consent.TREAT, Mask: ^uint64(0), ReaderKey: sha256.Sum256(public), TTL: ttl,
	}, func(id tx.Hash, f *fact) {
		if f == nil {
			c.history.drop(op)
			then(nil)
			return
		}
		if f.code != tx.CodeOK {
			c.w.fail("a request for a session was refused: %#04x", f.code)
		}
		v := c.w.nodes[s.home].app.View()
		row, _ := access.Lookup(v, id)
		v.Close()
		s.id, s.granted, s.opened = id, row.Mask != 0, f.height
		op.in.id = id.String()
		out := no
		if s.granted {
			out = yes
		}
		c.history.answer(op, f.stamp, out)
		s.began = op.call
		c.sessions = append(c.sessions, s)
		then(s)
	})
}

// read opens a session, asks what there is and reads all of it.
func (c *clients) read(patient, reader string) {
	ends := c.begins(fmt.Sprintf("read %s by %s", patient, reader))
	ttl := uint64(3600)
	if c.w.chance(0.15) {
		ttl = 1 + uint64(c.w.rng.IntN(12)) // ends soon: nothing is claimed of what it does not see
	}
	c.open(patient, reader, ttl, func(s *session) {
		if s == nil {
			ends()
			return
		}
		r := &reading{c: c, s: s, began: s.began, brief: ttl < 3600, ends: ends}
		r.locate()
	})
}

// A reading is one look at everything that a session may open.
type reading struct {
	c     *clients
	s     *session
	began int64 // stamp from which on it may have happened
	brief bool
	ends  func()

	answers map[int]*exchange.Located
	items   []exchange.Item
	entries map[exchange.Item]seal.Entry
}

// finish adds what was seen to the history: of each record of the patient, yes, no, or that
// nobody knows.
func (r *reading) finish(seen map[exchange.Item]bool, rest string) {
	if r.brief {
		rest = unknown
	}
	for _, b := range r.c.order {
		if b.patient != r.s.patient {
			continue
		}
		for i := range b.records {
			item := exchange.Item{Header: b.header, Index: uint16(i)}
			out := rest
			if seen[item] {
				out = yes
			} else if slices.Contains(r.items, item) {
				out = unknown // it was there, and could not be had
			}
			op := &operation{patient: b.patient, in: action{kind: "look", id: r.s.id.String(), rec: b.name(i), who: r.s.reader}, out: out, call: r.began}
			op.ret = r.c.history.now()
			r.c.history.ops = append(r.c.history.ops, op)
			r.c.w.saw("looked, " + out)
		}
	}
	r.ends()
}

// locate asks every custodian what the session may see, until all honest ones have answered.
func (r *reading) locate() {
	w := r.c.w
	r.answers = map[int]*exchange.Located{}
	home := w.nodes[r.s.home]
	deadline := w.now + patience
	req := &exchange.LocateRequest{Session: r.s.id, ReaderKey: r.s.public, Height: uint64(r.s.opened)}
	r.c.every(900, func() bool {
		whole := true
		for _, n := range w.nodes {
			whole = whole && (n.byzantine() || r.answers[n.i] != nil)
		}
		switch {
		case whole:
			r.believe(no)
			return true
		case w.now > deadline && (!w.calmed || r.brief || w.truth.sessions[r.s.id].closed > 0):
			w.saw("readings cut short")
			r.believe(unknown)
			return true
		}
		for _, n := range w.nodes {
			if r.answers[n.i] != nil || !home.up {
				continue
			}
			w.net.send(home, n.i, func(to *node) {
				if box := to.located(req); box != nil {
					w.net.send(to, home.i, func(*node) { r.heard(to.i, box) })
				}
			})
		}
		return false
	})
}

// located is a custodian's answer to what there is; nil for none.
func (n *node) located(req *exchange.LocateRequest) *exchange.Sealed {
	if n.height() < int64(req.Height) {
		return nil // it waits, and the reader asks again
	}
	if n.fake != nil {
		return n.fake.locate(n, req)
	}
	box, err := n.cust.Locate(context.Background(), req)
	if err != nil {
		n.w.saw("nothing located")
		return nil
	}
	return box
}

func (r *reading) heard(i int, box *exchange.Sealed) {
	page := new(exchange.Located)
	plain, err := seal.Unbox(r.s.key, exchange.AnswerInfo("locate", r.s.id), box.Box)
	if err != nil || tx.DecodeAny(plain, page, len(plain)) != nil {
		if !r.c.w.nodes[i].byzantine() {
			r.c.w.fail("member %d: its answer does not open", i)
		}
		return
	}
	if r.answers[i] == nil {
		r.answers[i] = page
	}
}

// believe keeps what more than f custodians have named with a proof, and goes on to ask for it.
func (r *reading) believe(rest string) {
	w := r.c.w
	named := map[exchange.Item]int{}
	r.entries = map[exchange.Item]seal.Entry{}
	for i := range w.nodes {
		if r.answers[i] == nil {
			continue
		}
		for _, b := range r.answers[i].Batches {
			known := r.c.batches[b.Header]
			if known == nil {
				continue
			}
			for _, e := range b.Entries {
				item := exchange.Item{Header: b.Header, Index: e.Index}
				if seal.VerifyEntry(known.put.Header.ManifestRoot, int(e.Index), int(known.put.Header.Count), &e.Entry, e.Path) != nil {
					continue
				}
				if named[item]++; named[item] == w.faulty()+1 {
					r.items = append(r.items, item)
					r.entries[item] = e.Entry
				}
			}
		}
	}
	for _, item := range r.items {
		b := r.c.batches[item.Header]
		if b.patient != r.s.patient || b.records[item.Index].slots != openSlot {
			w.fail("a reader was told of a record that is not its session's")
		}
	}
	if len(r.items) == 0 {
		r.finish(nil, rest)
		return
	}
	slices.SortFunc(r.items, exchange.Item.Compare)
	list := &exchange.List{Items: r.items}
	_, _ = rand.Read(list.Salt[:])
	r.c.commit(r.s, list, func(fetch uint32, ok bool) {
		if !ok {
			r.finish(nil, unknown)
			return
		}
		r.release(fetch, list, rest)
	})
}

// commit puts a list on the ledger.
func (c *clients) commit(s *session, list *exchange.List, then func(fetch uint32, ok bool)) {
	c.send(s.reader, access.KindFetch, &access.CommitFetch{Session: s.id, Root: list.Root(), Count: uint32(len(list.Items))}, func(_ tx.Hash, f *fact) {
		if f == nil || f.code != tx.CodeOK { // lost, or the session has ended
			then(0, false)
			return
		}
		s.lists = append(s.lists, openedList{f.fetch, list})
		then(f.fetch, true)
	})
}

// release asks every custodian for its shares until there are enough.
func (r *reading) release(fetch uint32, list *exchange.List, rest string) {
	w := r.c.w
	home := w.nodes[r.s.home]
	deadline := w.now + patience
	got := &shares{r: r, list: list, by: map[tx.Hash]map[int][]threshold.Share{}}
	req := &exchange.ReleaseRequest{Session: r.s.id, Fetch: fetch, ReaderKey: r.s.public, List: *list}
	r.c.every(1100, func() bool {
		if seen := got.combine(); seen != nil {
			w.saw("readings done")
			r.finish(seen, rest)
			return true
		}
		// In the end a reading may only fail for a reason.
		reason := r.brief || !w.truth.allowed(w.truth.sessions[r.s.id], w.truth.tip) || r.spoiled(list)
		if w.now > deadline && (!w.calmed || reason) {
			w.saw("readings given up")
			r.finish(nil, rest)
			return true
		}
		for _, n := range w.nodes {
			if home.up && !got.has(w.truth.seat(n.account)) {
				w.net.send(home, n.i, func(to *node) { to.asked(req, home, func(reply *exchange.ReleaseReply) { got.take(to, reply) }) })
			}
		}
		return false
	})
}

// spoiled says whether a batch of the list was dealt so badly that f Byzantine custodians can
// keep it closed.
func (r *reading) spoiled(list *exchange.List) bool {
	return slices.ContainsFunc(list.Items, func(i exchange.Item) bool { return len(r.c.batches[i.Header].bad) > 0 })
}

// asked is a custodian that is asked for shares.
func (n *node) asked(req *exchange.ReleaseRequest, home *node, then func(*exchange.ReleaseReply)) {
	var reply *exchange.ReleaseReply
	if n.fake != nil {
		if reply = n.fake.release(n, req); reply == nil {
			return
		}
	} else {
		var err error
		if reply, err = n.cust.Release(context.Background(), req); err != nil {
			n.w.saw("refusals")
			return
		}
	}
	if !n.alive() {
		n.w.saw("crashes between receipt and reply")
		return
	}
	if !n.byzantine() {
		n.w.truth.released(n, req, reply)
	}
	n.w.log("%d releases %d records under receipt %d", n.i, len(req.List.Items), reply.Sequence)
	n.w.net.send(n, home.i, func(*node) { then(reply) })
}

// shares are what custodians have released of one list.
type shares struct {
	r    *reading
	list *exchange.List
	by   map[tx.Hash]map[int][]threshold.Share
}

// has reports whether a custodian has answered with shares of the whole list.
func (x *shares) has(index int) bool {
	for header := range x.list.Groups() {
		if x.by[header][index] == nil {
			return false
		}
	}
	return true
}

func (x *shares) take(from *node, reply *exchange.ReleaseReply) {
	s, w := x.r.s, x.r.c.w
	index := w.truth.seat(from.account)
	digest := exchange.ReplyDigest(chainID, s.id, x.list.Root(), reply)
	signed := ed25519.Verify(ed25519.PublicKey(w.public(from.name).Key), digest[:], reply.Signature)
	if int(reply.Custodian) != index || !signed {
		if !from.byzantine() {
			w.fail("member %d: its reply is not signed by it", from.i)
		}
		return
	}
	k := 0
	for header, indices := range x.list.Groups() {
		if k >= len(reply.Parts) || reply.Parts[k].Header != header {
			return
		}
		got, err := seal.OpenRelease(s.key, s.id, index, header, indices, reply.Parts[k].Sealed)
		if err != nil {
			if !from.byzantine() {
				w.fail("member %d: its shares do not open: %v", from.i, err)
			}
			return
		}
		if x.by[header] == nil {
			x.by[header] = map[int][]threshold.Share{}
		}
		x.by[header][index] = got
		k++
	}
}

// combine opens every record of the list, or returns nil.
func (x *shares) combine() map[exchange.Item]bool {
	c := x.r.c
	seen := map[exchange.Item]bool{}
	for header, indices := range x.list.Groups() {
		b := c.batches[header]
		var entries []seal.Entry
		for _, i := range indices {
			e := x.r.entries[exchange.Item{Header: header, Index: uint16(i)}]
			if err := e.Learn(c.w.ciphertext(b, i)); err != nil {
				c.w.fail("a ciphertext is not the one that was written: %v", err)
			}
			entries = append(entries, e)
		}
		keys, err := seal.Combine(&b.put.Header, entries, indices, x.by[header])
		if keys == nil {
			if errors.Is(err, seal.ErrMismatch) {
				c.w.saw("shares that do not fit")
			}
			return nil
		}
		if liar, ok := errors.AsType[*seal.BadShare](err); ok {
			c.w.saw("liars named")
			for _, i := range liar.Custodians {
				for _, n := range c.w.honest() {
					if c.w.truth.seat(n.account) == i && !b.bad[i] {
						c.w.fail("member %d is blamed for a share that is right", n.i)
					}
				}
			}
		}
		for k, i := range indices {
			ct := c.w.ciphertext(b, i)
			plain, err := seal.Decrypt(&b.put.Header, &entries[k], keys[k], ct)
			if err != nil || !bytes.Equal(bytes.TrimRight(plain, "\x00"), b.records[i].plain) {
				c.w.fail("a record does not decrypt to what was written: %v", err)
			}
			seen[exchange.Item{Header: header, Index: uint16(i)}] = true
		}
	}
	return seen
}

// ciphertext is record i of a batch's pack, from whoever holds it.
func (w *world) ciphertext(b *batchInfo, i int) []byte {
	for _, n := range w.nodes {
		if p := n.packs[b.put.Pack]; p != nil {
			return p[i]
		}
	}
	w.fail("nobody holds the pack of an active batch")
	return nil
}
