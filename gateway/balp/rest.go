package balp

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// maxQuery bounds what is kept of a query, in bytes.
const maxQuery = 16 << 10

// Request begins the event of a RESTful interaction: kind, outcome, client and server address, request
// id and, for a search, the query as it was asked. form is the body of a search by POST, nil otherwise.
// Who asked, what for and about whom, the caller fills in: tokens are not read here. prefix is the path
// of the server's base.
func Request(r *http.Request, form url.Values, prefix string, status int) Event {
	e := Event{
		Kind: kindOf(r, prefix), Outcome: OutcomeOf(status), Request: RequestID(r),
		Client: Who{Address: r.RemoteAddr},
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		e.Client.Address = host
	}
	e.Client.Display = e.Client.Address
	switch e.Kind {
	case Search, SearchAll, Operation:
		q := r.Method + " " + r.URL.RequestURI()
		if len(form) > 0 {
			q += "\n\n" + form.Encode()
		}
		e.Query = limited(q, maxQuery)
	case Batch, Whole:
	default:
		if ref := instance(r.URL.Path, prefix); ref != "" {
			e.Resources = []string{ref}
		}
	}
	return e
}

// RequestID is what a client calls its request (X-Request-Id, R4 3.1.0.1.13): the first 128 bytes of it.
func RequestID(r *http.Request) string { return limited(r.Header.Get("X-Request-Id"), 128) }

func limited(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

func segmentsOf(path, prefix string) []string {
	path = strings.Trim(strings.TrimPrefix(path, prefix), "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// instance is "Type/id" or "Type/id/_history/vid" of an address; "" for any other.
func instance(path, prefix string) string {
	p := segmentsOf(path, prefix)
	switch {
	case len(p) == 4 && p[2] == "_history":
		return strings.Join(p, "/")
	case len(p) == 2 || len(p) == 3 && p[2] == "_history":
		return strings.Join(p[:2], "/")
	}
	return ""
}

// kindOf tells the interaction from method and address (R4 3.1.0.0.1).
func kindOf(r *http.Request, prefix string) Kind {
	p := segmentsOf(r.URL.Path, prefix)
	last := ""
	if len(p) > 0 {
		last = p[len(p)-1]
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case strings.HasPrefix(last, "$"), len(p) > 0 && strings.HasPrefix(p[0], "$"): // what an operation made has its address below it
		return Operation
	case read && len(p) == 4 && p[2] == "_history":
		return VRead
	case read && last == "_history":
		return History
	case len(p) == 0 && read, len(p) == 1 && last == "_search":
		return SearchAll
	case last == "_search", read && (len(p) == 1 || len(p) == 3):
		return Search
	case read:
		return Read
	case r.Method == http.MethodPut:
		return Update
	case r.Method == http.MethodPatch:
		return Patch
	case r.Method == http.MethodDelete:
		return Delete
	case len(p) == 0:
		return Whole // a batch is told from it by its body only: the caller knows
	}
	return Create
}
