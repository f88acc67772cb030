package rest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"salus/fhir/search"
	"salus/store"
)

// finder reads and searches: the store, or a write under way.
type finder interface {
	read(ctx context.Context, k store.Key) (store.Version, error)
	search(ctx context.Context, q store.Search) (*store.Page, error)
}

type outside struct{ *store.Store }

func (o outside) read(ctx context.Context, k store.Key) (store.Version, error) { return o.Read(ctx, k) }

func (o outside) search(ctx context.Context, q store.Search) (*store.Page, error) {
	return o.Search(ctx, q)
}

type inside struct{ *store.Tx }

func (i inside) read(_ context.Context, k store.Key) (store.Version, error) { return i.Read(k) }

func (i inside) search(_ context.Context, q store.Search) (*store.Page, error) { return i.Search(q) }

// find returns the current version of a resource that the caller may see. What she may not see is
// not there: the error is the same.
func (s *Server) find(f finder, a *ask, typ, id string) (store.Version, error) {
	gone := store.ErrNotFound
	for _, scope := range a.leave.Scopes {
		v, err := f.read(a.ctx, store.Key{Scope: scope, Type: typ, ID: id})
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case errors.Is(err, store.ErrGone):
			if a.leave.Owner == "" || a.leave.Owner == v.Owner {
				gone = store.ErrGone
			}
			continue
		case err != nil:
			return v, err
		case a.leave.Owner != "" && a.leave.Owner != v.Owner:
			continue
		}
		ok, err := s.meets(f, a, &v)
		if err != nil {
			return v, err
		}
		if ok {
			return v, nil
		}
	}
	return store.Version{}, gone
}

// meets reports whether a resource satisfies the guard's conditions for its type.
func (s *Server) meets(f finder, a *ask, v *store.Version) (bool, error) {
	if a.leave.Restrict == nil {
		return true, nil
	}
	where := a.leave.Restrict(v.Type)
	if len(where) == 0 {
		return true, nil
	}
	id := search.Clause{Param: &search.Param{Code: "_id", Kind: search.Token}, Values: []search.Value{{Text: v.ID}}}
	q := &search.Query{Types: []string{v.Type}, Where: append([]search.Clause{id}, where...), Count: 1}
	p, err := f.search(a.ctx, store.Search{Query: q, Scopes: []store.Scope{v.Scope}})
	return err == nil && len(p.Matches) == 1, err
}

// in is what a request reads from.
func (s *Server) in(a *ask) finder {
	if a.within != nil {
		return a.within
	}
	return outside{s.Store}
}

func (s *Server) read(a *ask, typ, id string) (*answer, error) {
	if err := a.may(Read, typ); err != nil {
		return nil, err
	}
	v, err := s.find(s.in(a), a, typ, id)
	if err != nil {
		return nil, err
	}
	if a.unchanged(&v) {
		return &answer{status: http.StatusNotModified, version: &v}, nil
	}
	body, err := s.subset(a, typ, present(&v))
	return &answer{status: http.StatusOK, version: &v, body: body}, err
}

// unchanged reports whether the caller has this version already (RFC 9110, 13.1.2 and 13.1.3).
func (a *ask) unchanged(v *store.Version) bool {
	if a.ifNoneMatch != "" {
		for t := range strings.SplitSeq(a.ifNoneMatch, ",") {
			if t = strings.TrimSpace(t); t == "*" || t == etag(v.VID) || t == strings.TrimPrefix(etag(v.VID), "W/") {
				return true
			}
		}
		return false
	}
	if a.ifModifiedSince == "" {
		return false
	}
	t, err := http.ParseTime(a.ifModifiedSince)
	return err == nil && !v.Updated.Truncate(time.Second).After(t)
}

func (s *Server) vread(a *ask, typ, id, version string) (*answer, error) {
	if err := a.may(VRead, typ); err != nil {
		return nil, err
	}
	vid, err := strconv.ParseInt(version, 10, 64)
	if err != nil || vid < 1 || strconv.FormatInt(vid, 10) != version {
		return nil, errNotFound // versions here are numbers
	}
	// Who may see the resource may see its versions; a deleted one is seen by those who could.
	current, err := s.find(s.in(a), a, typ, id)
	scopes := []store.Scope{current.Scope}
	if errors.Is(err, store.ErrGone) {
		scopes, err = a.leave.Scopes, nil
	}
	if err != nil {
		return nil, err
	}
	for _, scope := range scopes {
		v, err := s.Store.ReadVersion(a.ctx, store.Key{Scope: scope, Type: typ, ID: id}, vid)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		body, err := s.subset(a, typ, present(&v))
		return &answer{status: http.StatusOK, version: &v, body: body}, err
	}
	return nil, errNotFound
}
