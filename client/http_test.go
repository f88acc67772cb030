package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"salus/ledger/tx"
)

// gate answers every request with one status and body, and remembers the last request.
func gate(t *testing.T, status int, body string) (*API, *http.Request) {
	t.Helper()
	var last http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last = *r.Clone(context.Background())
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return NewAPI(s.URL+"/", "secret"), &last
}

func TestGatewayErrorsKeepTheirMeaning(t *testing.T) {
	for _, s := range []struct {
		rule   string
		status int
		body   string
		check  func(err error) bool
	}{
		{"a refusal of the ledger", 422, `{"code":"0x0603","text":"consent: no"}`, func(err error) bool {
			code, ok := tx.CodeOf(err)
			return ok && code == 0x0603 && strings.Contains(err.Error(), "consent: no")
		}},
		{"busy", 503, `{"code":"busy","text":"later"}`, func(err error) bool { return errors.Is(err, ErrBusy) }},
		{"another problem", 404, `{"code":"unknown","text":"gateway: no such thing"}`, func(err error) bool {
			var p *Problem
			return errors.As(err, &p) && p.Status == 404 && p.Code == "unknown" && p.Error() == "gateway: no such thing"
		}},
		{"a code that is not a number", 422, `{"code":"0xzz","text":"?"}`, func(err error) bool {
			var p *Problem
			return errors.As(err, &p) && p.Code == "0xzz"
		}},
		{"members out of reach", 503, `{"code":"unreachable","text":"too few"}`, func(err error) bool {
			var p *Problem
			return errors.As(err, &p) && p.Code == "unreachable"
		}},
		{"somebody who is not a gateway", 502, `<html>Bad Gateway</html>`, func(err error) bool {
			var p *Problem
			return err != nil && !errors.As(err, &p) && strings.Contains(err.Error(), "502")
		}},
		{"an answer that is not JSON", 200, `salus`, func(err error) bool { return err != nil && !errors.Is(err, ErrUnreachable) }},
	} {
		api, last := gate(t, s.status, s.body)
		err := api.JSON(t.Context(), http.MethodPost, "/v1/x", struct{}{}, new(struct{}))
		if !s.check(err) {
			t.Errorf("%s: got %v", s.rule, err)
		}
		if last.Header.Get("Authorization") != "Bearer secret" || last.URL.Path != "/v1/x" {
			t.Errorf("%s: asked %s with %q", s.rule, last.URL.Path, last.Header.Get("Authorization"))
		}
	}
}

func TestNoGatewayIsUnreachable(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	api := NewAPI(s.URL, "")
	s.Close()
	if _, err := api.Head(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want %v", err, ErrUnreachable)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := api.Head(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("cancelled: got %v", err)
	}
	if err := api.Ping(ctx); !errors.Is(err, ErrUnreachable) {
		t.Errorf("ping: got %v, want %v", err, ErrUnreachable)
	}
}

// The token is for this gateway: it does not follow a redirection to somebody else.
// No header fields are none, not a crash.
func TestRequestWithoutHeaderFields(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer srv.Close()
	r, err := NewAPI(srv.URL, "token").DoWith(t.Context(), http.MethodGet, "/", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestTokenStaysWithTheGateway(t *testing.T) {
	seen := ""
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.URL.Path }))
	t.Cleanup(other.Close)
	s := httptest.NewServer(http.RedirectHandler(other.URL+"/stolen", http.StatusTemporaryRedirect))
	t.Cleanup(s.Close)
	err := NewAPI(s.URL, "secret").JSON(t.Context(), http.MethodPost, "/v1/tx", struct{}{}, nil)
	if err == nil || seen != "" {
		t.Errorf("got %v; the other server was asked for %q", err, seen)
	}
}

func TestResultTellsNotYetFromFailure(t *testing.T) {
	api, _ := gate(t, 404, `{"code":"unknown","text":"no"}`)
	if got, ok, err := api.Result(t.Context(), tx.Hash{1}); ok || err != nil {
		t.Errorf("not there: got %+v %v %v", got, ok, err)
	}
	api, _ = gate(t, 401, `{"code":"token","text":"no"}`)
	if _, ok, err := api.Result(t.Context(), tx.Hash{1}); ok || err == nil {
		t.Errorf("refused: got %v %v", ok, err)
	}
	want := Committed{ID: tx.Hash{1}, Height: 7, Code: 0x0603, Text: "no"}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	api, last := gate(t, 200, string(b))
	if got, ok, err := api.Result(t.Context(), tx.Hash{1}); got != want || !ok || err != nil {
		t.Errorf("got %+v %v %v", got, ok, err)
	}
	if last.URL.Path != "/v1/tx/"+want.ID.String() {
		t.Errorf("asked for %s", last.URL.Path)
	}
}

func TestAnswersInCBORAreStrict(t *testing.T) {
	api, _ := gate(t, 200, string(tx.MustEncode(note{7})))
	var got note
	if err := api.CBOR(t.Context(), http.MethodGet, "/x", nil, &got); err != nil || got.Intent != 7 {
		t.Errorf("got %+v, %v", got, err)
	}
	api, _ = gate(t, 200, string(tx.MustEncode(note{7}))+"\x00")
	if err := api.CBOR(t.Context(), http.MethodGet, "/x", nil, &got); err == nil {
		t.Error("a byte too much and nobody noticed")
	}
}
