package rest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"salus/fhir/search"
	"salus/store"
)

const smith = `{ "resourceType" : "Patient", "meta":{"tag":[{"code":"x"}]}, "id":"given",
  "name":[{"family":"Sm\u0069th"}], "extension":[{"url":"http://example.org/x","valueDecimal":1.500}], "multipleBirthInteger" : 1e0 }`

func TestAResourceLivesInItsBytes(t *testing.T) {
	w := newWorld(t)
	r := w.want(201, "POST /Patient", smith)
	id, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Location"), "http://example.org/fhir/Patient/"), "/")
	if !fhirID(id) || id == "given" || r.Header.Get("ETag") != `W/"1"` || r.Header.Get("Last-Modified") == "" || !strings.HasSuffix(r.Header.Get("Location"), "/_history/1") {
		t.Fatalf("got headers %v", r.Header)
	}
	got := w.want(200, "GET /Patient/"+id, "")
	for _, kept := range []string{`"name":[{"family":"Sm\u0069th"}], "extension":[{"url":"http://example.org/x","valueDecimal":1.500}], "multipleBirthInteger" : 1e0 }`, `"tag":[{"code":"x"}]`, `"id":"` + id + `"`, `"versionId":"1"`} {
		if !contains(got.body, kept) {
			t.Errorf("%s is not in\n%s", kept, got.body)
		}
	}
	w.want(304, "GET /Patient/"+id, "", `If-None-Match: W/"1"`)
	w.want(304, "GET /Patient/"+id, "", "If-Modified-Since: "+got.Header.Get("Last-Modified"))
	w.want(200, "GET /Patient/"+id, "", `If-None-Match: W/"2"`)
	if h := w.want(200, "HEAD /Patient/"+id, ""); len(h.body) > 0 || h.Header.Get("ETag") != `W/"1"` {
		t.Errorf("HEAD: got %d bytes, %v", len(h.body), h.Header)
	}

	update := `{"resourceType":"Patient","id":"` + id + `","gender":"other"}`
	w.want(200, "PUT /Patient/"+id, update, `If-Match: W/"1"`)
	w.refused(412, "rest-version", "PUT /Patient/"+id, update, `If-Match: W/"1"`)
	w.refused(400, "rest-if-match", "PUT /Patient/"+id, update, `If-Match: "x"`)
	w.refused(400, "rest-other-id", "PUT /Patient/another", update)
	if v := w.want(200, "GET /Patient/"+id+"/_history/1", ""); !contains(v.body, "1.500") {
		t.Error("version 1 is not what it was")
	}
	w.refused(404, "rest-not-found", "GET /Patient/"+id+"/_history/9", "")
	w.refused(404, "rest-not-found", "GET /Patient/"+id+"/_history/01", "")

	w.want(204, "DELETE /Patient/"+id, "")
	w.want(204, "DELETE /Patient/"+id, "")
	w.want(204, "DELETE /Patient/never", "")
	w.refused(410, "rest-gone", "GET /Patient/"+id, "")
	w.want(200, "GET /Patient/"+id+"/_history/2", "")
	w.refused(410, "rest-gone", "GET /Patient/"+id+"/_history/3", "")
	if n := len(w.want(200, "GET /Patient", "").set(t).Entry); n != 0 {
		t.Errorf("a search finds %d deleted resources", n)
	}
	w.want(201, "PUT /Patient/"+id, update)

	h := w.want(200, "GET /Patient/"+id+"/_history?_count=3", "").set(t)
	var methods []string
	for _, e := range h.Entry {
		methods = append(methods, e.Request.Method+" "+e.Response.Status)
	}
	if got := strings.Join(methods, ", "); h.Type != "history" || *h.Total != 4 || got != "POST 201, DELETE 204, PUT 200" || h.next() == "" {
		t.Errorf("history: got %s of %d, %s", got, *h.Total, h.next())
	}
	if h = w.want(200, "GET "+h.next(), "").set(t); len(h.Entry) != 1 || h.next() != "" {
		t.Errorf("second page: got %d entries", len(h.Entry))
	}
	w.refused(404, "rest-not-found", "GET /Patient/never/_history", "")
	w.refused(400, "rest-since", "GET /_history?_since=yesterday", "")
	w.refused(400, "rest-count", "GET /_history?_count=0", "")
	if all := w.want(200, "GET /_history", "").set(t); *all.Total != 4 {
		t.Errorf("the system's history has %d versions, want 4", *all.Total)
	}
}

func TestConditionsDecideBeforeAnythingIsWritten(t *testing.T) {
	w := newWorld(t)
	one := `{"resourceType":"Patient","identifier":[{"system":"s","value":"1"}]}`
	if1 := "If-None-Exist: identifier=s|1"
	w.want(201, "POST /Patient", one, if1)
	again := w.want(200, "POST /Patient", one, if1)
	if again.Header.Get("ETag") != `W/"1"` {
		t.Errorf("got %s, want the first version", again.Header.Get("ETag"))
	}
	w.refused(412, "rest-no-condition", "POST /Patient", one, "If-None-Exist: _format=json")
	w.refused(400, "rest-condition", "POST /Patient", one, "If-None-Exist: identifier=1&_sort=_id")
	w.refused(400, "search-unknown-parameter", "POST /Patient", one, "If-None-Exist: nonsense=1")

	// Of many at the same time, one creates.
	two := `{"resourceType":"Patient","identifier":[{"system":"s","value":"2"}]}`
	var created sync.Map
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			if r := w.do("POST /Patient", two, "If-None-Exist: identifier=s|2"); r.StatusCode == 201 {
				created.Store(r.Header.Get("Location"), true)
			} else if r.StatusCode != 200 {
				t.Errorf("got %d", r.StatusCode)
			}
		})
	}
	wg.Wait()
	n := 0
	created.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d were created, want 1", n)
	}

	w.want(200, "PUT /Patient?identifier=s|1", `{"resourceType":"Patient","identifier":[{"system":"s","value":"1"}],"gender":"male"}`)
	w.want(201, "PUT /Patient?identifier=s|3", `{"resourceType":"Patient","id":"three","identifier":[{"system":"s","value":"3"}]}`)
	w.want(200, "GET /Patient/three", "")
	w.refused(400, "rest-other-id", "PUT /Patient?identifier=s|3", `{"resourceType":"Patient","id":"four"}`)
	w.refused(412, "rest-multiple-matches", "PUT /Patient?identifier=s|", one)
	w.refused(412, "rest-no-condition", "PUT /Patient", one)
	w.refused(412, "rest-multiple-matches", "DELETE /Patient?identifier=s|", "")
	w.want(204, "DELETE /Patient?identifier=s|9", "")
	w.want(204, "DELETE /Patient?identifier=s|3", "")
	w.refused(410, "rest-gone", "GET /Patient/three", "")
}

func TestTheCallerPrefersWhatComesBack(t *testing.T) {
	w := newWorld(t)
	for prefer, want := range map[string]string{"return=representation": "Patient", "return=OperationOutcome": "OperationOutcome", "return=minimal": ""} {
		r := w.want(201, "POST /Patient", smith, "Prefer: "+prefer)
		var x struct{ ResourceType string }
		_ = json.Unmarshal(r.body, &x)
		if x.ResourceType != want || (want == "") != (len(r.body) == 0) {
			t.Errorf("%s: got %q", prefer, r.body)
		}
	}
	w.want(201, "POST /Patient", smith, "Prefer: return=everything, handling=gladly") // what is unknown there is ignored (RFC 7240, section 2)
	if r := w.want(201, "POST /Patient?_pretty=true", `{"resourceType":"Patient"}`); !contains(r.body, "\n  \"resourceType\": \"Patient\"") {
		t.Errorf("not pretty:\n%s", r.body)
	}
}

func TestBadInputIsAnsweredWithWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		status           int
		code, what, body string
		header1, header2 string
	}{
		{400, "fhir-json", "POST /Patient", `{"resourceType":"Patient",}`, "", ""},
		{400, "fhir-empty", "POST /Patient", ``, "Content-Type: application/fhir+json", ""},
		{400, "fhir-duplicate-key", "POST /Patient", `{"resourceType":"Patient","id":"a","id":"b"}`, "", ""},
		{400, "fhir-utf8", "POST /Patient", "{\"resourceType\":\"Patient\",\"x\":\"\xff\"}", "", ""},
		{400, "fhir-type", "POST /Patient", `{"resourceType":"Nonsense"}`, "", ""},
		{400, "fhir-depth", "POST /Patient", `{"resourceType":"Patient","x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, "", ""},
		{400, "rest-other-type", "POST /Patient", `{"resourceType":"Observation"}`, "", ""},
		{400, "test-structure", "POST /Patient", `{"resourceType":"Patient","name":7}`, "", ""},
		{400, "rest-meta", "POST /Patient", `{"resourceType":"Patient","meta":7}`, "", ""},
		{400, "rest-meta", "POST /Patient", `{"meta":[{}],"resourceType":"Patient"}`, "", ""},
		{400, "rest-id", "GET /Patient/a_b", "", "", ""},
		{400, "rest-id", "GET /Patient/" + strings.Repeat("a", 65), "", "", ""},
		{404, "rest-type", "GET /Nonsense/1", "", "", ""},
		{404, "rest-type", "GET /Organization/1", "", "", ""},
		{404, "rest-not-found", "GET /Patient/none", "", "", ""},
		{404, "rest-no-route", "GET /Patient/1/$nothing/x/y", "", "", ""},
		{405, "rest-method", "DELETE /metadata", "", "", ""},
		{405, "rest-method", "POST /Patient/1", smith, "", ""},
		{415, "rest-media-type", "POST /Patient", smith, "Content-Type: application/fhir+xml", ""},
		{415, "rest-media-type", "POST /Patient", smith, "Content-Type: application/fhir+json; charset=latin1", ""},
		{415, "rest-media-type", "POST /Patient", smith, "Content-Type: ;", ""},
		{406, "rest-accept", "GET /Patient", "", "Accept: application/fhir+xml", ""},
		{406, "rest-format", "GET /Patient?_format=xml", "", "", ""},
		{413, "rest-too-large", "POST /Patient", `{"resourceType":"Patient","x":"` + strings.Repeat("a", 1<<20) + `"}`, "", ""},
		{400, "rest-query", "GET /Patient?family=%zz", "", "", ""},
		{400, "search-unknown-parameter", "GET /Patient?nonsense=1", "", "", ""},
		{410, "rest-cursor", "GET /Patient?_cursor=x", "", "", ""},
		{401, "rest-login", "GET /Patient", "", "X-Nobody: yes", ""},
		{400, "rest-bundle", "POST /", `{"resourceType":"Patient"}`, "", ""},
		{400, "rest-bundle", "POST /", `{"resourceType":"Bundle","type":"document"}`, "", ""},
		{400, "rest-bundle", "POST /", `{"resourceType":"Bundle","type":"batch","entry":7}`, "", ""},
		{415, "rest-form", "POST /Patient/_search", `{}`, "", ""},
		{400, "rest-summary", "GET /Patient/none?_summary=all", "", "", ""},
	} {
		if tt.code == "rest-summary" {
			w.want(201, "PUT /Patient/none", `{"resourceType":"Patient","id":"none"}`)
		}
		var hs []string
		for _, h := range []string{tt.header1, tt.header2} {
			if h != "" {
				hs = append(hs, h)
			}
		}
		w.refused(tt.status, tt.code, tt.what, tt.body, hs...)
	}
}

func TestSearchesArePagedAndIncludeWhatTheyAskFor(t *testing.T) {
	w := newWorld(t)
	w.want(201, "PUT /Practitioner/d1", `{"resourceType":"Practitioner","id":"d1","name":[{"family":"Doctor"}]}`)
	for i := range 7 {
		w.want(201, fmt.Sprintf("PUT /Patient/p%d", i), fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","name":[{"family":"Müller %d"}],"generalPractitioner":[{"reference":"Practitioner/d1"}]}`, i, i))
		w.want(201, fmt.Sprintf("PUT /Observation/o%d", i), fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","code":{"coding":[{"system":"l","code":"c%d"}]},"subject":{"reference":"Patient/p%d"}}`, i, i%2, i%3))
	}
	var ids []string
	pages := 0
	for next := "/Patient?family=muller&_count=3&_sort=-family&_total=accurate"; next != ""; pages++ {
		s := w.want(200, "GET "+next, "").set(t)
		ids = append(ids, s.ids(t)...)
		if next = s.next(); s.Type != "searchset" || *s.Total != 7 {
			t.Fatalf("got %s with total %d", s.Type, *s.Total)
		}
	}
	if got := strings.Join(ids, " "); pages != 3 || got != "Patient/p6 Patient/p5 Patient/p4 Patient/p3 Patient/p2 Patient/p1 Patient/p0" {
		t.Errorf("got %d pages: %s", pages, got)
	}
	for what, want := range map[string]string{
		"GET /Patient?_id=p1&_include=Patient:general-practitioner": "Patient/p1 Practitioner/d1",
		"GET /Patient?_id=p2&_revinclude=Observation:subject":       "Observation/o2 Observation/o5 Patient/p2",
		"GET /Observation?subject:Patient.family=müller 1":          "Observation/o1 Observation/o4",
		"GET /Patient?_has:Observation:patient:code=l|c1&_id=p0,p2": "Patient/p0 Patient/p2",
		"GET /Patient/p1/Observation":                               "Observation/o1 Observation/o4",
		"GET /Patient/p1/Observation?code=c1":                       "Observation/o1",
		"GET /Patient/p1/*":                                         "Observation/o1 Observation/o4 Patient/p1",
		"GET /?_type=Practitioner,Observation&_id=d1,o3":            "Observation/o3 Practitioner/d1",
		"POST /Patient/_search?_id=p1,p2 family=M%C3%BCller%201":    "Patient/p1",
		"POST /Patient/p2/Observation/_search code=c0":              "Observation/o2",
	} {
		what, body, _ := strings.Cut(what, " ")
		path := body
		var hs []string
		if what == "POST" {
			path, body, _ = strings.Cut(body, " ")
			hs = []string{"Content-Type: application/x-www-form-urlencoded"}
		} else {
			body = ""
		}
		got := w.want(200, what+" "+strings.NewReplacer(" ", "%20", "ü", "%C3%BC").Replace(path), body, hs...).set(t).ids(t)
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s %s: got %v, want %s", what, path, got, want)
		}
	}
	s := w.want(200, "GET /Patient?_id=p1&nonsense=1", "", "Prefer: handling=lenient").set(t)
	if len(s.Entry) != 2 || s.Entry[1].Search.Mode != "outcome" || strings.Contains(s.Link[0].URL, "nonsense") {
		t.Errorf("lenient: got %d entries, self %s", len(s.Entry), s.Link[0].URL)
	}
	if r := w.want(200, "GET /Observation?_summary=count", "").set(t); *r.Total != 7 || len(r.Entry) != 0 {
		t.Errorf("count: got %d and %d entries", *r.Total, len(r.Entry))
	}
	if r := w.want(200, "GET /Patient/p1?_elements=name", ""); contains(r.body, "generalPractitioner") || !contains(r.body, "SUBSETTED") || !contains(r.body, `"name":[{"family":"Müller 1"}]`) {
		t.Errorf("_elements: got %s", r.body)
	}
	if r := w.want(200, "GET /Patient/p1?_summary=true", ""); contains(r.body, "generalPractitioner") || !contains(r.body, "SUBSETTED") {
		t.Errorf("_summary: got %s", r.body)
	}
	w.refused(404, "rest-not-found", "GET /Patient/none/Observation", "")
}

func TestAPatchAppliesOrChangesNothing(t *testing.T) {
	w := newWorld(t)
	const json = "Content-Type: application/json-patch+json"
	w.want(201, "PUT /Patient/a", `{"resourceType":"Patient","id":"a","gender":"male","identifier":[{"system":"s","value":"1"}],"extension":[{"valueDecimal":1.500}]}`)
	r := w.want(200, "PATCH /Patient/a", `[{"op":"test","path":"/gender","value":"male"},{"op":"replace","path":"/gender","value":"female"}]`, json)
	if !contains(r.body, `"gender":"female"`) || !contains(r.body, "1.500") || r.Header.Get("ETag") != `W/"2"` {
		t.Errorf("got %s", r.body)
	}
	w.want(200, "PATCH /Patient?identifier=s|1", `[{"op":"add","path":"/active","value":true}]`, json)
	w.refused(412, "rest-version", "PATCH /Patient/a", `[]`, json, `If-Match: W/"1"`)
	w.refused(422, "rest-patch-fails", "PATCH /Patient/a", `[{"op":"test","path":"/gender","value":"male"}]`, json)
	w.refused(422, "rest-patch-fails", "PATCH /Patient/a", `[{"op":"remove","path":"/nothing"}]`, json)
	w.refused(422, "rest-patch-id", "PATCH /Patient/a", `[{"op":"replace","path":"/id","value":"b"}]`, json)
	w.refused(422, "rest-patch-id", "PATCH /Patient/a", `[{"op":"replace","path":"/resourceType","value":"Practitioner"}]`, json)
	w.refused(422, "fhir-type", "PATCH /Patient/a", `[{"op":"remove","path":"/resourceType"}]`, json)
	w.refused(400, "rest-patch", "PATCH /Patient/a", `{"op":"remove"}`, json)
	w.refused(415, "rest-patch-type", "PATCH /Patient/a", `[]`, "Content-Type: application/fhir+json")
	w.refused(404, "rest-not-found", "PATCH /Patient/none", `[]`, json)
	w.refused(404, "rest-not-found", "PATCH /Patient?identifier=s|9", `[]`, json)
	if r := w.want(200, "GET /Patient/a", ""); r.Header.Get("ETag") != `W/"3"` {
		t.Errorf("got version %s after refused patches, want 3", r.Header.Get("ETag"))
	}
	// Patches at the same time all apply.
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if r := w.do("PATCH /Patient/a", fmt.Sprintf(`[{"op":"add","path":"/identifier/-","value":{"system":"n","value":"%d"}}]`, i), json); r.StatusCode != 200 {
				t.Errorf("got %d %s", r.StatusCode, r.body)
			}
		})
	}
	wg.Wait()
	if r := w.want(200, "GET /Patient/a", ""); r.Header.Get("ETag") != `W/"7"` {
		t.Errorf("got version %s, want 7", r.Header.Get("ETag"))
	}
}

func TestATransactionIsWhole(t *testing.T) {
	w := newWorld(t)
	w.want(201, "PUT /Practitioner/d1", `{"resourceType":"Practitioner","id":"d1","name":[{"family":"Known"}]}`)
	w.want(201, "PUT /Patient/old", `{"resourceType":"Patient","id":"old"}`)
	tx := func(entries ...string) string {
		return `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Join(entries, ",") + `]}`
	}
	observation := `{"fullUrl":"urn:uuid:2","resource":{"resourceType":"Observation","status":"final","text":{"div":"<a href=\"urn:uuid:1\">x</a>"},"subject":{"reference":"urn:uuid:1"},"valueDecimal":2.50},"request":{"method":"POST","url":"Observation"}}`
	patient := `{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","identifier":[{"system":"s","value":"1"}],"generalPractitioner":[{"reference":"Practitioner?family=known"}]},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=s|1"}}`
	r := w.want(200, "POST /", tx(observation, patient, `{"request":{"method":"DELETE","url":"Patient/old"}}`, `{"request":{"method":"GET","url":"Patient?identifier=s|1"}}`)).set(t)
	if r.Type != "transaction-response" || len(r.Entry) != 4 || !strings.HasPrefix(r.Entry[0].Response.Status, "201") || !strings.HasPrefix(r.Entry[2].Response.Status, "204") {
		t.Fatalf("got %+v", r)
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(r.Entry[1].Response.Location, "http://example.org/fhir/"), "/_history")
	got := w.want(200, "GET /"+strings.TrimPrefix(strings.Split(r.Entry[0].Response.Location, "/_history")[0], "http://example.org/fhir/"), "")
	for _, want := range []string{`"reference":"` + id + `"`, `"valueDecimal":2.50`, `\"` + id + `\"`} {
		if !contains(got.body, want) {
			t.Errorf("%s is not in %s", want, got.body)
		}
	}
	if !contains(w.want(200, "GET /"+id, "").body, `"reference":"Practitioner/d1"`) {
		t.Error("the reference by a search is not resolved")
	}
	if !contains(r.Entry[3].Resource, id[len("Patient/"):]) {
		t.Errorf("the search in the transaction does not see what it wrote: %s", r.Entry[3].Resource)
	}
	w.refused(410, "rest-gone", "GET /Patient/old", "")
	if again := w.want(200, "POST /", tx(patient)).set(t); !strings.HasPrefix(again.Entry[0].Response.Status, "200") {
		t.Errorf("again: got %s, want the one that is there", again.Entry[0].Response.Status)
	}

	// Two that are both there already are no two entries for one resource: neither writes.
	other := strings.Replace(patient, "urn:uuid:1", "urn:uuid:3", 1)
	both := w.want(200, "POST /", tx(patient, other, strings.Replace(observation, "urn:uuid:1", "urn:uuid:3", 1))).set(t)
	if a, b := both.Entry[0].Response.Location, both.Entry[1].Response.Location; a != b || a == "" {
		t.Errorf("got %q and %q, want the one that is there", a, b)
	}

	before := *w.want(200, "GET /_history", "").set(t).Total
	for name, bad := range map[string]struct {
		code   string
		status int
		body   string
	}{
		"a bad second entry":          {"rest-other-type", 400, tx(observation, `{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Observation"}}`)},
		"a reference to nothing":      {"rest-reference", 400, tx(observation)},
		"a condition with no match":   {"rest-reference", 400, tx(`{"resource":{"resourceType":"Observation","subject":{"reference":"Patient?identifier=s|77"}},"request":{"method":"POST","url":"Observation"}}`)},
		"an old version":              {"rest-version", 412, tx(patient, `{"resource":{"resourceType":"Practitioner","id":"d1"},"request":{"method":"PUT","url":"Practitioner/d1","ifMatch":"W/\"9\""}}`)},
		"one resource twice":          {"rest-entry-twice", 400, tx(`{"resource":{"resourceType":"Patient","id":"x"},"request":{"method":"PUT","url":"Patient/x"}}`, `{"request":{"method":"DELETE","url":"Patient/x"}}`)},
		"no request":                  {"rest-entry", 400, tx(`{"resource":{"resourceType":"Patient"}}`)},
		"no resource":                 {"rest-entry", 400, tx(`{"request":{"method":"PUT","url":"Patient/x"}}`)},
		"a Bundle inside":             {"rest-entry", 400, tx(`{"resource":{"resourceType":"Bundle","type":"batch"},"request":{"method":"POST","url":""}}`)},
		"a read that fails":           {"rest-not-found", 404, tx(patient, `{"request":{"method":"GET","url":"Patient/none"}}`, `{"resource":{"resourceType":"Patient","id":"x"},"request":{"method":"PUT","url":"Patient/x"}}`)},
		"a structure that fails late": {"test-structure", 400, tx(patient, `{"resource":{"resourceType":"Patient","name":7},"request":{"method":"POST","url":"Patient"}}`)},
	} {
		r := w.do("POST /", bad.body)
		if got := r.code(t); r.StatusCode != bad.status || got != bad.code || !contains(r.body, "Bundle.entry[") {
			t.Errorf("%s: got %d %s, want %d %s with a place\n%s", name, r.StatusCode, got, bad.status, bad.code, r.body)
		}
	}
	if after := *w.want(200, "GET /_history", "").set(t).Total; after != before {
		t.Errorf("refused transactions left %d versions", after-before)
	}
}

func TestABatchDoesWhatItCan(t *testing.T) {
	w := newWorld(t)
	r := w.want(200, "POST /", `{"resourceType":"Bundle","type":"batch","entry":[
		{"resource":{"resourceType":"Patient","id":"a"},"request":{"method":"PUT","url":"Patient/a"}},
		{"request":{"method":"GET","url":"Patient/a"}},
		{"request":{"method":"GET","url":"Patient/none"}},
		{"request":{"method":"BREW","url":"Patient"}},
		{"request":{"method":"GET","url":"Patient?nonsense=1"}},
		{"resource":{"resourceType":"Patient","name":7},"request":{"method":"POST","url":"Patient"}},
		{"request":{"method":"DELETE","url":"http://example.org/fhir/Patient/a"}}]}`).set(t)
	var got []string
	for _, e := range r.Entry {
		got = append(got, e.Response.Status[:3])
		if (e.Response.Status[0] == '4') != (len(e.Response.Outcome) > 0) {
			t.Errorf("status %s with outcome %s", e.Response.Status, e.Response.Outcome)
		}
	}
	if s := strings.Join(got, " "); r.Type != "batch-response" || s != "201 200 404 400 400 400 204" {
		t.Errorf("got %s", s)
	}
	w.s.MaxEntries = 1
	w.refused(413, "rest-bundle-size", "POST /", `{"resourceType":"Bundle","type":"batch","entry":[{},{}]}`)
}

func TestTheStatementSaysWhatIsServed(t *testing.T) {
	w := newWorld(t)
	r := w.want(200, "GET /metadata", "", "X-Nobody: yes") // also to strangers
	var c capability
	if err := json.Unmarshal(r.body, &c); err != nil || c.FHIRVersion != "4.0.1" || len(c.Rest) != 1 || len(c.Rest[0].Resource) != 3 {
		t.Fatalf("got %v %s", err, r.body)
	}
	if p := c.Rest[0].SearchParam; len(p) != 1 || p[0].Name != "_filter" {
		t.Errorf("for every type: got %v", p)
	}
	for _, res := range c.Rest[0].Resource {
		w.want(200, "GET /"+res.Type+"?_filter=_id+eq+a", "")
		for _, p := range res.SearchParam {
			value := map[string]string{"date": "2024", "string": "a", "token": "a", "reference": "a"}[p.Type]
			w.want(200, "GET /"+res.Type+"?"+p.Name+"="+value, "")
		}
		for _, i := range res.SearchInclude {
			w.want(200, "GET /"+res.Type+"?_include="+i, "")
		}
		for _, i := range res.SearchRevInclude {
			w.want(200, "GET /"+res.Type+"?_revinclude="+i, "")
		}
	}
}

func TestACallerSeesItsLeaveAndNothingElse(t *testing.T) {
	w := newWorld(t)
	for _, p := range []string{"a", "b"} {
		w.want(201, "PUT /Patient/"+p, `{"resourceType":"Patient","id":"`+p+`","name":[{"family":"x"}],"generalPractitioner":[{"reference":"Practitioner/d"}]}`)
		w.want(201, "PUT /Observation/o"+p, `{"resourceType":"Observation","id":"o`+p+`","subject":{"reference":"Patient/`+p+`"}}`)
	}
	w.want(201, "PUT /Practitioner/d", `{"resourceType":"Practitioner","id":"d"}`)
	scope := w.s.Store.NewScope()
	err := w.s.Store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Put(store.Put{Key: store.Key{Scope: scope, Type: "Observation", ID: "theirs"}, Body: []byte(`{"resourceType":"Observation"}`), Owner: "Patient/a", VID: 4})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.refused(404, "rest-not-found", "GET /Observation/theirs", "") // not without the session

	w.guard.leave = Leave{Scopes: []store.Scope{store.Own, scope}, Owner: "Patient/a"}
	if r := w.want(200, "GET /Observation/theirs", ""); !contains(r.body, `"versionId":"4"`) {
		t.Errorf("got %s", r.body)
	}
	for what, want := range map[string]string{
		"GET /Patient?_total=accurate":                       "Patient/a",
		"GET /Observation":                                   "Observation/oa Observation/theirs",
		"GET /Patient?_revinclude=Observation:subject":       "Patient/a Observation/oa",
		"GET /Patient?_include=Patient:general-practitioner": "Patient/a Practitioner/d",
		"GET /Patient/a/Observation":                         "Observation/oa Observation/theirs",
	} {
		if got := strings.Join(w.want(200, what, "").set(t).ids(t), " "); got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	for _, what := range []string{"GET /Patient/b", "GET /Observation/ob", "GET /Patient/b/_history", "GET /Patient/b/_history/1", "GET /Patient/b/Observation"} {
		w.refused(404, "rest-not-found", what, "")
	}
	if a, b := w.do("GET /Patient/b", ""), w.do("GET /Patient/none", ""); string(a.body) != string(b.body) {
		t.Error("what is hidden is answered otherwise than what is not there")
	}
	w.want(200, "GET /Practitioner/d", "") // in nobody's compartment
	w.refused(403, "rest-forbidden", "PUT /Practitioner/d", `{"resourceType":"Practitioner","id":"d"}`)
	w.refused(403, "rest-forbidden", "DELETE /Practitioner/d", "")
	w.refused(403, "rest-forbidden", "GET /_history", "")
	w.refused(403, "rest-forbidden", "PUT /Observation/theirs", `{"resourceType":"Observation","id":"theirs","subject":{"reference":"Patient/a"}}`)
	w.refused(403, "rest-forbidden", "PUT /Observation/ob", `{"resourceType":"Observation","id":"ob","subject":{"reference":"Patient/a"}}`)
	w.refused(403, "rest-forbidden", "POST /Observation", `{"resourceType":"Observation","subject":{"reference":"Patient/b"}}`)
	w.want(201, "POST /Observation", `{"resourceType":"Observation","subject":{"reference":"Patient/a"}}`)
	w.refused(403, "rest-forbidden", "DELETE /Observation/theirs", "")
	w.want(204, "DELETE /Observation/ob", "") // nothing is there for her, and nothing happens
	w.guard.leave = Leave{}
	w.want(200, "GET /Observation/ob", "")

	coded := func(code string) []search.Clause {
		return []search.Clause{{Param: params["Observation"][0], Values: []search.Value{{Text: code}}}}
	}
	for _, code := range []string{"x", "y", "z"} {
		w.want(201, "PUT /Observation/"+code, `{"resourceType":"Observation","id":"`+code+`","code":{"coding":[{"code":"`+code+`"}]},"subject":{"reference":"Patient/a"}}`)
	}
	w.guard.leave.Within = map[string][][]search.Clause{"Observation": {coded("x"), coded("y")}}
	for what, want := range map[string]string{
		"GET /Observation":                                   "Observation/x Observation/y",
		"GET /?_type=Observation,Practitioner":               "Practitioner/d Observation/x Observation/y",
		"GET /Patient?_id=a&_revinclude=Observation:subject": "Patient/a Observation/x Observation/y",
		"GET /Patient?_has:Observation:patient:code=y":       "Patient/a",
		"GET /Patient?_has:Observation:patient:code=z":       "",
	} {
		if got := strings.Join(w.want(200, what, "").set(t).ids(t), " "); got != want {
			t.Errorf("within: %s: got %s, want %s", what, got, want)
		}
	}
	w.want(200, "GET /Observation/x", "")
	w.refused(404, "rest-not-found", "GET /Observation/z", "")
	w.guard.leave.Within = nil

	w.guard.leave.May = func(i Interaction, typ string) bool { return i == Read && typ == "Patient" }
	w.want(200, "GET /Patient/a", "")
	for _, what := range []string{"GET /Patient", "GET /Observation/oa", "DELETE /Patient/a", "GET /Patient/a/_history", "GET /Patient/a/_history/1", "GET /?_type=Patient"} {
		w.refused(403, "rest-forbidden", what, "")
	}
	w.refused(403, "rest-forbidden", "POST /Patient", smith)
}
