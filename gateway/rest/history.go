package rest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"salus/fhir/search"
	"salus/store"
)

// history answers with versions, the last first (R4 3.1.0.11). The next page begins below the
// lowest version of the last; that number is sealed into the link by the store's order of writing,
// which says nothing about anybody else's resources to a caller who may see them all.
func (s *Server) history(a *ask, typ, id string) (*answer, error) {
	if err := a.may(History, typ); err != nil {
		return nil, err
	}
	past := store.Past{Type: typ, ID: id, Scopes: a.leave.Scopes, Count: s.PageSize}
	var rest []search.Pair
	for _, p := range a.query {
		switch p.Name {
		case "_since":
			r, ok := search.Instants(p.Value)
			if !ok {
				return nil, errSince
			}
			past.Since = milli(r.Low)
		case "_count":
			n, err := strconv.Atoi(p.Value)
			if err != nil || n < 1 {
				return nil, errCount
			}
			past.Count = min(n, search.MaxCount)
		case "_cursor":
			seq, err := s.Store.OpenSeq(p.Value)
			if err != nil {
				return nil, err
			}
			past.Before = seq
			continue
		case "_format", "_pretty":
		default:
			if !a.lenient {
				return nil, fault(http.StatusBadRequest, "not-supported", "rest-history-parameter", "a history takes _since, _count and _format")
			}
		}
		rest = append(rest, p)
	}
	if id != "" {
		// The history of what the caller may not see is not there.
		if _, err := s.find(outside{s.Store}, a, typ, id); err != nil && faultOf(err) != errGone {
			return nil, err
		}
		if _, conditions := a.leave.Within[typ]; conditions {
			return nil, errForbidden // nobody can tell whether the conditions held for former versions
		}
	} else if a.leave.Owner != "" || len(a.leave.Within) > 0 {
		return nil, errForbidden // versions have no index that could be restricted
	}
	past.Count++
	list, total, err := s.Store.History(a.ctx, past)
	if err != nil {
		return nil, err
	}
	b := bundle{Type: "history", Total: &total}
	b.link("self", s.address(a, rest))
	if len(list) == past.Count {
		list = list[:len(list)-1]
		next := append(append([]search.Pair{}, rest...), search.Pair{Name: "_cursor", Value: s.Store.SealSeq(list[len(list)-1].Seq)})
		b.link("next", s.address(a, next))
	}
	for i := range list {
		b.Entry = append(b.Entry, s.historyEntry(&list[i]))
	}
	return &answer{status: http.StatusOK, body: b.encode()}, nil
}

func (s *Server) historyEntry(v *store.Version) entry {
	e := entry{FullURL: s.url(v), Response: &response{ETag: etag(v.VID), LastModified: v.Updated.Format(instant)}}
	e.Request = &request{Method: http.MethodPut, URL: v.Type + "/" + v.ID}
	e.Response.Status = "200"
	switch v.Method {
	case store.Create:
		e.Request = &request{Method: http.MethodPost, URL: v.Type}
		e.Response.Status = "201"
	case store.Delete:
		e.Request.Method, e.Response.Status = http.MethodDelete, "204"
	}
	if len(v.Body) > 0 {
		e.Resource = present(v)
	}
	return e
}

// address is that of a request with other parameters.
func (s *Server) address(a *ask, ps []search.Pair) string {
	var u strings.Builder
	u.WriteString(s.Base)
	for _, p := range a.path {
		if p != "_search" {
			u.WriteString("/" + p)
		}
	}
	sep := "?"
	for _, p := range ps {
		u.WriteString(sep + url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
		sep = "&"
	}
	return u.String()
}
