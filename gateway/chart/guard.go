package chart

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"salus/gateway/rest"
	"salus/record"
	"salus/store"
)

// HeaderPatient names the patient of a request whose address does not: "Patient/<id>".
const HeaderPatient = "Salus-Patient"

// maxForm bounds the form of a search that is read for its patient.
const maxForm = 64 << 10

// Admit implements rest.Guard. A request that reads, by a caller who named a purpose, sees what a
// ledger session for that purpose may open about the patient whom the request is about, beside the
// organisation's own. One that names no patient sees the charts which its caller has open.
func (s *Service) Admit(r *http.Request) (*rest.Leave, error) {
	c, err := s.Caller(r)
	if err != nil {
		return nil, err
	}
	l := &rest.Leave{Scopes: []store.Scope{store.Own}, Owner: c.Patient, May: c.May, Within: c.Within, Client: c.Client}
	if c.Name == "" || c.Purpose == 0 || !reads(r) {
		return l, nil
	}
	ref := c.Patient
	if ref == "" {
		if ref, err = Subject(r); err != nil {
			return nil, err
		}
	}
	if ref == "" {
		l.Scopes = append(l.Scopes, s.opened(r.Context(), c.Name, c.Purpose)...)
		return l, nil
	}
	patient, err := s.Record.Known(ref)
	if errors.Is(err, record.ErrUnknownPatient) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	scope, err := s.chart(r.Context(), chartKey{c.Name, patient, c.Purpose}, ref)
	if err != nil {
		// What this organisation has itself must not depend on the others: an answer without theirs
		// says so.
		s.Log.WarnContext(r.Context(), "network_not_asked", "err", err)
		l.Issues = append(l.Issues, incomplete)
		return l, nil
	}
	if scope != store.Own {
		l.Scopes = append(l.Scopes, scope)
	}
	return l, nil
}

// incomplete is said with an answer that lacks what other organisations may have.
var incomplete = rest.Issue{
	Severity: "warning", Type: "incomplete", Code: "chart-network",
	Text: "the other organisations could not be asked: the answer holds only what this organisation has",
}

// reads reports whether a request only asks.
func reads(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodPost && (strings.HasSuffix(r.URL.Path, "/_search") || strings.Contains(r.URL.Path, "/$"))
}

// Subject finds the one patient whom a request is about, "Patient/<id>"; "" if it is about none, or
// about several.
func Subject(r *http.Request) (string, error) {
	if h := r.Header.Get(HeaderPatient); h != "" {
		ref := patientRef(h)
		if ref == "" {
			return "", errPatient
		}
		return ref, nil
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	for i, p := range parts[:len(parts)-1] {
		if p == "Patient" && !strings.HasPrefix(parts[i+1], "_") && !strings.HasPrefix(parts[i+1], "$") {
			return patientRef(p + "/" + parts[i+1]), nil
		}
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", nil //nolint:nilerr // what is wrong with it, the server says
	}
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/_search") {
		for k, v := range peek(r) {
			q[k] = append(q[k], v...)
		}
	}
	return onePatient(q, parts[len(parts)-1] == "Patient"), nil
}

// onePatient is the patient that a query names, if it is one.
func onePatient(q url.Values, patients bool) string {
	found := ""
	for _, k := range []string{"patient", "subject", "patient:Patient", "subject:Patient", "_id"} {
		if k == "_id" && !patients {
			continue
		}
		for _, v := range q[k] {
			ref := patientRef(v)
			if ref == "" || found != "" && found != ref {
				return ""
			}
			found = ref
		}
	}
	return found
}

// patientRef is "Patient/<id>" of a reference or an id; "" for anything else.
func patientRef(s string) string {
	s = strings.TrimPrefix(s, "Patient/")
	m := relative.FindStringSubmatch("Patient/" + s)
	if m == nil || m[3] != "" {
		return ""
	}
	return "Patient/" + s
}

// peek reads a form and leaves it to be read again.
func peek(r *http.Request) url.Values {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(b), r.Body), r.Body}
	if err != nil || len(b) > maxForm {
		return nil // the server says what is wrong with it
	}
	form, err := url.ParseQuery(string(b))
	if err != nil {
		return nil
	}
	return form
}

var errPatient = rest.NewFault(http.StatusBadRequest, "value", "chart-patient", "the header "+HeaderPatient+" names a patient as Patient/<id>")
