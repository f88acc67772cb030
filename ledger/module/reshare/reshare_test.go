package reshare_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/ledger"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/reshare"
	"salus/ledger/tx"
)

func order(without ...tx.Account) governance.Action {
	slices.SortFunc(without, func(a, b tx.Account) int { return bytes.Compare(a[:], b[:]) })
	return governance.Action{Reshare: &governance.Reshare{Without: without}}
}

// look asks for the epoch of a batch.
func (w *world) look(id tx.Hash) (anchor.Batch, uint64) {
	w.Helper()
	b, ok := anchor.Lookup(w.state, id)
	if !ok {
		w.Fatal("the batch is not on the ledger")
	}
	return b, anchor.EpochOf(w.state, &b)
}

// A fifth member joins: batches go over in two passes, late ones after the change, and one
// that nobody held enough of lapses.
func TestMemberJoins(t *testing.T) {
	w := newWorld(t, 4)
	early := []tx.Hash{w.anchor("early 1", 3), w.anchor("early 2", 1), w.anchor("early 3", 2)}
	w.activate(early...)
	newcomer := admit(4)
	w.vote(governance.Action{Admit: &newcomer})
	if _, ok := committee.Coming(w.state); ok {
		t.Fatal("a committee is prepared without an order")
	}
	w.refuse(committee.ErrNotCustodian, account("m4"), committee.KindKey, &committee.Publish{KeyEpoch: 1, Hash: digest("key"), From: w.time, Until: w.time + 60})
	w.vote(order())
	r := w.resharing()
	if r.To != 2 || r.N != 5 || r.T != 4 || r.Old != 4 || r.OldT != 3 || r.Phase != reshare.First || r.Passes[0].Count != 3 {
		t.Fatalf("got %+v", r)
	}
	w.must(account("m4"), committee.KindKey, &committee.Publish{KeyEpoch: 1, Hash: digest("key"), From: w.time, Until: w.time + 60})

	late, never := w.anchor("late", 2), w.anchor("never", 1)
	w.activate(late)
	var all []*own
	for _, i := range []int{4, 2, 1} {
		all = append(all, w.deal(i, nil))
	}
	w.combine(all, 1, 2, 3)
	w.block(1)
	if e := w.current(); e.Epoch != 1 {
		t.Fatal("the epoch changed on the word of three of five")
	}
	_, next := w.members()
	root, _ := w.resharing().Passes[0].Agreed()
	w.must(next.Members[4], reshare.KindConfirm, &reshare.ConfirmAll{Name: w.name(), Root: root})
	w.block(1)
	if e := w.current(); e.Epoch != 2 || e.N != 5 || e.T != 4 {
		t.Fatalf("got epoch %+v", e)
	}
	for _, id := range early {
		if _, e := w.look(id); e != 2 || !w.opens(id) {
			t.Errorf("an early batch is of epoch %d and opens: %v", e, w.opens(id))
		}
	}
	if _, e := w.look(late); e != 1 {
		t.Errorf("the late batch is of epoch %d before its pass", e)
	}
	if b, _ := w.look(never); !anchor.Lapsed(w.state, &b) {
		t.Error("what was not active at the change has not lapsed")
	}
	w.refuse(anchor.ErrEpoch, next.Members[0], anchor.KindReceipts, &anchor.Receipts{List: []anchor.Receipt{{Header: never, Holds: true}}})

	fresh := w.anchor("fresh", 1) // of epoch 2, and no business of the second pass
	w.activate(fresh)
	if r := w.resharing(); r.Phase != reshare.Second || r.Passes[1].Count != 1 || r.Passes[0].Late != 1<<2 {
		t.Fatalf("got %+v", r)
	}
	w.refuse(reshare.ErrNotDone, account("m1"), reshare.KindDestroyed, &reshare.Destroy{Epoch: 1})
	all = nil
	for _, i := range []int{1, 2, 3, 4} {
		all = append(all, w.deal(i, nil))
	}
	w.combine(all, 1, 2, 3, 4)
	w.block(1)
	for _, id := range []tx.Hash{late, fresh} {
		if _, e := w.look(id); e != 2 || !w.opens(id) {
			t.Errorf("a batch is of epoch %d after the end", e)
		}
	}
	if r := w.resharing(); r.Phase != reshare.Done || r.Complete() {
		t.Fatalf("got %+v", r)
	}
	// One has not confirmed: the old shares are kept for it, for a while.
	w.refuse(reshare.ErrNotDone, account("m1"), reshare.KindDestroyed, &reshare.Destroy{Epoch: 1})
	w.block(100)
	for i := range 4 {
		w.must(account(name(i)), reshare.KindDestroyed, &reshare.Destroy{Epoch: 1})
	}
	w.refuse(reshare.ErrNoNews, account("m1"), reshare.KindDestroyed, &reshare.Destroy{Epoch: 1})
	w.refuse(reshare.ErrDealer, account("m4"), reshare.KindDestroyed, &reshare.Destroy{Epoch: 1})
	if r := w.resharing(); r.Wiped() != 4 {
		t.Errorf("got %d receipts of destruction, want 4", r.Wiped())
	}
}

// Cheats of a dealer that its own root binds it to. Index 1 is who finds out.
var cheats = map[string]func(w *world, d *own){
	"wrong old share": func(w *world, d *own) { // deals something else than it holds
		other := w.dealt[d.order[0]].shares
		s, err := subdeal(w, other[d.dealer%len(other)])
		if err != nil {
			w.Fatal(err)
		}
		d.subs[0] = s
	},
	"one recipient": func(_ *world, d *own) { d.subs[0].Shares[0][0] = d.subs[0].Shares[0][1] },
	"no scalar":     func(_ *world, d *own) { d.subs[0].Shares[0][1] = [32]byte(bytes.Repeat([]byte{0xff}, 32)) },
	"no element":    func(_ *world, d *own) { d.subs[0].Commitments[1] = [32]byte(bytes.Repeat([]byte{0xff}, 32)) },
	"too few terms": func(_ *world, d *own) { d.subs[0].Commitments = d.subs[0].Commitments[:1] },
	"short vector":  func(_ *world, d *own) { d.subs[0].Shares[0] = d.subs[0].Shares[0][:1] },
}

// Up to f dealers cheat, any way they like: each is named by a complaint of one recipient,
// nobody else can be, and all secrets are the same under the next committee.
func TestSecretsSurviveCheatingDealers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{4, 5, 7, 10}).Draw(t, "n")
		w := newWorld(t, n)
		var ids []tx.Hash
		for i := range rapid.IntRange(1, 3).Draw(t, "batches") {
			ids = append(ids, w.anchor(name(i), rapid.IntRange(1, 3).Draw(t, "records")))
		}
		w.activate(ids...)
		join := rapid.IntRange(0, 2).Draw(t, "join")
		for i := range join {
			a := admit(n + i)
			w.vote(governance.Action{Admit: &a})
		}
		for round := range rapid.IntRange(1, 2).Draw(t, "rounds") {
			e := w.current()
			var without []tx.Account
			if leave := rapid.IntRange(0, min(2, int(e.N)-3)).Draw(t, "leave"); leave > 0 && round == 0 {
				without = append(without, e.Members[:leave]...)
			}
			w.vote(order(without...))
			bad := map[int]bool{}
			for range rapid.IntRange(0, e.F()).Draw(t, "cheaters") {
				bad[rapid.IntRange(1, int(e.N)).Draw(t, "cheater")] = true
			}
			var all []*own
			for _, i := range rapid.Permutation(upTo(int(e.N))).Draw(t, "order") {
				var twist func(*own)
				if bad[i] {
					cheat := rapid.SampledFrom(slices.Sorted(keysOf(cheats))).Draw(t, "cheat")
					twist = func(d *own) { cheats[cheat](w, d) }
				}
				all = append(all, w.deal(i, twist))
			}
			_, next := w.members()
			for _, d := range all {
				m := w.complaint(d, 0, 1)
				if !bad[d.dealer] {
					w.refuse(reshare.ErrSoundDeal, next.Members[0], reshare.KindComplain, m)
					continue
				}
				w.must(next.Members[0], reshare.KindComplain, m)
				w.refuse(reshare.ErrNotDealt, next.Members[0], reshare.KindComplain, m)
			}
			var left uint64
			for i := range bad {
				left |= 1 << (i - 1)
			}
			if got := w.resharing().Passes[0].Left; got != left {
				t.Fatalf("got %b left out, want %b", got, left)
			}
			w.combine(all, upTo(int(next.T))...)
			w.block(1)
			if w.current().Epoch != e.Epoch+1 || w.resharing().Phase != reshare.Done {
				t.Fatalf("got epoch %d, %v", w.current().Epoch, w.resharing().Phase)
			}
			for _, id := range ids {
				if !w.opens(id) {
					t.Fatal("a secret changed")
				}
			}
		}
	})
}

// Every refusal of the module, each provoked.
func TestRefusals(t *testing.T) {
	provoked := map[uint32]bool{}
	w := newWorld(t, 4)
	refuse := func(want *tx.Refusal, by tx.Account, kind tx.Kind, m tx.Message) {
		t.Helper()
		provoked[want.Code] = true
		w.refuse(want, by, kind, m)
	}
	some := digest("some")
	id := w.anchor("a", 2)
	other := w.anchor("b", 1)
	w.activate(id, other)
	first := account("m0")
	refuse(reshare.ErrUnknown, first, reshare.KindDeal, &reshare.DealAll{Name: reshare.Name{To: 2, Start: 1, Pass: 1}, Count: 1, Root: some})
	refuse(reshare.ErrUnknown, first, reshare.KindDestroyed, &reshare.Destroy{Epoch: 1})
	a := admit(4)
	w.vote(governance.Action{Admit: &a})
	w.vote(order())
	n := w.name()
	outside := reshare.Name{To: n.To, Start: n.Start, Pass: 2}
	refuse(reshare.ErrUnknown, first, reshare.KindDeal, &reshare.DealAll{Name: reshare.Name{To: 2, Start: 1, Pass: 1}, Count: 2, Root: some})
	refuse(reshare.ErrPass, first, reshare.KindDeal, &reshare.DealAll{Name: outside, Count: 2, Root: some})
	refuse(reshare.ErrPass, first, reshare.KindConfirm, &reshare.ConfirmAll{Name: outside, Root: some})
	refuse(reshare.ErrPass, first, reshare.KindDeal, &reshare.DealAll{Name: reshare.Name{To: 2, Start: 1, Pass: 3}, Count: 2, Root: some})
	refuse(reshare.ErrDealer, account("m4"), reshare.KindDeal, &reshare.DealAll{Name: n, Count: 2, Root: some})
	refuse(reshare.ErrCount, first, reshare.KindDeal, &reshare.DealAll{Name: n, Count: 3, Root: some})
	refuse(reshare.ErrNoPlainDeal, first, reshare.KindDeal, &reshare.DealAll{Name: n, Root: some})
	refuse(reshare.ErrRoot, first, reshare.KindDeal, &reshare.DealAll{Name: n, Count: 2})
	refuse(reshare.ErrTooFew, first, reshare.KindConfirm, &reshare.ConfirmAll{Name: n, Root: some})
	refuse(reshare.ErrLeftOut, first, reshare.KindConfirm, &reshare.ConfirmAll{Name: n, Left: 1, Root: some})
	refuse(reshare.ErrNotDealt, first, reshare.KindReport, &reshare.ReportDealer{Name: n, Dealer: 1})
	d := w.deal(1, cheatBoth)
	old, next := w.members()
	refuse(reshare.ErrDealt, old.Members[0], reshare.KindDeal, &reshare.DealAll{Name: n, Count: 2, Root: some})
	refuse(reshare.ErrTooEarly, first, reshare.KindReport, &reshare.ReportDealer{Name: n, Dealer: 1})
	if _, seated := next.IndexOf(account("m4")); !seated {
		t.Fatal("the newcomer is not in the next committee")
	}

	good := w.complaint(d, 0, 1)
	with := func(change func(m *reshare.Complain)) *reshare.Complain {
		m := *good
		change(&m)
		return &m
	}
	me := next.Members[0]
	refuse(reshare.ErrNotDealt, me, reshare.KindComplain, with(func(m *reshare.Complain) { m.Dealer = 2 }))
	refuse(reshare.ErrDealer, me, reshare.KindComplain, with(func(m *reshare.Complain) { m.Dealer = 0 }))
	refuse(reshare.ErrShape, me, reshare.KindComplain, with(func(m *reshare.Complain) { m.Shares = m.Shares[1:] }))
	refuse(reshare.ErrShape, me, reshare.KindComplain, with(func(m *reshare.Complain) { m.Previous = [][]byte{{1}} }))
	refuse(reshare.ErrBatch, me, reshare.KindComplain, with(func(m *reshare.Complain) { m.Header.BatchNonce = some }))
	refuse(reshare.ErrBatch, me, reshare.KindComplain, with(func(m *reshare.Complain) { m.Header.Count = 0 }))
	refuse(reshare.ErrPrevious, me, reshare.KindComplain, with(func(m *reshare.Complain) { m.Previous = m.Previous[1:] }))
	refuse(reshare.ErrNotProved, me, reshare.KindComplain, with(func(m *reshare.Complain) { m.Commitments = m.Commitments[1:] }))
	refuse(reshare.ErrNotProved, me, reshare.KindComplain, with(func(m *reshare.Complain) { m.At.Number++ }))
	refuse(reshare.ErrNotOpened, me, reshare.KindComplain, with(func(m *reshare.Complain) { m.Shares = slices.Clone(m.Shares); m.Shares[0]++ }))
	refuse(reshare.ErrNotOpened, next.Members[1], reshare.KindComplain, good)
	refuse(reshare.ErrSoundDeal, next.Members[1], reshare.KindComplain, w.complaint(d, 0, 2))
	w.must(me, reshare.KindComplain, good)

	// The last is handed over to nobody: one of five may lie about that, two may not.
	silent := w.deal(2, nil)
	w.block(30)
	w.must(me, reshare.KindReport, &reshare.ReportDealer{Name: n, Dealer: 2})
	refuse(reshare.ErrNoNews, me, reshare.KindReport, &reshare.ReportDealer{Name: n, Dealer: 2})
	if w.resharing().Passes[0].Left != 1 {
		t.Error("one report leaves a dealer out")
	}
	w.must(next.Members[1], reshare.KindReport, &reshare.ReportDealer{Name: n, Dealer: 2})
	if got := w.resharing().Passes[0]; got.Left != 3 || got.Faults[1] != (reshare.Fault{Dealer: 2}) {
		t.Errorf("got %+v", got)
	}
	_ = silent

	// Three of four must deal, and two are left: the members order anew, without the cheats.
	w.deal(3, nil)
	w.vote(order())
	r := w.resharing()
	if r.To != 2 || r.Start == n.Start || len(r.Passes[0].Deals) != 0 {
		t.Fatalf("got %+v", r)
	}
	refuse(reshare.ErrUnknown, me, reshare.KindComplain, good)
	var all []*own
	for _, i := range []int{3, 4, 1} {
		all = append(all, w.deal(i, nil))
	}
	m5 := account("m5")
	a = admit(5)
	w.vote(governance.Action{Admit: &a})
	refuse(reshare.ErrCustodian, m5, reshare.KindConfirm, &reshare.ConfirmAll{Name: w.name(), Root: some})
	refuse(reshare.ErrCustodian, m5, reshare.KindComplain, &reshare.Complain{
		Name: w.name(), Dealer: 1, Header: good.Header, Previous: good.Previous, Commitments: good.Commitments, Sums: good.Sums, Shares: good.Shares,
	})
	refuse(reshare.ErrCustodian, m5, reshare.KindReport, &reshare.ReportDealer{Name: w.name(), Dealer: 1})
	w.combine(all, 1, 2, 3)
	// A root of one's own changes nothing.
	w.must(next.Members[3], reshare.KindConfirm, &reshare.ConfirmAll{Name: w.name(), Root: some})
	refuse(reshare.ErrNoNews, next.Members[3], reshare.KindConfirm, &reshare.ConfirmAll{Name: w.name(), Root: some})
	w.block(1)
	if w.current().Epoch != 1 {
		t.Fatal("the epoch changed on four confirmations that disagree")
	}
	root, _ := w.resharing().Passes[0].Agreed()
	w.must(next.Members[3], reshare.KindConfirm, &reshare.ConfirmAll{Name: w.name(), Root: root})
	w.block(1)
	refuse(reshare.ErrPass, old.Members[1], reshare.KindDeal, &reshare.DealAll{Name: reshare.Name{To: 2, Start: r.Start, Pass: 1}, Count: 2, Root: some})
	refuse(reshare.ErrNotDone, old.Members[1], reshare.KindDestroyed, &reshare.Destroy{Epoch: 1})
	w.must(next.Members[4], reshare.KindConfirm, &reshare.ConfirmAll{Name: reshare.Name{To: 2, Start: r.Start, Pass: 1}, Root: root}) // late
	w.must(old.Members[1], reshare.KindDestroyed, &reshare.Destroy{Epoch: 1})
	refuse(reshare.ErrNoNews, old.Members[1], reshare.KindDestroyed, &reshare.Destroy{Epoch: 1})
	refuse(reshare.ErrDealer, account("m4"), reshare.KindDestroyed, &reshare.Destroy{Epoch: 1})

	status := reshare.Module().Queries[0].Answer
	if _, err := status(w.state, ledger.Head{}, []byte{1}); err != reshare.ErrQuery {
		t.Errorf("got %v", err)
	}
	provoked[reshare.ErrQuery.Code] = true
	if _, err := status(w.state, ledger.Head{}, tx.MustEncode(reshare.ByEpoch{Epoch: 9})); err != reshare.ErrUnknown {
		t.Errorf("got %v", err)
	}
	for _, c := range reshare.Codes() {
		if !provoked[c.Code] {
			t.Errorf("no test provokes %s", c.Name)
		}
	}
}

func cheatBoth(d *own) { d.subs[0].Shares[0][0] = d.subs[0].Shares[0][1] }

// A late batch of one change is moved by its second pass, and the root over what follows is
// the one that the next complaint goes by.
func TestCommitmentsOfTheNextEpochAreProved(t *testing.T) {
	w := newWorld(t, 4)
	id := w.anchor("early", 1)
	w.activate(id)
	w.vote(order())
	late := w.anchor("late", 1)
	w.activate(late)
	for range 2 {
		var all []*own
		for i := range 3 {
			all = append(all, w.deal(i+1, nil))
		}
		w.combine(all, 1, 2, 3, 4)
		w.block(1)
	}
	if r := w.resharing(); !r.Complete() {
		t.Fatalf("got %+v", r)
	}
	w.vote(order())
	d := w.deal(1, func(d *own) {
		for k := range d.subs {
			d.subs[k].Shares[0][0] = d.subs[k].Shares[0][1]
		}
	})
	_, next := w.members()
	for k := range d.order {
		m := w.complaint(d, k, 1)
		lie := *m
		lie.Previous = reshare.Slices(w.dealt[d.order[1-k]].commitments)
		w.refuse(reshare.ErrPrevious, next.Members[0], reshare.KindComplain, &lie)
		if k == len(d.order)-1 {
			w.must(next.Members[0], reshare.KindComplain, m)
		} else {
			w.refuse(reshare.ErrSoundDeal, next.Members[1], reshare.KindComplain, w.complaint(d, k, 2))
		}
	}
}

// A member that is removed deals no more; the others are enough.
func TestExpelledMemberIsNotNeeded(t *testing.T) {
	w := newWorld(t, 5)
	id := w.anchor("a", 2)
	w.activate(id)
	expelled := w.current().Members[2]
	w.vote(governance.Action{Remove: &governance.Remove{Account: expelled}})
	w.vote(order())
	if _, err := w.do(expelled, reshare.KindDeal, &reshare.DealAll{Name: w.name(), Count: 1, Root: digest("x")}); err == nil {
		t.Fatal("a removed member dealt")
	}
	var all []*own
	for _, i := range []int{5, 4, 2, 1} {
		all = append(all, w.deal(i, nil))
	}
	w.combine(all, 1, 2, 3)
	w.block(1)
	if e := w.current(); e.Epoch != 2 || e.N != 4 || e.T != 3 || !w.opens(id) {
		t.Fatalf("got %+v", e)
	}
	if _, seated := w.current().IndexOf(expelled); seated {
		t.Error("the expelled one is still a custodian")
	}
}

// An order that comes while late batches are on their way waits for them.
func TestOrderWaitsForTheSecondPass(t *testing.T) {
	w := newWorld(t, 4)
	w.vote(order())
	late := w.anchor("late", 1)
	w.activate(late)
	w.combine(nil, 1, 2, 3)
	w.block(1)
	w.vote(order())
	if r := w.resharing(); r.To != 2 || r.Phase != reshare.Second {
		t.Fatalf("got %+v", r)
	}
	var all []*own
	for i := range 3 {
		all = append(all, w.deal(i+1, nil))
	}
	w.combine(all, 1, 2, 3)
	w.block(1)
	w.block(1)
	if r := w.resharing(); r.To != 3 || r.Phase != reshare.First || r.Passes[0].Count != 1 || !w.opens(late) {
		t.Fatalf("got %+v", r)
	}
}

func TestOrdersThatCannotBe(t *testing.T) {
	w := newWorld(t, 2)
	e := w.current()
	for _, tt := range []struct {
		rule string
		want *tx.Refusal
		a    governance.Action
	}{
		{"nobody is left", governance.ErrLastValidator, order(e.Members...)},
		{"a stranger", governance.ErrUnknownMember, order(account("x"))},
		{"twice", governance.ErrAction, governance.Action{Reshare: &governance.Reshare{Without: []tx.Account{e.Members[0], e.Members[0]}}}},
		{"two actions", governance.ErrAction, governance.Action{Reshare: &governance.Reshare{}, Remove: &governance.Remove{Account: e.Members[0]}}},
	} {
		w.refuse(tt.want, e.Members[0], governance.KindPropose, &governance.Propose{Action: tt.a})
	}
}

func TestTreeIsThatOfRFC6962(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := make([]tx.Hash, rapid.IntRange(1, 40).Draw(t, "leaves"))
		for i := range leaves {
			leaves[i] = digest(name(i))
		}
		tree := reshare.NewTree(leaves)
		i := rapid.IntRange(0, len(leaves)-1).Draw(t, "leaf")
		path := tree.Path(i)
		if !reshare.VerifyPath(tree.Root(), leaves[i], uint64(i), uint64(len(leaves)), path) {
			t.Fatal("a path does not verify")
		}
		j := rapid.IntRange(0, len(leaves)).Draw(t, "other")
		if j != i && reshare.VerifyPath(tree.Root(), leaves[i], uint64(j), uint64(len(leaves)), path) {
			t.Fatal("a path verifies for another place")
		}
		if reshare.VerifyPath(tree.Root(), digest("x"), uint64(i), uint64(len(leaves)), path) {
			t.Fatal("a path verifies for another leaf")
		}
	})
	if diff := cmp.Diff(reshare.NewTree(nil).Root(), tx.Hash{0xe3, 0xb0, 0xc4, 0x42}); diff == "" {
		t.Error("the root of nothing is the hash of nothing")
	}
}

// FuzzMessages: whatever decodes as a message of the module re-encodes to the same bytes, and
// validates or is refused with a code of the module.
func FuzzMessages(f *testing.F) {
	n := reshare.Name{To: 2, Start: 5, Pass: 1}
	for i, m := range []tx.Message{
		&reshare.DealAll{Name: n, Count: 3, Root: digest("r")}, &reshare.ConfirmAll{Name: n, Left: 5, Root: digest("r")},
		&reshare.Complain{Name: n, Dealer: 1, Previous: [][]byte{make([]byte, 32)}, Commitments: [][]byte{make([]byte, 32)}, Sums: []tx.Hash{{1}}, At: reshare.Place{Number: 1, Path: []tx.Hash{{2}}}, Shares: make([]byte, 64)},
		&reshare.ReportDealer{Name: n, Dealer: 2}, &reshare.Destroy{Epoch: 1},
	} {
		f.Add(uint8(i), tx.MustEncode(m))
	}
	calls := reshare.Module().Calls
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		m := calls[int(which)%len(calls)].New()
		if err := tx.Decode(payload, m); err != nil {
			return
		}
		if again := tx.MustEncode(m); !bytes.Equal(again, payload) {
			t.Errorf("got %x, want %x", again, payload)
		}
		if err := m.Validate(); err != nil {
			if code, ok := tx.CodeOf(err); !ok || code>>8 != reshare.Prefix {
				t.Errorf("got %v, want a refusal of this module", err)
			}
		}
	})
}
