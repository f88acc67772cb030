package rest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"salus/fhir"
	"salus/fhir/search"
)

// maxListed bounds the entries of a List that _list searches in.
const maxListed = 1000

var (
	errList     = fault(http.StatusBadRequest, "value", "rest-list", "_list is the id of one List, in a search of one type; functional lists ($current-problems) are not served")
	errListLong = fault(http.StatusBadRequest, "too-costly", "rest-list-long", "the List has more entries than this server searches in")
)

// conditions are a search's parameters as they are read: _list (R4 3.1.1.5.10) has become the ids
// that the List names. A List that is hidden, and one that is not there, name none.
func (s *Server) conditions(a *ask, typ string) ([]search.Pair, error) {
	out := a.query
	for i, p := range a.query {
		name, _, _ := strings.Cut(p.Name, ":")
		switch {
		case name != "_list":
			continue
		case name != p.Name:
			return nil, errList
		}
		ids, err := s.listed(a, p.Value, typ)
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 {
			ids = []string{noID}
		}
		if &out[0] == &a.query[0] {
			out = slices.Clone(a.query)
		}
		out[i] = search.Pair{Name: "_id", Value: strings.Join(ids, ",")}
	}
	return out, nil
}

// noID has the form of an id and is longer than one: nothing has it.
const noID = "00000000-0000-0000-0000-000000000000-00000000-0000-0000-0000-000000000000"

// typeAndID takes a reference to a resource on this server apart.
func typeAndID(params search.Params, ref string) (typ, id string, ok bool) {
	if local, is := params.(search.Localizer); is {
		ref = local.Local(ref)
	}
	ref, _, _ = strings.Cut(ref, "/_history/")
	typ, id, ok = strings.Cut(ref, "/")
	return typ, id, ok && fhirID(id)
}

// listed are the ids of a type that a List, if the caller sees it, names and has not deleted; nil if
// there are none.
func (s *Server) listed(a *ask, id, typ string) ([]string, error) {
	if !fhirID(id) || typ == "" || len(a.path) == 0 {
		return nil, errList
	}
	if err := a.may(Read, "List"); err != nil {
		return nil, err
	}
	v, err := s.find(s.in(a), a, "List", id)
	if IsGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := fhir.Parse(v.Body); err != nil {
		return nil, err
	}
	var list struct {
		Entry []struct {
			Deleted bool
			Item    struct{ Reference string }
		}
	}
	if json.Unmarshal(v.Body, &list) != nil {
		return nil, nil // of a form that validation would have refused
	}
	var ids []string
	for _, e := range list.Entry {
		if t, id, ok := typeAndID(s.Params, e.Item.Reference); ok && t == typ && !e.Deleted && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) > maxListed {
		return nil, errListLong
	}
	return ids, nil
}
