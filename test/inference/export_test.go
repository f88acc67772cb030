package inference

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// made is what of a manifest is each job's own: when it began and its address.
var made = regexp.MustCompile(`"transactionTime":"[^"]*"|\$jobs/[A-Za-z0-9_-]+`)

// exports asks both worlds for the same exports, and compares what is refused, the manifests and
// every file.
func (c *caller) exports(t *testing.T, seed uint64, with, without *world) (n int) {
	t.Helper()
	for _, path := range []string{
		"$export", "Patient/$export", "Patient/p0/$everything", "$export?_type=Observation,Condition", "$export?_since=2024-01-01T00:05:00Z", "$export?_type=Observation&_typeFilter=Observation%3Fcode%3D1-1",
		"Patient/$export?patient=Patient/p1", "Group/g/$export",
	} {
		got, want := with.export(t, path), without.export(t, path)
		if n++; got != want {
			t.Fatalf("%s, seed %d: %s\nwith what is hidden:\n%s\nwithout:\n%s", c.name, seed, path, got, want)
		}
	}
	return n
}

// export starts an export, waits for it, and returns all that its client gets.
func (w *world) export(t *testing.T, path string) string {
	t.Helper()
	ask := func(h http.Handler, path, accept string) answer {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Header.Set("Prefer", "respond-async")
		r.Header.Set("Accept", accept)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return answer{rec.Code, rec.Header(), rec.Body.String()}
	}
	a := ask(w.s, "/fhir/"+path, "application/fhir+json")
	if a.status != http.StatusAccepted {
		return made.ReplaceAllString(a.told(), "(job)")
	}
	at := strings.TrimPrefix(a.header.Get("Content-Location"), strings.TrimSuffix(base, "/fhir"))
	var b strings.Builder
	fmt.Fprintln(&b, a.status)
	for deadline := time.Now().Add(time.Minute); ; {
		if a = ask(w.bulk, at, "application/json"); a.status != http.StatusAccepted && a.status != http.StatusTooManyRequests {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("an export does not end")
		}
	}
	fmt.Fprintln(&b, a.status, a.body)
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	for _, list := range []string{"output", "deleted", "error"} {
		var files []struct{ URL string }
		if err := json.Unmarshal(m[list], &files); m[list] != nil && err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			got := ask(w.bulk, strings.TrimPrefix(f.URL, strings.TrimSuffix(base, "/fhir")), "application/fhir+ndjson")
			fmt.Fprintln(&b, list, got.status, got.body)
		}
	}
	return drawn.ReplaceAllString(made.ReplaceAllString(b.String(), "(job)"), "drawn")
}
