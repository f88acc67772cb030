package node_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"salus/gateway"
)

// TestAnAlmostFullDiskClosesEveryFrontDoorAndNothingElse starts a node whose reserve is above what any disk has: FHIR,
// imports, documents, tables and a feed are refused, and what is there is read, becomes active, and is in the log.
func TestAnAlmostFullDiskClosesEveryFrontDoorAndNothingElse(t *testing.T) {
	if testing.Short() {
		t.Skip("a node that is started three times")
	}
	f := newFeeding(t, nil)
	person := func(id string) string { return "PID|1||" + id + "^^^FAC^MR||Sample^" + id }
	f.accepts(f.v2("ADT^A01^ADT_A01", person("before")))
	body := []byte(`{"resourceType":"Patient","id":"kept","name":[{"text":"Sample Kept"}]}`)
	if got := f.put("/fhir/Patient/kept", body); got != http.StatusCreated {
		t.Fatalf("got %d", got)
	}
	f.conf.Record.Reserve = 1 << 60
	f.again()

	token, err := os.ReadFile(f.conf.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	door := func(what, method, path, content, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+f.conf.Gateway.Listen+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", content)
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, err := io.ReadAll(a.Body)
		if err != nil || a.StatusCode != http.StatusInsufficientStorage {
			t.Errorf("%s: got %d %.300s, %v, want 507", what, a.StatusCode, b, err)
		}
		if strings.HasPrefix(path, "/fhir") && !bytes.Contains(b, []byte(`"no-store"`)) {
			t.Errorf("%s: got %s, want an OperationOutcome with no-store", what, b)
		}
	}
	door("a FHIR update", "PUT", "/fhir/Patient/kept", "application/fhir+json", string(body))
	door("a FHIR creation", "POST", "/fhir/Patient", "application/fhir+json", `{"resourceType":"Patient"}`)
	door("a transaction", "POST", "/fhir", "application/fhir+json", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}]}`)
	door("an import", "POST", "/v1/import", "application/fhir+json", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"x"}}]}`)
	door("an import of lines", "POST", "/v1/import?format=ndjson", "application/x-ndjson", `{"resourceType":"Patient","id":"x"}`)
	door("a document", "POST", "/v1/intake/ccda", "application/cda+xml", "<ClinicalDocument/>")
	door("a table", "POST", "/v1/intake/csv?mapping=people", "text/csv", "id\n1\n")
	during := f.v2("ADT^A01^ADT_A01", person("during"))
	if got := f.send(during); got != "AR 207" {
		t.Errorf("a message: got %s, want AR", got)
	}

	if got := len(f.search("Patient")); got != 2 {
		t.Errorf("got %d patients, want the two from before", got)
	}
	var letters []gateway.Letter
	if f.get("/v1/feeds/adt/letters", &letters); len(letters) != 0 {
		t.Errorf("a refused message was kept: %+v", letters)
	}
	becomes(t, f.conf, http.StatusOK) // it takes part in consensus
	f.drained()

	f.conf.Record.Reserve = 64 << 20
	f.again()
	f.accepts(during)
	if got := len(f.search("Patient")); got != 3 {
		t.Errorf("with space again: got %d patients, want 3", got)
	}
}

// drained waits until everything that was stored is active.
func (f *feeding) drained() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var s gateway.Status
		if err := f.api.JSON(ctx, http.MethodGet, "/v1/status", nil, &s); err == nil && s.Stored+s.Outbox == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Fatal("what was stored before does not become active")
		}
	}
}
