package hedge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Who is asked when, what comes of it, and who is told to be late.
func TestFirst(t *testing.T) {
	errBad := errors.New("bad")
	type says struct {
		after time.Duration // negative: never
		err   error
	}
	at := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	for name, c := range map[string]struct {
		members []says
		patient time.Duration // the caller's patience; 0 for an hour
		want    int           // who answers; -1 for nobody
		err     error
		took    time.Duration
		asked   []time.Duration
		late    []int
	}{
		"the first answers":                          {[]says{{at(.5), nil}, {0, nil}}, 0, 0, nil, at(.5), []time.Duration{0}, nil},
		"the first fails, the next is asked at once": {[]says{{at(.5), errBad}, {at(.2), nil}}, 0, 1, nil, at(.7), []time.Duration{0, at(.5)}, nil},
		"the first is silent":                        {[]says{{-1, nil}, {at(.2), nil}}, 0, 1, nil, at(1.2), []time.Duration{0, at(1)}, []int{0}},
		"the first is slow, and still the first":     {[]says{{at(1.1), nil}, {at(.5), nil}}, 0, 0, nil, at(1.1), []time.Duration{0, at(1)}, []int{0}},
		"the second fails beside a slow first":       {[]says{{at(3.5), nil}, {at(.2), errBad}, {-1, nil}}, 0, 0, nil, at(3.5), []time.Duration{0, at(1), at(2)}, []int{0, 2}},
		"a wait begins with each failure of all":     {[]says{{at(.9), errBad}, {at(.9), nil}}, 0, 1, nil, at(1.8), []time.Duration{0, at(.9)}, nil},
		"all fail":                                   {[]says{{at(.1), errBad}, {at(.1), errBad}}, 0, -1, errBad, at(.2), []time.Duration{0, at(.1)}, nil},
		"all are silent":                             {[]says{{-1, nil}, {-1, nil}}, at(5.5), -1, context.DeadlineExceeded, at(5.5), []time.Duration{0, at(1)}, []int{0, 1}},
		"nobody is there":                            {nil, 0, -1, ErrNobody, 0, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.patient == 0 {
					c.patient = time.Hour
				}
				ctx, cancel := context.WithTimeout(t.Context(), c.patient)
				defer cancel()
				var whom, late []int
				for i := range c.members {
					whom = append(whom, i)
				}
				var mu sync.Mutex
				over := 0
				var asked []time.Duration
				start := time.Now()
				got, err := First(ctx, whom, time.Second, func(ctx context.Context, i int) (string, error) {
					mu.Lock()
					asked = append(asked, time.Since(start))
					mu.Unlock()
					defer func() {
						mu.Lock()
						defer mu.Unlock()
						over++
					}()
					m := c.members[i]
					if m.after < 0 {
						<-ctx.Done()
						return "", ctx.Err()
					}
					select {
					case <-time.After(m.after):
						return fmt.Sprint(i), m.err
					case <-ctx.Done():
						return "", ctx.Err()
					}
				}, func(i int) {
					if !slices.Contains(late, i) {
						late = append(late, i)
					}
				})
				took := time.Since(start)
				if want := fmt.Sprint(c.want); c.want >= 0 && (got != want || err != nil) || c.want < 0 && (got != "" || !errors.Is(err, c.err)) {
					t.Errorf("got %q, %v; want %s, %v", got, err, want, c.err)
				}
				if took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if over != len(asked) {
					t.Errorf("%d of %d questions are over", over, len(asked))
				}
				if slices.Sort(late); !slices.Equal(asked, c.asked) || !slices.Equal(late, c.late) {
					t.Errorf("asked at %v, late %v; want %v, %v", asked, late, c.asked, c.late)
				}
			})
		})
	}
}

// All are asked at once, and who answers after enough have is waited for no longer than a moment.
func TestMost(t *testing.T) {
	errBad := errors.New("bad")
	const never = -1
	at := func(n int) time.Duration { return time.Duration(n) * time.Second }
	for name, c := range map[string]struct {
		after   []int // seconds until each answers
		bad     []int // who answer with an error
		patient int   // the caller's; 0 for an hour
		want    []int
		err     error
		took    int
	}{
		"all answer":                        {[]int{3, 1, 2, 2}, nil, 0, []int{1, 2, 3, 0}, nil, 3},
		"one is silent":                     {[]int{1, 2, never, 3}, nil, 0, []int{0, 1, 3}, context.Canceled, 5},
		"one is slow, but not for a moment": {[]int{1, 1, 1, 2}, nil, 0, []int{0, 1, 2, 3}, nil, 2},
		"one fails, one is silent":          {[]int{1, 2, 1, never}, []int{0}, 20, []int{2, 1}, context.DeadlineExceeded, 20},
		"one fails, the rest is enough":     {[]int{1, 2, 3, 4}, []int{1}, 0, []int{0, 2, 3}, errBad, 4},
		"all are silent":                    {[]int{never, never, never}, nil, 7, nil, context.DeadlineExceeded, 7},
		"nobody is there":                   {nil, nil, 0, nil, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.patient == 0 {
					c.patient = 3600
				}
				ctx, cancel := context.WithTimeout(t.Context(), at(c.patient))
				defer cancel()
				var whom []int
				for i := range c.after {
					whom = append(whom, i)
				}
				start := time.Now()
				got, err := Most(ctx, whom, 3, 2*time.Second, func(ctx context.Context, i int) (int, error) {
					var answers <-chan time.Time
					if c.after[i] != never {
						answers = time.After(at(c.after[i]) + time.Duration(i)) // the order of equals
					}
					select {
					case <-answers:
					case <-ctx.Done():
						return 0, ctx.Err()
					}
					if slices.Contains(c.bad, i) {
						return 0, errBad
					}
					return i, nil
				})
				if took := time.Since(start).Truncate(time.Second); !slices.Equal(got, c.want) || took != at(c.took) || !errors.Is(err, c.err) {
					t.Errorf("got %v, %v after %s; want %v, %v after %d s", got, err, took, c.want, c.err, c.took)
				}
			})
		})
	}
}
