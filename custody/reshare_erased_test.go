package custody

import (
	"testing"

	"salus/ledger/module/erasure"
	"salus/seal"
)

// What is erased is not handed on, and does not hold up the rest: a record alone, a batch, and
// all of a patient, whose tombstone names no batch.
func TestWhatIsErasedIsNotHandedOn(t *testing.T) {
	w := newWorld(t)
	w.outsides()
	part := w.batch("alice", allowedSlot, allowedSlot)
	whole := w.batch("alice", allowedSlot)
	bobs := w.batch("bob", allowedSlot)
	w.ask("alice", erasure.Request{Scope: erasure.Record, Batch: part.Header.Hash(), Leaf: leafOf(part, 1)})
	w.ask("alice", erasure.Request{Scope: erasure.Batch, Batch: whole.Header.Hash()})
	w.ask("bob", erasure.Request{Scope: erasure.Patient})
	w.step() // the findings
	w.step() // the destruction
	w.order("lab")
	w.until("it is done", w.done(2))
	w.until("the old shares are destroyed", func() bool { l := w.latest(); return l.Wiped() == 4 })
	if p := w.latest().Passes[0]; p.Left != 0 || p.Count != 3 {
		t.Errorf("got %+v, want nobody left out", p)
	}
	for _, m := range w.nodes {
		for _, b := range []*seal.Batch{whole, bobs} {
			if m.holdsAny(b) {
				t.Errorf("%s holds shares of what is erased", m.name)
			}
		}
	}
	w.grant("alice")
	w.session("doctor", "alice").opens(part, 0, w.node("hospital"), w.node("clinic"), w.node("insurer"))
}

// A patient's tombstone names no batch: when it falls after the dealing, custodians that have
// destroyed and custodians that have not answer differently for a while. Nobody is blamed for it.
func TestATombstoneAfterTheDealingBlamesNobody(t *testing.T) {
	w := newWorld(t)
	w.outsides()
	kept := w.batch("alice", allowedSlot)
	bobs := w.batch("bob", allowedSlot)
	w.order("lab")
	for _, m := range w.nodes { // dealt, and taken over by nobody
		v := m.Ledger.View()
		if h, ok := m.changeAt(v); ok && h.deals != 0 {
			if err := m.dealPass(t.Context(), h, 1); err != nil {
				t.Fatal(err)
			}
		}
		v.Close()
	}
	w.block()
	w.ask("bob", erasure.Request{Scope: erasure.Patient})
	w.node("hospital").step()
	w.node("clinic").step() // these two know it first
	w.turn()
	w.turn()
	w.step()
	w.step()
	w.until("it is done", w.done(2))
	if p := w.latest().Passes[0]; p.Left != 0 || len(p.Reports) != 0 {
		t.Errorf("got %+v, want nobody reported", p)
	}
	for _, m := range w.nodes {
		if m.holdsAny(bobs) {
			t.Errorf("%s holds shares of what is erased", m.name)
		}
	}
	w.grant("alice")
	w.session("doctor", "alice").opens(kept, 0, w.node("hospital"), w.node("clinic"), w.node("insurer"))
}

// holdsAny reports whether there are shares of a batch in the store, in place or taken over.
func (m *member) holdsAny(b *seal.Batch) bool {
	s, err := m.rows.staged(b.Header.Hash())
	return m.rows.has(rowKey(prefixBatch, hashOf(b))) || err == nil && len(s.Row) != 0
}

func hashOf(b *seal.Batch) []byte { hh := b.Header.Hash(); return hh[:] }
