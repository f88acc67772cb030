package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/fhir/search"
	"salus/fhir/validate"
	"salus/gateway/balp"
	"salus/gateway/rest"
	"salus/store"
)

const base = "https://fhir.example.org/fhir"

// A world is a FHIR server over a real store, with an intake beside it.
type world struct {
	t      *testing.T
	s      *Service
	store  *store.Store
	server *rest.Server
	may    func(rest.Interaction, string) bool
	owner  string
	events []balp.Event
	deaf   bool // the log does not take events
}

type leaveKey struct{}

type guard struct{}

func (guard) Admit(r *http.Request) (*rest.Leave, error) {
	l, _ := r.Context().Value(leaveKey{}).(*rest.Leave)
	return l, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	st, err := store.OpenSQLite(t.Context(), filepath.Join(dir, "store.db"), [32]byte{1}, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	set := definition.R4()
	x, err := index.New(set, base)
	if err != nil {
		t.Fatal(err)
	}
	valid, err := validate.New(set, validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	check := func(ctx context.Context, r fhir.Resource) (out []rest.Issue) {
		for _, i := range valid.Validate(ctx, r) {
			out = append(out, rest.Issue(i))
		}
		return out
	}
	var types []string
	for _, n := range set.Types() {
		if k := set.Type(n); k.Kind == "resource" && !k.Abstract && !k.Profile {
			types = append(types, n)
		}
	}
	w := &world{t: t, store: st}
	w.server = rest.New(rest.Config{
		Store: st, Params: x, Types: types, Index: x.Entries, Owner: x.Owner, Subset: x.Subset, Guard: guard{}, Check: check,
		Base: base, Prefix: "/fhir", Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), MaxBody: 64 << 20,
	})
	w.s = New(Config{
		Store: st, Params: x, Set: set, Base: base, Check: check, Mappings: filepath.Join(dir, "mappings"), Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Admit: func(r *http.Request) (*rest.Leave, error) {
			if r.Header.Get("Authorization") == "" {
				return nil, rest.ErrUnauthorized
			}
			return &rest.Leave{Scopes: []store.Scope{store.Own}, May: w.may, Owner: w.owner}, nil
		},
		Transact: func(ctx context.Context, l *rest.Leave, prefers http.Header, bundle []byte) (int, http.Header, []byte) {
			r := httptest.NewRequestWithContext(context.WithValue(ctx, leaveKey{}, l), http.MethodPost, "/fhir", bytes.NewReader(bundle))
			r.Header.Set("Content-Type", "application/fhir+json")
			r.Header.Set("Prefer", "return=minimal")
			a := httptest.NewRecorder()
			w.server.ServeHTTP(a, r)
			return a.Code, a.Header(), a.Body.Bytes()
		},
		Event: func(_ *http.Request, e balp.Event) error {
			if w.deaf {
				return errors.New("the disk is full")
			}
			w.events = append(w.events, e)
			return nil
		},
	})
	if err := os.Mkdir(w.s.Mappings, 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) mapping(name, src string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.s.Mappings, name+".toml"), []byte(src), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// post sends a body; header are pairs.
func (w *world) post(path, contentType string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, path, body)
	r.Header.Set("Authorization", "Bearer sample")
	r.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	a := httptest.NewRecorder()
	w.s.ServeHTTP(a, r)
	return a
}

func (w *world) report(a *httptest.ResponseRecorder) (r Report) {
	w.t.Helper()
	if a.Code != http.StatusOK {
		w.t.Fatalf("got %d %s", a.Code, a.Body)
	}
	if err := json.Unmarshal(a.Body.Bytes(), &r); err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) refused(a *httptest.ResponseRecorder, status int, code string) {
	w.t.Helper()
	var p Problem
	if err := json.Unmarshal(a.Body.Bytes(), &p); err != nil || a.Code != status || p.Code != code {
		w.t.Errorf("got %d %s, want %d %s", a.Code, a.Body, status, code)
	}
}

// count is how many resources of a type there are.
func (w *world) count(typ, query string) int {
	w.t.Helper()
	return len(w.find(typ, query))
}

func (w *world) find(typ, query string) []store.Version {
	w.t.Helper()
	var pairs []search.Pair
	if name, value, ok := strings.Cut(query, "="); ok {
		pairs = append(pairs, search.Pair{Name: name, Value: value})
	}
	q, err := search.Parse(typ, pairs, search.Options{Params: w.s.Params, Now: time.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := w.store.Search(w.t.Context(), store.Search{Query: q, Sight: store.Sight{Scopes: []store.Scope{store.Own}}, Count: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Matches
}

// document is a C-CDA document of synthetic content; problem is a SNOMED CT code.
func document(id, problem string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <templateId root="2.16.840.1.113883.10.20.22.1.2"/>
  <id root="2.16.840.1.113883.19.5" extension="%s"/>
  <code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Summary of episode note"/>
  <title>Sample summary</title>
  <effectiveTime value="20260102030405+0100"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
  <recordTarget><patientRole>
    <id root="2.16.840.1.113883.19.5" extension="p-1"/>
    <patient><name use="L"><given>Testa</given><family>Synthetic</family></name>
      <administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="19700203"/></patient>
  </patientRole></recordTarget>
  <author><time value="20260102"/><assignedAuthor><id root="2.16.840.1.113883.19.5" extension="d-1"/>
    <assignedPerson><name><given>Erin</given><family>Example</family></name></assignedPerson></assignedAuthor></author>
  <component><structuredBody>
    <component><section><code code="11450-4" codeSystem="2.16.840.1.113883.6.1"/><title>Problems</title>
      <text><paragraph ID="p1">Lung infection</paragraph></text>
      <entry><act classCode="ACT" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.3"/>
        <code code="CONC" codeSystem="2.16.840.1.113883.5.6"/><statusCode code="active"/>
        <entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.4"/>
          <id root="2.16.840.1.113883.19.5" extension="c-1"/><statusCode code="completed"/>
          <effectiveTime><low value="20120806"/></effectiveTime>
          <value xsi:type="CD" code="%s" codeSystem="2.16.840.1.113883.6.96"/>
        </observation></entryRelationship></act></entry>
      <entry><observation classCode="OBS" moodCode="EVN"><templateId root="1.2.3.4.5"/><code code="x" codeSystem="1.2.3"/></observation></entry>
    </section></component>
  </structuredBody></component>
</ClinicalDocument>`, id, problem)
}

const xmlType = "application/xml"

func TestDocumentIsWrittenOnce(t *testing.T) {
	w := newWorld(t)
	src := document("doc-1", "233604007")
	first := w.report(w.post(PathCCDA, xmlType, strings.NewReader(src)))
	if first.Created < 4 || first.Updated+first.Unchanged > 0 {
		t.Fatalf("got %d created, %d updated, %d unchanged", first.Created, first.Updated, first.Unchanged)
	}
	if !slices.ContainsFunc(first.Unmapped, func(u Unmapped) bool { return strings.HasSuffix(u.Path, "/entry[2]") && u.Reason != "" }) {
		t.Errorf("the entry of an unknown template is not in the report: %v", first.Unmapped)
	}
	refs := w.find("DocumentReference", "")
	if len(refs) != 1 || !bytes.Contains(refs[0].Body, []byte(`"code":"R"`)) {
		t.Errorf("got %d documents kept, want one, restricted", len(refs))
	}
	if refs[0].Owner == "" || refs[0].Owner != w.find("Condition", "")[0].Owner {
		t.Error("the document is not in the patient's compartment")
	}
	again := w.report(w.post(PathCCDA, xmlType, strings.NewReader(src)))
	if again.Created+again.Updated > 0 || again.Unchanged != first.Created || again.SHA256 != first.SHA256 {
		t.Errorf("got %d created, %d updated of the same document again", again.Created, again.Updated)
	}
	for _, typ := range []string{"Patient", "Condition", "DocumentReference", "Composition"} {
		for _, v := range w.find(typ, "") {
			if v.VID != 1 {
				t.Errorf("%s has version %d, want 1", typ, v.VID)
			}
		}
	}
	// A later document that says something else of the same problem.
	later := w.report(w.post(PathCCDA, xmlType, strings.NewReader(document("doc-2", "195967001"))))
	if n := w.count("Patient", ""); n != 1 {
		t.Errorf("got %d patients", n)
	}
	if v := w.find("Condition", ""); len(v) != 1 || v[0].VID != 2 || later.Updated == 0 {
		t.Errorf("got %d conditions, %d updated, want one in its second version", len(v), later.Updated)
	}
	if n := w.count("DocumentReference", ""); n != 2 {
		t.Errorf("got %d documents, want both kept", n)
	}
	for _, e := range w.events {
		if e.Outcome != balp.Success || !strings.HasPrefix(e.Patient.Reference, "Patient/") {
			t.Errorf("got an event of %q about %q", e.Outcome, e.Patient.Reference)
		}
	}
	if len(w.events) != 3 {
		t.Errorf("got %d events, want one for each intake", len(w.events))
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	w := newWorld(t)
	r := w.report(w.post(PathCCDA+"?dry-run=true", xmlType, strings.NewReader(document("doc-1", "233604007"))))
	if !r.DryRun || r.Created == 0 || w.count("Patient", "")+w.count("DocumentReference", "") > 0 {
		t.Errorf("got %+v and %d patients", r, w.count("Patient", ""))
	}
}

const table = `version = 1
group = ["mrn"]
[codes.sex]
F = "female"
[[resource]]
name = "patient"
type = "Patient"
system = "urn:example:mrn"
key = ["mrn"]
[resource.set]
"name[0].family" = { column = "family" }
gender = { column = "sex", codes = "sex" }
[[resource]]
name = "result"
type = "Observation"
when = ["value"]
system = "urn:example:result"
key = ["mrn", "code"]
labels = ["PSY"]
[resource.set]
status = { value = "final" }
"code.text" = { column = "code" }
subject = { refer = "patient" }
"valueQuantity.value" = { column = "value" }
`

const csvHeader = "mrn,family,sex,code,value,range\n"

func TestADryRunOfATableListsItsRowsAndWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.mapping("results", table)
	src := csvHeader + "1,Example,F,hb,13.20,\n2,Sample,Q,hb,12,\n"
	r := w.report(w.post(PathCSV+"?mapping=results&dry-run=true", "text/csv", strings.NewReader(src)))
	if !r.DryRun || r.Created == 0 || len(r.Rejected) != 1 || r.Rejected[0].Line != 3 || r.Rejected[0].Column != "sex" || r.Rejected[0].Code != "csv-code" {
		t.Errorf("got %+v", r)
	}
	for _, typ := range []string{"Patient", "Observation", "DocumentReference", "Provenance"} {
		if n := w.count(typ, ""); n != 0 {
			t.Errorf("got %d resources of %s, want none", n, typ)
		}
	}
}

func TestTableIsWrittenOnceWithItsRows(t *testing.T) {
	w := newWorld(t)
	w.mapping("results", table)
	src := csvHeader + "1,Example,F,hb,13.20,\n1,Example,F,na,140,\n2,Sample,Q,hb,12,\n3,Specimen,,,,\n"
	r := w.report(w.post(PathCSV+"?mapping=results", "text/csv", strings.NewReader(src)))
	if r.Created != 6 || len(r.Rejected) != 1 || r.Rejected[0].Line != 4 || r.Rejected[0].Column != "sex" || r.Rejected[0].Code != "csv-code" {
		t.Fatalf("got %+v", r)
	}
	if r.Rows.Rows != 4 || r.Rows.Rejected != 1 || r.Rows.Groups != 2 {
		t.Errorf("got %+v", r.Rows)
	}
	var kept struct {
		Content []struct {
			Attachment struct{ Data []byte }
		}
	}
	ann := w.find("Patient", "identifier=urn:example:mrn|1")[0]
	for _, v := range w.find("DocumentReference", "patient=Patient/"+ann.ID) {
		if err := json.Unmarshal(v.Body, &kept); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(v.Body, []byte(`"PSY"`)) || !bytes.Contains(v.Body, []byte(`"R"`)) {
			t.Error("the rows lack the labels of what they say")
		}
	}
	if len(kept.Content) != 1 || string(kept.Content[0].Attachment.Data) != csvHeader+"1,Example,F,hb,13.20,\n1,Example,F,na,140,\n" {
		t.Errorf("got %+v kept", kept)
	}
	again := w.report(w.post(PathCSV+"?mapping=results", "text/csv", strings.NewReader(src)))
	if again.Created+again.Updated > 0 || again.Unchanged != 6 {
		t.Errorf("got %d created, %d updated of the same table again", again.Created, again.Updated)
	}
	changed := w.report(w.post(PathCSV+"?mapping=results", "text/csv", strings.NewReader(strings.Replace(src, "13.20", "13.2", 1))))
	if changed.Updated != 1 || changed.Created != 1 {
		t.Errorf("got %d updated, %d created, want the result and its rows", changed.Updated, changed.Created)
	}
}

func TestGroupThatFHIRRefusesIsNotWritten(t *testing.T) {
	w := newWorld(t)
	// A status that the rules of FHIR do not let an observation have stands in a column: only the
	// FHIR server knows.
	w.mapping("bad", strings.Replace(table, `status = { value = "final" }`, `status = { column = "range" }`, 1))
	src := csvHeader + "1,Example,F,hb,13.20,final\n1,Example,F,na,140,wrong\n2,Sample,F,hb,12,final\n"
	r := w.report(w.post(PathCSV+"?mapping=bad", "text/csv", strings.NewReader(src)))
	if len(r.Rejected) != 2 || r.Rows.Rejected != 2 || r.Rows.Groups != 1 || w.count("Patient", "") != 1 {
		t.Fatalf("got %+v and %d patients", r, w.count("Patient", ""))
	}
	if r.Rejected[0].Code != "csv-group" || r.Rejected[1].Line != 3 || r.Rejected[1].Where == "" {
		t.Errorf("got %+v", r.Rejected)
	}
}

func TestMappingMayComeWithTheTable(t *testing.T) {
	w := newWorld(t)
	send := func(names ...string) *httptest.ResponseRecorder {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		for i := 0; i+1 < len(names); i += 2 {
			p, err := m.CreateFormFile(names[i], names[i])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(p, names[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		return w.post(PathCSV, m.FormDataContentType(), &b)
	}
	if r := w.report(send("mapping", table, "file", csvHeader+"1,Example,F,hb,13.20,\n")); r.Created != 3 {
		t.Errorf("got %+v", r)
	}
	w.refused(send("file", csvHeader, "mapping", table), 415, "intake-media")
	w.refused(send("mapping", table), 400, "intake-body")
	w.refused(send("mapping", table+"wrong = 1\n", "file", csvHeader), 422, "mapping")
}

func TestWhatIsRefusedWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.mapping("results", table)
	w.mapping("nobody", "version = 1\n[[resource]]\nname = \"result\"\ntype = \"Observation\"\nsystem = \"urn:x\"\nkey = [\"mrn\"]\n[resource.set]\nstatus = { value = \"final\" }\n\"code.text\" = { value = \"x\" }\n")
	doc := document("doc-1", "233604007")
	dtd := strings.Replace(doc, "<ClinicalDocument", `<!DOCTYPE x [<!ENTITY a "b">]><ClinicalDocument`, 1)
	for _, c := range []struct {
		name, path, media, body string
		header                  []string
		status                  int
		code                    string
	}{
		{"no token", PathCCDA, xmlType, doc, []string{"Authorization", ""}, 401, "rest-login"},
		{"another media type", PathCCDA, "application/json", doc, nil, 415, "intake-media"},
		{"no media type", PathCCDA, "", doc, []string{"Content-Type", ""}, 415, "intake-media"},
		{"an encoded body", PathCCDA, xmlType, doc, []string{"Content-Encoding", "gzip"}, 415, "intake-media"},
		{"too large", PathCCDA, xmlType, doc + strings.Repeat(" ", MaxDocument), nil, 413, "intake-large"},
		{"a DTD", PathCCDA, xmlType, dtd, nil, 422, "ccda-dtd"},
		{"no XML", PathCCDA, xmlType, "no document", nil, 422, "ccda-xml"},
		{"another document", PathCCDA, xmlType, "<html/>", nil, 422, "ccda-namespace"},
		{"an unknown parameter", PathCCDA + "?dryrun=true", xmlType, doc, nil, 400, "intake-argument"},
		{"a mapping of a document", PathCCDA + "?mapping=results", xmlType, doc, nil, 400, "intake-argument"},
		{"a zone that there is not", PathCCDA + "?zone=Europe/Bonn", xmlType, doc, nil, 400, "intake-argument"},
		{"no mapping", PathCSV, "text/csv", csvHeader, nil, 404, "intake-mapping"},
		{"an unknown mapping", PathCSV + "?mapping=other", "text/csv", csvHeader, nil, 404, "intake-mapping"},
		{"a mapping out of the folder", PathCSV + "?mapping=../mappings/results", "text/csv", csvHeader, nil, 404, "intake-mapping"},
		{"rows of nobody", PathCSV + "?mapping=nobody", "text/csv", csvHeader, nil, 422, "intake-patient"},
		{"another header", PathCSV + "?mapping=results", "text/csv", "a,b\n1,2\n", nil, 422, "csv-header"},
		{"an empty table", PathCSV + "?mapping=results", "text/csv", "", nil, 422, "csv-header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.events = nil
			w.refused(w.post(c.path, c.media, strings.NewReader(c.body), c.header...), c.status, c.code)
			if len(w.events) != 1 || w.events[0].Outcome == balp.Success || w.events[0].Reason != c.code {
				t.Errorf("got events %+v", w.events)
			}
		})
	}
	w.t = t
	for _, typ := range []string{"Patient", "Condition", "DocumentReference"} {
		if n := w.count(typ, ""); n > 0 {
			t.Errorf("got %d %s", n, typ)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, PathCCDA, nil)
	a := httptest.NewRecorder()
	w.s.ServeHTTP(a, r)
	w.refused(a, 405, "intake-method")
}

func TestLeaveOfTheSenderHolds(t *testing.T) {
	w := newWorld(t)
	doc := document("doc-1", "233604007")
	w.may = func(i rest.Interaction, typ string) bool { return false }
	w.refused(w.post(PathCCDA, xmlType, strings.NewReader("not even read")), 403, "intake-scope")
	w.may = func(i rest.Interaction, typ string) bool { return typ != "Condition" }
	w.refused(w.post(PathCCDA, xmlType, strings.NewReader(doc)), 403, "intake-scope")
	w.may = func(i rest.Interaction, typ string) bool { return i != rest.Update }
	if w.count("Patient", "") > 0 {
		t.Error("something was written without leave")
	}
	w.refused(w.post(PathCCDA, xmlType, strings.NewReader(doc)), 403, "intake-scope")
	if w.count("Patient", "") > 0 {
		t.Error("something was written without leave")
	}
	w.may = nil
	w.report(w.post(PathCCDA, xmlType, strings.NewReader(doc)))
	// A token of another patient's context writes nothing into this one's.
	w.may, w.owner = nil, "Patient/other"
	a := w.post(PathCCDA, xmlType, strings.NewReader(document("doc-9", "233604007")))
	if a.Code != 403 || w.count("DocumentReference", "") != 1 {
		t.Errorf("got %d %s and %d documents", a.Code, a.Body, w.count("DocumentReference", ""))
	}
}

func TestNothingIsAnsweredThatIsNotRecorded(t *testing.T) {
	w := newWorld(t)
	w.deaf = true
	w.refused(w.post(PathCCDA, xmlType, strings.NewReader(document("doc-1", "233604007"))), 503, "intake-journal")
}

func TestRefusalsSayNothingOfTheDocument(t *testing.T) {
	w := newWorld(t)
	w.mapping("results", table)
	const secret = "SECRETNAME"
	for _, a := range []*httptest.ResponseRecorder{
		w.post(PathCCDA, xmlType, strings.NewReader("<"+secret+">")),
		w.post(PathCCDA, xmlType, strings.NewReader(strings.Replace(document(secret, secret), "</ClinicalDocument>", "<"+secret+"/>", 1))),
		w.post(PathCSV+"?mapping=results", "text/csv", strings.NewReader(csvHeader+"1,"+secret+","+secret+",hb,1,\n2,"+secret+"\n")),
		w.post(PathCSV+"?mapping=results", "text/csv", strings.NewReader(secret+","+secret+"\n")),
	} {
		if strings.Contains(a.Body.String(), secret) {
			t.Errorf("got an answer that tells: %s", a.Body)
		}
	}
}
