package feed

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"salus/hl7/mllp"
)

func of(names ...string) func(string) bool {
	return func(about string) bool { return slices.Contains(names, about) }
}

// TestWhatIsDroppedIsNeverSent drops what waits and what was refused, and nothing else, also for the time after a
// restart.
func TestWhatIsDroppedIsNeverSent(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{codes: []string{"AA", "AR"}}
		o := outbound(t, dir, r)
		queue := func(id string, about ...string) {
			t.Helper()
			if _, err := o.Enqueue(t.Context(), adt("A01", id, ""), about...); err != nil {
				t.Fatal(err)
			}
		}
		queue("sent", "Patient/a")
		queue("refused", "Patient/a")
		drain(t, o)
		letter := o.Letters()[0].Number
		queue("a", "Patient/a", "Patient/a/_history/1")
		queue("b", "Patient/b")
		queue("both", "Patient/b", "Patient/a")
		queue("version", "Patient/b", "Observation/o/_history/2")
		queue("nobody")
		for range 2 { // repeated, it changes nothing
			if err := o.Drop(of("Patient/a", "Observation/o/_history/2", "Observation/o")); err != nil {
				t.Fatal(err)
			}
			if s := o.Stats(); s.Received != 7 || s.Applied != 1 || s.Pending != 2 || s.Letters != 0 {
				t.Errorf("got %+v, want two that wait and one that was sent", s)
			}
		}
		if _, err := o.Replay(t.Context(), letter); !errors.Is(err, ErrUnknown) {
			t.Errorf("a dropped letter is sent again: %v", err)
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		o = outbound(t, dir, r)
		if s := o.Stats(); s.Pending != 2 || s.Letters != 0 || len(o.Letters()) != 0 {
			t.Errorf("after a restart: got %+v", s)
		}
		drain(t, o)
		if got := strings.Join(r.got, " "); got != "sent refused b nobody" {
			t.Errorf("got %s", got)
		}
		if !o.Has("a") {
			t.Error("what was dropped would be made again")
		}
		_ = o.Close()
	})
}

// TestDropEndsWhatIsOnItsWay cuts a message off that a receiver does not answer: nothing of it is sent when Drop
// has returned, and the next has its own tries.
func TestDropEndsWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute, arrived := true, make(chan struct{})
		r := &receiver{}
		o, err := OpenOutbound(Destination{
			Dir: t.TempDir(), Key: testKey, Timeout: 1 << 40, Wait: 1, MaxWait: 1, Tries: 1, Now: clock, Log: logger(t),
			Dial: func(ctx context.Context) (net.Conn, error) {
				if !mute {
					return r.dial(ctx)
				}
				mute = false
				a, b := net.Pipe()
				go func() {
					_, _ = mllp.NewReader(b, 1<<20).Next()
					close(arrived) // and never an answer
				}()
				return a, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"a", "b"} {
			if _, err := o.Enqueue(t.Context(), adt("A01", id, ""), "Patient/"+id); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- o.Run(ctx) }()
		<-arrived
		if err := o.Drop(of("Patient/c")); err != nil || o.Waiting() != 2 {
			t.Errorf("somebody else's: %v, %d wait", err, o.Waiting())
		}
		if err := o.Drop(of("Patient/a")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if s := o.Stats(); s.Pending+s.Applied != 1 || s.Letters != 0 {
			t.Errorf("got %+v", s)
		}
		drain(t, o)
		if got := strings.Join(r.got, " "); got != "b" {
			t.Errorf("got %q, want b", got)
		}
		_ = o.Close()
	})
}
