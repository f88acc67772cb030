package summary

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/store"
	"salus/store/storetest"
)

const base = "http://example.org/fhir"

var r4 = sync.OnceValues(func() (*index.Index, error) { return index.New(definition.R4(), base) })

// A thing is a resource that is put into a world; hidden ones in some way that the caller does not see.
type thing struct {
	body   string
	hidden bool
}

type world struct {
	t     testing.TB
	s     *rest.Server
	st    *store.Store
	x     *index.Index
	leave rest.Leave
	scope store.Scope // of what is hidden
}

// Admit implements rest.Guard.
func (w *world) Admit(r *http.Request) (*rest.Leave, error) {
	if r.Header.Get("X-Nobody") != "" {
		return nil, rest.ErrUnauthorized
	}
	l := w.leave
	if l.Scopes == nil {
		l.Scopes = []store.Scope{store.Own}
	}
	return &l, nil
}

var types = []string{
	"AllergyIntolerance", "CarePlan", "ClinicalImpression", "Condition", "Device", "DeviceUseStatement", "DiagnosticReport", "DocumentReference", "Encounter", "Flag",
	"Immunization", "ImmunizationRecommendation", "Medication", "MedicationRequest", "MedicationStatement", "Observation", "Organization", "Patient", "Practitioner", "Procedure", "Specimen",
}

func newWorld(t testing.TB) *world {
	t.Helper()
	x, err := r4()
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	st := storetest.Open(t, store.Options{Now: now})
	w := &world{t: t, st: st, x: x, scope: st.NewScope()}
	w.s = rest.New(rest.Config{
		Store: st, Params: x, Types: types, Index: x.Entries, Owner: x.Owner, Guard: w, Base: base, Prefix: "/fhir", Now: now,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Operations: Operations(Config{Author: "Salus", Custodian: "Sample Clinic"}),
	})
	return w
}

// put writes a resource, in the caller's own store or in a scope that she does not have.
func (w *world) put(th thing, scoped bool) {
	w.t.Helper()
	r, err := fhir.Parse([]byte(th.body))
	if err != nil {
		w.t.Fatalf("%v: %s", err, th.body)
	}
	entries, err := w.x.Entries(r)
	if err != nil {
		w.t.Fatal(err)
	}
	p := store.Put{Key: store.Key{Type: r.Type(), ID: r.ID()}, Body: r.Raw(), Owner: w.x.Owner(r), Entries: entries, Expect: store.Any, Updated: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)}
	if th.hidden && scoped {
		p.Scope = w.scope
	}
	if err := w.st.Write(w.t.Context(), func(tx *store.Tx) error { _, err := tx.Put(p); return err }); err != nil {
		w.t.Fatal(err)
	}
}

// do sends "METHOD path".
func (w *world) do(what, body string, headers ...string) (int, string) {
	w.t.Helper()
	method, path, _ := strings.Cut(what, " ")
	r := httptest.NewRequestWithContext(w.t.Context(), method, "/fhir/"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	w.s.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// ids are the resources of a document, as "Type/id", without what is made for it.
func (w *world) ids(doc string) (out []string) {
	w.t.Helper()
	var b struct {
		Type  string
		Entry []struct {
			FullURL  string `json:"fullUrl"`
			Resource struct{ ResourceType, ID string }
		}
	}
	if err := json.Unmarshal([]byte(doc), &b); err != nil || b.Type != "document" || b.Entry[0].Resource.ResourceType != "Composition" {
		w.t.Fatalf("no document: %v %s", err, doc)
	}
	for _, e := range b.Entry {
		if id, ok := strings.CutPrefix(e.FullURL, base+"/"); ok {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func seeded(t testing.TB) *world {
	w := newWorld(t)
	for _, b := range []string{
		`{"resourceType":"Patient","id":"a","identifier":[{"system":"http://example.org/mrn","value":"1"},{"value":"both"}],"name":[{"family":"Sample"}],"birthDate":"1970-01-01","generalPractitioner":[{"reference":"Practitioner/d"}]}`,
		`{"resourceType":"Patient","id":"b","identifier":[{"system":"http://example.org/mrn","value":"2"},{"value":"both"}],"name":[{"family":"Example"}]}`,
		`{"resourceType":"Practitioner","id":"d","name":[{"family":"Doctor"}]}`,
		`{"resourceType":"Condition","id":"ca","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},"code":{"text":"Asthma"},"subject":{"reference":"Patient/a"}}`,
		`{"resourceType":"Condition","id":"cb","code":{"text":"Gout"},"subject":{"reference":"Patient/b"}}`,
		`{"resourceType":"AllergyIntolerance","id":"aa","code":{"text":"Nuts"},"patient":{"reference":"Patient/a"}}`,
		`{"resourceType":"MedicationRequest","id":"ma","status":"active","intent":"order","medicationReference":{"reference":"Medication/m"},"subject":{"reference":"Patient/a"}}`,
		`{"resourceType":"Medication","id":"m","code":{"text":"Salbutamol"}}`,
		`{"resourceType":"Encounter","id":"ea","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/a"}}`,
	} {
		w.put(thing{body: b}, false)
	}
	return w
}

var ofA = []string{"AllergyIntolerance/aa", "Condition/ca", "Medication/m", "MedicationRequest/ma", "Patient/a", "Practitioner/d"}

func TestSummaryOfAPatient(t *testing.T) {
	w := seeded(t)
	for _, tt := range []struct{ what, body string }{
		{"GET Patient/a/$summary", ""},
		{"POST Patient/a/$summary", ""},
		{"POST Patient/a/$summary", `{"resourceType":"Parameters"}`},
		{"GET Patient/a/$summary?profile=http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips", ""},
		{"POST Patient/a/$summary", `{"resourceType":"Parameters","parameter":[{"name":"profile","valueCanonical":"http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips|2.0.0"}]}`},
		{"GET Patient/a/$summary?persistent=false", ""},
		{"GET Patient/$summary?identifier=http://example.org/mrn|1", ""},
		{"POST Patient/$summary", `{"resourceType":"Parameters","parameter":[{"name":"identifier","valueString":"http://example.org/mrn|1"}]}`},
	} {
		status, doc := w.do(tt.what, tt.body)
		if status != 200 {
			t.Errorf("%s %s: got %d %s", tt.what, tt.body, status, doc)
			continue
		}
		if got := w.ids(doc); !slices.Equal(got, ofA) {
			t.Errorf("%s: got %v, want %v", tt.what, got, ofA)
		}
	}
	_, doc := w.do("GET Patient/b/$summary?profile=http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips%7C1.1.0", "")
	if !strings.Contains(doc, "no-allergy-info") {
		t.Errorf("1.1.0 without allergies: got %s", doc)
	}
}

func TestSummaryRefusesWhatItDoesNotDo(t *testing.T) {
	w := seeded(t)
	for _, tt := range []struct {
		what, body string
		status     int
		code       string
	}{
		{"GET Patient/none/$summary", "", 404, "rest-not-found"},
		{"GET Patient/a/$summary?persistent=true", "", 400, "summary-persistent"},
		{"POST Patient/a/$summary", `{"resourceType":"Parameters","parameter":[{"name":"persistent","valueBoolean":true}]}`, 400, "summary-persistent"},
		{"GET Patient/a/$summary?profile=http://example.org/mine", "", 400, "summary-profile"},
		{"GET Patient/a/$summary?profile=http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips|3.0.0", "", 400, "summary-profile"},
		{"GET Patient/a/$summary?start=2020", "", 400, "summary-parameter"},
		{"GET Patient/a/$summary?persistent=false&persistent=false", "", 400, "summary-parameter"},
		{"GET Patient/a/$summary?identifier=1", "", 400, "summary-identifier-and-id"},
		{"GET Patient/$summary", "", 400, "summary-identifier"},
		{"GET Patient/$summary?identifier=", "", 400, "summary-identifier"},
		{"GET Patient/$summary?identifier=http://example.org/mrn|9", "", 404, "summary-not-found"},
		{"GET Patient/$summary?identifier=both", "", 412, "summary-several"},
		{"POST Patient/a/$summary", `{"resourceType":"Patient"}`, 400, "summary-body"},
		{"POST Patient/a/$summary", `{"resourceType":"Parameters","parameter":[{"name":"profile","valueCoding":{"code":"x"}}]}`, 400, "summary-body"},
		{"GET Condition/ca/$summary", "", 404, "rest-operation"},
		{"GET $summary", "", 404, "rest-operation"},
		{"DELETE Patient/a/$summary", "", 405, "rest-operation-method"},
	} {
		status, body := w.do(tt.what, tt.body)
		if status != tt.status || !strings.Contains(body, `"`+tt.code+`"`) {
			t.Errorf("%s %s: got %d %s, want %d %s", tt.what, tt.body, status, body, tt.status, tt.code)
		}
	}
	if status, _ := w.do("GET Patient/a/$summary", "", "X-Nobody: yes"); status != 401 {
		t.Errorf("nobody: got %d, want 401", status)
	}
}

func TestSummaryIsRefusedWithoutTheScope(t *testing.T) {
	w := seeded(t)
	w.leave.May = func(i rest.Interaction, typ string) bool { return typ != "Patient" || i == rest.Operate }
	for _, what := range []string{"GET Patient/a/$summary", "GET Patient/$summary?identifier=http://example.org/mrn|1"} {
		if status, body := w.do(what, ""); status != 403 {
			t.Errorf("%s: got %d %s, want 403", what, status, body)
		}
	}
	w.leave.May = func(i rest.Interaction, _ string) bool { return i == rest.Read || i == rest.Operate }
	if status, body := w.do("GET Patient/$summary?identifier=http://example.org/mrn|1", ""); status != 403 {
		t.Errorf("without search: got %d %s, want 403", status, body)
	}
	w.leave.May = func(_ rest.Interaction, typ string) bool { return typ != "AllergyIntolerance" && typ != "Medication" }
	_, doc := w.do("GET Patient/a/$summary", "")
	if got := w.ids(doc); slices.Contains(got, "AllergyIntolerance/aa") || slices.Contains(got, "Medication/m") || !slices.Contains(got, "Condition/ca") {
		t.Errorf("without two types: got %v", got)
	}
	if !strings.Contains(doc, `"withheld"`) || strings.Contains(doc, "Salbutamol") || strings.Contains(doc, "Nuts") {
		t.Errorf("without two types: got %s", doc)
	}
	w.leave = rest.Leave{Owner: "Patient/a"}
	if status, _ := w.do("GET Patient/b/$summary", ""); status != 404 {
		t.Errorf("another's compartment: got %d, want 404", status)
	}
	if status, _ := w.do("GET Patient/$summary?identifier=both", ""); status != 200 {
		t.Errorf("an identifier that two patients have, one of them hidden: got %d, want 200", status)
	}
}

func TestSummaryIsInTheCapabilityStatement(t *testing.T) {
	w := seeded(t)
	_, body := w.do("GET metadata", "")
	if !strings.Contains(body, `{"name":"summary","definition":"http://hl7.org/fhir/uv/ips/OperationDefinition/summary"}`) {
		t.Errorf("got %s", body)
	}
}

func TestSummarySaysWhatItLacks(t *testing.T) {
	w := seeded(t)
	w.leave.Issues = []rest.Issue{{Code: "chart-network", Text: "the network could not be asked"}}
	if _, doc := w.do("GET Patient/a/$summary", ""); !strings.Contains(doc, "<p>the network could not be asked</p>") {
		t.Errorf("got %s", doc)
	}
	for _, tt := range []struct {
		what, header string
		want         bool
	}{
		{"GET Patient/a/$summary", "X-None: x", false},
		{"GET Patient/$summary?identifier=http://example.org/mrn|1", "X-None: x", true},
		{"GET Patient/$summary?identifier=http://example.org/mrn|1", "Salus-Patient: Patient/a", false},
	} {
		if _, doc := w.do(tt.what, "", tt.header); strings.Contains(doc, ownAlone) != tt.want {
			t.Errorf("%s, %s: got %s", tt.what, tt.header, doc)
		}
	}
}

var drawn = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// TestHiddenResourcesDoNotChangeAByte compares two worlds, one without what the caller may not see.
func TestHiddenResourcesDoNotChangeAByte(t *testing.T) {
	about := func(n string) []string {
		ref := `{"reference":"Patient/a"}`
		return []string{
			`{"resourceType":"Condition","id":"h1` + n + `","code":{"text":"Secret"},"subject":` + ref + `}`,
			`{"resourceType":"AllergyIntolerance","id":"h2` + n + `","code":{"text":"Secret"},"patient":` + ref + `}`,
			`{"resourceType":"Observation","id":"h3` + n + `","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],"code":{"text":"Potassium"},"subject":` + ref + `,"effectiveDateTime":"2030","valueString":"Secret"}`,
			`{"resourceType":"MedicationRequest","id":"h4` + n + `","status":"active","intent":"order","medicationCodeableConcept":{"text":"Secret"},"subject":` + ref + `}`,
			`{"resourceType":"Procedure","id":"h5` + n + `","status":"completed","code":{"text":"Scan"},"subject":` + ref + `,"performedDateTime":"2030"}`,
			`{"resourceType":"Flag","id":"h6` + n + `","status":"active","code":{"text":"Secret"},"subject":` + ref + `}`,
			`{"resourceType":"Practitioner","id":"h7` + n + `","name":[{"family":"Secret"}]}`,
		}
	}
	shown := []string{
		`{"resourceType":"Observation","id":"o","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],"code":{"text":"Potassium"},"subject":{"reference":"Patient/a"},"effectiveDateTime":"2020","valueString":"4.1","performer":[{"reference":"Practitioner/h7x"}],"hasMember":[{"reference":"Observation/h3x"}]}`,
		`{"resourceType":"Procedure","id":"p","status":"completed","code":{"text":"Scan"},"subject":{"reference":"Patient/a"},"performedDateTime":"2020","reasonReference":[{"reference":"Condition/h1x"}]}`,
	}
	clause := func(x *index.Index, typ, code, text string) []search.Clause {
		p, ok := x.Param(typ, code)
		if !ok {
			t.Fatalf("no parameter %s of %s", code, typ)
		}
		return []search.Clause{{Param: p, Values: []search.Value{{Text: text}}}}
	}
	for _, tt := range []struct {
		name   string
		scoped bool
		leave  func(x *index.Index) rest.Leave
		hide   []string
	}{
		{"in a session she does not have", true, func(*index.Index) rest.Leave { return rest.Leave{} }, about("x")},
		{"by conditions of scopes", false, func(x *index.Index) rest.Leave {
			l := rest.Leave{Within: map[string][][]search.Clause{"Flag": {}, "Practitioner": {clause(x, "Practitioner", "_id", "d")}}}
			for typ, id := range map[string]string{"Condition": "ca", "AllergyIntolerance": "aa", "Observation": "o", "MedicationRequest": "ma", "Procedure": "p"} {
				l.Within[typ] = [][]search.Clause{clause(x, typ, "_id", id)}
			}
			return l
		}, about("x")},
		{"by type", false, func(*index.Index) rest.Leave {
			return rest.Leave{May: func(_ rest.Interaction, typ string) bool { return typ == "Patient" || typ == "Procedure" }}
		}, append(about("x")[:4:4], about("x")[5:]...)},
		{"in another compartment", false, func(*index.Index) rest.Leave { return rest.Leave{Owner: "Patient/a"} }, []string{
			strings.ReplaceAll(about("x")[0], "Patient/a", "Patient/b"), strings.ReplaceAll(about("x")[2], "Patient/a", "Patient/b"),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var docs [2]string
			for i := range docs {
				w := seeded(t)
				for _, b := range shown {
					w.put(thing{body: b}, false)
				}
				for _, b := range tt.hide {
					if i == 0 {
						w.put(thing{body: b, hidden: true}, tt.scoped)
					}
				}
				w.leave = tt.leave(w.x)
				for _, what := range []string{"GET Patient/a/$summary", "GET Patient/$summary?identifier=http://example.org/mrn|1", "GET Patient/b/$summary", "GET Patient/$summary?identifier=both"} {
					status, body := w.do(what, "")
					docs[i] += http.StatusText(status) + drawn.ReplaceAllString(body, "drawn") + "\n"
				}
			}
			if docs[0] != docs[1] {
				t.Errorf("with what is hidden:\n%s\nwithout:\n%s", docs[0], docs[1])
			}
			if strings.Contains(docs[0], "Secret") || strings.Contains(docs[0], "h7x") || strings.Contains(docs[0], "h3x") || strings.Contains(docs[0], "h1x") || !strings.Contains(docs[0], "Scan") {
				t.Errorf("got %s", docs[0])
			}
		})
	}
}

// A witness is told whose summary it is.
type witness struct {
	*httptest.ResponseRecorder
	about string
}

func (w *witness) About(owner string) { w.about = owner }

func TestSummaryByIdentifierSaysWhoseItIs(t *testing.T) {
	w := seeded(t)
	for path, want := range map[string]string{"identifier=http://example.org/mrn|1": "Patient/a", "identifier=http://example.org/mrn|9": ""} {
		rec := &witness{ResponseRecorder: httptest.NewRecorder()}
		w.s.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/fhir/Patient/$summary?"+path, nil))
		if rec.about != want {
			t.Errorf("%s: got %q, want %q", path, rec.about, want)
		}
	}
}
