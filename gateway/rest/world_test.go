package rest

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/search"
	"salus/store"
	"salus/store/storetest"
)

// some are a few of R4's search parameters.
type some map[string][]*search.Param

func (s some) Param(typ, code string) (*search.Param, bool) {
	for _, p := range append(slices.Clone(s[typ]), s["Resource"]...) {
		if p.Code == code {
			return p, true
		}
	}
	return nil, false
}

func (s some) Known(typ string) bool { return typ != "Resource" && s[typ] != nil }

func (s some) List(typ string) []*search.Param { return append(slices.Clone(s["Resource"]), s[typ]...) }

var params = some{
	"Resource": {{Code: "_id", Kind: search.Token}, {Code: "_lastUpdated", Kind: search.Date}},
	"Patient": {
		{Code: "identifier", Kind: search.Token},
		{Code: "family", Kind: search.String},
		{Code: "gender", Kind: search.Token},
		{Code: "general-practitioner", Kind: search.Reference, Targets: []string{"Practitioner"}},
	},
	"Practitioner": {{Code: "family", Kind: search.String}},
	"Observation": {
		{Code: "code", Kind: search.Token},
		{Code: "subject", Kind: search.Reference, Targets: []string{"Patient"}},
		{Code: "patient", Kind: search.Reference, Targets: []string{"Patient"}},
		{Code: "date", Kind: search.Date},
	},
}

// index knows just enough of FHIR for these tests.
func index(r fhir.Resource) (out []search.Entry, err error) {
	var x struct {
		Identifier []struct{ System, Value string }
		Name       []struct{ Family string }
		Gender     string
		Code       struct {
			Coding []struct{ System, Code string }
		}
		Subject             struct{ Reference string }
		GeneralPractitioner []struct{ Reference string }
		EffectiveDateTime   string
	}
	if err := json.Unmarshal(r.Raw(), &x); err != nil {
		return nil, fault(http.StatusBadRequest, "structure", "test-structure", "an element has another type")
	}
	add := func(code string, k search.Kind, v search.Value, exact string) {
		out = append(out, search.Entry{Code: code, Kind: k, Value: v, Exact: exact})
	}
	for _, i := range x.Identifier {
		add("identifier", search.Token, search.Value{System: i.System, Text: i.Value}, "")
	}
	for _, n := range x.Name {
		add("family", search.String, search.Value{Text: search.Fold(n.Family)}, n.Family)
	}
	if x.Gender != "" {
		add("gender", search.Token, search.Value{System: "http://hl7.org/fhir/administrative-gender", Text: x.Gender}, "")
	}
	for _, c := range x.Code.Coding {
		add("code", search.Token, search.Value{System: c.System, Text: c.Code}, "")
	}
	if x.Subject.Reference != "" {
		add("subject", search.Reference, search.Value{Text: x.Subject.Reference}, "")
		add("patient", search.Reference, search.Value{Text: x.Subject.Reference}, "")
	}
	for _, g := range x.GeneralPractitioner {
		add("general-practitioner", search.Reference, search.Value{Text: g.Reference}, "")
	}
	if d, ok := search.Instants(x.EffectiveDateTime); ok {
		add("date", search.Date, search.Value{Range: d}, "")
	}
	return out, nil
}

func owner(r fhir.Resource) string {
	o, _ := r.Patient()
	return o
}

// A lenient guard admits everybody to what its leave says.
type guard struct{ leave Leave }

func (g *guard) Admit(r *http.Request) (*Leave, error) {
	if r.Header.Get("X-Nobody") != "" {
		return nil, ErrUnauthorized
	}
	l := g.leave
	if l.Scopes == nil {
		l.Scopes = []store.Scope{store.Own}
	}
	return &l, nil
}

type world struct {
	t     testing.TB
	s     *Server
	guard *guard
}

func newWorld(t testing.TB) *world {
	t.Helper()
	st := storetest.Open(t, store.Options{})
	w := &world{t: t, guard: &guard{}}
	w.s = New(Config{
		Store: st, Params: params, Types: []string{"Observation", "Patient", "Practitioner"}, Index: index, Owner: owner, Guard: w.guard,
		Base: "http://example.org/fhir", Prefix: "/fhir", Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), MaxBody: 1 << 20,
		Subset: func(string) (summary, mandatory []string) {
			return []string{"name", "gender"}, []string{"status", "code"}
		},
	})
	return w
}

// A reply is an answer of the server.
type reply struct {
	*http.Response
	body []byte
}

// do sends "METHOD path" with headers "Name: value".
func (w *world) do(what, body string, headers ...string) reply {
	w.t.Helper()
	method, path, _ := strings.Cut(what, " ")
	r := httptest.NewRequestWithContext(w.t.Context(), method, "/fhir"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	w.s.ServeHTTP(rec, r)
	res := rec.Result()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if res.StatusCode >= 500 {
		w.t.Errorf("%s: got %d %s", what, res.StatusCode, b)
	}
	return reply{res, b}
}

// want fails the test unless the status is that.
func (w *world) want(status int, what, body string, headers ...string) reply {
	w.t.Helper()
	r := w.do(what, body, headers...)
	if r.StatusCode != status {
		w.t.Fatalf("%s: got %d, want %d\n%s", what, r.StatusCode, status, r.body)
	}
	return r
}

// refused fails the test unless the answer is an OperationOutcome with that code.
func (w *world) refused(status int, code, what, body string, headers ...string) {
	w.t.Helper()
	r := w.do(what, body, headers...)
	if got := r.code(w.t); r.StatusCode != status || got != code {
		w.t.Errorf("%s: got %d %s, want %d %s", what, r.StatusCode, got, status, code)
	}
}

// code is that of an OperationOutcome's first issue.
func (r reply) code(t testing.TB) string {
	t.Helper()
	var o outcome
	if err := json.Unmarshal(r.body, &o); err != nil || o.ResourceType != "OperationOutcome" || len(o.Issue) == 0 {
		return "no OperationOutcome: " + string(r.body)
	}
	i := o.Issue[0]
	if i.Details.Text == "" || i.Code == "" || len(i.Details.Coding) != 1 {
		t.Errorf("an incomplete issue: %+v", i)
	}
	return i.Details.Coding[0].Code
}

// set is a Bundle that was received.
type set struct {
	Type  string
	Total *int
	Link  []link
	Entry []struct {
		FullURL  string
		Resource json.RawMessage
		Search   struct{ Mode string }
		Response response
		Request  request
	}
}

func (r reply) set(t testing.TB) set {
	t.Helper()
	var s set
	if err := json.Unmarshal(r.body, &s); err != nil {
		t.Fatalf("no Bundle: %v\n%s", err, r.body)
	}
	return s
}

// ids are those of the entries' resources.
func (s set) ids(t testing.TB) (out []string) {
	t.Helper()
	for _, e := range s.Entry {
		var x struct{ ResourceType, ID string }
		if err := json.Unmarshal(e.Resource, &x); err != nil {
			t.Fatal(err)
		}
		out = append(out, x.ResourceType+"/"+x.ID)
	}
	return out
}

func (s set) next() string {
	for _, l := range s.Link {
		if l.Relation == "next" {
			return strings.TrimPrefix(l.URL, "http://example.org/fhir")
		}
	}
	return ""
}

func contains(b []byte, s string) bool { return bytes.Contains(b, []byte(s)) }
