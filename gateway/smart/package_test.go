package smart

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/gateway/rest"
	"salus/store"
	"salus/store/storetest"
)

// A reader admits who bears a token of the world's to what its scopes say.
type reader struct {
	*world
	x *index.Index
}

func (d *reader) Admit(r *http.Request) (*rest.Leave, error) {
	t, err := d.Authenticate(r)
	if err != nil {
		return nil, err
	}
	within, err := t.Within(d.x, "Patient", "Observation")
	return &rest.Leave{Scopes: []store.Scope{store.Own}, May: t.May, Within: within}, err
}

// coloured knows a package's parameter "colour" of Patient.
func coloured(t *testing.T) *index.Index {
	t.Helper()
	x, err := index.With(definition.R4(), []*definition.Param{{
		URL: "http://example.org/SearchParameter/colour", Code: "colour", Type: "token", Base: []string{"Patient"}, Status: "active",
		Expression: "Patient.extension.where(url = 'urn:example:colour').value",
	}}, "https://node.example/fhir")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// A scope with a condition by a package's search parameter shows what satisfies it and nothing else; while not everything
// is indexed by the parameter it is not granted, and shows nothing to whom it was.
func TestAConditionByAPackagesParameterIsKept(t *testing.T) {
	x := coloured(t)
	w := newWorld(t, func(c *Config) { c.Params = x })
	st := storetest.Open(t, store.Options{})
	for _, colour := range []string{"red", "blue", "none"} {
		body := fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":"Sample"}],"extension":[{"url":"urn:example:colour","valueCode":%q}]}`, colour, colour)
		if colour == "none" {
			body = `{"resourceType":"Patient","id":"none","name":[{"family":"Sample"}]}`
		}
		r, err := fhir.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		entries, err := x.Entries(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Put(store.Put{Key: store.Key{Type: "Patient", ID: colour}, Body: r.Raw(), Owner: "Patient/" + colour, Entries: entries})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	door := &reader{w, x}
	server := rest.New(rest.Config{
		Store: st, Params: x, Types: []string{"Patient", "Observation"}, Index: x.Entries, Owner: x.Owner, Subset: x.Subset, Guard: door,
		Base: w.FHIR, Prefix: "/fhir", Now: time.Now, Log: w.Log, MaxBody: 1 << 20,
	})
	var token string
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		r := httptest.NewRequest(method, w.FHIR+"/"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/fhir+json")
		rec := httptest.NewRecorder()
		server.ServeHTTP(rec, r)
		return rec.Code, rec.Body.String()
	}
	finds := func(query, want string) {
		t.Helper()
		status, body := ask(http.MethodGet, query, "")
		var b struct {
			Total *int
			Entry []struct{ Resource struct{ ID string } }
		}
		if err := json.Unmarshal([]byte(body), &b); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range b.Entry {
			ids = append(ids, e.Resource.ID)
		}
		if got := strings.Join(ids, " "); status != http.StatusOK || got != want || b.Total != nil && *b.Total != len(ids) {
			t.Errorf("%s: got %d %q, want %q", query, status, got, want)
		}
	}
	answers := func(method, path, body string, want int) {
		t.Helper()
		if status, got := ask(method, path, body); status != want {
			t.Errorf("%s %s: got %d %s, want %d", method, path, status, got, want)
		}
	}

	scope := "user/Patient.rs?colour=red user/Observation.rs"
	if a := w.grant("public", scope, doctor, "purpose", "TREAT"); a.str("scope") != "user/Observation.rs" {
		t.Errorf("before it is indexed: got %q granted", a.str("scope"))
	}
	x.Offer()
	a := w.grant("public", scope, doctor, "purpose", "TREAT")
	if token = a.str("access_token"); a.str("scope") != scope {
		t.Fatalf("got %q granted, want %q", a.str("scope"), scope)
	}
	finds("Patient?_total=accurate", "red")
	finds("Patient?family=sample", "red")
	finds("Patient?colour=red", "red")
	finds("Patient?colour=blue", "")
	finds("Patient?colour:not=red", "")
	finds("Patient?_id=blue,none&_total=accurate", "")
	answers(http.MethodGet, "Patient/red", "", http.StatusOK)
	answers(http.MethodGet, "Patient/blue", "", http.StatusNotFound)
	answers(http.MethodGet, "Patient/none", "", http.StatusNotFound)
	answers(http.MethodGet, "Patient/blue/_history/1", "", http.StatusNotFound)
	answers(http.MethodPut, "Patient/red", `{"resourceType":"Patient","id":"red"}`, http.StatusForbidden)

	// The node is started again and indexes anew, or without the package.
	door.x = coloured(t)
	for _, path := range []string{"Patient/red", "Patient/blue", "Patient", "Observation"} {
		if status, body := ask(http.MethodGet, path, ""); status < 400 || strings.Contains(body, "Sample") {
			t.Errorf("%s while it is indexed anew: got %d %s", path, status, body)
		}
	}
}
