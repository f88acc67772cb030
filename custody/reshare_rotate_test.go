package custody

import (
	"context"
	"testing"
	"time"
)

// What a custodian takes over is sealed when it asks, to the newest key that it has and the ledger knows: one that
// published a key and went down before the resharing is not left out, whether that key is still its newest when it is back or not.
func TestWhoRotatedAndWentDownTakesOverWhenItIsBack(t *testing.T) {
	for _, again := range []bool{false, true} {
		w := newWorld(t)
		b := w.batch("alice", allowedSlot)
		lab := w.node("lab")
		w.pass(week*3/4 + time.Minute)
		if err := lab.rotateOnce(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.block()
		if k, _ := w.live("lab"); k.KeyEpoch != 2 {
			t.Fatalf("got key %d, want 2", k.KeyEpoch)
		}
		lab.down = true
		w.order()
		w.until("the epoch changes without it", w.done(2))
		if r := w.latest(); r.Complete() {
			t.Fatal("it has taken over, and is down")
		}
		want := uint64(2)
		if again { // the other three have waited for less than the grace
			w.pass(week*3/4 + time.Minute)
			want = 3
		}
		lab.down = false
		w.until("it has taken over", func() bool { r := w.latest(); return r.Complete() })
		if k, _ := w.live("lab"); k.KeyEpoch != want {
			t.Errorf("got key %d, want %d", k.KeyEpoch, want)
		}
		w.grant("alice")
		r := w.session("doctor", "alice")
		for _, without := range w.nodes {
			if without != lab {
				var from []*member
				for _, m := range w.nodes {
					if m != without {
						from = append(from, m)
					}
				}
				r.opens(b, 0, from...)
			}
		}
		w.checkAll()
	}
}
