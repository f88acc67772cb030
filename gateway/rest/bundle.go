package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"salus/fhir"
	"salus/store"
)

// received is a Bundle as it comes in.
type received struct {
	Type  string `json:"type"`
	Entry []struct {
		FullURL  string  `json:"fullUrl"`
		Resource raw     `json:"resource"`
		Request  request `json:"request"`
	} `json:"entry"`
}

// bundle does the work of a batch or a transaction (R4 3.1.0.14).
func (s *Server) bundle(a *ask) (*answer, error) {
	if err := a.jsonBody(); err != nil {
		return nil, err
	}
	whole, err := fhir.Parse(a.body)
	if err != nil {
		return nil, err
	}
	var in received
	if whole.Type() != "Bundle" || json.Unmarshal(a.body, &in) != nil || in.Type != "batch" && in.Type != "transaction" {
		return nil, errBundle
	}
	if len(in.Entry) > s.MaxEntries {
		return nil, errBundleSize
	}
	asks := make([]*ask, len(in.Entry))
	faults := make([]error, len(in.Entry))
	for i := range in.Entry {
		e := &in.Entry[i]
		asks[i], faults[i] = s.entryAsk(a, e.Request, e.Resource)
		if faults[i] != nil && in.Type == "transaction" {
			return nil, faultOf(faults[i]).at(fmt.Sprintf("Bundle.entry[%d]", i))
		}
	}
	out := bundle{Type: in.Type + "-response"}
	if in.Type == "batch" {
		for i, x := range asks {
			ans, err := (*answer)(nil), faults[i]
			if err == nil {
				ans, err = s.route(x)
			}
			if err != nil {
				f := s.faultOf(a.ctx, err)
				ans = &answer{status: f.Status, body: outcomeOf(f.Issues)}
			}
			out.Entry = append(out.Entry, s.responseEntry(x, ans))
		}
		return &answer{status: http.StatusOK, body: out.encode()}, nil
	}
	urls := make([]string, len(in.Entry))
	for i := range in.Entry {
		urls[i] = in.Entry[i].FullURL
	}
	answers, err := s.transaction(a, asks, urls)
	if err != nil {
		return nil, err
	}
	done := &answer{status: http.StatusOK, header: s.wrote(a, asks, answers)}
	for i, ans := range answers {
		out.Entry = append(out.Entry, s.responseEntry(asks[i], ans))
	}
	done.body = out.encode()
	return done, nil
}

// entryAsk is an entry as a request of its own.
func (s *Server) entryAsk(of *ask, r request, resource []byte) (*ask, error) {
	a := &ask{
		ctx: of.ctx, leave: of.leave, method: r.Method, header: of.header, body: resource, returns: of.returns, explicit: of.explicit, lenient: of.lenient, entry: true,
		ifMatch: r.IfMatch, ifNoneMatch: r.IfNoneMatch, ifModifiedSince: r.IfModifiedSince, ifNoneExist: r.IfNoneExist,
	}
	if !a.explicit {
		a.returns = returnMinimal
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete:
		if len(resource) > 0 {
			return a, errEntry
		}
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		if len(resource) == 0 && !strings.Contains(r.URL, "$") {
			return a, errEntry
		}
	default:
		return a, errEntry
	}
	u := strings.TrimPrefix(r.URL, s.Base+"/")
	path, query, _ := strings.Cut(u, "?")
	path = strings.Trim(path, "/")
	if path == "" || strings.Contains(path, ":") {
		return a, errEntry // also a Bundle in a Bundle
	}
	for part := range strings.SplitSeq(path, "/") {
		p, err := url.PathUnescape(part)
		if err != nil {
			return a, errEntry
		}
		a.path = append(a.path, p)
	}
	var err error
	a.query, err = pairs(query)
	return a, err
}

// responseEntry tells how an entry went.
func (s *Server) responseEntry(a *ask, ans *answer) entry {
	e := entry{Response: &response{Status: fmt.Sprintf("%d %s", ans.status, http.StatusText(ans.status))}}
	if v := ans.version; v != nil {
		e.Response.ETag, e.Response.LastModified = etag(v.VID), v.Updated.Format(instant)
		if a.method == http.MethodPost || a.method == http.MethodPut || a.method == http.MethodPatch {
			e.FullURL = s.url(v)
			e.Response.Location = fmt.Sprintf("%s/_history/%d", s.url(v), v.VID)
		}
	}
	if ans.status >= 400 || a.explicit && a.returns == returnOutcome {
		e.Response.Outcome = ans.body
	} else if len(ans.body) > 0 {
		e.Resource = ans.body
	}
	return e
}

// rank is the order in which a transaction's entries are done (R4 3.1.0.14.2).
func rank(method string) int {
	switch method {
	case http.MethodDelete:
		return 0
	case http.MethodPost:
		return 1
	case http.MethodPut, http.MethodPatch:
		return 2
	}
	return 3
}

// transaction does all of the entries or none.
func (s *Server) transaction(a *ask, asks []*ask, urls []string) ([]*answer, error) {
	p := &plan{Server: s, ids: map[string]string{}}
	for i, x := range asks {
		if err := p.add(i, x, urls[i]); err != nil {
			return nil, faultOf(err).at(fmt.Sprintf("Bundle.entry[%d]", i))
		}
	}
	if slices.ContainsFunc(asks, func(x *ask) bool { return x.method != http.MethodGet && x.method != http.MethodHead }) {
		if err := s.room(len(a.body)); err != nil {
			return nil, err
		}
	}
	// Most transactions know all their ids beforehand: then everything is parsed, checked and
	// indexed before the store is kept waiting.
	if !p.conditional {
		if err := p.take(nil); err != nil {
			return nil, err
		}
	}
	order := make([]int, len(asks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return rank(asks[x].method) - rank(asks[y].method) })
	answers := make([]*answer, len(asks))
	err := s.Store.Write(a.ctx, func(t *store.Tx) error {
		p.t = t
		if p.conditional {
			if err := p.settle(t); err != nil {
				return err
			}
			if err := p.take(t); err != nil {
				return err
			}
		}
		for _, i := range order {
			ans, err := p.do(t, i)
			if err != nil {
				return place(err, i)
			}
			answers[i] = ans
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, w := range p.writes {
		if w != nil {
			s.represent(w, answers[i])
		}
	}
	return answers, nil
}

// wrote tells of all that a transaction wrote, and returns what is to be said of it.
func (s *Server) wrote(a *ask, asks []*ask, answers []*answer) http.Header {
	var changes []*answer
	for i, ans := range answers {
		if m := asks[i].method; m != http.MethodGet && m != http.MethodHead {
			changes = append(changes, ans)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	first := &answer{}
	s.written(a, append([]*answer{first}, changes...)...)
	return first.header
}

// place names the entry that an error is about. An error of the server's own stays what it is.
func place(err error, i int) error {
	if f := faultOf(err); f != errInternal && f != errBusy && f != errHungUp {
		return f.at(fmt.Sprintf("Bundle.entry[%d]", i))
	}
	return err
}

// do makes one entry's change, or answers its question.
func (p *plan) do(t *store.Tx, i int) (*answer, error) {
	w := p.writes[i]
	if w == nil {
		a := p.asks[i]
		a.within = inside{t}
		return p.route(a)
	}
	switch w.method {
	case http.MethodDelete:
		if len(w.path) == 1 {
			return p.conditionalDelete(t, w)
		}
		return p.remove(t, w)
	case http.MethodPatch:
		return p.patchInside(t, w)
	case http.MethodPost:
		if p.found[i] != nil {
			return &answer{status: http.StatusOK, version: p.found[i], location: "here"}, nil
		}
		if err := w.may(Create, w.typ); err != nil {
			return nil, err
		}
		return p.put(t, w, 0)
	}
	if len(w.path) == 1 {
		if err := w.may(Update, w.typ); err != nil {
			return nil, err
		}
		if p.found[i] == nil {
			return p.put(t, w, 0)
		}
		return p.put(t, w, w.expectOf(p.found[i]))
	}
	return p.update(t, w)
}
