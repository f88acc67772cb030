package custody

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"salus/exchange"
	"salus/ledger/module/erasure"
	"salus/ledger/module/reshare"
	"salus/seal"
	"salus/threshold"
)

// deals lets a member deal what is open, and takes lets it take over and confirm.
func (m *member) deals() {
	m.w.Helper()
	v := m.Ledger.View()
	defer v.Close()
	if h, ok := m.changeAt(v); ok && h.deals != 0 && h.row.Open() != 0 {
		if err := m.dealPass(m.w.Context(), h, h.row.Open()); err != nil {
			m.w.Fatal(m.name, err)
		}
	}
}

func (m *member) takes() {
	m.w.Helper()
	v := m.Ledger.View()
	defer v.Close()
	if h, ok := m.changeAt(v); ok && h.takes != 0 && h.row.Open() != 0 {
		if err := m.takePass(m.w.Context(), h, h.row.Open()); err != nil && !errors.Is(err, errWaits) {
			m.w.Fatal(m.name, err)
		}
	}
}

// sharesOf counts the shares of a batch that lie anywhere in a custodian's store, in place or taken over: of the record at that
// position, or of all if it is negative.
func (m *member) sharesOf(b *seal.Batch, index int) (n int) {
	m.w.Helper()
	var all [][]threshold.Share
	if row, err := m.rows.batch(b.Header.Hash()); err == nil {
		all = append(all, row.Shares)
	}
	if s, err := m.rows.staged(b.Header.Hash()); err == nil {
		if row, ok := decodeBatch(s.Row); ok {
			all = append(all, row.Shares)
		}
	}
	for _, shares := range all {
		for i, s := range shares {
			if (index < 0 || i == 0 || i == index+1) && s != (threshold.Share{}) {
				n++
			}
		}
	}
	return n
}

// Whatever is erased while a pass is open, in whichever of its phases: the resharing ends, by itself and with everybody's
// confirmation, nobody is blamed, no share of what is erased is left with anybody, and all else opens.
func TestErasuresInEveryPhaseOfAPass(t *testing.T) {
	phases := []string{"nobody has dealt", "one has dealt", "all have dealt", "one has taken over", "two have taken over"}
	for pass := 1; pass <= 2; pass++ {
		for phase, what := range phases {
			if testing.Short() && phase != 1 && phase != 2 {
				continue
			}
			t.Run(fmt.Sprintf("pass %d, %s", pass, what), func(t *testing.T) { eraseInPhase(t, pass, phase) })
		}
	}
}

func eraseInPhase(t *testing.T, pass, phase int) {
	w := newWorld(t)
	w.outsides()
	early := w.batch("alice", allowedSlot)
	w.order("lab")
	w.until("the lab has left", func() bool { r := w.latest(); return r.Phase == reshare.Done && r.Wiped() == 4 })
	w.order() // and comes again: it has nothing of anything
	three := w.nodes[:2:2]
	for _, m := range w.nodes[2:] {
		if m.name != "lab" {
			three = append(three, m)
		}
	}
	lab := w.node("lab")
	lab.down = true // nobody sends it a parcel
	var part, whole, bobs *seal.Batch
	dealt := func() {
		part, whole, bobs = w.batch("alice", allowedSlot, allowedSlot), w.batch("alice", allowedSlot), w.batch("bob", allowedSlot)
	}
	if pass == 1 { // another order starts it anew, with these
		dealt()
		w.order()
	} else {
		dealt()
		lab.down = false
		w.until("the second pass is open", func() bool { return w.latest().Phase == reshare.Second })
	}
	lab.down = false
	w.rotate()
	switch phase {
	case 1:
		three[0].deals()
	case 2, 3, 4:
		for _, m := range three {
			m.deals()
		}
	}
	takers := map[int][]*member{3: {lab}, 4: {lab, three[0]}}[phase]
	for _, m := range takers {
		m.takes()
	}
	w.block()
	if p := w.latest(); p.Open() != pass || int(p.Passes[pass-1].Count) < 3 {
		t.Fatalf("got %+v, want pass %d open", p, pass)
	}

	ids := []struct {
		at   erasure.Request
		of   *seal.Batch
		what int
	}{
		{erasure.Request{Scope: erasure.Record, Batch: part.Header.Hash(), Leaf: leafOf(part, 1)}, part, 1},
		{erasure.Request{Scope: erasure.Batch, Batch: whole.Header.Hash()}, whole, -1},
		{erasure.Request{Scope: erasure.Patient}, bobs, -1},
	}
	for _, m := range takers {
		for _, c := range ids {
			n, err := m.Probe(&erasure.Case{Scope: c.at.Scope, Batch: c.at.Batch, Leaf: c.at.Leaf, Patient: account("bob")})
			if err != nil || n == 0 {
				t.Errorf("%s, which has taken over, finds %d shares of a %s: %v", m.name, n, c.at.Scope, err)
			}
		}
	}
	w.pass(retention * 1e9)
	for i := range ids {
		by := "alice"
		if ids[i].at.Scope == erasure.Patient {
			by = "bob"
		}
		ids[i].at.Patient = account(by)
		ids[i].at.Ground = w.must(by, erasure.KindRequest, &ids[i].at)
	}
	for _, m := range three[:2] {
		m.step() // these two find nothing against it, and destroy first
	}
	for _, m := range three[:2] {
		m.step()
	}
	w.turn()
	w.step()
	w.step()
	w.until("the resharing ends", w.done(3))
	w.until("everybody has confirmed", func() bool { r := w.latest(); return r.Complete() && r.Wiped() == 3 })
	for i, p := range w.latest().Passes {
		if p.Left != 0 || len(p.Reports) != 0 {
			t.Errorf("pass %d: got %+v, want nobody blamed", i+1, p)
		}
	}
	w.step()
	for _, c := range ids {
		if got := w.caseOf(c.at.Ground); got.Status != erasure.Done {
			t.Errorf("%s: got %s, want done", c.at.Scope, got.Status)
		}
		for _, m := range w.nodes {
			found := w.caseOf(c.at.Ground)
			if n, err := m.Probe(&found); n != 0 || err != nil {
				t.Errorf("%s: the probe finds %d shares of an erased %s: %v", m.name, n, c.at.Scope, err)
			}
			if n := m.sharesOf(c.of, c.what); n != 0 {
				t.Errorf("%s holds %d shares of an erased %s", m.name, n, c.at.Scope)
			}
		}
	}
	w.grant("alice")
	r := w.session("doctor", "alice")
	for _, from := range [][]*member{{lab, three[0], three[1]}, {lab, three[1], three[2]}, three} {
		r.opens(part, 0, from...)
		r.opens(early, 0, from...)
	}
	w.order() // what is left has its commitments proved, and goes on
	w.until("the next one ends", w.done(4))
	r.opens(part, 0, three...)
	r.opens(early, 0, lab, three[0], three[2])
}

// From the tombstone's block on a dealer hands over no subshare of what is erased, also one that has not destroyed it yet, and what it
// hands over of the rest is what it dealt.
func TestNoSubshareOfWhatIsErased(t *testing.T) {
	w := newWorld(t)
	w.outsides()
	part, whole := w.batch("alice", allowedSlot, allowedSlot), w.batch("alice", allowedSlot)
	w.batch("bob", allowedSlot)
	w.order()
	for _, m := range w.nodes {
		m.deals()
	}
	w.block()
	before := w.node("insurer").pageOf(w.node("clinic"))
	w.pass(retention * 1e9)
	for _, m := range []erasure.Request{
		{Scope: erasure.Record, Patient: account("alice"), Batch: part.Header.Hash(), Leaf: leafOf(part, 1)},
		{Scope: erasure.Batch, Patient: account("alice"), Batch: whole.Header.Hash()},
		{Scope: erasure.Patient, Patient: account("bob")},
	} {
		by := "alice"
		if m.Scope == erasure.Patient {
			by = "bob"
		}
		id := w.must(by, erasure.KindRequest, &m)
		for _, m := range w.nodes[:2] {
			found, err := m.findings()
			if err != nil {
				t.Fatal(err)
			}
			for i := range found {
				if err := m.confirmCase(t.Context(), &found[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		if c := w.caseOf(id); !c.Stands() || w.node("clinic").sharesOf(part, 1) != 2 {
			t.Fatalf("got %s, want a tombstone, and nothing destroyed", c.Status)
		}
	}
	list := w.node("clinic").listOf(1)
	for i, item := range w.node("insurer").pageOf(w.node("clinic")) {
		was := before[i]
		if !slices.Equal(item.Commitments, was.Commitments) || !slices.Equal(item.Sums, was.Sums) || !slices.Equal(item.Path, was.Path) {
			t.Error("what is public of the dealing has changed")
		}
		if list[i] != part.Header.Hash() {
			if !item.Gone || len(item.Shares) != 0 || len(was.Shares) == 0 {
				t.Errorf("got %d bytes of subshares of what is erased, gone %v", len(item.Shares), item.Gone)
			}
			continue
		}
		now, then := reshare.Vector(item.Shares), reshare.Vector(was.Shares)
		if !item.Partly || now[0] != (threshold.Share{}) || now[2] != (threshold.Share{}) || now[1] != then[1] || then[2] == (threshold.Share{}) {
			t.Error("of a batch that lost a record not the rest, or more than the rest, is handed over")
		}
	}
}

// A tombstone may come, and be carried out and signed for, between the moment at which a custodian asks for a dealing and the one at which it
// keeps it; and between the latter and the move into place.
func TestWhatWasErasedWhileItWasFetchedIsNotKept(t *testing.T) {
	w := newWorld(t)
	w.outsides()
	part, bobs := w.batch("alice", allowedSlot, allowedSlot), w.batch("bob", allowedSlot)
	w.order()
	for _, m := range w.nodes {
		m.deals()
	}
	w.block()
	m := w.node("insurer")
	v := m.Ledger.View() // it looks now
	defer v.Close()
	h, _ := m.changeAt(v)
	at := m.taking(h, 1)
	w.ask("alice", erasure.Request{Scope: erasure.Record, Batch: part.Header.Hash(), Leaf: leafOf(part, 1)})
	id := w.must("bob", erasure.KindRequest, &erasure.Request{Scope: erasure.Patient, Patient: account("bob")})
	found := map[*member][]erasure.Confirm{}
	for _, n := range w.nodes[:2] {
		var err error
		if found[n], err = n.findings(); err != nil || len(found[n]) != 2 {
			t.Fatalf("got %d findings, %v", len(found[n]), err)
		}
	}
	for _, n := range w.nodes {
		n.lags = n != m // the dealers do not know of it yet
	}
	for n, all := range found {
		for i := range all {
			w.must(n.name, erasure.KindConfirm, &all[i])
		}
	}
	m.step()
	now := m.Ledger.View()
	c, _ := erasure.Lookup(now, id)
	now.Close()
	if c.Keys == 0 || m.sharesOf(bobs, -1) != 0 {
		t.Fatalf("got %+v, want its receipt", c)
	}
	list := h.batches(1)
	if err := m.takeWindow(t.Context(), at, list, 0, len(list)); err != nil { // and goes on now
		t.Fatal(err)
	}
	if n := m.sharesOf(bobs, -1) + m.sharesOf(part, 1); n != 0 {
		t.Errorf("it keeps %d shares of what it has signed to have destroyed", n)
	}
	if m.sharesOf(part, 0) == 0 {
		t.Error("it keeps nothing of the rest")
	}
}

// A dealer that keeps silent to one new custodian alone costs it a moment once, not with each page: others ask for it.
func TestADealerThatIsSilentToOneHoldsItUpOnce(t *testing.T) {
	w := newWorld(t)
	w.batch("alice", allowedSlot)
	w.order()
	for _, m := range w.nodes {
		m.deals()
	}
	w.block()
	m, dealer := w.node("insurer"), w.node("hospital")
	dealer.ignores = account(m.name)
	v := m.Ledger.View()
	defer v.Close()
	h, _ := m.changeAt(v)
	at := m.taking(h, 1)
	i, _ := h.old.IndexOf(account(dealer.name))
	for range 5 {
		page, err := m.fetchPage(t.Context(), at, reshare.Deal{Dealer: uint8(i)}, 0, 1, false)
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("got %+v, %v", page, err)
		}
	}
	if n := len(dealer.left[exchange.PathSubdeal]); n != 1 || dealer.calls[exchange.PathSubdeal] != 5 {
		t.Errorf("it was asked in vain %d times, and for others %d times; want 1 and 5", n, dealer.calls[exchange.PathSubdeal])
	}
}

// pageOf asks a dealer for all that it dealt to this member in the open pass.
func (m *member) pageOf(from *member) []exchange.Subdealing {
	m.w.Helper()
	v := m.Ledger.View()
	defer v.Close()
	h, _ := m.changeAt(v)
	i, _ := h.old.IndexOf(account(from.name))
	page, err := m.fetchPage(m.w.Context(), m.taking(h, h.row.Open()), reshare.Deal{Dealer: uint8(i)}, 0, 8, false)
	if err != nil {
		m.w.Fatal(err)
	}
	return page.Items
}

// taking is what a member has at hand while it takes over what others dealt to it.
func (m *member) taking(h *change, pass int) *taking {
	m.w.Helper()
	keys, err := m.openKeys()
	if err != nil {
		m.w.Fatal(err)
	}
	return &taking{change: h, pass: pass, keys: keys, key: keys[len(keys)-1].private.PublicKey().Bytes()}
}

func (m *member) listOf(pass int) [][32]byte {
	v := m.Ledger.View()
	defer v.Close()
	h, _ := m.changeAt(v)
	return h.batches(pass)
}
