package rest

import (
	"net/http"
	"strings"
	"testing"

	"salus/fhir/search"
)

const metaBody = `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":`

func metaWorld(t *testing.T) *world {
	w := newWorld(t)
	w.s.Operations = append(w.s.Operations, Meta([]string{"Patient", "Observation"})...)
	w.want(http.StatusCreated, "PUT /Patient/a", `{"resourceType":"Patient","id":"a","meta":{"tag":[{"system":"s","code":"1","display":"One"}]},"active" : true}`)
	return w
}

func TestMetaIsReadAddedToAndTakenFrom(t *testing.T) {
	w := metaWorld(t)
	has := func(r reply, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !contains(r.body, want) {
				t.Errorf("got %s, want %s in it", r.body, want)
			}
		}
	}
	has(w.want(200, "GET /Patient/a/$meta", ""), `"name":"return"`, `"versionId":"1"`, `"tag":[{"system":"s","code":"1","display":"One"}]`)
	r := w.want(200, "POST /Patient/a/$meta-add", metaBody+`{"profile":["http://example.org/p"],"tag":[{"system":"s","code":"1"},{"system":"s","code":"2"}],"security":[{"system":"x","code":"R"}],"versionId":"77"}}]}`)
	has(r, `"versionId":"2"`, `"tag":[{"system":"s","code":"1","display":"One"},{"system":"s","code":"2"}]`, `"profile":["http://example.org/p"]`, `"security":[{"system":"x","code":"R"}]`)
	has(w.want(200, "GET /Patient/a", ""), `"active" : true`) // the rest as it was sent
	has(w.want(200, "POST /Patient/a/$meta-add", metaBody+`{"tag":[{"system":"s","code":"2"}]}}]}`), `"versionId":"2"`)
	r = w.want(200, "POST /Patient/a/$meta-delete", metaBody+`{"profile":["http://example.org/p"],"tag":[{"system":"s","code":"1"}]}}]}`)
	has(r, `"versionId":"3"`, `"tag":[{"system":"s","code":"2"}]`)
	if contains(r.body, "profile") {
		t.Errorf("got %s, want no profile", r.body)
	}
	has(w.want(200, "POST /Patient/a/$meta-delete", metaBody+`{"tag":[{"system":"s","code":"9"}]}}]}`), `"versionId":"3"`)
}

func TestMetaIsRefusedWhereItIsNot(t *testing.T) {
	w := metaWorld(t)
	for _, body := range []string{`{"resourceType":"Parameters"}`, metaBody + `{}}]}`, metaBody + `{"tag":{}}}]}`, metaBody + `{"source":"x"}}]}`, metaBody + `null}]}`, `{"resourceType":"Patient"}`} {
		w.refused(400, "rest-meta-parameter", "POST /Patient/a/$meta-add", body)
	}
	w.refused(404, "rest-not-found", "POST /Patient/zz/$meta-add", metaBody+`{"tag":[{"code":"a"}]}}]}`)
	w.refused(405, "rest-operation-method", "GET /Patient/a/$meta-add", "")
	w.guard.leave = Leave{May: func(i Interaction, _ string) bool { return i == Operate || i == Read }}
	w.refused(403, "rest-forbidden", "POST /Patient/a/$meta-add", metaBody+`{"tag":[{"code":"a"}]}}]}`)
	w.want(200, "GET /Patient/a/$meta", "")
	w.guard.leave = Leave{May: func(i Interaction, _ string) bool { return i == Operate }}
	w.refused(403, "rest-forbidden", "GET /Patient/a/$meta", "")
	w.guard.leave = Leave{Owner: "Patient/other"}
	w.refused(404, "rest-not-found", "GET /Patient/a/$meta", "")
	w.refused(404, "rest-not-found", "POST /Patient/a/$meta-delete", metaBody+`{"tag":[{"code":"a"}]}}]}`)
	w.guard.leave = Leave{}
	w.want(201, "PUT /Patient/b", `{"resourceType":"Patient","id":"b","meta":{"profile":["http://example.org/p"],"_profile":[{"id":"x"}]}}`)
	w.refused(422, "rest-meta-extended", "POST /Patient/b/$meta-delete", metaBody+`{"profile":["http://example.org/p"]}}]}`)
}

func TestConditionalDeleteOfSeveralIsBoundedAndWhole(t *testing.T) {
	w := newWorld(t)
	fill := func() {
		for _, id := range []string{"a", "b", "c"} {
			w.want(201, "POST /Patient", `{"resourceType":"Patient","gender":"female","name":[{"family":"`+id+`"}]}`)
		}
	}
	count := func() int { t.Helper(); return len(w.want(200, "GET /Patient?gender=female", "").set(t).Entry) }
	fill()
	w.refused(412, "rest-multiple-matches", "DELETE /Patient?gender=female", "")
	w.refused(400, "rest-condition", "DELETE /Patient?gender=female&_count=3", "") // one only is deleted here
	w.s.DeleteMany = 10
	if r := w.want(200, "GET /metadata", ""); !contains(r.body, `"conditionalDelete":"multiple"`) {
		t.Error("the CapabilityStatement does not say multiple")
	}
	w.refused(412, "rest-multiple-matches", "DELETE /Patient?gender=female&_count=2", "")
	w.refused(400, "rest-count", "DELETE /Patient?gender=female&_count=x", "")
	w.refused(412, "rest-no-condition", "DELETE /Patient?_count=2", "")
	if got := count(); got != 3 {
		t.Fatalf("got %d left, want all 3: a refusal deletes nothing", got)
	}
	w.want(204, "DELETE /Patient?gender=female&_count=3", "")
	if got := count(); got != 0 {
		t.Errorf("got %d left, want none", got)
	}
	w.s.DeleteMany = 2
	fill()
	w.refused(412, "rest-multiple-matches", "DELETE /Patient?gender=female", "")
	w.want(204, "DELETE /Patient?family=a", "")
	w.guard.leave = Leave{May: func(i Interaction, _ string) bool { return i != Delete }}
	w.refused(403, "rest-forbidden", "DELETE /Patient?gender=female", "")
	w.guard.leave = Leave{}
	w.want(204, "DELETE /Patient?gender=female", "")
	if got := count(); got != 0 {
		t.Errorf("got %d left, want none", got)
	}
}

func TestListSelectsWhatItNames(t *testing.T) {
	w := newWorld(t)
	w.s.Types = append(w.s.Types, "List")
	for _, id := range []string{"a", "b", "c"} {
		w.want(201, "PUT /Patient/"+id, `{"resourceType":"Patient","id":"`+id+`","gender":"female"}`)
	}
	w.want(201, "PUT /List/l", `{"resourceType":"List","id":"l","entry":[{"item":{"reference":"Patient/a"}},{"item":{"reference":"Patient/b"},"deleted":true},{"item":{"reference":"Observation/c"}},{"item":{"reference":"Patient/gone"}}]}`)
	ids := func(q string) string {
		t.Helper()
		return strings.Join(w.want(200, "GET /Patient?"+q, "").set(t).ids(t), " ")
	}
	if got := ids("_list=l&gender=female"); got != "Patient/a" {
		t.Errorf("got %q, want Patient/a", got)
	}
	nobody := w.want(200, "GET /Patient?_list=nobody", "").body
	w.refused(400, "rest-list", "GET /Patient?_list=$current-problems", "")
	w.refused(400, "rest-list", "GET /?_type=Patient&_list=l", "")
	// A List of somebody else is one that is not there.
	w.guard.leave = Leave{May: func(i Interaction, typ string) bool { return typ != "List" }}
	w.refused(403, "rest-forbidden", "GET /Patient?_list=l", "")
	w.guard.leave = Leave{Within: map[string][][]search.Clause{"List": {}}}
	if got := w.want(200, "GET /Patient?_list=l", "").body; strings.ReplaceAll(string(got), "_list=l", "_list=nobody") != string(nobody) {
		t.Errorf("a hidden List: got %s, want %s", got, nobody)
	}
}

func TestTheStatementNamesGuidesAndProfiles(t *testing.T) {
	w := newWorld(t)
	if r := w.want(200, "GET /metadata", ""); contains(r.body, "implementationGuide") || contains(r.body, "supportedProfile") {
		t.Error("without packages the CapabilityStatement names some")
	}
	w.s.Guides = []string{"http://example.org/ig|1"}
	w.s.Profiles = map[string][]string{"Patient": {"http://example.org/named"}}
	w.s.Operations = Meta([]string{"Patient"})
	r := w.want(200, "GET /metadata", "")
	for _, want := range []string{`"implementationGuide":["http://example.org/ig|1"]`, `"type":"Patient","supportedProfile":["http://example.org/named"]`, `"name":"meta-add"`, `"name":"meta-delete"`, `"name":"meta"`} {
		if !contains(r.body, want) {
			t.Errorf("the CapabilityStatement does not say %s", want)
		}
	}
}
