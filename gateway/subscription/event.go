package subscription

import (
	"context"
	"errors"
	"slices"

	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/store"
)

// batch is how many versions are looked at together.
const batch = 200

// A watcher is a subscription with what it may see, for one batch.
type watcher struct {
	*sub
	from   int64
	leave  *rest.Leave
	events []event
}

// follow looks at the next versions for all subscriptions, and returns how many there were.
func (s *Service) follow(ctx context.Context) (int, error) {
	var ws []*watcher
	at := int64(-1)
	s.mu.Lock()
	for _, u := range s.subs {
		u.mu.Lock()
		if st := &u.state; st.Status == active || st.Status == requested {
			ws = append(ws, &watcher{sub: u, from: st.Seq})
			if at < 0 || st.Seq < at {
				at = st.Seq
			}
		}
		u.mu.Unlock()
	}
	s.mu.Unlock()
	if len(ws) == 0 {
		return 0, nil
	}
	vs, err := s.Store.After(ctx, at, batch)
	if err != nil || len(vs) == 0 {
		return 0, err
	}
	for _, w := range ws {
		if err := s.watch(ctx, w, vs); err != nil {
			return 0, err
		}
	}
	return len(vs), nil
}

// watch looks for a subscription's events among versions, and makes them durable.
func (s *Service) watch(ctx context.Context, w *watcher, vs []store.Version) error {
	for i := range vs {
		v := &vs[i]
		if v.Seq <= w.from || v.Type != w.spec.typ {
			continue
		}
		if w.leave == nil {
			var err error
			if w.leave, err = s.Leave(ctx, w.client()); err != nil {
				poke(w.wake) // its worker ends it
				return nil
			}
		}
		yes, err := s.triggers(ctx, w, v)
		if err != nil {
			return err
		}
		if yes {
			w.events = append(w.events, event{Type: v.Type, ID: v.ID, Owner: v.Owner, Method: v.Method, Time: v.Updated})
		}
	}
	w.mu.Lock()
	w.state.Seq = max(w.state.Seq, vs[len(vs)-1].Seq)
	for _, e := range w.events {
		w.state.Count++
		e.Number = w.state.Count
		w.state.Events = append(w.state.Events, e)
	}
	// What was told long ago is forgotten; what was not told is not.
	st := &w.state
	if over := len(st.Events) - s.Keep; over > 0 {
		told := 0
		for told < over && st.Events[told].Number <= st.Delivered {
			told++
		}
		st.Events = slices.Clone(st.Events[told:])
	}
	w.mu.Unlock()
	if len(w.events) == 0 {
		return nil // looking again would find the same
	}
	if err := s.save(w.sub); err != nil && !errors.Is(err, errReplaced) {
		return err
	}
	poke(w.wake)
	return nil
}

// triggers reports whether a subscriber is to be told of a version. It is judged by what is there
// now: what a later version hides from her is not told.
func (s *Service) triggers(ctx context.Context, w *watcher, v *store.Version) (bool, error) {
	x := w.spec
	if !allowed(w.leave, v.Type) {
		return false, nil
	}
	if x.topic != "" && v.Method != x.method {
		return false, nil
	}
	if v.Method == store.Delete {
		_, conditions := w.leave.Within[v.Type]
		hidden := w.leave.Owner != "" && v.Owner != "" && v.Owner != w.leave.Owner
		return x.topic != "" && !conditions && !hidden && len(x.filters) == 0, nil
	}
	where := []search.Clause{{Param: &search.Param{Code: "_id", Kind: search.Token}, Values: []search.Value{{Text: v.ID}}}}
	for _, f := range x.filters {
		where = append(where, f...)
	}
	sight := w.leave.Sight()
	sight.Scopes = []store.Scope{store.Own}
	p, err := s.Store.Search(ctx, store.Search{Query: &search.Query{Types: []string{v.Type}, Where: where, Count: 1}, Sight: sight})
	if err != nil {
		return false, err
	}
	return len(p.Matches) == 1, nil
}
