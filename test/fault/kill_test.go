package fault

import (
	"syscall"
	"testing"
	"time"
)

// TestKilledNodesKeepWhatTheyAcknowledged kills each node, and then all at once, at random moments of
// writing and reading.
func TestKilledNodesKeepWhatTheyAcknowledged(t *testing.T) {
	w := newWorld(t, nil)
	l := w.begin()
	for i := range *rounds {
		victims := w.orgs
		if k := i % (len(w.orgs) + 1); k < len(w.orgs) {
			victims = w.orgs[k : k+1]
		}
		before := w.counted("stored") + w.counted("read")
		w.until("the clients get on", func() bool { return w.counted("stored")+w.counted("read") > before })
		w.moment(1500 * time.Millisecond)
		w.kill(victims...)
		w.moment(700 * time.Millisecond)
		t.Logf("round %d: %v killed, ready %s after the start", i, victims, w.up(victims...).Round(10*time.Millisecond))
	}
	l.end()
	w.settled(false)
}

// TestThreeGoOnWithoutTheFourth keeps one node down throughout; then it catches up.
func TestThreeGoOnWithoutTheFourth(t *testing.T) {
	w := newWorld(t, nil)
	// An author that never got a custodian's key waits for it for a minute.
	w.patient("hospital", false)
	w.patient("clinic", false)
	down := w.orgs[2+w.rand.IntN(2)] // not one of those that the clients talk to
	w.kill(down)
	l := w.begin()
	for _, what := range []string{"stored", "active", "read", "decided"} {
		before := w.counted(what)
		w.until(what+" without "+down, func() bool { return w.counted(what) > before+3 })
	}
	l.end()
	before, err := w.status("hospital")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s back after %s", down, w.up(down).Round(10*time.Millisecond))
	// Ready means that it knows what was decided without it.
	if s, err := w.status(down); err != nil || s.Height < before.Height {
		t.Errorf("got height %d of a node that says it is ready, %v, want at least %d", s.Height, err, before.Height)
	}
	w.settled(false)
}

// TestPausedCustodianReleasesNothingStale stops a node's process for longer than the lease, while a patient
// revokes. When it wakes up it still believes the old state, and must not release by it.
func TestPausedCustodianReleasesNothingStale(t *testing.T) {
	w := newWorld(t, nil)
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
	asleep := []string{"insurer", "institute"}
	for _, o := range asleep {
		if err := w.Signal(o, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if o == asleep[0] { // three still decide
			if err := w.decide(ctx, s, denied); err != nil {
				t.Fatal(err)
			}
		}
	}
	// With two asleep nothing is decided, and two shares open nothing.
	slept := time.Now()
	w.until("longer than the lease", func() bool { return time.Since(slept) > 16*time.Second })
	for _, o := range asleep {
		if err := w.Signal(o, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		for range 3 { // at once, while it still has the old head
			if err := w.judge(ctx, s, id, must, denied); err == nil {
				w.count("asked at waking up")
			}
		}
	}
	l := w.begin()
	before := w.counted("read")
	w.until("reading goes on", func() bool { return w.counted("read") > before })
	l.end()
	w.settled(false)
}
