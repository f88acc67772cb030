package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"salus/fhir"
	"salus/fhir/search"
	"salus/store"
)

// A write is a change that is ready but for what only the store knows: which version there is, and
// what a condition matches.
type write struct {
	*ask
	typ, id string
	body    []byte // as it was sent
	given   string // the id in the body, or ""
	fresh   bool   // the id was drawn for it: nothing has it
	entries []search.Entry
	owner   string
	warned  []Issue
	expect  int64 // from If-Match; store.Any if there is none
	plan    *plan // of the transaction it is in
	// unordered is one of many that may refer to each other and come one by one.
	unordered bool
}

// write prepares a change and makes it in a transaction of its own.
func (s *Server) write(a *ask, do func(*store.Tx, *write) (*answer, error)) (*answer, error) {
	// First of all, so that who may not write does not learn what would be wrong with it.
	if err := a.may(writes[a.method], a.path[0]); err != nil {
		return nil, err
	}
	if err := s.room(len(a.body)); err != nil {
		return nil, err
	}
	w, err := s.prepare(a)
	if err != nil {
		return nil, err
	}
	var out *answer
	err = s.Store.Write(a.ctx, func(t *store.Tx) (err error) {
		out, err = do(t, w)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.written(a, out)
	s.represent(w, out)
	return out, nil
}

// writes are the interactions of methods.
var writes = map[string]Interaction{http.MethodPost: Create, http.MethodPut: Update, http.MethodDelete: Delete}

// written tells of what answers are about, once it is durable. The first answer takes the header.
func (s *Server) written(a *ask, answers ...*answer) {
	if s.Written == nil {
		return
	}
	var vs []store.Version
	for _, out := range answers {
		if out != nil && out.version != nil {
			vs = append(vs, *out.version)
		}
		if out != nil {
			vs = append(vs, out.others...)
		}
	}
	if len(vs) > 0 {
		answers[0].header = s.Written(withLeave(a.ctx, a.leave), a.header, vs)
	}
}

// prepare does everything that needs no transaction: parsing, checking, indexing.
func (s *Server) prepare(a *ask) (*write, error) {
	w := &write{ask: a, typ: a.path[0], expect: store.Any}
	if len(a.path) > 1 {
		w.id = a.path[1]
	}
	if a.ifMatch != "" && !a.several() {
		v, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(a.ifMatch, "W/"), `"`), 10, 64)
		if err != nil || v < 1 {
			return nil, errIfMatch
		}
		w.expect = v
	}
	if len(a.path) == 1 {
		s.foreseeWrite(a)
	}
	if a.method == http.MethodDelete {
		return w, nil
	}
	if err := a.jsonBody(); err != nil {
		return nil, err
	}
	return w, s.take(w, a.body)
}

// take parses, checks and indexes a resource.
func (s *Server) take(w *write, body []byte) error {
	r, err := fhir.Parse(body)
	if err != nil {
		return err
	}
	w.body, w.given, w.warned = body, r.ID(), nil
	list, _ := members(body, skipSpace(body, 0))
	for _, m := range list {
		if m.name == "meta" && body[m.valueAt] != '{' {
			return errMeta
		}
	}
	switch {
	case r.Type() != w.typ:
		return errOtherType
	case !s.serves(w.typ):
		return errType
	}
	if s.Check != nil {
		issues := s.Check(s.checking(w), r)
		for _, i := range issues {
			if i.Severity == "" || i.Severity == "error" || i.Severity == "fatal" {
				return &Fault{Status: http.StatusUnprocessableEntity, Issues: issues}
			}
		}
		w.warned = issues
	}
	if w.entries, err = s.Index(r); err != nil {
		return err
	}
	if s.Owner != nil {
		w.owner = s.Owner(r)
	}
	return nil
}

// checking is the context of Config.Check.
func (s *Server) checking(w *write) context.Context {
	ctx := withLeave(w.ctx, w.leave)
	if w.leave == nil || w.unordered {
		return ctx
	}
	r := &referring{server: s, ask: w.ask, from: s.in(w.ask), planned: map[string]bool{}}
	if w.id != "" {
		r.planned[w.typ+"/"+w.id] = true
	}
	if w.plan != nil {
		r.planned = w.plan.taken
		if w.plan.t != nil {
			r.from = inside{w.plan.t}
		}
	}
	return withReferring(ctx, r)
}

// create writes a new resource under an id of the server's (R4 3.1.0.8), unless a condition finds
// one.
func (s *Server) create(t *store.Tx, w *write) (*answer, error) {
	if err := w.may(Create, w.typ); err != nil {
		return nil, err
	}
	if w.ifNoneExist != "" {
		ps, err := pairs(strings.TrimPrefix(w.ifNoneExist, "?"))
		if err != nil {
			return nil, err
		}
		found, err := s.match(t, w, ps)
		if err != nil {
			return nil, err
		}
		if found != nil {
			return &answer{status: http.StatusOK, version: found, location: "here"}, nil
		}
	}
	if w.id == "" {
		w.id, w.fresh = newID(), true
	}
	return s.put(t, w, 0)
}

// update writes the next version of a resource, or the first under the caller's id (R4 3.1.0.3).
func (s *Server) update(t *store.Tx, w *write) (*answer, error) {
	if err := w.may(Update, w.typ); err != nil {
		return nil, err
	}
	if w.given != w.id {
		return nil, errOtherID
	}
	if w.expect > 0 {
		return s.put(t, w, w.expect)
	}
	return s.put(t, w, store.Any)
}

// put writes a version. One that says nothing new is still a version: its sender asked for it.
func (s *Server) put(t *store.Tx, w *write, expect int64) (*answer, error) {
	if w.typ == "Patient" && s.Owner != nil {
		w.owner = "Patient/" + w.id // its id may not have been known before
	}
	seen, err := store.Version{}, store.ErrNotFound
	if !w.fresh {
		seen, err = s.find(inside{t}, w.ask, w.typ, w.id)
	}
	if errors.Is(err, store.ErrNotFound) && w.given == w.id && w.leave.partial() {
		// Whether an id is free, or taken by what she may not see, is not to be told: who sees a part
		// does not choose ids.
		return nil, errForbidden
	}
	if err == nil && seen.Scope != store.Own {
		return nil, errForbidden // another organisation's
	}
	if w.method != http.MethodPost {
		there := &seen
		if err != nil {
			there = nil
		}
		if err := w.standing(there); err != nil {
			return nil, err
		}
	}
	if err == nil && expect != 0 && seen.Owner != w.owner {
		return nil, errMoved
	}
	if w.leave.Owner != "" && w.owner != w.leave.Owner {
		return nil, errForbidden // out of the compartment
	}
	v, err := t.Put(store.Put{Key: store.Key{Type: w.typ, ID: w.id}, Body: w.body, Entries: w.entries, Owner: w.owner, Expect: expect})
	if err != nil {
		return nil, err
	}
	out := &answer{status: http.StatusOK, version: &v, location: "here", issues: w.warned}
	if v.Method == store.Create {
		out.status = http.StatusCreated
	}
	return out, nil
}

// remove deletes a resource (R4 3.1.0.7). Deleting what is not there is no error.
func (s *Server) remove(t *store.Tx, w *write) (*answer, error) {
	if err := w.may(Delete, w.typ); err != nil {
		return nil, err
	}
	v, err := s.find(inside{t}, w.ask, w.typ, w.id)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		return &answer{status: http.StatusNoContent}, nil
	case err != nil:
		return nil, err
	case v.Scope != store.Own, w.leave.Owner != "" && w.leave.Owner != v.Owner:
		return nil, errForbidden
	}
	if err := w.standing(&v); err != nil {
		return nil, err
	}
	v, err = t.Delete(store.Put{Key: v.Key, Owner: v.Owner, Expect: w.expect})
	return &answer{status: http.StatusNoContent, version: &v}, err
}

// conditionalUpdate is R4 3.1.0.4.3.
func (s *Server) conditionalUpdate(t *store.Tx, w *write) (*answer, error) {
	found, err := s.match(t, w, w.query)
	switch {
	case err != nil:
		return nil, err
	case found == nil && w.given == "":
		w.id, w.fresh = newID(), true
		if err := w.may(Create, w.typ); err != nil {
			return nil, err
		}
		return s.put(t, w, 0)
	case found == nil:
		w.id = w.given
		if err := w.may(Update, w.typ); err != nil {
			return nil, err
		}
		return s.put(t, w, 0)
	case w.given != "" && w.given != found.ID:
		return nil, errOtherID
	}
	if err := w.may(Update, w.typ); err != nil {
		return nil, err
	}
	w.id = found.ID
	return s.put(t, w, w.expectOf(found))
}

// expectOf is what If-Match names, or what was found.
func (w *write) expectOf(found *store.Version) int64 {
	if w.expect > 0 {
		return w.expect
	}
	return found.VID
}

// conditionalDelete is R4 3.1.0.7.1: of one match, or of up to DeleteMany, all or none. _count in
// the condition is a bound that the caller sets herself: if more match, nothing is deleted.
func (s *Server) conditionalDelete(t *store.Tx, w *write) (*answer, error) {
	most, condition := s.DeleteMany, w.query
	for i, p := range w.query {
		if p.Name == "_count" && s.DeleteMany > 1 {
			n, err := strconv.Atoi(p.Value)
			if err != nil || n < 1 {
				return nil, errCount
			}
			most, condition = min(most, n), slices.Delete(slices.Clone(w.query), i, i+1)
			break
		}
	}
	found, err := s.matches(t, w, condition, most)
	if err != nil {
		return nil, err
	}
	out := &answer{status: http.StatusNoContent}
	for i := range found {
		w.id = found[i].ID
		one, err := s.remove(t, w)
		switch {
		case err != nil:
			return nil, err
		case len(found) == 1:
			return one, nil
		case one.version != nil:
			out.others = append(out.others, *one.version)
		}
	}
	return out, nil
}

// match finds the one resource that a condition means; nil if there is none. It sees what the
// caller sees.
func (s *Server) match(t *store.Tx, w *write, condition []search.Pair) (*store.Version, error) {
	found, err := s.matches(t, w, condition, 1)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// matches finds all that a condition means, if they are not more than most.
func (s *Server) matches(t *store.Tx, w *write, condition []search.Pair, most int) ([]store.Version, error) {
	q, err := search.Parse(w.typ, condition, search.Options{Params: s.Params, Now: s.Now(), Also: transport, Terminology: w.codes})
	if err != nil {
		return nil, err
	}
	switch {
	case len(q.Where) == 0:
		return nil, errNoCondition
	case len(q.Sort)+len(q.Include)+len(q.RevInclude)+len(q.Elements) > 0 || q.Cursor != "" || q.Count >= 0 || q.Total != 0 || q.Summary != 0:
		return nil, errCondition
	}
	q.Count = most + 1
	p, err := t.Search(store.Search{Query: q, Sight: w.leave.sight()})
	if err != nil {
		return nil, err
	}
	if len(p.Matches) > most {
		return nil, errMultiple
	}
	return p.Matches, nil
}

// represent puts into an answer what the caller prefers to get (R4 3.1.0.1.8).
func (s *Server) represent(w *write, out *answer) {
	if out.version == nil || out.status == http.StatusNoContent {
		return
	}
	switch w.returns {
	case returnMinimal:
	case returnOutcome:
		issues := out.issues
		if len(issues) == 0 {
			issues = []Issue{{Severity: "information", Type: "informational", Code: "rest-done", Text: "done"}}
		}
		out.body = outcomeOf(issues)
	default:
		out.body = present(out.version)
	}
}

// raw is JSON that is put into other JSON as it is.
type raw = json.RawMessage
