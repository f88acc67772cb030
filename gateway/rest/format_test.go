package rest_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"salus/fhir/definition"
	"salus/fhir/fhirxml"
	"salus/gateway/rest"
)

// newXMLTrip is a server that is spoken to in JSON and XML.
func newXMLTrip(t *testing.T) (*trip, http.Handler) {
	t.Helper()
	x := newTrip(t)
	c := x.s.Config
	c.Formats = []rest.Format{rest.JSON, rest.XML}
	x.s = rest.New(c)
	return x, rest.InXML(definition.R4().Model(), 1<<20, x.s)
}

func ask(t *testing.T, h http.Handler, line, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	method, path, _ := strings.Cut(line, " ")
	r := httptest.NewRequestWithContext(t.Context(), method, "/fhir"+path, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	sendXML = "Content-Type: application/fhir+xml"
	wantXML = "Accept: application/fhir+xml"
	smithX  = `<Patient xmlns="http://hl7.org/fhir"><id value="a"/><active value="true"/><name><family value="Sample"/><given value="A"/></name></Patient>`
)

// root is the name of the outermost element of an answer in XML.
func root(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	if typ := w.Header().Get("Content-Type"); typ != "application/fhir+xml; charset=utf-8" {
		t.Fatalf("got %d as %s: %s", w.Code, typ, w.Body)
	}
	var e struct{ XMLName xml.Name }
	if err := xml.Unmarshal(w.Body.Bytes(), &e); err != nil || e.XMLName.Space != "http://hl7.org/fhir" {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return e.XMLName.Local
}

func TestResourcesComeAndGoInXML(t *testing.T) {
	x, h := newXMLTrip(t)
	w := ask(t, h, "PUT /Patient/a", smithX, sendXML, wantXML)
	if w.Code != http.StatusCreated || root(t, w) != "Patient" || !strings.Contains(w.Body.String(), `<versionId value="1"/>`) {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if got := x.do("GET", "Patient/a", nil); !strings.Contains(got.Body.String(), `"active":true,"name":[{"family":"Sample","given":["A"]}]`) {
		t.Errorf("it is stored as %s", got.Body)
	}
	for _, s := range []struct {
		line, body string
		headers    []string
		code       int
		root, has  string
	}{
		{"GET /Patient/a", "", []string{wantXML}, 200, "Patient", `<family value="Sample"/>`},
		{"GET /Patient/a?_format=xml", "", nil, 200, "Patient", `<family value="Sample"/>`},
		{"GET /Patient/a?_format=application/fhir+xml", "", []string{"Accept: application/fhir+json"}, 200, "Patient", ""},
		{"GET /Patient/a?_pretty=true", "", []string{"Accept: text/xml"}, 200, "Patient", "\n  <active value=\"true\"/>\n"},
		{"GET /Patient/a/_history/1", "", []string{"Accept: application/xml"}, 200, "Patient", ""},
		{"GET /Patient/a?_elements=active", "", []string{wantXML}, 200, "Patient", `<active value="true"/></Patient>`},
		{"GET /Patient?family=sample&_format=xml", "", nil, 200, "Bundle", `<url value="http://example.org/fhir/Patient?family=sample&amp;_format=xml"/>`},
		{"POST /Patient/_search", "family=sample", []string{wantXML, "Content-Type: application/x-www-form-urlencoded"}, 200, "Bundle", `<mode value="match"/>`},
		{"GET /Patient/a/_history", "", []string{wantXML}, 200, "Bundle", `<type value="history"/>`},
		{"GET /metadata", "", []string{wantXML}, 200, "CapabilityStatement", `<format value="json"/><format value="xml"/>`},
		{"POST /Patient", smithX, []string{sendXML, wantXML, "Prefer: return=minimal"}, 201, "", ""},
		{"POST /Patient", smithX, []string{sendXML, wantXML, "Prefer: return=OperationOutcome"}, 201, "OperationOutcome", ""},
		{"PUT /Patient/a", smithX, []string{sendXML, wantXML, `If-Match: W/"7"`}, 412, "OperationOutcome", `<code value="rest-version"/>`},
		{"GET /Patient/none", "", []string{wantXML}, 404, "OperationOutcome", `<code value="rest-not-found"/>`},
		{"GET /Patient?colour=x", "", []string{wantXML}, 400, "OperationOutcome", ""},
		{"POST /Patient", smithX[:40], []string{sendXML, wantXML}, 400, "OperationOutcome", `<code value="fhir-xml`},
		{"POST /Patient", `<Patient xmlns="http://hl7.org/fhir"><active value="yes"/></Patient>`, []string{sendXML, wantXML}, 400, "OperationOutcome", `<expression value="Patient.active"/>`},
		{"POST /", `<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/><entry><resource>` + smithX + `</resource><request><method value="PUT"/><url value="Patient/a"/></request></entry></Bundle>`, []string{sendXML, wantXML}, 200, "Bundle", `<type value="transaction-response"/>`},
	} {
		w := ask(t, h, s.line, s.body, s.headers...)
		if w.Code != s.code || s.root != "" && root(t, w) != s.root || !strings.Contains(w.Body.String(), s.has) {
			t.Errorf("%s: got %d %s; want %d, %s", s.line, w.Code, w.Body, s.code, s.has)
		}
	}
	if w := ask(t, h, "HEAD /Patient/a", "", wantXML); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "" || w.Header().Get("Content-Type") != "application/fhir+xml; charset=utf-8" || w.Header().Get("ETag") == "" {
		t.Errorf("HEAD: got %d %v", w.Code, w.Header())
	}
	if w := ask(t, h, "GET /Patient/a", "", wantXML, `If-None-Match: W/"2"`); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("not modified: got %d %s", w.Code, w.Body)
	}
	if w := ask(t, h, "DELETE /Patient/a", "", wantXML); w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("DELETE: got %d %s", w.Code, w.Body)
	}
}

func TestTheFormatThatIsPreferred(t *testing.T) {
	_, h := newXMLTrip(t)
	if w := ask(t, h, "PUT /Patient/a", smithX, "Content-Type: text/xml; charset=UTF-8"); w.Code != 201 || !json.Valid(w.Body.Bytes()) {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
	for accept, want := range map[string]string{
		"":                               "json",
		"*/*":                            "json",
		browser:                          "json",
		"application/json":               "json",
		"application/xml":                "xml",
		"text/xml, image/png":            "xml",
		"application/fhir+xml":           "xml",
		"application/fhir+xml, */*":      "xml",
		"*/*, application/fhir+xml":      "xml",
		"*/*, application/fhir+xml;q=.9": "json",
		"application/fhir+xml;q=0.9,application/fhir+json": "json",
		"application/fhir+json;q=0.5,application/fhir+xml": "xml",
		"application/fhir+json,application/fhir+xml":       "json",
		"application/fhir+xml,application/fhir+json":       "xml",
		"application/fhir+xml;q=0,*/*":                     "json",
		"application/fhir+json;q=0":                        "",
		"application/fhir+xml; fhirVersion=5.0":            "",
		"application/fhir+xml; fhirVersion=4.0":            "xml",
		"text/turtle":                                      "",
	} {
		w := ask(t, h, "GET /Patient/a", "", "Accept: "+accept)
		got := ""
		switch typ := w.Header().Get("Content-Type"); {
		case w.Code == 406:
		case strings.HasPrefix(typ, "application/fhir+json"):
			got = "json"
		case strings.HasPrefix(typ, "application/fhir+xml"):
			got = "xml"
		}
		if got != want {
			t.Errorf("%s: got %d and %s, want %q", accept, w.Code, got, want)
		}
	}
	for _, typ := range []string{"application/fhir+xml; charset=latin1", "application/fhir+xml; fhirVersion=5.0", "text/turtle", "application/json-patch+json"} {
		if w := ask(t, h, "PUT /Patient/a", smithX, "Content-Type: "+typ); w.Code != 415 {
			t.Errorf("%s: got %d %s", typ, w.Code, w.Body)
		}
	}
	if w := ask(t, h, "PATCH /Patient/a", `<Patient xmlns="http://hl7.org/fhir"/>`, sendXML); w.Code != 415 && w.Code != 400 {
		t.Errorf("a patch that is none: got %d %s", w.Code, w.Body)
	}
	if w := ask(t, h, "PUT /Patient/a", `<Patient xmlns="http://hl7.org/fhir"><name><text value="`+strings.Repeat("x", 1<<20)+`"/></name></Patient>`, sendXML); w.Code != 413 {
		t.Errorf("more than may be sent: got %d %s", w.Code, w.Body)
	}
	if w := ask(t, h, "PUT /Patient/a", `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><Patient xmlns="http://hl7.org/fhir"><name><text value="&b;"/></name></Patient>`, sendXML); w.Code != 400 || !strings.Contains(w.Body.String(), fhirxml.CodeDoctype) {
		t.Errorf("entities: got %d %s", w.Code, w.Body)
	}
}

// What XML cannot say is refused to who reads it; who has written it is told so in JSON.
func TestWhatXMLCannotSayIsNotLeftOut(t *testing.T) {
	x, h := newXMLTrip(t)
	const odd = `{"resourceType":"Patient","id":"odd","name":[{"family":"a\u0001b"}]}`
	if w := x.do("PUT", "Patient/odd", []byte(odd)); w.Code != 201 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"/Patient/odd", "/Patient?_id=odd"} {
		w := ask(t, h, "GET "+path, "", wantXML)
		if w.Code != 406 || root(t, w) != "OperationOutcome" || !strings.Contains(w.Body.String(), fhirxml.CodeUnsaid) || w.Header().Get("ETag") != "" {
			t.Errorf("%s: got %d %v %s", path, w.Code, w.Header(), w.Body)
		}
	}
	if w := ask(t, h, "PUT /Patient/odd", odd, "Content-Type: application/fhir+json", wantXML); w.Code != 200 || !json.Valid(w.Body.Bytes()) || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/fhir+json") {
		t.Errorf("written: got %d %v %s", w.Code, w.Header(), w.Body)
	}
}

// Nothing of a body is read before it is known who sends it, and what is no FHIR goes as it is.
func TestXMLIsReadWhenItIsAskedFor(t *testing.T) {
	read := false
	h := rest.InXML(definition.R4().Model(), 1<<20, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if read {
			t.Error("the body was read before")
		}
		if r.Header.Get("Content-Type") != "application/fhir+json" || r.ContentLength != -1 {
			t.Errorf("got %v, %d bytes", r.Header, r.ContentLength)
		}
		b, err := io.ReadAll(r.Body)
		if err != nil || string(b) != `{"resourceType":"Basic","id":"b"}` {
			t.Errorf("got %s, %v", b, err)
		}
		w.Header().Set("Content-Type", "text/csv")
		_, _ = io.WriteString(w, "a,b")
	}))
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/fhir/Basic", &watched{strings.NewReader(`<Basic xmlns="http://hl7.org/fhir"><id value="b"/></Basic>`), &read})
	r.Header.Set("Content-Type", "application/fhir+xml")
	r.Header.Set("Accept", "application/fhir+xml")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if !read || w.Code != 200 || w.Body.String() != "a,b" || w.Header().Get("Content-Type") != "text/csv" {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
}

type watched struct {
	io.Reader

	read *bool
}

func (w *watched) Read(p []byte) (int, error) {
	*w.read = true
	return w.Reader.Read(p)
}
