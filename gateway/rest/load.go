package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"salus/fhir"
	"salus/fhir/search"
	"salus/store"
)

// Load writes many resources that have nothing to do with each other, in one commit: each as the
// update of its id, or as a creation if it has none, checked and permitted as if it came alone. An
// error stands in the place of its resource; the others are durable when Load returns. The error
// beside the list is the store's: then nothing is written.
func (s *Server) Load(ctx context.Context, l *Leave, prefers http.Header, bodies [][]byte) ([]error, error) {
	ws, errs := make([]*write, len(bodies)), make([]error, len(bodies))
	var wg sync.WaitGroup
	for part := range loaders {
		wg.Go(func() {
			for i := part; i < len(bodies); i += loaders {
				ws[i], errs[i] = s.loaded(ctx, l, prefers, bodies[i])
			}
		})
	}
	wg.Wait()
	answers := make([]*answer, len(bodies))
	err := s.Store.Write(ctx, func(t *store.Tx) error {
		for i, w := range ws {
			if errs[i] != nil {
				continue
			}
			do := s.update
			if w.id == "" {
				do = s.create
			}
			if answers[i], errs[i] = do(t, w); errs[i] != nil && faultOf(errs[i]).Status >= 500 {
				return errs[i]
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.written(&ask{ctx: ctx, header: prefers}, append([]*answer{{}}, answers...)...)
	return errs, nil
}

// loaders prepare resources at the same time.
const loaders = 2

func (s *Server) loaded(ctx context.Context, l *Leave, prefers http.Header, body []byte) (*write, error) {
	if int64(len(body)) > s.MaxBody {
		return nil, errTooLarge
	}
	r, err := fhir.Parse(body)
	if err != nil {
		return nil, err
	}
	w := &write{ask: &ask{ctx: ctx, leave: l, method: http.MethodPut, header: prefers, path: []string{r.Type()}, entry: true}, typ: r.Type(), id: r.ID(), expect: store.Any}
	if w.id != "" && !fhirID(w.id) {
		return nil, errBadID
	}
	return w, s.take(w, body)
}

type leaveKey struct{}

func withLeave(ctx context.Context, l *Leave) context.Context {
	if l == nil {
		return ctx
	}
	return context.WithValue(ctx, leaveKey{}, l)
}

// LeaveOf returns who writes, in Config.Check and Config.Written; nil where it is this server itself.
func LeaveOf(ctx context.Context) *Leave {
	l, _ := ctx.Value(leaveKey{}).(*Leave)
	return l
}

// Replace writes the next version of a resource for the server itself, if v is still the current
// one: checked and told of like every other, by nobody's leave. Errors: those of Store.Write and of
// bad resources.
func (s *Server) Replace(ctx context.Context, v *store.Version, body []byte) (store.Version, error) {
	w := &write{ask: &ask{ctx: ctx, method: http.MethodPut, path: []string{v.Type, v.ID}, entry: true}, typ: v.Type, id: v.ID, expect: v.VID}
	if err := s.take(w, body); err != nil {
		return store.Version{}, err
	}
	var next store.Version
	err := s.Store.Write(ctx, func(t *store.Tx) (err error) {
		next, err = t.Put(store.Put{Key: v.Key, Body: w.body, Entries: w.entries, Owner: v.Owner, Expect: v.VID})
		return err
	})
	if err == nil {
		s.written(w.ask, &answer{version: &next})
	}
	return next, err
}

// Condition reads the query string of a search in one type that only says what to find: no paging,
// sorting or including. Errors: *Fault, *search.Issue.
func (s *Server) Condition(resourceType, query string) ([]search.Clause, error) {
	ps, err := pairs(query)
	if err != nil {
		return nil, err
	}
	q, err := search.Parse(resourceType, ps, search.Options{Params: s.Params, Now: s.Now()})
	switch {
	case err != nil:
		return nil, err
	case len(q.Sort)+len(q.Include)+len(q.RevInclude)+len(q.Elements) > 0 || q.Cursor != "" || q.Count >= 0 || q.Total != 0 || q.Summary != 0:
		return nil, errCondition
	}
	return q.Where, nil
}

// Cut is a resource, as it is read, with the elements of its top level that are named and those
// that are mandatory.
func (s *Server) Cut(resourceType string, body []byte, elements []string) ([]byte, error) {
	return s.subset(&ask{query: []search.Pair{{Name: "_elements", Value: strings.Join(elements, ",")}}}, resourceType, body)
}

// Serves reports whether that is a type which this server serves.
func (s *Server) Serves(resourceType string) bool { return s.serves(resourceType) }

// IsGone reports whether an error of reading says that nothing is there, or nothing any more.
func IsGone(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone)
}
