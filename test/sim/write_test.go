package sim

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
)

// batchInfo is what the simulation knows of a batch that somebody wrote.
type batchInfo struct {
	number  int
	patient string
	header  tx.Hash
	records []recordInfo
	put     anchor.Put
	entries []seal.Entry
	bad     map[int]bool // custodians by index whose shares are wrong or do not open
}

type recordInfo struct {
	slots uint64
	plain []byte
}

func (b *batchInfo) name(i int) string { return fmt.Sprintf("record-%d-%d", b.number, i) }

// custodyKeys collects everybody's public custody keys, as an author does; nil if one is
// missing.
func (c *clients) custodyKeys(home *node) []seal.Custodian {
	if !home.up {
		return nil
	}
	v := home.app.View()
	defer v.Close()
	var out []seal.Custodian
	for _, l := range committee.LiveKeys(v, v.Meta().Time) {
		var public []byte
		for _, n := range c.w.nodes {
			if n.up && public == nil {
				public = n.custodyKey(l.Key.Hash)
			}
		}
		key, err := seal.ParsePublicKey(public)
		if err != nil {
			return nil
		}
		out = append(out, seal.Custodian{Index: l.Index, KeyEpoch: l.Key.KeyEpoch, Public: key})
	}
	if len(out) != c.w.Members {
		return nil
	}
	return out
}

// write seals a few records and is done when the ledger says that they are active.
func (c *clients) write(patient string) {
	w := c.w
	author := w.nodes[w.rng.IntN(w.Members)]
	home := w.nodes[c.honestFrom(author.i)]
	b := &batchInfo{number: len(c.order) + 1, patient: patient, bad: map[int]bool{}}
	c.order = append(c.order, b)
	for i := range 1 + w.rng.IntN(3) {
		r := recordInfo{slots: openSlot, plain: fmt.Appendf(nil, "canary plaintext of %s in run %d", b.name(i), w.Seed)}
		if i > 0 && w.chance(0.4) {
			r.slots |= closedSlot
		}
		b.records = append(b.records, r)
	}
	ends := c.begins(fmt.Sprintf("write batch %d of %s at %d", b.number, patient, author.i))
	spoiled := author.byzantine() && w.chance(0.7)
	c.every(700, func() bool {
		keys := c.custodyKeys(home)
		if keys == nil {
			return false
		}
		parcel, pack := c.seal(b, author, keys, spoiled)
		c.anchor(b, author, home, parcel, pack, ends)
		return true
	})
}

// seal makes the parcel and the pack of a batch, honestly or not.
func (c *clients) seal(b *batchInfo, author *node, keys []seal.Custodian, spoiled bool) (*exchange.Parcel, [][]byte) {
	w := c.w
	var recs []seal.Record
	for i, r := range b.records {
		d := digestOf(fmt.Sprintf("id/%d/%s", w.Seed, b.name(i)))
		recs = append(recs, seal.Record{ID: [16]byte(d[:16]), Slots: r.slots, Plain: r.plain})
	}
	var made *seal.Batch
	var err error
	kind := ""
	if spoiled {
		for range 1 + w.rng.IntN(w.faulty()+1) { // f of them can be done without, f+1 cannot
			b.bad[1+w.rng.IntN(w.Members)] = true
		}
		if kind = "an envelope that does not open"; w.chance(0.6) {
			kind = "inconsistent shares"
		}
		w.saw("Byzantine: a batch with " + kind)
		w.log("batch %d has %s for %v", b.number, kind, b.bad)
	}
	if kind == "inconsistent shares" {
		bad := map[int]bool{}
		for i := range b.bad {
			bad[i-1] = true
		}
		made, err = w.deal(author.account, accountOf(b.patient), w.quorum(), keys, recs, bad)
	} else {
		made, err = seal.Seal(rand.Reader, chainID, author.account, accountOf(b.patient), 1, w.quorum(), keys, recs)
	}
	if err != nil {
		w.fail("batch %d cannot be sealed: %v", b.number, err)
	}
	if kind == "an envelope that does not open" {
		for i := range b.bad {
			made.Envelopes[i-1][1200] ^= 1
		}
	}
	h := sha256.New()
	for _, ct := range made.Ciphertexts {
		h.Write(ct)
	}
	p := &exchange.Parcel{
		Header: made.Header, Entries: made.Entries, ShareRoots: made.ShareRoots, Commitments: made.Commitments,
		Envelopes: made.Envelopes, Pack: [32]byte(h.Sum(nil)),
	}
	for _, k := range keys {
		p.KeyEpochs = append(p.KeyEpochs, k.KeyEpoch)
	}
	b.header, b.entries = made.Header.Hash(), made.Entries
	b.put = anchor.Put{Header: made.Header, Envelopes: seal.EnvelopesHash(made.Envelopes), Pack: p.Pack}
	c.batches[b.header] = b
	return p, made.Ciphertexts
}

// anchor puts the header on the ledger and sends parcel and pack until the batch is active.
func (c *clients) anchor(b *batchInfo, author, home *node, p *exchange.Parcel, pack [][]byte, ends func()) {
	w := c.w
	over := false
	op := map[int]*operation{}
	for i := range b.records {
		op[i] = c.history.call(b.patient, action{kind: "write", rec: b.name(i)})
	}
	from := author.account
	sends := 0
	c.every(2500, func() bool {
		sends++
		for _, to := range w.nodes {
			if author.up && (w.calmed || w.chance(0.6) || sends > 2) { // some parcels are left to be chased
				w.net.send(author, to.i, func(n *node) { n.takeParcel(from, p, pack) })
			}
		}
		return over
	})
	var put func()
	put = func() {
		c.send(author.name, anchor.KindPut, &b.put, func(_ tx.Hash, f *fact) {
			if f == nil {
				put()
			} else if f.code != tx.CodeOK {
				if w.truth.batches[b.header] == nil {
					w.fail("batch %d was refused: %#04x", b.number, f.code)
				}
			}
		})
	}
	put()
	c.every(200, func() bool {
		t := w.truth.batches[b.header]
		active := home.up && t != nil && t.active > 0 && home.height() >= t.active
		hopeless := len(b.bad) > 0 && t != nil && w.calmed
		if !active && !hopeless {
			return false
		}
		over = true
		if active {
			for i := range b.records {
				c.history.answer(op[i], t.stamp, yes)
			}
			w.saw("writes done")
		} else {
			w.saw("writes of bad batches left")
		}
		ends()
		return true
	})
}
