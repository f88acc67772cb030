package subscription

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"salus/gateway/rest"
	"salus/store"
)

// Why a subscription ended, as its subscriber reads it.
const (
	whyAccess  = "the authorisation of the subscriber has ended"
	whyEnd     = "its end has come"
	whyFailed  = "notifications could not be delivered"
	whyPending = "too many notifications were waiting"
)

// The kinds of notifications (R5 value set subscription-notification-type).
const (
	handshake    = "handshake"
	heartbeat    = "heartbeat"
	notification = "event-notification"
	queryEvent   = "query-event"
	queryStatus  = "query-status"
)

// work tells a subscriber of her events until the subscription ends.
func (s *Service) work(ctx context.Context, u *sub) {
	defer s.unbind(u)
	if st := u.copied(); st.Status == off || st.Status == failing {
		s.end(ctx, u, st.Status, st.Why)
		return
	}
	beat := time.NewTimer(time.Hour)
	defer beat.Stop()
	rest := func() {
		if beat.Stop(); u.spec.heartbeat > 0 {
			beat.Reset(u.spec.heartbeat)
		}
	}
	rest()
	var ends <-chan time.Time
	if !u.spec.end.IsZero() {
		t := time.NewTimer(u.spec.end.Sub(s.Now()))
		defer t.Stop()
		ends = t.C
	}
	due, failures := false, 0
	for ctx.Err() == nil {
		leave, status, why := s.over(ctx, u)
		if status != "" {
			s.end(ctx, u, status, why)
			return
		}
		kind, events := u.next(due)
		if kind == "" {
			select {
			case <-ctx.Done():
			case <-u.wake:
			case <-ends:
			case <-beat.C:
				due = true
			}
			continue
		}
		err := s.tell(ctx, u, leave, kind, events)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = s.told(ctx, u, kind, events)
		}
		switch {
		case errors.Is(err, errReplaced):
			return
		case err == nil:
			due, failures = false, 0
			rest()
		case errors.Is(err, errNobody): // the socket closed: another will come
			due = false
		default:
			if failures++; failures >= s.Failures {
				s.end(ctx, u, failing, whyFailed)
				return
			}
			pause(ctx, s.backoff(failures))
		}
	}
}

// backoff is how long to wait after a number of failures, a little more or less so that many do
// not come back at once.
func (s *Service) backoff(failures int) time.Duration {
	d := min(s.Retry<<min(failures-1, 30), s.MaxRetry)
	if d <= 0 {
		d = s.MaxRetry
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // no secret
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (u *sub) copied() state {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}

// over says whether a subscription must end, and otherwise what its subscriber may see.
func (s *Service) over(ctx context.Context, u *sub) (l *rest.Leave, status, why string) {
	st := u.copied()
	if st.Count-st.Delivered > int64(s.Pending) {
		return nil, failing, whyPending
	}
	if !u.spec.end.IsZero() && !s.Now().Before(u.spec.end) {
		return nil, off, whyEnd
	}
	l, err := s.Leave(ctx, st.Client)
	if ctx.Err() == nil && (err != nil || !allowed(l, u.spec.typ)) {
		return nil, off, whyAccess
	}
	return l, "", ""
}

// next is what is to be told now; "" for nothing.
func (u *sub) next(due bool) (kind string, events []event) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state.Status == requested {
		return handshake, nil
	}
	if u.spec.channel == webSocket && len(u.conns) == 0 {
		return "", nil
	}
	for _, e := range u.state.Events {
		if e.Number > u.state.Delivered && len(events) < u.spec.maxCount {
			events = append(events, e)
		}
	}
	switch {
	case len(events) > 0:
		return notification, events
	case due && u.spec.topic != "":
		return heartbeat, nil
	}
	return "", nil
}

// tell sends a notification.
func (s *Service) tell(ctx context.Context, u *sub, l *rest.Leave, kind string, events []event) error {
	ctx, cancel := context.WithTimeout(ctx, u.spec.timeout)
	defer cancel()
	switch {
	case u.spec.channel == webSocket && kind == handshake:
		return nil // each socket has its own
	case u.spec.channel == webSocket:
		return s.tellSockets(ctx, u, l, kind, events)
	case u.spec.topic == "" && kind != notification:
		return nil
	case u.spec.topic == "":
		return s.tellPlain(ctx, u, l, events)
	}
	b, err := s.notification(ctx, u, l, kind, u.spec.content, events)
	if err != nil {
		return err
	}
	return s.post(ctx, u, "POST", u.spec.endpoint, b)
}

// told takes note of what was told.
func (s *Service) told(ctx context.Context, u *sub, kind string, events []event) error {
	switch kind {
	case handshake:
		return s.become(ctx, u, active, "")
	case notification:
		u.mu.Lock()
		u.state.Delivered = events[len(events)-1].Number
		u.mu.Unlock()
		return s.save(u)
	}
	return nil
}

// end ends a subscription. Its state stays, so that $status tells why.
func (s *Service) end(ctx context.Context, u *sub, status, why string) {
	if err := s.become(ctx, u, status, why); err != nil && ctx.Err() == nil && !errors.Is(err, errReplaced) {
		s.Log.ErrorContext(ctx, "subscription_not_ended", "err", err)
	}
}

// become gives a subscription another status, in its state and in the resource.
func (s *Service) become(ctx context.Context, u *sub, status, why string) error {
	u.mu.Lock()
	u.state.Status, u.state.Why = status, why
	u.mu.Unlock()
	if err := s.save(u); err != nil {
		return err
	}
	v, err := s.Store.Read(ctx, store.Key{Type: "Subscription", ID: u.id})
	if err != nil {
		if rest.IsGone(err) {
			return nil
		}
		return err
	}
	body, err := withStatus(rest.Present(&v), status, why)
	if err != nil || body == nil {
		return err
	}
	if _, err := s.Server.Replace(ctx, &v, body); err != nil && !errors.Is(err, store.ErrConflict) {
		return err // of a conflict, the later version has its own worker
	}
	return nil
}

// withStatus is a Subscription with another status and error; nil if it has those already.
func withStatus(body []byte, status, why string) ([]byte, error) {
	var was struct{ Status, Error string }
	if err := json.Unmarshal(body, &was); err != nil {
		return nil, err
	}
	if was.Status == status && was.Error == why {
		return nil, nil //nolint:nilnil // nothing to change
	}
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value string `json:"value,omitempty"`
	}
	ops := []operation{{"add", "/status", status}}
	if why != "" {
		ops = append(ops, operation{"add", "/error", why})
	} else if was.Error != "" {
		ops = append(ops, operation{Op: "remove", Path: "/error"})
	}
	b, err := json.Marshal(ops)
	if err != nil {
		return nil, err
	}
	p, err := jsonpatch.DecodePatch(b)
	if err != nil {
		return nil, err
	}
	return p.Apply(body)
}
