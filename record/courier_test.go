package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"salus/exchange"
	"salus/ledger/tx"
)

// road is a way to members on which each load waits until the test says what becomes of it.
type road struct {
	Links
	loads chan *load
}

// A load is one that left.
type load struct {
	to    tx.Account
	parts []string
	codes []uint32
	end   chan error
}

func (r *road) Call(ctx context.Context, to tx.Account, _ string, req, resp any) error {
	l := &load{to: to, end: make(chan error)}
	for _, p := range req.(*exchange.Load).Parts {
		l.parts = append(l.parts, string(p))
	}
	l.codes = make([]uint32, len(l.parts))
	r.loads <- l
	select {
	case err := <-l.end:
		resp.(*exchange.LoadReply).Codes = l.codes
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// onRoad runs a test with a service that does nothing but bring parts over a road.
func onRoad(t *testing.T, test func(t *testing.T, s *Service, r *road)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &road{loads: make(chan *load, 10)}
		s := &Service{Config: Config{Links: r}}
		s.couriers.at = map[tx.Account]*courier{}
		s.ctx, s.cancel = context.WithCancel(t.Context())
		test(t, s, r)
		s.cancel()
		s.work.Wait()
	})
}

// part sends one and returns where its sender learns what became of it.
func (s *Service) part(ctx context.Context, to, part string) <-chan error {
	out := make(chan error, 1)
	s.work.Go(func() { out <- s.bring(ctx, account(to), []byte(part)) })
	synctest.Wait()
	return out
}

// left is the load that is on its way to a member and nobody has seen yet, with these parts.
func (r *road) left(t *testing.T, to string, parts ...string) *load {
	t.Helper()
	synctest.Wait()
	select {
	case l := <-r.loads:
		if l.to != account(to) || !slices.Equal(l.parts, parts) {
			t.Fatalf("got %q on its way, want %q to %s", l.parts, parts, to)
		}
		return l
	default:
		t.Fatalf("nothing is on its way, want %q", parts)
		return nil
	}
}

// stays checks that nothing left.
func (r *road) stays(t *testing.T) {
	t.Helper()
	synctest.Wait()
	if len(r.loads) != 0 {
		t.Fatalf("got %q on its way, want nothing", (<-r.loads).parts)
	}
}

// told checks what a sender has learnt by now.
func told(t *testing.T, from <-chan error, want error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-from:
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	default:
		t.Error("the sender still waits")
	}
}

func TestWhatGoesToOneMemberGoesTogether(t *testing.T) {
	onRoad(t, func(t *testing.T, s *Service, r *road) {
		bad, lost := tx.Refuse(0x2103, ""), errors.New("unreachable")
		a := s.part(t.Context(), "lab", "a")
		first := r.left(t, "lab", "a") // at once
		b, c := s.part(t.Context(), "lab", "b"), s.part(t.Context(), "lab", "c")
		r.stays(t)
		first.end <- nil
		told(t, a, nil)
		second := r.left(t, "lab", "b", "c")
		second.codes[1] = bad.Code
		d := s.part(t.Context(), "lab", "d")
		second.end <- nil
		told(t, b, nil) // though it went beside a bad one
		told(t, c, bad)
		r.left(t, "lab", "d").end <- lost
		told(t, d, lost)
		e := s.part(t.Context(), "lab", "e")
		third := r.left(t, "lab", "e") // the way is free again
		third.codes = nil
		third.end <- nil
		if synctest.Wait(); len(e) != 1 || <-e == nil {
			t.Error("a part that is not in the answer was taken")
		}
	})
}

func TestALoadIsBounded(t *testing.T) {
	onRoad(t, func(t *testing.T, s *Service, r *road) {
		s.part(t.Context(), "lab", "first")
		first := r.left(t, "lab", "first")
		var all []string
		for i := range exchange.MaxParts + 6 {
			all = append(all, fmt.Sprint(i))
			s.part(t.Context(), "lab", all[i])
		}
		large := string(make([]byte, exchange.MaxShared+1))
		got := s.part(t.Context(), "lab", large)
		r.left(t, "lab", large).end <- nil // waits for no other, and no other for it
		told(t, got, nil)
		first.end <- nil
		r.left(t, "lab", all[:exchange.MaxParts]...).end <- nil
		r.left(t, "lab", all[exchange.MaxParts:]...).end <- nil
		r.stays(t)
	})
}

// A sender waits as long as its own context says, whatever hangs.
func TestAMemberThatHangsHoldsUpNobody(t *testing.T) {
	onRoad(t, func(t *testing.T, s *Service, r *road) {
		ctx, cancel := context.WithCancel(t.Context())
		a, b := s.part(ctx, "lab", "a"), s.part(ctx, "lab", "b")
		r.left(t, "lab", "a") // and hangs
		other := s.part(t.Context(), "clinic", "a")
		r.left(t, "clinic", "a").end <- nil
		told(t, other, nil)
		cancel()
		told(t, a, context.Canceled)
		told(t, b, context.Canceled)
		c := s.part(t.Context(), "lab", "c")
		<-time.After(linger - time.Millisecond)
		r.stays(t)
		<-time.After(2 * time.Millisecond)
		// Who is slow gets what has become active without it, too.
		r.left(t, "lab", "b", "c").end <- nil
		told(t, c, nil)
	})
}

func TestASenderThatGoesAwayTakesNobodyAlong(t *testing.T) {
	onRoad(t, func(t *testing.T, s *Service, r *road) {
		s.part(t.Context(), "lab", "first")
		first := r.left(t, "lab", "first")
		ctx, cancel := context.WithCancel(t.Context())
		a, b := s.part(ctx, "lab", "a"), s.part(t.Context(), "lab", "b")
		first.end <- nil
		both := r.left(t, "lab", "a", "b")
		cancel()
		told(t, a, context.Canceled)
		<-time.After(2 * linger)
		both.end <- nil
		told(t, b, nil)
	})
}

func TestWhatNobodyWaitsForIsNotKeptForAMemberThatHangs(t *testing.T) {
	onRoad(t, func(t *testing.T, s *Service, r *road) {
		s.part(t.Context(), "lab", "first")
		first := r.left(t, "lab", "first") // and hangs
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 2 { // a delivery that is tried again
			told(t, s.part(gone, "lab", "again"), context.Canceled)
		}
		for i := range 5 * exchange.MaxParts {
			told(t, s.part(gone, "lab", fmt.Sprint(i)), context.Canceled)
		}
		if n := len(s.courier(account("lab")).waiting); n > 2*exchange.MaxParts {
			t.Errorf("%d parts are kept", n)
		}
		kept := s.part(t.Context(), "lab", "kept")
		for i := range 5 * exchange.MaxParts {
			told(t, s.part(gone, "lab", fmt.Sprint(i)), context.Canceled)
		}
		first.end <- nil
		for synctest.Wait(); len(kept) == 0; synctest.Wait() {
			(<-r.loads).end <- nil
		}
		told(t, kept, nil)
	})
}

func TestARepeatedPartGoesOnce(t *testing.T) {
	onRoad(t, func(t *testing.T, s *Service, r *road) {
		s.part(t.Context(), "lab", "first")
		first := r.left(t, "lab", "first")
		ctx, cancel := context.WithCancel(t.Context())
		away := s.part(ctx, "lab", "a")
		cancel()
		told(t, away, context.Canceled)
		again := s.part(t.Context(), "lab", "a")
		first.end <- nil
		r.left(t, "lab", "a").end <- nil
		told(t, again, nil)
	})
}

func TestAServiceThatStopsBringsNothingMore(t *testing.T) {
	onRoad(t, func(t *testing.T, s *Service, r *road) {
		a := s.part(s.ctx, "lab", "a")
		b := s.part(s.ctx, "lab", "b")
		r.left(t, "lab", "a")
		s.cancel()
		s.work.Wait()
		told(t, a, context.Canceled)
		told(t, b, context.Canceled)
	})
}
