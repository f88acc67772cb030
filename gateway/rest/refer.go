package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"salus/fhir/search"
	"salus/store"
)

type referKey struct{}

// A referring is a write whose references are looked up: what its caller sees, and what the same
// transaction writes.
type referring struct {
	server  *Server
	ask     *ask
	from    finder
	planned map[string]bool // Type/id
}

func withReferring(ctx context.Context, r *referring) context.Context {
	return context.WithValue(ctx, referKey{}, r)
}

// Leads says, in Config.Check, whether a literal reference leads to a resource that the caller sees
// or that the same transaction writes: what she does not see is not there. known is false for what
// this server cannot tell: references into contained resources, to other servers, to types that are
// not served here, and of imports, whose lines may come in any order.
func Leads(ctx context.Context, reference string) (exists, known bool) {
	r, ok := ctx.Value(referKey{}).(*referring)
	if !ok {
		return false, false
	}
	typ, id, ok := typeAndID(r.server.Params, reference)
	if !ok || !r.server.serves(typ) {
		return false, false
	}
	if r.planned[typ+"/"+id] {
		return true, true
	}
	_, err := r.server.find(r.from, r.ask, typ, id)
	switch {
	case err == nil:
		return true, true
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		return false, true
	}
	return false, false // the store says so itself when the write comes to it
}

// Refers reports whether references are looked up in this context at all.
func Refers(ctx context.Context) bool {
	_, ok := ctx.Value(referKey{}).(*referring)
	return ok
}

// Lead says where a reference by a search ("Practitioner?identifier=...", R4 3.1.0.14.4) leads: to the one
// resource that it finds of what l sees, as Type/id. "" if it finds none or several, or is no search that
// may stand there. Errors: of the store.
func (s *Server) Lead(ctx context.Context, l *Leave, reference string) (string, error) {
	typ, query, ok := strings.Cut(reference, "?")
	if !ok || !s.serves(typ) {
		return "", nil
	}
	where, err := s.Condition(typ, query)
	if err != nil || len(where) == 0 {
		return "", nil //nolint:nilerr // that is no such search
	}
	p, err := s.Store.Search(ctx, store.Search{Query: &search.Query{Types: []string{typ}, Where: where, Count: 2}, Sight: l.sight()})
	switch {
	case err != nil && faultOf(err).Status < http.StatusInternalServerError:
		return "", nil
	case err != nil:
		return "", err
	case len(p.Matches) != 1:
		return "", nil
	}
	return typ + "/" + p.Matches[0].ID, nil
}
