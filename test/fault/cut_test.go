package fault

import (
	"context"
	"os"
	"testing"
	"time"
)

// TestPartitionsHeal parts four members in every way, under load, and heals them.
func TestPartitionsHeal(t *testing.T) {
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		t.Skip("who calls on the members' link is found in /proc/net/tcp, which is not here")
	}
	if testing.Short() {
		t.Skip("parts and heals a network in six ways: more than a minute")
	}
	var x *wires
	w := newWorld(t, func(w *world) { x = w.wire() })
	s := w.patient("hospital", true)
	ctx, cancel := w.within()
	defer cancel()
	if err := w.decide(ctx, s, granted); err != nil {
		t.Fatal(err)
	}
	must, c := s.expected()
	id, err := w.open(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.judge(ctx, s, id, must, c); err != nil {
		t.Fatal(err)
	}

	t.Log("two and two: nothing is decided, nothing acknowledged by the ledger, nothing released")
	x.part("hospital", "clinic")
	head := w.still()
	try, end := context.WithTimeout(t.Context(), 3*time.Second)
	if got, err := w.read(try, id); err == nil && len(got) > 0 {
		t.Errorf("%d records were released by two of four", len(got))
	}
	active := w.counted("active")
	if err := w.write(try, s, 1, "active"); err == nil && w.counted("active") > active {
		t.Error("a record became active with two of four")
	}
	if err := w.decide(try, s, denied); err == nil {
		t.Error("two of four took a revocation")
	}
	end()
	if now := w.highest(); now > head {
		t.Errorf("got height %d with two of four, want %d still", now, head)
	}
	x.heal()
	t.Logf("blocks again after %s", w.until("progress after healing", func() bool { return w.highest() > head+2 }).Round(10*time.Millisecond))

	l := w.begin()
	progress := func(what string) {
		t.Helper()
		before := w.counted("active")
		took := w.until(what, func() bool { return w.counted("active") > before+1 })
		t.Logf("%s: two more records active within %s", what, took.Round(10*time.Millisecond))
	}
	progress("healed")
	x.part("institute")
	progress("three and one")
	x.heal()
	w.until("the one catches up", func() bool {
		one, err := w.status("institute")
		other, oerr := w.status("hospital")
		return err == nil && oerr == nil && one.Height+5 > other.Height
	})
	x.set(0, func(from, _ string) bool { return from == "insurer" })
	progress("one hears, but is not heard")
	x.set(0, func(_, to string) bool { return to == "insurer" })
	progress("one is heard, but does not hear")
	x.set(20*time.Millisecond, func(string, string) bool { return false })
	progress("slow links")
	for range *rounds {
		a := w.orgs[w.rand.IntN(len(w.orgs))]
		x.part(a)
		w.moment(400 * time.Millisecond)
		x.heal()
		x.drop()
		w.moment(400 * time.Millisecond)
	}
	x.heal()
	progress("flapping links")
	l.end()
	w.settled(false)
}

// highest is the highest block that any node has.
func (w *world) highest() (h int64) {
	for _, o := range w.orgs {
		if s, err := w.status(o); err == nil {
			h = max(h, s.Height)
		}
	}
	return h
}

// still waits until no node has got a new block for two heartbeats, and returns the height.
func (w *world) still() (height int64) {
	w.t.Helper()
	since := time.Now()
	w.until("no new block", func() bool {
		if h := w.highest(); h != height {
			height, since = h, time.Now()
		}
		return time.Since(since) > 10*time.Second
	})
	return height
}
