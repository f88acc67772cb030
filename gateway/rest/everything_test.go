package rest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"salus/fhir/search"
	"salus/store"
)

// pages follows a Bundle's next links and returns all ids with their modes.
func (w *world) pages(what string) (out []string) {
	w.t.Helper()
	for range 100 {
		s := w.want(200, "GET "+what, "").set(w.t)
		for i, id := range s.ids(w.t) {
			out = append(out, id+" "+s.Entry[i].Search.Mode)
		}
		if what = s.next(); what == "" {
			return out
		}
	}
	w.t.Fatal("the pages do not end")
	return nil
}

func everythingWorld(t *testing.T) *world {
	w := newWorld(t)
	w.s.Operations = []Operation{Everything(), LastN()}
	w.want(201, "PUT /Practitioner/d", `{"resourceType":"Practitioner","id":"d"}`)
	w.want(201, "PUT /Practitioner/other", `{"resourceType":"Practitioner","id":"other"}`)
	for _, p := range []string{"a", "b"} {
		w.want(201, "PUT /Observation/before-"+p, `{"resourceType":"Observation","id":"before-`+p+`","subject":{"reference":"Patient/`+p+`"},"effectiveDateTime":"2020-05-01","performer":[{"reference":"Practitioner/d"},{"reference":"Patient/b"},{"reference":"Practitioner/none"}]}`)
		w.want(201, "PUT /Patient/"+p, `{"resourceType":"Patient","id":"`+p+`"}`)
		w.want(201, "PUT /Observation/after-"+p, `{"resourceType":"Observation","id":"after-`+p+`","subject":{"reference":"Patient/`+p+`"},"effectiveDateTime":"2024-05-01"}`)
		w.want(201, "PUT /Observation/undated-"+p, `{"resourceType":"Observation","id":"undated-`+p+`","subject":{"reference":"Patient/`+p+`"}}`)
	}
	return w
}

func TestEverythingIsTheCompartmentAndWhatItRefersTo(t *testing.T) {
	w := everythingWorld(t)
	all := []string{"Observation/after-a match", "Observation/before-a match", "Observation/undated-a match", "Patient/a match", "Practitioner/d include"}
	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"", all},
		{"?_count=1", all},
		{"?_count=3", all},
		{"?start=2024", []string{all[0], all[2], all[3]}},
		{"?end=2023-01-01&_count=1", all[1:]},
		{"?start=2021&end=2022", all[2:4]},
		{"?_type=Observation", all[:3]},
		{"?_type=Observation,Practitioner&end=2023", []string{all[1], all[2], all[4]}},
		{"?_since=2999-01-01", nil},
	} {
		got := w.pages("/Patient/a/$everything" + tt.query)
		if tt.query == "" && got[0] != "Patient/a match" {
			t.Errorf("the first is %s", got[0])
		}
		slices.Sort(got)
		if strings.Join(got, ", ") != strings.Join(tt.want, ", ") {
			t.Errorf("%s: got %v, want %v", tt.query, got, tt.want)
		}
	}
	if got := w.pages("/Patient/$everything?_count=2"); len(slices.DeleteFunc(got, func(s string) bool { return strings.HasSuffix(s, "include") })) != 8 {
		t.Errorf("all patients: got %v", got)
	}
	// What is written after a page was read neither repeats nor shifts the next.
	s := w.want(200, "GET /Patient/a/$everything?_count=2", "").set(t)
	w.want(200, "PUT /Patient/a", `{"resourceType":"Patient","id":"a","gender":"other"}`)
	if got := w.pages(s.next()); !slices.Equal(got, []string{"Observation/after-a match", "Observation/undated-a match"}) {
		t.Errorf("got %v", got)
	}
	r := w.want(200, "POST /Patient/a/$everything", `{"resourceType":"Parameters","parameter":[{"name":"_count","valueInteger":1},{"name":"_type","valueCode":"Observation"}]}`).set(t)
	if len(r.Entry) != 1 || !strings.Contains(r.next(), "_type=Observation") {
		t.Errorf("by POST: got %+v", r)
	}
	for code, q := range map[string]string{
		"rest-count": "_count=0", "rest-since": "_since=x", "rest-everything-date": "start=x", "rest-everything-type": "_type=Nonsense", "rest-everything-parameter": "family=x",
	} {
		w.refused(400, code, "GET /Patient/a/$everything?"+q, "")
	}
	for _, c := range []string{"x", "9.", "-1.", "0.x", "1." + strings.Repeat("A", 60)} {
		w.refused(410, "rest-cursor", "GET /Patient/a/$everything?_cursor="+c, "")
	}
}

func TestEverythingShowsWhatTheLeaveShows(t *testing.T) {
	w := everythingWorld(t)
	scope := w.s.Store.NewScope()
	err := w.s.Store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Put(store.Put{Key: store.Key{Scope: scope, Type: "Observation", ID: "theirs"}, Body: []byte(`{"resourceType":"Observation"}`), Owner: "Patient/a"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.guard.leave = Leave{Owner: "Patient/a"}
	w.refused(404, "rest-not-found", "GET /Patient/b/$everything", "")
	own := w.pages("/Patient/$everything") // of one patient: her own
	if got := w.pages("/Patient/a/$everything"); !slices.Equal(got, own) || len(got) != 5 {
		t.Errorf("got %v and %v", got, own)
	}
	w.guard.leave = Leave{Scopes: []store.Scope{store.Own, scope}}
	if got := w.pages("/Patient/a/$everything"); !slices.Contains(got, "Observation/theirs match") {
		t.Errorf("the session's resource is missing: %v", got)
	}
	id := &search.Param{Code: "_id", Kind: search.Token}
	w.guard.leave = Leave{Within: map[string][][]search.Clause{"Observation": {{{Param: id, Values: []search.Value{{Text: "after-a"}}}}}, "Practitioner": {}}}
	if got := w.pages("/Patient/a/$everything?_count=1"); !slices.Equal(got, []string{"Patient/a match", "Observation/after-a match"}) {
		t.Errorf("within: got %v", got)
	}
	w.guard.leave = Leave{May: func(i Interaction, typ string) bool { return i == Operate || i == Read && typ == "Patient" }}
	if got := w.pages("/Patient/a/$everything"); !slices.Equal(got, []string{"Patient/a match"}) {
		t.Errorf("may: got %v", got)
	}
	w.guard.leave = Leave{May: func(i Interaction, typ string) bool { return i == Operate || typ == "Observation" }}
	w.refused(403, "rest-forbidden", "GET /Patient/a/$everything", "")
	w.refused(403, "rest-forbidden", "GET /Patient/$everything", "")
	w.guard.leave = Leave{Issues: []Issue{{Severity: "warning", Type: "incomplete", Code: "test", Text: "others were not asked"}}}
	if r := w.want(200, "GET /Patient/a/$everything", ""); !contains(r.body, "others were not asked") {
		t.Error("what the answer lacks is not said")
	}
}

func TestLastNTakesTheLastOfEachCode(t *testing.T) {
	w := newWorld(t)
	w.s.Operations = []Operation{LastN()}
	put := func(id, patient, date string, codes ...string) {
		var coding []string
		for _, c := range codes {
			coding = append(coding, fmt.Sprintf(`{"system":"s","code":"%s"}`, c))
		}
		w.want(201, "PUT /Observation/"+id, fmt.Sprintf(`{"resourceType":"Observation","id":"%s","subject":{"reference":"Patient/%s"},"effectiveDateTime":"%s","code":{"coding":[%s],"text":"t"}}`, id, patient, date, strings.Join(coding, ",")))
	}
	put("w1", "a", "2020", "w")
	put("w3", "a", "2022", "w2")
	put("w2", "a", "2021", "w", "w2") // ties the two codes together
	put("h1", "a", "2020", "h")
	put("n1", "a", "2019")
	put("n2", "a", "2018")
	put("b1", "b", "2024", "w")
	for query, want := range map[string]string{
		"patient=Patient/a":                  "Observation/w3 Observation/h1 Observation/n1",
		"subject=Patient/a&max=2":            "Observation/w3 Observation/w2 Observation/h1 Observation/n1 Observation/n2",
		"patient=Patient/a&code=h":           "Observation/h1",
		"patient=Patient/a&date=lt2022":      "Observation/w2 Observation/h1 Observation/n1",
		"patient=Patient/none":               "",
		"patient=Patient/a,Patient/b&code=w": "Observation/b1",
	} {
		if got := strings.Join(w.want(200, "GET /Observation/$lastn?"+query, "").set(t).ids(t), " "); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	w.refused(400, "rest-lastn-patient", "GET /Observation/$lastn?code=w", "")
	w.refused(400, "rest-lastn-max", "GET /Observation/$lastn?patient=Patient/a&max=0", "")
	w.refused(400, "rest-lastn-parameter", "GET /Observation/$lastn?patient=Patient/a&_sort=date", "")
	w.refused(400, "search-unknown-parameter", "GET /Observation/$lastn?patient=Patient/a&nonsense=1", "")
	w.guard.leave = Leave{Owner: "Patient/b"}
	if got := w.want(200, "GET /Observation/$lastn?patient=Patient/a", "").set(t).ids(t); len(got) != 0 {
		t.Errorf("of another patient: got %v", got)
	}
	if got := w.want(200, "GET /Observation/$lastn", "").set(t).ids(t); !slices.Equal(got, []string{"Observation/b1"}) {
		t.Errorf("her own: got %v", got)
	}
	w.guard.leave = Leave{May: func(i Interaction, _ string) bool { return i == Operate }}
	w.refused(403, "rest-forbidden", "GET /Observation/$lastn?patient=Patient/a", "")
}
