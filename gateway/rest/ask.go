package rest

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"salus/fhir/search"
)

// An ask is one request: of HTTP, or one entry of a Bundle.
type ask struct {
	ctx    context.Context //nolint:containedctx // it lives as long as the request, and is handed on as one value
	leave  *Leave
	method string
	path   []string // below the base
	query  []search.Pair
	body   []byte
	reader io.Reader   // of the body, where an operation reads it itself
	header http.Header // of the request

	contentType, ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince, ifNoneExist string

	pretty  bool
	returns string // Prefer: return=
	lenient bool   // Prefer: handling=lenient

	explicit bool     // it said which
	entry    bool     // of a Bundle
	codes    foreseen // what its conditions asked of terminology
	within   finder   // of a transaction: what it has written so far is seen; nil otherwise
}

// The values of Prefer: return.
const (
	returnRepresentation = "representation"
	returnMinimal        = "minimal"
	returnOutcome        = "OperationOutcome"
)

// transport are the parameters that are about the answer's form; the query is read without them.
var transport = []string{"_format", "_pretty"}

// ask reads a request and asks the guard about it.
func (s *Server) ask(r *http.Request) (*ask, error) {
	h := r.Header
	a := &ask{
		ctx: r.Context(), method: r.Method, header: h, returns: returnRepresentation,
		contentType: h.Get("Content-Type"), ifMatch: h.Get("If-Match"), ifNoneMatch: h.Get("If-None-Match"),
		ifModifiedSince: h.Get("If-Modified-Since"), ifUnmodifiedSince: h.Get("If-Unmodified-Since"), ifNoneExist: h.Get("If-None-Exist"),
	}
	path := strings.Trim(strings.TrimPrefix(r.URL.Path, s.Prefix), "/")
	if path != "" {
		a.path = strings.Split(path, "/")
	}
	var err error
	if a.query, err = pairs(r.URL.RawQuery); err != nil {
		return nil, err
	}
	a.preferences(h)
	if err := s.format(a, h.Get("Accept")); err != nil {
		return a, err
	}
	if len(a.path) == 1 && a.path[0] == "metadata" {
		return a, nil // everybody may know what is served
	}
	if a.leave, err = s.Guard.Admit(r); err != nil {
		return a, err
	}
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return a, errEncoding
	}
	if r.Method == http.MethodPost && s.streams(a.path) {
		a.reader = r.Body
		return a, nil
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		if a.body, err = ReadBody(r, s.MaxBody); err != nil {
			return a, err
		}
	}
	if strings.HasSuffix(path, "_search") && r.Method == http.MethodPost {
		return a, a.form()
	}
	return a, nil
}

// pairs reads a query string in its order.
func pairs(raw string) (list []search.Pair, err error) {
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, fault(http.StatusBadRequest, "invalid", "rest-query", "the query string is not one")
		}
		list = append(list, search.Pair{Name: n, Value: v})
	}
	return list, nil
}

// form takes the parameters of a search that was sent as a form; those of the address count too.
func (a *ask) form() error {
	typ, _, err := mime.ParseMediaType(a.contentType)
	if len(a.body) > 0 && (err != nil || typ != "application/x-www-form-urlencoded") {
		return fault(http.StatusUnsupportedMediaType, "not-supported", "rest-form", "send application/x-www-form-urlencoded")
	}
	more, err := pairs(string(a.body))
	a.query = append(a.query, more...)
	return err
}

func (a *ask) param(name string) (string, bool) {
	i := slices.IndexFunc(a.query, func(p search.Pair) bool { return p.Name == name })
	if i < 0 {
		return "", false
	}
	return a.query[i].Value, true
}

// format refuses formats that are not served (R4 3.1.0.1.11).
func (s *Server) format(a *ask, accept string) error {
	if p, ok := a.param("_pretty"); ok {
		a.pretty = p == "true"
	}
	_, err := asked(a.query, accept, s.Formats)
	return err
}

// preferences reads Prefer (RFC 7240, R4 3.1.0.1.8). What is unknown is ignored, as the RFC says.
func (a *ask) preferences(h http.Header) {
	for _, line := range h.Values("Prefer") {
		for part := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ',' || r == ';' }) {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			value = strings.Trim(strings.TrimSpace(value), `"`)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "return":
				switch value {
				case returnRepresentation, returnMinimal, returnOutcome:
					a.returns, a.explicit = value, true
				}
			case "handling":
				switch value {
				case "lenient":
					a.lenient = true
				case "strict":
					a.lenient = false
				}
			}
		}
	}
}

// jsonBody refuses a body of another type than FHIR's JSON. One of XML has become that before (see InXML).
func (a *ask) jsonBody() error {
	if a.entry {
		return nil
	}
	if f, err := media(a.contentType); err != nil || f != JSON {
		return errMedia
	}
	return nil
}

// may refuses what the caller may not do.
func (a *ask) may(i Interaction, typ string) error {
	if a.leave.May != nil && !a.leave.May(i, typ) {
		return errForbidden
	}
	return nil
}
