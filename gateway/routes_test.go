package gateway

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// bare is a gateway without anything behind it: what it refuses before it needs that.
func bare(t *testing.T) *Gateway {
	return New(Config{
		Token: strings.Repeat("a1", 32), Registry: prometheus.NewRegistry(), Ready: func() error { return nil },
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
}

var wildcard = regexp.MustCompile(`\{[a-z]+\}`)

// request builds a request for a route of the table.
func request(pattern string, body io.Reader) *http.Request {
	method, path, _ := strings.Cut(pattern, " ")
	return httptest.NewRequest(method, wildcard.ReplaceAllString(path, "x"), body)
}

func answerOf(t *testing.T, h http.Handler, r *http.Request) (int, Problem) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var p Problem
	if w.Code/100 != 2 {
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatalf("%s %s: the answer of status %d is no problem: %v", r.Method, r.URL.Path, w.Code, err)
		}
	}
	return w.Code, p
}

func TestEveryRouteButThreeNeedsTheToken(t *testing.T) {
	g := bare(t)
	h := g.routes()
	var open []string
	for _, rt := range g.table() {
		if rt.access.open {
			open = append(open, rt.pattern)
			continue
		}
		for name, header := range map[string]string{
			"none": "", "empty": "Bearer ", "another": "Bearer " + strings.Repeat("b2", 32), "cut": "Bearer " + g.Token[:63],
			"longer": "Bearer " + g.Token + "0", "no scheme": g.Token, "another scheme": "Basic " + g.Token, "lower case": "bearer " + g.Token,
		} {
			r := request(rt.pattern, nil)
			if header != "" {
				r.Header.Set("Authorization", header)
			}
			if status, p := answerOf(t, h, r); status != http.StatusUnauthorized || p.Code != "token" {
				t.Errorf("%s with the token %q: got %d %q, want 401 token", rt.pattern, name, status, p.Code)
			}
		}
	}
	if want := []string{"GET /healthz", "GET /readyz", "GET /metrics"}; !slices.Equal(open, want) {
		t.Errorf("open are %v, want %v", open, want)
	}
	for _, pattern := range open {
		if status, _ := answerOf(t, h, request(pattern, nil)); status != http.StatusOK {
			t.Errorf("%s: got %d without a token, want 200", pattern, status)
		}
	}
}

// TestWhatIsNotInTheTableTellsNothing: paths and methods that do not exist need the token too.
func TestWhatIsNotInTheTableTellsNothing(t *testing.T) {
	h := bare(t).routes()
	for _, pattern := range []string{"GET /", "GET /v1/nothing", "DELETE /v1/status", "POST /healthz", "GET /v1/records/", "PUT /v1/tx"} {
		r := request(pattern, nil)
		if status, p := answerOf(t, h, r); status != http.StatusUnauthorized || p.Code != "token" {
			t.Errorf("%s: got %d %q, want 401 token", pattern, status, p.Code)
		}
		r = request(pattern, nil)
		r.Header.Set("Authorization", "Bearer "+strings.Repeat("a1", 32))
		if status, p := answerOf(t, h, r); status != http.StatusNotFound || p.Code != "unknown" {
			t.Errorf("%s with the token: got %d %q, want 404 unknown", pattern, status, p.Code)
		}
	}
}

func TestBodiesAreBoundedAndStrict(t *testing.T) {
	g := bare(t)
	type known struct {
		A string `json:"a"`
	}
	probe := route{access: small, handle: func(w http.ResponseWriter, r *http.Request) error {
		var k known
		if err := body(r, &k); err != nil {
			return err
		}
		return answer(w, k)
	}}
	for name, x := range map[string]struct {
		body, code string
		status     int
	}{
		"good":            {`{"a":"b"}`, "", 200},
		"space behind":    {"{\"a\":\"b\"}\n ", "", 200},
		"unknown field":   {`{"a":"b","c":1}`, "argument", 400},
		"wrong type":      {`{"a":1}`, "argument", 400},
		"no JSON":         {`hello`, "argument", 400},
		"cut":             {`{"a":"b"`, "argument", 400},
		"nothing":         {``, "argument", 400},
		"two values":      {`{"a":"b"}{"a":"c"}`, "argument", 400},
		"garbage behind":  {`{"a":"b"}]`, "argument", 400},
		"too large":       {`{"a":"` + strings.Repeat("x", 1<<20) + `"}`, "too-large", 413},
		"too large spare": {`{"a":"b"}` + strings.Repeat(" ", 1<<20), "too-large", 413},
	} {
		r := httptest.NewRequest("POST", "/probe", strings.NewReader(x.body))
		r.Header.Set("Authorization", "Bearer "+g.Token)
		if status, p := answerOf(t, g.serve(probe), r); status != x.status || p.Code != x.code {
			t.Errorf("%s: got %d %q, want %d %q", name, status, p.Code, x.status, x.code)
		}
	}
	// Every route has a bound, and an open one takes no body at all.
	for _, rt := range g.table() {
		if rt.access.open != (rt.access.bytes == 0) || rt.access.bytes > whole.bytes {
			t.Errorf("%s: bound %d", rt.pattern, rt.access.bytes)
		}
	}
}
