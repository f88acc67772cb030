package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"salus/gateway/balp"
	"salus/ledger/tx"
)

// What is answered about a patient is recorded before, also to whom it was refused; what cannot be recorded is not answered.
func TestWhatIsAnsweredAboutAPatientIsToldBefore(t *testing.T) {
	g := bare(t)
	type told struct {
		patient tx.Account
		query   string
		outcome balp.Outcome
	}
	var got []told
	var full error
	g.Tell = func(_ context.Context, patient tx.Account, e balp.Event) error {
		got = append(got, told{patient, e.Query, e.Outcome})
		return full
	}
	ask := func(method, path, token string, handle func(http.ResponseWriter, *http.Request) error, pattern string) (int, string) {
		m := http.NewServeMux()
		m.Handle(pattern, g.serve(route{pattern, access{bytes: 1 << 10, told: true}, handle}))
		r := httptest.NewRequest(method, path, strings.NewReader("secret"))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	alice := tx.Account{1}
	list := func(w http.ResponseWriter, _ *http.Request) error { return answer(w, []string{"something"}) }
	const pattern = "GET /v1/patients/{patient}/records"
	path := "/v1/patients/" + alice.String() + "/records"
	if status, body := ask("GET", path, g.Token, list, pattern); status != http.StatusOK || !strings.Contains(body, "something") {
		t.Errorf("got %d %q", status, body)
	}
	if status, _ := ask("GET", path, "another", list, pattern); status != http.StatusUnauthorized {
		t.Errorf("got %d, want 401", status)
	}
	if status, _ := ask("GET", path, g.Token, func(http.ResponseWriter, *http.Request) error { return errUnknown }, pattern); status != http.StatusNotFound {
		t.Errorf("got %d, want 404", status)
	}
	if status, _ := ask("POST", "/v1/lookups", g.Token, func(http.ResponseWriter, *http.Request) error { return nil }, "POST /v1/lookups"); status != http.StatusOK {
		t.Errorf("got %d, want 200", status)
	}
	want := []told{{alice, "GET " + path, balp.Success}, {tx.Account{}, "GET " + path, balp.Serious}, {alice, "GET " + path, balp.Minor}, {tx.Account{}, "POST /v1/lookups", balp.Success}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	full = errors.New("the disk is full")
	if status, body := ask("GET", path, g.Token, list, pattern); status != http.StatusServiceUnavailable || strings.Contains(body, "something") || !strings.Contains(body, errLog.Code) {
		t.Errorf("got %d %q, want nothing without its record", status, body)
	}
}

// Every route that answers with a patient's data, or about her, is told of; what the ledger records is its own entry.
func TestRoutesAboutAPatientAreTold(t *testing.T) {
	for _, rt := range bare(t).table() {
		about := strings.Contains(rt.pattern, "{patient}") || strings.HasSuffix(rt.pattern, "/v1/records/{id}") || strings.HasSuffix(rt.pattern, "/v1/patients") || strings.HasSuffix(rt.pattern, "/v1/lookups")
		if about != rt.access.told {
			t.Errorf("%s: told is %v, want %v", rt.pattern, rt.access.told, about)
		}
	}
}
