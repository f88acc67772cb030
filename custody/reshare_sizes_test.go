package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"salus/ledger/module/committee"
	"salus/ledger/module/reshare"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// P6 of spec/reshare.md for committees that grow and shrink: whoever is in the next one, with as
// many dealers that deal something else and as many newcomers that confirm something else as may
// be faulty, every record opens with t shares of the new epoch, no old share mixes with them, and
// nobody holds an old one when it is over.
func TestCommitteesOfAnySizePassEverythingOn(t *testing.T) {
	sizes := []int{4, 5, 7, 10, 7}
	if testing.Short() {
		sizes = sizes[:2]
	}
	names := slices.Clone(members)
	for len(names) < slices.Max(sizes) {
		names = append(names, fmt.Sprint("member", len(names)+1))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w, rng := newWorldOf(t, names...), rand.New(rand.NewPCG(seed, 6))
	w.grant("alice")
	w.order(names[4:]...) // the first committee has everybody; from here on there are batches
	w.until("the committee of four", func() bool { l := w.latest(); return l.Phase == reshare.Done && l.Wiped() == len(names) })

	batches := []*seal.Batch{w.batchOfCommittee("alice")}
	for i, n := range sizes[1:] {
		old, to := w.inForce(), uint64(i+3)
		batches = append(batches, w.batchOfCommittee("alice"))
		before := w.session("doctor", "alice")
		held := before.sharesOf(batches[0], w.seats(old)...)

		// Who cheats, and who is asked, is drawn anew for each change.
		cheats := draws(rng, w.seats(old), old.F())
		for _, m := range cheats {
			m.spoil(batches[rng.IntN(len(batches))].Header.Hash())
		}
		w.order(names[n:]...)
		v := w.nodes[0].app.View()
		next, ok := committee.Coming(v)
		v.Close()
		if !ok || int(next.N) != n {
			t.Fatalf("got %d custodians to be, want %d", next.N, n)
		}
		liars := draws(rng, w.seats(next), next.F())
		for _, m := range liars {
			m.lies = true
		}
		late := w.batchOfCommittee("alice")
		w.until(fmt.Sprintf("epoch %d of %d comes into force", to, n), func() bool { return w.inForce().Epoch == to })
		for _, m := range liars {
			m.lies = false
		}
		w.until("it is done", w.done(to))
		w.until("the old shares are destroyed", func() bool { l := w.latest(); return l.Wiped() == int(old.N) })
		batches = append(batches, late)

		now := w.inForce()
		if now.N != next.N || int(now.T) != n-(n-1)/3 {
			t.Fatalf("got %d of %d, want %d of %d", now.T, now.N, n-(n-1)/3, n)
		}
		for _, b := range batches {
			r := w.session("doctor", "alice") // each may ask only so often
			r.opens(b, rng.IntN(len(b.Entries)), draws(rng, w.seats(now), int(now.T))...)
		}
		w.neverMixes(batches[0], now, held)
		for _, m := range w.nodes {
			if _, seated := now.IndexOf(account(m.name)); !seated {
				if c, err := m.rows.count(prefixBatch); c != 0 || err != nil {
					t.Errorf("%s has left and holds %d batches, %v", m.name, c, err)
				}
			} else if c, err := m.rows.count(prefixBatch); c != uint64(len(batches)) || err != nil {
				t.Errorf("%s holds %d batches, %v; want %d", m.name, c, err, len(batches))
			}
		}
		t.Logf("%d to %d: %d cheats, %d liars, left out %b", old.N, n, len(cheats), len(liars), w.latest().Passes[0].Left)
	}
	w.checkAll()
}

// batchOfCommittee is batch, delivered to the custodians alone.
func (w *world) batchOfCommittee(patient string) *seal.Batch {
	w.Helper()
	p, b := w.deal("hospital", patient, allowedSlot, allowedSlot)
	e := w.inForce()
	for _, m := range w.seats(e) {
		w.send("hospital", m, p)
	}
	hh := w.put("hospital", p)
	w.step()
	if !w.active(hh) {
		w.Fatal("the batch is not active")
	}
	return b
}

// seats are the nodes of a committee, by index.
func (w *world) seats(e committee.Epoch) (out []*member) {
	w.Helper()
	for _, a := range e.Members {
		i := slices.IndexFunc(w.nodes, func(m *member) bool { return account(m.name) == a })
		out = append(out, w.nodes[i])
	}
	return out
}

func draws(rng *rand.Rand, from []*member, n int) []*member {
	from = slices.Clone(from)
	rng.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
	return from[:n]
}

// sharesOf are these custodians' shares of a batch's first record, by index.
func (r *reading) sharesOf(b *seal.Batch, from ...*member) map[int][]threshold.Share {
	r.w.Helper()
	req := r.commit(items(b, 0)...)
	out := map[int][]threshold.Share{}
	for _, m := range from {
		reply, err := m.Release(context.Background(), req)
		if err != nil {
			r.w.Fatal(err, m.why(req))
		}
		out[int(reply.Custodian)] = r.shares(req, reply)[b.Header.Hash()]
	}
	return out
}

// neverMixes puts one share of the epoch before beside one less of the epoch in force than open.
func (w *world) neverMixes(b *seal.Batch, now committee.Epoch, before map[int][]threshold.Share) {
	w.Helper()
	fresh := w.session("doctor", "alice").sharesOf(b, w.seats(now)...)
	h := b.Header
	h.N, h.T = now.N, now.T
	for old, share := range before {
		if old > int(now.N) {
			continue
		}
		mixed := maps.Clone(fresh)
		for i := range fresh {
			if i != old && len(mixed) > int(now.T) {
				delete(mixed, i)
			}
		}
		if bytes.Equal(share[0][:], fresh[old][0][:]) {
			w.Errorf("custodian %d has the same share as before", old)
		}
		mixed[old] = share
		keys, err := seal.Combine(&h, b.Entries[:1], []int{0}, mixed)
		if err == nil || len(keys) != 0 {
			w.Errorf("%d shares of an epoch and one of the epoch before open a record", len(mixed)-1)
		}
	}
}

// lie confirms a root that is of nothing, as often as it is news.
func (m *member) lie() {
	m.w.Helper()
	v := m.Ledger.View()
	defer v.Close()
	h, ok := m.changeAt(v)
	if !ok || h.row.Phase != reshare.First || h.takes == 0 {
		return
	}
	if h.deals != 0 { // what it deals is sound, unless it is spoiled
		if err := m.dealPass(context.Background(), h, 1); err != nil {
			m.w.Fatal(err)
		}
	}
	// Refused while too few have dealt, and when it is no news.
	_, err := m.w.do(m.name, reshare.KindConfirm, &reshare.ConfirmAll{Name: h.name(1), Left: h.row.Passes[0].Left, Root: digest("a lie of " + m.name)})
	if _, refused := tx.CodeOf(err); err != nil && !refused {
		m.w.Fatal(err)
	}
}

// What a custodian fetches in a resharing stays under its bound.
func TestAResharingKeepsToItsRate(t *testing.T) {
	w := newWorld(t)
	b := w.batch("alice", slices.Repeat([]uint64{allowedSlot}, 100)...)
	w.grant("alice")
	const rate = 100_000
	slow := w.node("insurer")
	slow.ReshareRate = rate
	w.order("lab")
	start := time.Now()
	w.until("it is done", w.done(2))
	took, fetched := time.Since(start), slow.fetched
	if least := time.Duration(fetched) * time.Second / rate; fetched == 0 || took < least {
		t.Errorf("fetched %d bytes in %s, want %s at least", fetched, took, least)
	}
	w.session("doctor", "alice").opens(b, 0, slow, w.node("hospital"), w.node("clinic"))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := slow.slow(ctx, 1<<30); !errors.Is(err, context.Canceled) {
		t.Errorf("at its end: got %v, want %v", err, context.Canceled)
	}
}
