package node_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the operator's own routes and the authorisation server did is in the log of the patient whom it is about, or the
// organisation's, beside what the FHIR server answered and refused.
func TestEveryWayToARecordIsInTheLog(t *testing.T) {
	f := newFeeding(t, nil)
	if status := f.put("/fhir/Patient/p1", []byte(`{"resourceType":"Patient","id":"p1","name":[{"family":"Example"}]}`)); status != http.StatusCreated {
		t.Fatalf("got %d", status)
	}
	var patients []struct{ Patient, Reference string }
	var records []struct{ ID string }
	account := ""
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); len(records) == 0; { // she is known, and it is a record, after a moment
		f.get("/v1/patients", &patients)
		for _, p := range patients {
			if p.Reference == "Patient/p1" {
				account = p.Patient
			}
		}
		if account != "" {
			f.get("/v1/patients/"+account+"/records", &records)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("there is no record of her")
		}
	}
	if code := f.problem(http.MethodGet, "/v1/records/"+records[0].ID, nil); code != "" {
		t.Fatalf("got %s", code)
	}
	f.get("/v1/patients/"+account+"/log", &map[string]any{})
	for _, token := range []string{"none", ""} { // whom nobody knows
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+f.conf.Gateway.Listen+"/fhir/Patient/p1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil || answer.StatusCode != http.StatusUnauthorized {
			t.Fatalf("got %+v, %v", answer, err)
		}
		_ = answer.Body.Close()
	}
	answer, err := http.PostForm(f.conf.OAuthBase()+"/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {"made-up"}, "code": {"x"}}) //nolint:noctx // it ends with the node
	if err != nil || answer.StatusCode/100 != 4 {
		t.Fatalf("got %+v, %v", answer, err)
	}
	_ = answer.Body.Close()

	// those whose text has each of the words
	events := func(query string, words ...string) (n int) {
		var b struct {
			Entry []struct{ Resource map[string]any }
		}
		f.get("/fhir/AuditEvent?_count=200"+query, &b)
		for _, e := range b.Entry {
			text := fmt.Sprint(e.Resource)
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
				n++
			}
		}
		return n
	}
	asked := func(path string) string { return base64.StdEncoding.EncodeToString([]byte("GET " + path)) }
	for what, x := range map[string]struct {
		query, text, outcome string
		least                int
	}{
		"her list of records":  {"&patient=p1", asked("/v1/patients/" + account + "/records"), "0", 1},
		"a record":             {"&patient=p1", asked("/v1/records/" + records[0].ID), "0", 1},
		"her log":              {"&patient=p1", asked("/v1/patients/" + account + "/log"), "0", 1},
		"whom nobody knows":    {"&patient=p1", "code:read", "8", 2},
		"a token refused":      {"", "made-up", "8", 1},
		"the list of patients": {"", asked("/v1/patients"), "0", 1},
	} {
		if n := events(x.query, x.text, "outcome:"+x.outcome); n < x.least {
			t.Errorf("%s: got %d events, want %d", what, n, x.least)
		}
	}
}
