package rest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"salus/fhir"
	"salus/fhir/search"
	"salus/store"
)

// Load writes many resources that have nothing to do with each other, in one commit: each as the
// update of its id, or as a creation if it has none, checked and permitted as if it came alone. An
// error stands in the place of its resource; the others are durable when Load returns. The error
// beside the list is the store's, or ErrNoSpace: then nothing is written.
func (s *Server) Load(ctx context.Context, l *Leave, prefers http.Header, bodies [][]byte) ([]error, error) {
	size := 0
	for _, b := range bodies {
		size += len(b)
	}
	if err := s.room(size); err != nil {
		return nil, err
	}
	ws, errs := make([]*write, len(bodies)), make([]error, len(bodies))
	each(len(bodies), func(i int) {
		r, err := s.parsed(bodies[i])
		if err == nil {
			ws[i], err = s.loaded(ctx, l, prefers, r, r.ID())
		}
		errs[i] = err
	})
	_, err := s.load(ctx, prefers, ws, errs, func(t *store.Tx, w *write) (*answer, error) {
		if w.id == "" {
			return s.create(t, w)
		}
		return s.update(t, w)
	})
	return errs, err
}

// A Loading is one resource for LoadNew.
type Loading struct {
	Resource fhir.Resource
	ID       string // under which it is written, whatever its bytes say
}

// A Loaded is what became of a Loading.
type Loaded struct {
	Version store.Version // which says what was to be written
	Written bool          // now: it said something new
	Err     error
}

// LoadNew is Load for what may have been written before: bytes that a version of the resource has, the
// current one or a former one, write nothing. So the same again changes nothing, also what others have
// changed or deleted since.
func (s *Server) LoadNew(ctx context.Context, l *Leave, prefers http.Header, list []Loading) ([]Loaded, error) {
	ws, errs, out := make([]*write, len(list)), make([]error, len(list)), make([]Loaded, len(list))
	each(len(list), func(i int) {
		x := &list[i]
		if int64(len(x.Resource.Raw())) > s.MaxBody {
			errs[i] = errTooLarge
			return
		}
		if !l.partial() && l.Allows(Update, x.Resource.Type()) { // else what is there is not to be told
			v, said, err := s.said(ctx, store.Key{Type: x.Resource.Type(), ID: x.ID}, x.Resource.Raw())
			if err != nil || said {
				out[i].Version, errs[i] = v, err
				return
			}
		}
		ws[i], errs[i] = s.loaded(ctx, l, prefers, x.Resource, x.ID)
	})
	answers, err := s.load(ctx, prefers, ws, errs, func(t *store.Tx, w *write) (*answer, error) {
		if err := w.may(Update, w.typ); err != nil {
			return nil, err
		}
		v, err := t.Read(store.Key{Type: w.typ, ID: w.id})
		if err == nil && bytes.Equal(v.Body, w.body) { // the same twice, or somebody was faster
			return &answer{others: []store.Version{v}}, nil
		}
		return s.put(t, w, store.Any)
	})
	for i, a := range answers {
		switch {
		case a != nil && a.version != nil:
			out[i] = Loaded{Version: *a.version, Written: true}
		case a != nil:
			out[i] = Loaded{Version: a.others[0]}
		}
		out[i].Err = errs[i]
	}
	return out, err
}

// maxSaid bounds how many former versions of a resource LoadNew compares.
const maxSaid = 1000

// said finds the last version of an own resource that has these bytes.
func (s *Server) said(ctx context.Context, k store.Key, body []byte) (v store.Version, ok bool, err error) {
	v, err = s.Store.Read(ctx, k)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return v, false, nil
	case err != nil && !errors.Is(err, store.ErrGone):
		return v, false, err
	case err == nil && bytes.Equal(v.Body, body):
		return v, true, nil
	}
	last := v.VID
	for vid := last - 1; vid > max(0, last-1-maxSaid); vid-- {
		v, err = s.Store.ReadVersion(ctx, k, vid)
		switch {
		case err == nil && bytes.Equal(v.Body, body):
			return v, true, nil
		case err != nil && !IsGone(err):
			return v, false, err
		}
	}
	return v, false, nil
}

// each calls f for all numbers below n, loaders at a time.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	for part := range loaders {
		wg.Go(func() {
			for i := part; i < n; i += loaders {
				f(i)
			}
		})
	}
	wg.Wait()
}

// load makes changes in one commit; one that is nil or has an error already is passed over. A change that
// writes nothing has only others in its answer, of whom nobody is told.
func (s *Server) load(ctx context.Context, prefers http.Header, ws []*write, errs []error, do func(*store.Tx, *write) (*answer, error)) ([]*answer, error) {
	answers := make([]*answer, len(ws))
	if !slices.ContainsFunc(ws, func(w *write) bool { return w != nil }) {
		return answers, nil
	}
	err := s.Store.Write(ctx, func(t *store.Tx) error {
		for i, w := range ws {
			if errs[i] != nil || w == nil {
				continue
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
	told := []*answer{{}}
	for _, a := range answers {
		if a != nil && a.version != nil {
			told = append(told, a)
		}
	}
	s.written(&ask{ctx: ctx, header: prefers}, told...)
	return answers, nil
}

// loaders prepare resources at the same time.
const loaders = 2

// parsed parses a resource that is not too large.
func (s *Server) parsed(body []byte) (fhir.Resource, error) {
	if int64(len(body)) > s.MaxBody {
		return fhir.Resource{}, errTooLarge
	}
	return fhir.Parse(body)
}

// loaded prepares the write of a resource under an id.
func (s *Server) loaded(ctx context.Context, l *Leave, prefers http.Header, r fhir.Resource, id string) (*write, error) {
	w := &write{ask: &ask{ctx: ctx, leave: l, method: http.MethodPut, header: prefers, path: []string{r.Type()}, entry: true}, typ: r.Type(), id: id, expect: store.Any, unordered: true}
	if w.id != "" && !fhirID(w.id) {
		return nil, errBadID
	}
	if err := s.take(w, r.Raw()); err != nil {
		return nil, err
	}
	return w, nil
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
