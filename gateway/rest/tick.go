package rest

import (
	"net/http"
	"time"
)

// defaultTick is above what a search of one patient's compartment takes.
const defaultTick = 10 * time.Millisecond

// hold waits before the answer to who sees only a part, so that what it took does not tell how much there is
// of the rest: an answer that had to be looked for leaves at the next tick after the request was read. What is
// hidden is felt only where it takes the answer past one (predictive mitigation: Askarov, Zhang and Myers,
// CCS 2010). What is named, is read by its key, which takes as long among many as among few.
func (s *Server) hold(a *ask, since time.Time) {
	if a == nil || a.leave == nil || a.named() || s.Tick <= 0 {
		return
	}
	history := len(a.path) > 0 && a.path[len(a.path)-1] == "_history" // passes over what other sessions opened
	if !a.leave.partial() && !history {
		return
	}
	t := time.NewTimer(untilTick(time.Since(since), s.Tick))
	defer t.Stop()
	select {
	case <-t.C:
	case <-a.ctx.Done():
	}
}

// untilTick is how long it is from what has passed to the next end: after one tick, two, four, eight and
// sixteen, and then after a quarter more each time, so that nobody waits for long who has waited already.
func untilTick(passed, tick time.Duration) time.Duration {
	end := tick
	for end < passed {
		if end < 16*tick {
			end *= 2
		} else {
			end += end / 4
		}
	}
	return end - passed
}

// named reports whether a request says by its key which resource it is about.
func (a *ask) named() bool {
	switch p := a.path; len(p) {
	case 1:
		return a.method == http.MethodPost && a.ifNoneExist == "" // a create
	case 2:
		return fhirID(p[1])
	case 3, 4:
		return fhirID(p[1]) && p[2] == "_history"
	}
	return false
}
