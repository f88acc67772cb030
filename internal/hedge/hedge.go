// Package hedge asks several members for what any of them can give (First), or for what enough of them have to (Most), so
// that none of them can hold it up: one that is down, overloaded, or silent on purpose costs a moment.
//
// Contract: what an answer is worth is for who asks to check; a wrong one counts as none, and the next is asked. It
// must never be used for what may be asked of one member only.
package hedge

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrNobody: there was nobody to ask.
var ErrNobody = errors.New("hedge: nobody to ask")

// First returns the first answer without an error. whom are asked in their order: each when all before it have failed,
// or when nobody answered for the time wait since the last was asked. late, unless it is nil, is told who has not
// answered then. Questions that are not needed any more end with their context, and First returns when they have: ask
// must heed it.
//
// Errors: ErrNobody, those of all who were asked, and ctx's.
func First[W comparable, R any](ctx context.Context, whom []W, wait time.Duration, ask func(context.Context, W) (R, error), late func(W)) (R, error) {
	type answer struct {
		of   W
		what R
		err  error
	}
	var none R
	if len(whom) == 0 {
		return none, ErrNobody
	}
	ctx, enough := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer enough()
	answers := make(chan answer, len(whom))
	open := map[W]bool{}
	next := func() {
		of := whom[0]
		whom, open[of] = whom[1:], true
		asking.Go(func() {
			what, err := ask(ctx, of)
			answers <- answer{of, what, err}
		})
	}
	next()
	tick := time.NewTicker(wait)
	defer tick.Stop()
	var failed error
	for len(open) > 0 {
		select {
		case a := <-answers:
			if a.err == nil {
				return a.what, nil
			}
			failed = errors.Join(failed, a.err)
			if delete(open, a.of); len(open) == 0 && len(whom) > 0 {
				next()
				tick.Reset(wait)
			}
		case <-tick.C:
			if late != nil {
				for of := range open {
					late(of)
				}
			}
			if len(whom) > 0 {
				next()
			}
		case <-ctx.Done():
			return none, errors.Join(failed, ctx.Err())
		}
	}
	return none, failed
}

// Most asks all at once. It returns the answers without an error in the order in which they came: those of all, or, once
// there are enough, of who answers within moment after that. Questions that are not waited for any more end with
// their context, and Most returns when they have: ask must heed it.
//
// The error joins those of all who did not answer; how many answers are too few is for the caller to say.
func Most[W, R any](ctx context.Context, whom []W, enough int, moment time.Duration, ask func(context.Context, W) (R, error)) ([]R, error) {
	ctx, over := context.WithCancel(ctx)
	defer over()
	var mu sync.Mutex // guards what follows
	var got []R
	var failed error
	var last *time.Timer
	var asking sync.WaitGroup
	for _, of := range whom {
		asking.Go(func() {
			what, err := ask(ctx, of)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = errors.Join(failed, err)
				return
			}
			if got = append(got, what); len(got) == enough {
				last = time.AfterFunc(moment, over)
			}
		})
	}
	asking.Wait()
	if last != nil {
		last.Stop()
	}
	return got, failed
}
