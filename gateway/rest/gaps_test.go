package rest

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"salus/fhir"
	"salus/fhir/search"
)

// pathPatch stands for fhir/patch: it appends an element, or fails.
func pathPatch(resource, parameters []byte) ([]byte, error) {
	if contains(parameters, "fail") {
		return nil, errors.New("test: no such path")
	}
	if contains(parameters, "issue") {
		return nil, &fhir.Issue{Code: "patch-path", Text: "the path matches nothing", Expression: "Parameters.parameter[0]"}
	}
	element := `,"active":true}`
	if contains(parameters, "Practitioner/") {
		_, ref, _ := strings.Cut(string(parameters), "Practitioner/")
		element = `,"generalPractitioner":[{"reference":"Practitioner/` + ref[:strings.Index(ref, `"`)] + `"}]}`
	}
	return append(resource[:len(resource)-1:len(resource)-1], element...), nil
}

func TestAFHIRPathPatchIsParameters(t *testing.T) {
	w := newWorld(t)
	w.want(201, "PUT /Patient/a", `{"resourceType":"Patient","id":"a","identifier":[{"system":"s","value":"1"}],"multipleBirthInteger":1e0}`)
	ps := `{"resourceType":"Parameters","parameter":[{"name":"operation"}]}`
	w.refused(415, "rest-patch-type", "PATCH /Patient/a", ps)
	w.s.Patch = pathPatch
	if r := w.want(200, "PATCH /Patient/a", ps, `If-Match: W/"1"`); !contains(r.body, `"active":true`) || !contains(r.body, "1e0") || r.Header.Get("ETag") != `W/"2"` {
		t.Errorf("got %s", r.body)
	}
	if r := w.want(200, "GET /metadata", ""); !contains(r.body, `"patchFormat":["application/json-patch+json","application/fhir+json"]`) {
		t.Errorf("the statement does not list it")
	}
	w.refused(412, "rest-version", "PATCH /Patient/a", ps, `If-Match: W/"1"`)
	w.refused(422, "rest-patch-fails", "PATCH /Patient/a", `{"resourceType":"Parameters","id":"fail"}`)
	w.refused(422, "patch-path", "PATCH /Patient/a", `{"resourceType":"Parameters","id":"issue"}`)
	w.refused(400, "rest-patch", "PATCH /Patient/a", smith)
	w.refused(400, "fhir-json", "PATCH /Patient/a", `{`)
	w.refused(415, "rest-patch-type", "PATCH /Patient/a", ps, "Content-Type: application/xml")

	binary := func(patch string) string {
		return `{"resourceType":"Binary","contentType":"application/json-patch+json","data":"` + base64.StdEncoding.EncodeToString([]byte(patch)) + `"}`
	}
	gender := binary(`[{"op":"add","path":"/gender","value":"other"}]`)
	for _, typ := range []string{"batch", "transaction"} {
		r := w.want(200, "POST /", `{"resourceType":"Bundle","type":"`+typ+`","entry":[
			{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Practitioner"},"request":{"method":"POST","url":"Practitioner"}},
			{"resource":`+gender+`,"request":{"method":"PATCH","url":"Patient/a"}}]}`).set(t)
		if !strings.HasPrefix(r.Entry[1].Response.Status, "200") {
			t.Errorf("%s: got %+v", typ, r.Entry[1])
		}
	}
	w.want(200, "POST /", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Practitioner"},"request":{"method":"POST","url":"Practitioner"}},
		{"resource":{"resourceType":"Parameters","parameter":[{"valueReference":{"reference":"urn:uuid:1"}}]},"request":{"method":"PATCH","url":"Patient?identifier=s|1"}}]}`)
	if r := w.want(200, "GET /Patient/a", ""); !contains(r.body, `"generalPractitioner":[{"reference":"Practitioner/`) || r.Header.Get("ETag") != `W/"5"` {
		t.Errorf("got %s", r.body)
	}
	for _, bad := range []string{
		`{"resource":` + gender + `,"request":{"method":"PATCH","url":"Patient/none"}}`,
		`{"resource":` + gender + `,"request":{"method":"PATCH","url":"Patient?identifier=s|9"}}`,
		`{"resource":` + gender + `,"request":{"method":"PATCH","url":"Patient/a","ifMatch":"W/\"1\""}}`,
		`{"resource":` + binary(`{}`) + `,"request":{"method":"PATCH","url":"Patient/a"}}`,
		`{"resource":{"resourceType":"Binary","contentType":"text/plain"},"request":{"method":"PATCH","url":"Patient/a"}}`,
		`{"request":{"method":"PATCH","url":"Patient/a"}}`,
	} {
		if r := w.do("POST /", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},`+bad+`]}`); r.StatusCode/100 != 4 || !contains(r.body, "Bundle.entry[1]") {
			t.Errorf("%s: got %d %s", bad, r.StatusCode, r.body)
		}
	}
	if n := *w.want(200, "GET /Patient?_total=accurate", "").set(t).Total; n != 1 {
		t.Errorf("refused transactions left %d patients", n-1)
	}
	w.guard.leave = Leave{May: func(i Interaction, _ string) bool { return i != Patch }}
	w.refused(403, "rest-forbidden", "PATCH /Patient/a", ps)
	w.refused(403, "rest-forbidden", "POST /", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+gender+`,"request":{"method":"PATCH","url":"Patient/a"}}]}`)
}

func TestValidateAnswersWhetherOrNotItIsValid(t *testing.T) {
	w := newWorld(t)
	var asked []string
	w.s.Operations = []Operation{Validate([]string{"Patient"}, func(_ context.Context, r fhir.Resource, profiles ...string) []Issue {
		asked = profiles
		if contains(r.Raw(), "bad") {
			return []Issue{{Type: "value", Code: "test-bad", Text: "bad", Expression: "Patient.gender"}}
		}
		return nil
	})}
	w.want(201, "PUT /Patient/a", `{"resourceType":"Patient","id":"a"}`)
	for _, tt := range []struct{ what, body, code string }{
		{"POST /Patient/$validate", smith, "rest-valid"},
		{"POST /Patient/$validate", `{"resourceType":"Patient","gender":"bad"}`, "test-bad"},
		{"POST /Patient/$validate", `{"resourceType":"Observation"}`, "rest-other-type"},
		{"POST /Patient/$validate", `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient","gender":"bad"}},{"name":"mode","valueCode":"create"}]}`, "test-bad"},
		{"POST /Patient/a/$validate?mode=update", `{"resourceType":"Patient","id":"b"}`, "rest-other-id"},
		{"POST /Patient/a/$validate?mode=update", `{"resourceType":"Patient","id":"a"}`, "rest-valid"},
		{"GET /Patient/a/$validate", "", "rest-valid"},
		{"GET /Patient/a/$validate?mode=delete", "", "rest-valid"},
		{"GET /Patient/a/$validate?mode=profile&profile=http://example.org/p&profile=http://example.org/q", "", "rest-valid"},
	} {
		r := w.want(200, tt.what, tt.body)
		if got := r.code(t); got != tt.code {
			t.Errorf("%s: got %s, want %s", tt.what, got, tt.code)
		}
	}
	if strings.Join(asked, " ") != "http://example.org/p http://example.org/q" {
		t.Errorf("profiles: got %v", asked)
	}
	w.refused(400, "rest-validate-mode", "POST /Patient/$validate?mode=guess", smith)
	w.refused(400, "rest-validate-mode", "POST /Patient/$validate?mode=delete", "")
	w.refused(400, "rest-validate-profile", "POST /Patient/$validate?mode=profile", smith)
	w.refused(400, "rest-validate-resource", "POST /Patient/$validate", "")
	w.refused(404, "rest-not-found", "GET /Patient/none/$validate", "")
	w.guard.leave = Leave{May: func(i Interaction, _ string) bool { return i == Operate }}
	w.refused(403, "rest-forbidden", "GET /Patient/a/$validate", "")
	if got := w.want(200, "GET /Patient/a/$validate?mode=delete", "").code(t); got != "rest-forbidden" {
		t.Errorf("got %s", got)
	}
}

func TestFormatsAreNegotiatedByNameAndVersion(t *testing.T) {
	w := newWorld(t)
	w.want(201, "PUT /Patient/a", `{"resourceType":"Patient","id":"a"}`, "Content-Type: application/fhir+json; fhirVersion=4.0")
	w.want(200, "GET /Patient/a?_format=application/fhir+json", "") // the plus is a space
	w.want(200, "GET /Patient/a", "", "Accept: application/fhir+json; fhirVersion=4.0")
	w.want(200, "GET /Patient/a", "", "Accept: application/fhir+xml, application/fhir+json;q=0.5")
	for _, f := range []string{"xml", "application/fhir%2Bxml", "text/turtle", "ttl", "html"} {
		w.refused(406, "rest-format", "GET /Patient/a?_format="+f, "")
		w.refused(406, "rest-format", "GET /metadata?_format="+f, "")
	}
	w.refused(406, "rest-accept", "GET /Patient/a", "", "Accept: application/fhir+xml")
	w.refused(406, "rest-accept", "GET /Patient/a", "", "Accept: application/fhir+json; fhirVersion=5.0")
	w.refused(415, "rest-media-type", "PUT /Patient/a", `{"resourceType":"Patient","id":"a"}`, "Content-Type: application/fhir+json; fhirVersion=3.0")
	r := w.want(200, "GET /Patient/a", "")
	if got := r.Header.Get("Content-Location"); got != "http://example.org/fhir/Patient/a/_history/1" {
		t.Errorf("Content-Location: got %s", got)
	}
}

func TestWhatSearchDoesNotOfferIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, q := range []string{"_contained=true", "_containedType=container", "_filter=a", "_query=a", "_text=a", "_content=a", "near=1"} {
		if r := w.do("GET /Patient?"+q, ""); r.StatusCode != 400 {
			t.Errorf("%s: got %d", q, r.StatusCode)
		}
	}
	w.refused(400, search.CodeFilter, "GET /Patient?_filter=a", "")
	w.refused(400, search.CodeOperator, "GET /Patient?_filter=family+gt+a", "", "Prefer: handling=lenient")
	// What was understood, and only that, is in the self link.
	s := w.want(200, "GET /Patient?nonsense=1&family=x&_count=2", "", "Prefer: handling=lenient").set(t)
	if s.Link[0].Relation != "self" || s.Link[0].URL != "http://example.org/fhir/Patient?family=x&_count=2" {
		t.Errorf("self: got %+v", s.Link)
	}
	w.refused(400, "rest-history-parameter", "GET /Patient/_history?_at=2024", "")
	for _, id := range []string{"a", "b"} {
		w.want(201, "PUT /Patient/"+id, `{"resourceType":"Patient","id":"`+id+`","name":[{"family":"x"}],"gender":"male"}`)
	}
	c := w.want(200, "GET /Patient?family=x&_summary=count", "").set(t)
	if c.Total == nil || *c.Total != 2 || len(c.Entry) != 0 {
		t.Errorf("count: got %+v", c)
	}
	if r := w.want(200, "GET /Patient/a?_elements=gender", ""); contains(r.body, "family") || !contains(r.body, "SUBSETTED") || !contains(r.body, `"gender":"male"`) {
		t.Errorf("_elements: got %s", r.body)
	}
	first := w.want(200, "GET /Patient?family=x&_count=1", "").set(t)
	w.want(201, "POST /Patient", `{"resourceType":"Patient","name":[{"family":"x"}]}`)
	if again := w.want(200, "GET /Patient?family=x&_count=1", "").set(t); again.ids(t)[0] != first.ids(t)[0] {
		t.Error("a page changed with what was written after it")
	}
	if second := w.want(200, "GET "+first.next(), "").set(t); second.ids(t)[0] != "Patient/b" {
		t.Errorf("second page: got %v", second.ids(t))
	}
}

func TestATypeWithoutAnyConditionThatHoldsIsHidden(t *testing.T) {
	w := newWorld(t)
	w.want(201, "PUT /Observation/o", `{"resourceType":"Observation","id":"o"}`)
	w.want(201, "PUT /Observation/gone", `{"resourceType":"Observation","id":"gone"}`)
	w.want(204, "DELETE /Observation/gone", "")
	w.guard.leave = Leave{Within: map[string][][]search.Clause{"Observation": {}}}
	for _, what := range []string{"GET /Observation/o", "GET /Observation/o/_history/1", "GET /Observation/gone"} {
		w.refused(404, "rest-not-found", what, "")
	}
	if n := len(w.want(200, "GET /Observation", "").set(t).Entry); n != 0 {
		t.Errorf("found %d", n)
	}
}

// TestAPageThatMayLackIncludesSaysSo: what is not there must not look as if there were none.
func TestAPageThatMayLackIncludesSaysSo(t *testing.T) {
	w := newWorld(t)
	w.want(201, "PUT /Patient/p", `{"resourceType":"Patient","id":"p"}`)
	bundle := func(n int) string {
		var b strings.Builder
		b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[`)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`{"request":{"method":"POST","url":"Observation"},"resource":{"resourceType":"Observation","status":"final","subject":{"reference":"Patient/p"}}}`)
		}
		return b.String() + `]}`
	}
	const ask = "GET /Patient?_id=p&_revinclude=Observation:subject"
	w.want(200, "POST /", bundle(1000))
	last := func() (entries int, mode string, body []byte) {
		s := w.want(200, ask, "").set(t)
		e := s.Entry[len(s.Entry)-1]
		return len(s.Entry), e.Search.Mode, e.Resource
	}
	if n, mode, _ := last(); n != 1001 || mode != "include" {
		t.Fatalf("got %d entries, the last as %s, want 1,001 and nothing but matches and includes", n, mode)
	}
	w.want(200, "POST /", bundle(1))
	n, mode, body := last()
	if r := (reply{nil, body}); n != 1002 || mode != "outcome" || r.code(t) != "rest-included" {
		t.Errorf("got %d entries, the last as %s: %s, want one that says that there is more", n, mode, body)
	}
}
