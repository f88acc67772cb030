package rest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestAnAlmostFullDiskRefusesEveryWriteBeforeItBegins tries every way to write, and reads on.
func TestAnAlmostFullDiskRefusesEveryWriteBeforeItBegins(t *testing.T) {
	w := newWorld(t)
	const body = `{"resourceType":"Patient","id":"p","gender":"female"}`
	w.want(http.StatusCreated, "PUT /Patient/p", body)
	var asked int
	w.s.Room = func(bytes int) error { asked = bytes; return ErrNoSpace }
	send := func(what, content, body string) (int, string) {
		method, path, _ := strings.Cut(what, " ")
		r := httptest.NewRequestWithContext(t.Context(), method, "/fhir"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", content)
		rec := httptest.NewRecorder()
		w.s.ServeHTTP(rec, r)
		var o outcome
		if json.Unmarshal(rec.Body.Bytes(), &o) != nil || len(o.Issue) != 1 || len(o.Issue[0].Details.Coding) != 1 {
			return rec.Code, "no OperationOutcome: " + rec.Body.String()
		}
		return rec.Code, o.Issue[0].Code + " " + o.Issue[0].Details.Coding[0].Code
	}
	const entry = `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + body + `,"request":{"method":"PUT","url":"Patient/p"}}]}`
	for _, x := range []struct{ what, content, body string }{
		{"PUT /Patient/p", "application/fhir+json", body},
		{"PUT /Patient/new", "application/fhir+json", strings.Replace(body, `"p"`, `"new"`, 1)},
		{"PUT /Patient?_id=p", "application/fhir+json", body},
		{"POST /Patient", "application/fhir+json", `{"resourceType":"Patient"}`},
		{"PATCH /Patient/p", "application/json-patch+json", `[{"op":"replace","path":"/gender","value":"male"}]`},
		{"DELETE /Patient/p", "application/fhir+json", ""},
		{"POST ", "application/fhir+json", entry},
	} {
		if status, code := send(x.what, x.content, x.body); status != http.StatusInsufficientStorage || code != "no-store rest-no-space" {
			t.Errorf("%s: got %d %s, want 507 no-store", x.what, status, code)
		}
		if asked != len(x.body) {
			t.Errorf("%s: asked for %d bytes, want %d", x.what, asked, len(x.body))
		}
	}
	if _, err := w.s.Load(t.Context(), &Leave{}, nil, [][]byte{[]byte(body)}); err == nil || FaultOf(err).Status != http.StatusInsufficientStorage {
		t.Errorf("Load: got %v, want 507", err)
	}
	// Of a batch each entry is told by itself, and what only reads is answered.
	batch := `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/p"}},{"resource":` + body + `,"request":{"method":"PUT","url":"Patient/p"}}]}`
	var out struct {
		Entry []struct{ Response struct{ Status string } }
	}
	if r := w.want(http.StatusOK, "POST ", batch); json.Unmarshal(r.body, &out) != nil || len(out.Entry) != 2 || !strings.HasPrefix(out.Entry[0].Response.Status, "200") || !strings.HasPrefix(out.Entry[1].Response.Status, "507") {
		t.Errorf("a batch: got %s", r.body)
	}
	w.want(http.StatusOK, "POST ", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"Patient/p"}}]}`)
	w.want(http.StatusOK, "POST /Patient/_search?gender=female", "")
	var history struct{ Total int }
	if r := w.want(http.StatusOK, "GET /Patient/p/_history", ""); json.Unmarshal(r.body, &history) != nil || history.Total != 1 {
		t.Errorf("got %d versions, want the one from before", history.Total)
	}
	w.s.Room = func(int) error { return nil }
	w.want(http.StatusOK, "PUT /Patient/p", strings.Replace(body, "female", "male", 1))
}

// TestWhoMayNotWriteIsToldSoWhateverTheDisk keeps the state of the disk from those who may not write.
func TestWhoMayNotWriteIsToldSoWhateverTheDisk(t *testing.T) {
	w := newWorld(t)
	w.s.Room = func(int) error { t.Error("asked for room"); return ErrNoSpace }
	w.guard.leave = Leave{May: func(i Interaction, _ string) bool { return i == Read }}
	w.refused(http.StatusForbidden, "rest-forbidden", "PUT /Patient/p", `{"resourceType":"Patient","id":"p"}`)
}
