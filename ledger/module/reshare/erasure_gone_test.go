package reshare_test

import (
	"slices"
	"testing"

	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/reshare"
	"salus/ledger/tx"
)

func (w *world) remove(members ...tx.Account) {
	w.Helper()
	for _, m := range members {
		w.vote(governance.Action{Remove: &governance.Remove{Account: m}})
	}
}

// comeBack admits a member that was removed again, with the keys it had.
func (w *world) comeBack(i int) {
	w.Helper()
	a := admit(i)
	w.vote(governance.Action{Admit: &a})
}

// Who is removed before it has signed holds up no certificate as long as fewer than t of the committee can hold shares, and the
// case ends with its name; where more may be left nothing is certified, however long it takes.
func TestWhoIsRemovedIsNotWaitedFor(t *testing.T) {
	for _, step := range []struct {
		n, removed int
		want       erasure.Status
	}{
		{4, 0, erasure.Done},
		{4, 1, erasure.Final},
		{4, 2, erasure.Executing}, // two that have not signed and one that lies: three open it
		{5, 2, erasure.Final},
		{5, 3, erasure.Executing},
		{6, 3, erasure.Final},
		{6, 4, erasure.Executing},
		{7, 2, erasure.Final},
		{7, 3, erasure.Executing},
		{10, 3, erasure.Final},
		{10, 4, erasure.Executing},
	} {
		for _, last := range []string{"receipts", "removal"} {
			w := newWorld(t, step.n)
			batch := w.anchor("batch", 1)
			w.activate(batch)
			c := w.entomb(batch)
			all := w.current().Members
			gone, there := all[:step.removed], all[step.removed:]
			if last == "receipts" {
				w.remove(gone...)
				w.destroys(c, there...)
			} else {
				w.destroys(c, there...)
				w.remove(gone...)
			}
			got := w.erasure(c)
			cert, err := erasure.Certify(w.state, c)
			if err != nil || got.Status != step.want || !slices.Equal(cert.Missing, gone) || int(cert.Left) != step.removed {
				t.Errorf("%d of %d removed (%s last): got %s, missing %d, left %d, %v; want %s", step.removed, step.n, last, got.Status, len(cert.Missing), cert.Left, err, step.want)
			}
			if final := got.Status == erasure.Final; final != slices.Equal(got.Unsigned, gone) && step.removed > 0 || got.Open() != (step.want == erasure.Executing) || got.Open() != (got.Closed == 0) {
				t.Errorf("%d of %d removed (%s last): got %+v", step.removed, step.n, last, got)
			}
			if open := len(erasure.OpenCases(w.state)); (open == 1) != got.Open() {
				t.Errorf("%d of %d removed (%s last): got %d open cases of one that is %s", step.removed, step.n, last, open, got.Status)
			}
		}
	}
}

// As long as somebody who could sign has not, a case waits: the others are certain without it only from t receipts on.
func TestWhoIsStillAMemberIsWaitedFor(t *testing.T) {
	w := newWorld(t, 6) // f = 1, t = 5
	batch := w.anchor("batch", 1)
	w.activate(batch)
	c := w.entomb(batch)
	all := w.current().Members
	w.remove(all[0], all[1])
	w.destroys(c, all[2:5]...)
	w.expect(c, erasure.Executing) // three have signed, which would do if the sixth were gone too
	w.destroys(c, all[5])
	w.expect(c, erasure.Final)

	other := w.anchorBy(all[2], "other", 1)
	d := w.orderErasure(other)
	for _, m := range all[2:4] {
		w.must(m, erasure.KindConfirm, &erasure.Confirm{Case: d, Finding: erasure.Clear})
	}
	for _, m := range all[2:] {
		w.must(m, erasure.KindReceipt, &erasure.Receipt{Case: d, Keys: true})
	}
	w.expect(d, erasure.Final) // nobody said that it holds the ciphertext
}

// Who comes back may sign, and the case that was final without it is done.
func TestAFinalCaseIsDoneWhenWhoWasRemovedSigns(t *testing.T) {
	w := newWorld(t, 4)
	batch := w.anchor("batch", 1)
	w.activate(batch)
	c := w.entomb(batch)
	all := w.current().Members
	i := 0
	for account(name(i)) != all[0] {
		i++
	}
	w.remove(all[0])
	w.destroys(c, all[1:]...)
	w.expect(c, erasure.Final)
	if _, err := w.do(all[0], erasure.KindReceipt, &erasure.Receipt{Case: c, Keys: true}); err == nil {
		t.Error("who is removed signs")
	}
	w.must(all[1], erasure.KindReceipt, &erasure.Receipt{Case: c, Records: true}) // news that changes nothing
	closed := w.erasure(c).Closed
	w.comeBack(i)
	w.expect(c, erasure.Final)
	w.must(all[0], erasure.KindReceipt, &erasure.Receipt{Case: c, Keys: true})
	if got := w.erasure(c); got.Status != erasure.Final || !slices.Equal(got.Unsigned, all[:1]) || got.Closed != closed {
		t.Errorf("got %s without %d, closed at %d: its ciphertext is not signed for", got.Status, len(got.Unsigned), got.Closed)
	}
	w.must(all[0], erasure.KindReceipt, &erasure.Receipt{Case: c, Ciphertext: true})
	if got := w.erasure(c); got.Status != erasure.Done || len(got.Unsigned) != 0 || got.Closed <= closed {
		t.Errorf("got %+v, want done", got)
	}
	w.must(all[0], erasure.KindReceipt, &erasure.Receipt{Case: c, Records: true})
	w.expect(c, erasure.Done)
}

// A committee that never destroyed what it had holds up no erasure of what was sealed after it: it never had a share of that.
func TestACommitteeThatWasOverBeforeABatchIsNotCounted(t *testing.T) {
	w := newWorld(t, 4)
	first := w.anchor("first", 1)
	w.activate(first)
	w.vote(order())
	w.dealAll()
	_, next := w.members()
	w.confirmBy(w.name(), next.Members...)
	w.block(1)
	if r := w.resharing(); r.Phase != reshare.Done {
		t.Fatalf("got %s", r.Phase)
	}
	second := w.anchor("second", 1)
	w.activate(second)
	if got := w.erasure(w.entomb(first)).Others; len(got) != 1 || got[0].Epoch != 1 {
		t.Errorf("of a batch of epoch 1: got %+v, want its committee", got)
	}
	c := w.entomb(second)
	if got := w.erasure(c).Others; len(got) != 0 {
		t.Errorf("of a batch of epoch 2: got %+v, want no committee besides the one in force", got)
	}
	w.destroys(c, next.Members...)
	w.expect(c, erasure.Done)
}

// What the removed held of an epoch that everybody else has destroyed is counted as destroyed in later cases too, if it cannot open anything.
func TestAnEpochIsSpentWithoutWhoWasRemoved(t *testing.T) {
	for removed, want := range []int{0, 0, 0, 1} { // 5 custodians: t is 4, 2f+1 is 3
		w := newWorld(t, 5)
		batch := w.anchor("batch", 1)
		w.activate(batch)
		w.vote(order())
		w.dealAll()
		_, next := w.members()
		w.confirmBy(w.name(), next.Members...)
		w.block(200) // the grace is over
		w.remove(next.Members[:removed]...)
		for _, m := range next.Members[removed:] {
			w.must(m, reshare.KindDestroyed, &reshare.Destroy{Epoch: 1})
		}
		c := w.orderErasure(batch)
		for _, m := range next.Members[removed:][:2] {
			w.must(m, erasure.KindConfirm, &erasure.Confirm{Case: c, Finding: erasure.Clear})
		}
		if got := w.erasure(c).Others; len(got) != want {
			t.Errorf("%d removed: got %+v, want %d committees", removed, got, want)
		}
	}
}
