package rest

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"salus/fhir"
)

// referringWorld is a world whose check refuses references that lead nowhere.
func referringWorld(t *testing.T) *world {
	w := newWorld(t)
	w.s.Check = func(ctx context.Context, r fhir.Resource) (issues []Issue) {
		eachString(r.Raw(), func(name string, from, to int) {
			if name != "reference" {
				return
			}
			if exists, known := Leads(ctx, unquote(r.Raw()[from:to])); known && !exists {
				issues = append(issues, Issue{Severity: "error", Type: "not-found", Code: "test-nowhere", Text: "nowhere"})
			}
		})
		return issues
	}
	w.s.Operations = append(w.s.Operations, Validate([]string{"Observation"}, func(ctx context.Context, r fhir.Resource, _ ...string) []Issue { return w.s.Check(ctx, r) }))
	return w
}

func TestReferencesLeadToWhatIsThere(t *testing.T) {
	w := referringWorld(t)
	about := func(ref string) string { return `{"resourceType":"Observation","subject":{"reference":"` + ref + `"}}` }
	w.refused(http.StatusUnprocessableEntity, "test-nowhere", "POST /Observation", about("Patient/a"))
	w.want(http.StatusCreated, "PUT /Patient/a", `{"resourceType":"Patient","id":"a"}`)
	w.want(http.StatusCreated, "POST /Observation", about("Patient/a"))
	w.want(http.StatusCreated, "POST /Observation", about("Patient/a/_history/1"))
	for _, unknown := range []string{"http://elsewhere.example/fhir/Patient/z", "#z", "urn:oid:1.2.3", "Consent/z", "Patient?identifier=z"} {
		w.want(http.StatusCreated, "POST /Observation", about(unknown))
	}
	if r := w.want(http.StatusOK, "POST /Observation/$validate", about("Patient/z")); r.code(t) != "test-nowhere" {
		t.Errorf("$validate: got %s", r.body)
	}
	w.want(http.StatusNoContent, "DELETE /Patient/a", "")
	w.refused(http.StatusUnprocessableEntity, "test-nowhere", "POST /Observation", about("Patient/a"))
	// To itself, and what is written beside it.
	w.want(http.StatusCreated, "PUT /Patient/b", `{"resourceType":"Patient","id":"b","link":[{"other":{"reference":"Patient/b"}}]}`)
	for _, kind := range []string{"", `,"ifNoneExist":"identifier=x"`} {
		w.want(http.StatusOK, "POST /", `{"resourceType":"Bundle","type":"transaction","entry":[
			{"resource":{"resourceType":"Observation","subject":{"reference":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}},"request":{"method":"POST","url":"Observation"}},
			{"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"`+kind+`}}]}`)
	}
	w.refused(http.StatusUnprocessableEntity, "test-nowhere", "POST /", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"resource":{"resourceType":"Observation","subject":{"reference":"Patient/z"}},"request":{"method":"POST","url":"Observation"}}]}`)
	// Lines of an import come in any order.
	errs, err := w.s.Load(t.Context(), &Leave{}, http.Header{}, [][]byte{[]byte(about("Patient/later"))})
	if err != nil || slices.ContainsFunc(errs, func(e error) bool { return e != nil }) {
		t.Errorf("got %v, %v, want an import of any order", errs, err)
	}
}

// TestAReferenceToWhatIsHiddenIsOneToNothing, byte for byte.
func TestAReferenceToWhatIsHiddenIsOneToNothing(t *testing.T) {
	w := referringWorld(t)
	w.want(http.StatusCreated, "PUT /Patient/me", `{"resourceType":"Patient","id":"me"}`)
	w.want(http.StatusCreated, "PUT /Patient/hidden", `{"resourceType":"Patient","id":"hidden"}`)
	w.guard.leave = Leave{Owner: "Patient/me"}
	ask := func(id string) string {
		r := w.do("POST /Observation", `{"resourceType":"Observation","subject":{"reference":"Patient/me"},"performer":[{"reference":"Patient/`+id+`"}]}`)
		if r.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: got %d", id, r.StatusCode)
		}
		return string(r.body)
	}
	if hidden, missing := ask("hidden"), ask("nobody"); hidden != missing {
		t.Errorf("hidden:\n%s\nmissing:\n%s", hidden, missing)
	}
}
