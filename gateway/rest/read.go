package rest

import (
	"context"
	"errors"
	"net/http"
	"strconv"

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

// find returns the current version of a resource that the caller sees. What she does not see is
// not there: the error is the same.
func (s *Server) find(f finder, a *ask, typ, id string) (store.Version, error) {
	gone := store.ErrNotFound
	for _, scope := range a.leave.Scopes {
		v, err := f.read(a.ctx, store.Key{Scope: scope, Type: typ, ID: id})
		hidden := a.leave.Owner != "" && v.Owner != "" && v.Owner != a.leave.Owner
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case errors.Is(err, store.ErrGone):
			// A deletion has no elements that a condition could hold for.
			if _, conditions := a.leave.Within[typ]; !hidden && !conditions {
				gone = store.ErrGone
			}
			continue
		case err != nil:
			return v, err
		case hidden:
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

// meets reports whether one of the caller's conditions for its type holds for a resource.
func (s *Server) meets(f finder, a *ask, v *store.Version) (bool, error) {
	if lists, conditions := a.leave.Within[v.Type]; !conditions {
		return true, nil
	} else if len(lists) == 0 {
		return false, nil // of no list at all, none holds
	}
	id := search.Clause{Param: &search.Param{Code: "_id", Kind: search.Token}, Values: []search.Value{{Text: v.ID}}}
	sight := a.leave.sight()
	sight.Scopes = []store.Scope{v.Scope}
	p, err := f.search(a.ctx, store.Search{Query: &search.Query{Types: []string{v.Type}, Where: []search.Clause{id}, Count: 1}, Sight: sight})
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
	if a.ifMatch != "" && !hasTag(a.ifMatch, v.VID) || a.ifMatch == "" && later(&v, a.ifUnmodifiedSince) {
		return nil, errVersion
	}
	if a.unchanged(&v) {
		return &answer{status: http.StatusNotModified, version: &v}, nil
	}
	body, err := s.subset(a, typ, present(&v))
	return &answer{status: http.StatusOK, version: &v, body: body}, err
}

func (s *Server) vread(a *ask, typ, id, version string) (*answer, error) {
	if err := a.may(VRead, typ); err != nil {
		return nil, err
	}
	vid, err := strconv.ParseInt(version, 10, 64)
	if err != nil || vid < 1 || strconv.FormatInt(vid, 10) != version {
		return nil, errNotFound // versions here are numbers
	}
	// Who sees the resource sees its versions, unless on a condition that nobody can tell of former
	// ones: they have no index.
	current, err := s.find(s.in(a), a, typ, id)
	if _, conditions := a.leave.Within[typ]; err == nil && conditions && vid != current.VID {
		return nil, errNotFound
	}
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
