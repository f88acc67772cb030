package terminology

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/fhir/terminology"
	"salus/gateway/rest"
	"salus/store"
	"salus/store/storetest"
)

// world is a server with callers: who sees all, who sees one patient, who may read no terminology,
// and who may call nothing.
type world struct {
	testing.TB
	server  *rest.Server
	service *Service
	store   *store.Store
}

func (w *world) Admit(r *http.Request) (*rest.Leave, error) {
	l := &rest.Leave{Scopes: []store.Scope{store.Own}}
	switch r.Header.Get("Authorization") {
	case "patient":
		l.Owner = "Patient/1"
	case "clinical":
		l.May = func(i rest.Interaction, typ string) bool {
			return i == rest.Operate || typ == "Observation" || typ == "Patient"
		}
	case "nothing":
		l.May = func(rest.Interaction, string) bool { return false }
	}
	return l, nil
}

const colours = `{"resourceType":"CodeSystem","id":"colours","url":"urn:colours","version":"1","name":"Colours","status":"active","content":"complete","concept":[
{"code":"red","display":"Red","designation":[{"language":"fr","value":"Rouge"}],"concept":[{"code":"scarlet","display":"Scarlet"}]},{"code":"blue","display":"Blue"}]}`

const reds = `{"resourceType":"ValueSet","id":"reds","url":"urn:reds","version":"1","status":"active","compose":{"include":[{"system":"urn:colours","filter":[{"property":"concept","op":"is-a","value":"red"}]}]}}`

const paints = `{"resourceType":"ConceptMap","id":"paints","url":"urn:paints","status":"active","group":[{"source":"urn:colours","target":"urn:paint","element":[{"code":"red","target":[{"code":"RAL 3000","equivalence":"wider"}]},{"code":"blue"}]}]}`

func observation(id, patient, code string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":"%s","status":"final","subject":{"reference":"Patient/%s"},"code":{"coding":[{"system":"urn:colours","code":"%s"}]}}`, id, patient, code)
}

func newWorld(t *testing.T, without ...string) *world {
	t.Helper()
	st := storetest.Open(t, store.Options{})
	w := newWorldOn(t, st)
	for _, r := range []string{
		colours, reds, paints, `{"resourceType":"Patient","id":"1","gender":"male"}`, `{"resourceType":"Patient","id":"2","gender":"female"}`,
		observation("a", "1", "scarlet"), observation("b", "1", "blue"), observation("c", "2", "red"),
	} {
		if !slices.Contains(without, r) {
			w.put(r)
		}
	}
	return w
}

func newWorldOn(t testing.TB, st *store.Store) *world {
	t.Helper()
	const base = "http://fhir.example/fhir"
	x, err := index.New(definition.R4(), base)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, store: st}
	now := func() time.Time { return time.Unix(0, 0) }
	w.service = New(Config{Store: st, Loaded: terminology.R4(), Now: now, Base: base})
	w.server = rest.New(rest.Config{
		Store: st, Params: x, Types: []string{"CodeSystem", "ConceptMap", "Observation", "Patient", "ValueSet"}, Index: x.Entries, Owner: x.Owner, Guard: w, Base: base, Prefix: "/fhir",
		Now: now, Log: slog.New(slog.DiscardHandler), Operations: w.service.Operations(), Terminology: w.service.Search,
	})
	return w
}

func (w *world) put(r string) {
	w.Helper()
	var h struct{ ResourceType, ID string }
	if err := json.Unmarshal([]byte(r), &h); err != nil {
		w.Fatal(err)
	}
	if status, b := w.call("PUT", "/"+h.ResourceType+"/"+h.ID, r, ""); status >= 300 {
		w.Fatalf("PUT %s: %d %s", h.ID, status, b)
	}
}

func (w *world) call(method, path, body, who string) (int, string) {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), method, "/fhir"+path, bytes.NewReader([]byte(body)))
	r.Header.Set("Authorization", who)
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	a := httptest.NewRecorder()
	w.server.ServeHTTP(a, r)
	return a.Code, a.Body.String()
}

func TestQuestionsAreAnswered(t *testing.T) {
	w := newWorld(t)
	params := func(list string) string { return `{"resourceType":"Parameters","parameter":[` + list + `]}` }
	for name, c := range map[string]struct {
		path, body, who string
		status          int
		want            []string
	}{
		"expand by url":           {"/ValueSet/$expand?url=urn:reds", "", "", 200, []string{`"total":2`, `"code":"red"`, `"display":"Scarlet"`}},
		"expand one":              {"/ValueSet/reds/$expand?filter=scar", "", "", 200, []string{`"total":1`, `"id":"reds"`}},
		"expand R4's own":         {"/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender%7C4.0.1&filter=fem", "", "", 200, []string{`"total":1`, `"Female"`}},
		"expand what is sent":     {"/ValueSet/$expand", strings.Replace(reds, "urn:reds", "urn:sent", 1), "", 200, []string{`"url":"urn:sent"`, `"total":2`}},
		"expand as a parameter":   {"/ValueSet/$expand", params(`{"name":"valueSet","resource":` + reds + `},{"name":"count","valueInteger":1},{"name":"displayLanguage","valueCode":"fr"}`), "", 200, []string{`"Rouge"`, `"total":2`}},
		"expand unknown":          {"/ValueSet/$expand?url=urn:none", "", "", 404, []string{`"not-found"`, `urn:none`}},
		"expand SNOMED CT":        {"/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/procedure-code", "", "", 404, []string{`http://snomed.info/sct`}},
		"expand by date":          {"/ValueSet/$expand?url=urn:reds&date=2020", "", "", 400, []string{`"not-supported"`}},
		"expand nothing":          {"/ValueSet/$expand", "", "", 400, []string{`terminology-which-value-set`}},
		"expand -1":               {"/ValueSet/$expand?url=urn:reds&count=-1", "", "", 400, []string{`terminology-number`}},
		"expand a Patient":        {"/ValueSet/$expand", `{"resourceType":"Patient"}`, "", 400, []string{`terminology-parameters`}},
		"look up":                 {"/CodeSystem/$lookup?system=urn:colours&code=scarlet", "", "", 200, []string{`"valueString":"Colours"`, `"valueString":"Scarlet"`, `{"name":"code","valueCode":"parent"},{"name":"value","valueCode":"red"},{"name":"description","valueString":"Red"}`}},
		"look up a coding":        {"/CodeSystem/$lookup", params(`{"name":"coding","valueCoding":{"system":"http://hl7.org/fhir/administrative-gender","code":"male"}}`), "", 200, []string{`"valueString":"Male"`}},
		"look up one property":    {"/CodeSystem/$lookup?system=urn:colours&code=red&property=child", "", "", 200, []string{`"valueCode":"scarlet"`}},
		"look up no code":         {"/CodeSystem/$lookup?system=urn:colours&code=pink", "", "", 404, []string{`terminology-code`}},
		"look up LOINC":           {"/CodeSystem/$lookup?system=http://loinc.org&code=8480-6", "", "", 404, []string{`http://loinc.org`}},
		"look up without system":  {"/CodeSystem/$lookup?code=red", "", "", 400, []string{`terminology-which-code-system`}},
		"valid in a set":          {"/ValueSet/$validate-code?url=urn:reds&system=urn:colours&code=scarlet", "", "", 200, []string{`"valueBoolean":true`}},
		"not in a set":            {"/ValueSet/reds/$validate-code?system=urn:colours&code=blue", "", "", 200, []string{`"valueBoolean":false`}},
		"a wrong display":         {"/ValueSet/$validate-code?url=urn:reds&system=urn:colours&code=red&display=Green", "", "", 200, []string{`"valueBoolean":false`, `"Red"`}},
		"a display in French":     {"/ValueSet/$validate-code?url=urn:reds&system=urn:colours&code=red&display=rouge", "", "", 200, []string{`"valueBoolean":true`}},
		"one of a concept":        {"/ValueSet/$validate-code", params(`{"name":"url","valueUri":"urn:reds"},{"name":"codeableConcept","valueCodeableConcept":{"coding":[{"system":"urn:x","code":"1"},{"system":"urn:colours","code":"red"}]}}`), "", 200, []string{`"valueBoolean":true`}},
		"a code without system":   {"/ValueSet/$validate-code?url=urn:reds&code=red", "", "", 400, []string{`terminology-which-code`}},
		"valid in a system":       {"/CodeSystem/$validate-code?url=urn:colours&code=blue", "", "", 200, []string{`"valueBoolean":true`, `"Blue"`}},
		"valid in one system":     {"/CodeSystem/colours/$validate-code?code=pink", "", "", 200, []string{`"valueBoolean":false`}},
		"subsumes":                {"/CodeSystem/$subsumes?system=urn:colours&codeA=red&codeB=scarlet", "", "", 200, []string{`"valueCode":"subsumes"`}},
		"subsumed by":             {"/CodeSystem/colours/$subsumes?codeA=scarlet&codeB=red", "", "", 200, []string{`"subsumed-by"`}},
		"not subsumed":            {"/CodeSystem/$subsumes?system=urn:colours&codeA=red&codeB=blue", "", "", 200, []string{`"not-subsumed"`}},
		"equivalent":              {"/CodeSystem/$subsumes", params(`{"name":"codingA","valueCoding":{"system":"urn:colours","code":"red"}},{"name":"codingB","valueCoding":{"system":"urn:colours","code":"red"}}`), "", 200, []string{`"equivalent"`}},
		"two systems":             {"/CodeSystem/$subsumes", params(`{"name":"codingA","valueCoding":{"system":"urn:colours","code":"red"}},{"name":"codingB","valueCoding":{"system":"urn:x","code":"red"}}`), "", 400, []string{`terminology-two-systems`}},
		"translate":               {"/ConceptMap/$translate?system=urn:colours&code=red", "", "", 200, []string{`"valueBoolean":true`, `"valueCode":"wider"`, `RAL 3000`, `urn:paints`}},
		"translate back":          {"/ConceptMap/paints/$translate?system=urn:paint&code=RAL%203000&reverse=true", "", "", 200, []string{`"valueCode":"narrower"`, `"code":"red"`}},
		"translate to nothing":    {"/ConceptMap/$translate?url=urn:paints&system=urn:colours&code=blue", "", "", 200, []string{`"valueBoolean":false`, `"unmatched"`}},
		"translate by R4's own":   {"/ConceptMap/$translate?system=http://hl7.org/fhir/administrative-gender&code=male&targetsystem=http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender", "", "", 200, []string{`"valueBoolean":true`, `"code":"M"`}},
		"translate without a map": {"/ConceptMap/$translate?url=urn:none&system=urn:colours&code=red", "", "", 404, []string{`terminology-concept-map`}},

		"without the scope":               {"/ValueSet/$expand?url=urn:reds", "", "nothing", 403, nil},
		"lookup without the scope":        {"/CodeSystem/$lookup?system=urn:colours&code=red", "", "nothing", 403, nil},
		"the store's, unread":             {"/ValueSet/$expand?url=urn:reds", "", "clinical", 404, []string{`terminology-value-set`}},
		"the store's one, unread":         {"/ValueSet/reds/$expand", "", "clinical", 404, nil},
		"R4's own, for who reads nothing": {"/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender", "", "clinical", 200, []string{`"total":4`}},
	} {
		t.Run(name, func(t *testing.T) {
			method := "GET"
			if c.body != "" {
				method = "POST"
			}
			status, got := w.call(method, c.path, c.body, c.who)
			if status != c.status {
				t.Errorf("got %d %s, want %d", status, got, c.status)
			}
			for _, s := range c.want {
				if !strings.Contains(got, s) {
					t.Errorf("got %s, want %s in it", got, s)
				}
			}
		})
	}
}

func ids(t *testing.T, b string) string {
	t.Helper()
	var x struct {
		Entry []struct{ Resource struct{ ID string } }
	}
	if err := json.Unmarshal([]byte(b), &x); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range x.Entry {
		out = append(out, e.Resource.ID)
	}
	return strings.Join(out, " ")
}

func TestSearchesGoByValueSetsAndHierarchies(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct{ query, who, want string }{
		"in":                      {"Observation?code:in=urn:reds", "", "a c"},
		"in a version":            {"Observation?code:in=urn:reds%7C1", "", "a c"},
		"in one of the server":    {"Observation?code:in=ValueSet/reds", "", "a c"},
		"in one by its address":   {"Observation?code:in=http://fhir.example/fhir/ValueSet/reds", "", "a c"},
		"not in":                  {"Observation?code:not-in=urn:reds", "", "b"},
		"below":                   {"Observation?code:below=urn:colours%7Cred", "", "a c"},
		"above":                   {"Observation?code:above=urn:colours%7Cscarlet", "", "a c"},
		"a code element":          {"Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", "", "1 2"},
		"across a reference":      {"Patient?_has:Observation:patient:code:in=urn:reds", "", "1 2"},
		"across, of one patient":  {"Patient?_has:Observation:patient:code:in=urn:reds", "patient", "1"},
		"in, of one patient":      {"Observation?code:in=urn:reds", "patient", "a"},
		"not in, of one patient":  {"Observation?code:not-in=urn:reds", "patient", "b"},
		"R4's own, for everybody": {"Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", "clinical", "1 2"},
	} {
		status, b := w.call("GET", "/"+c.query, "", c.who)
		if got := ids(t, b); status != 200 || got != c.want {
			t.Errorf("%s: got %d %q, want %q: %s", name, status, got, c.want, b)
		}
	}
	for name, c := range map[string]struct{ query, who, want string }{
		"an unknown value set": {"Observation?code:in=urn:none", "", "search-no-terminology"},
		"one that is hidden":   {"Observation?code:in=urn:reds", "clinical", "search-no-terminology"},
		"hidden, by its id":    {"Observation?code:in=ValueSet/reds", "clinical", "search-no-terminology"},
		"a hidden code system": {"Observation?code:below=urn:colours%7Cred", "clinical", "search-no-terminology"},
		"none, by its id":      {"Observation?code:in=ValueSet/none", "", "search-no-terminology"},
		"SNOMED CT":            {"Observation?code:below=http://snomed.info/sct%7C73211009", "", "search-no-terminology"},
		"no system":            {"Observation?code:below=red", "", "search-modifier-value"},
	} {
		if status, b := w.call("GET", "/"+c.query, "", c.who); status != 400 || !strings.Contains(b, c.want) {
			t.Errorf("%s: got %d %s, want %s", name, status, b, c.want)
		}
	}
}

// Who may not see a value set gets the answer that she gets where there is none, byte for byte.
func TestHiddenTerminologyIsNotFelt(t *testing.T) {
	with, without := newWorld(t), newWorld(t, colours, reds, paints)
	for _, q := range []string{
		"/ValueSet/$expand?url=urn:reds", "/ValueSet/$validate-code?url=urn:reds&system=urn:colours&code=red", "/CodeSystem/$lookup?system=urn:colours&code=red",
		"/CodeSystem/$subsumes?system=urn:colours&codeA=red&codeB=blue", "/ConceptMap/$translate?system=urn:colours&code=red", "/Observation?code:in=urn:reds",
		"/ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/administrative-gender&system=urn:colours&code=red", "/Observation?code:in=ValueSet/reds", "/ValueSet/reds/$expand",
	} {
		sa, a := with.call("GET", q, "", "clinical")
		sb, b := without.call("GET", q, "", "clinical")
		if sa != sb || a != b {
			t.Errorf("%s: got %d %s where it is hidden, %d %s where there is none", q, sa, a, sb, b)
		}
	}
}

func TestTheNewestVersionCountsAndIsNeverStale(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.put(strings.Replace(colours, `"Red"`, fmt.Sprintf(`"Red %d"`, i), 1))
		if _, b := w.call("GET", "/CodeSystem/$lookup?system=urn:colours&code=red", "", ""); !strings.Contains(b, fmt.Sprintf("Red %d", i)) {
			t.Errorf("got %s, want Red %d", b, i)
		}
	}
	w.put(strings.NewReplacer(`"id":"colours"`, `"id":"later"`, `"version":"1"`, `"version":"10"`, `"Red"`, `"Later"`).Replace(colours))
	w.put(strings.NewReplacer(`"id":"colours"`, `"id":"draft"`, `"version":"1"`, `"version":"11"`, `"Red"`, `"Draft"`, `"active"`, `"draft"`).Replace(colours))
	for version, want := range map[string]string{"": "Later", "1": "Red 2", "11": "Draft"} {
		if _, b := w.call("GET", "/CodeSystem/$lookup?system=urn:colours&code=red&version="+version, "", ""); !strings.Contains(b, want) {
			t.Errorf("%q: got %s, want %s", version, b, want)
		}
	}
}

func TestWhatIsOfferedIsSaid(t *testing.T) {
	w := newWorld(t)
	_, b := w.call("GET", "/metadata", "", "")
	for _, o := range w.service.Operations() {
		if !strings.Contains(b, `{"name":"`+o.Name+`","definition":"`+o.Definition+`"}`) {
			t.Errorf("the CapabilityStatement lacks %s", o.Definition)
		}
	}
	for mode, want := range map[string]string{"terminology": `"uri":"http://hl7.org/fhir/administrative-gender"`, "full": "CapabilityStatement"} {
		a := httptest.NewRecorder()
		w.service.Metadata(w.server).ServeHTTP(a, httptest.NewRequestWithContext(t.Context(), "GET", "/fhir/metadata?mode="+mode, nil))
		if a.Code != 200 || !strings.Contains(a.Body.String(), want) || strings.Contains(a.Body.String(), "urn:colours") {
			t.Errorf("%s: got %d, want %s and nothing of the store", mode, a.Code, want)
		}
	}
}

// FuzzCall: whatever is sent to an operation, the answer is FHIR JSON below 500.
func FuzzCall(f *testing.F) {
	for _, s := range []string{reds, colours, paints, `{"resourceType":"Parameters","parameter":[{"name":"valueSet","resource":` + reds + `}]}`, `{"resourceType":"Parameters","parameter":[{"name":"codeSystem","resource":` + colours + `},{"name":"code","valueCode":"red"}]}`} {
		f.Add("url=urn:reds&code=red&system=urn:colours", s)
	}
	s := New(Config{Loaded: terminology.R4(), Now: func() time.Time { return time.Unix(0, 0) }})
	// Nothing of the store is seen: what is fuzzed is the reading of questions and resources.
	l := &rest.Leave{May: func(i rest.Interaction, _ string) bool { return i == rest.Operate }}
	server := rest.New(rest.Config{
		Types: []string{"CodeSystem", "ConceptMap", "ValueSet"}, Guard: guard{l}, Operations: s.Operations(), Now: s.Now, Log: slog.New(slog.DiscardHandler),
	})
	f.Fuzz(func(t *testing.T, query, body string) {
		for _, o := range s.Operations() {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/"+o.Types[0]+"/$"+o.Name, strings.NewReader(body))
			r.URL.RawQuery = query
			r.Header.Set("Content-Type", "application/fhir+json")
			a := httptest.NewRecorder()
			server.ServeHTTP(a, r)
			if a.Code >= 500 || !json.Valid(a.Body.Bytes()) {
				t.Errorf("%s: got %d %s", o.Name, a.Code, a.Body)
			}
		}
	})
}

type guard struct{ l *rest.Leave }

func (g guard) Admit(*http.Request) (*rest.Leave, error) { return g.l, nil }
