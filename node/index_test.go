package node_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salus/fhir/fhirtest"
	"salus/node"
)

// guided writes a package with search parameters into a node's home: one that can be used, and one that
// cannot.
func (f *feeding) guided() string {
	f.t.Helper()
	guide := fhirtest.Package(f.t, map[string]string{
		"SearchParameter-colour.json":  `{"resourceType":"SearchParameter","url":"http://example.org/SearchParameter/colour","status":"active","code":"colour","base":["Patient"],"type":"token","description":"by colour","expression":"Patient.extension.where(url = 'urn:example:colour').value"}`,
		"SearchParameter-useless.json": `{"resourceType":"SearchParameter","url":"http://example.org/SearchParameter/useless","status":"active","code":"useless","base":["Patient"],"type":"token","expression":"Patient.nonesuch"}`,
	})
	if err := os.WriteFile(filepath.Join(f.conf.Home, "guide.tgz"), guide, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return "guide.tgz"
}

// answer is a GET by the operator, until it is no refusal because of indexing.
func (f *feeding) answer(path string) (int, string) {
	f.t.Helper()
	token, err := os.ReadFile(f.conf.TokenFile())
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		q, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, "http://"+f.conf.Gateway.Listen+path, nil)
		if err != nil {
			f.t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			f.t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			f.t.Fatal(err)
		}
		if !strings.Contains(string(b), `"search-indexing"`) {
			return r.StatusCode, string(b)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Fatal("it is never indexed")
		}
	}
}

// TestAPackagesSearchParametersComeAndGo: with a start that names a package, what is there already is found
// by its parameters; with one that does not, nobody can ask by them.
func TestAPackagesSearchParametersComeAndGo(t *testing.T) {
	if testing.Short() {
		t.Skip("a node that is started four times")
	}
	f := newFeeding(t, nil)
	red := []byte(`{"resourceType":"Patient","id":"red","extension":[{"url":"urn:example:colour","valueCode":"red"}]}`)
	if got := f.put("/fhir/Patient/red", red); got != http.StatusCreated {
		t.Fatalf("got %d", got)
	}
	unknown := func() {
		t.Helper()
		if status, body := f.answer("/fhir/Patient?colour=red"); status != http.StatusBadRequest || !strings.Contains(body, `"search-unknown-parameter"`) {
			t.Errorf("without the package: got %d %s", status, body)
		}
	}
	unknown()
	f.conf.FHIR.Packages = []string{f.guided()}
	f.again()
	if status, body := f.answer("/fhir/Patient?colour=red"); status != http.StatusOK || !strings.Contains(body, `/fhir/Patient/red"`) {
		t.Errorf("got %d %s, want what was written before", status, body)
	}
	if status, body := f.answer("/fhir/Patient?useless=red"); status != http.StatusBadRequest || !strings.Contains(body, `"search-unknown-parameter"`) {
		t.Errorf("one that cannot be used: got %d %s", status, body)
	}
	if _, body := f.answer("/fhir/metadata"); !strings.Contains(body, `{"name":"colour","definition":"http://example.org/SearchParameter/colour","type":"token","documentation":"by colour"}`) || strings.Contains(body, "useless") {
		t.Error("the CapabilityStatement lists the wrong parameters")
	}
	// What is made again from the records is found so too.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for len(f.search("Provenance", "target", "Patient/red")) == 0 { // it is a record
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the version never becomes a record")
		}
	}
	f.hangUp()
	f.run.stop(t)
	f.sound("")
	f.conf.FHIR.Packages = nil
	f.sound(" to be indexed anew")
	f.conf.FHIR.Packages = []string{"guide.tgz"}
	if r, err := node.Rebuild(t.Context(), f.conf, logger(t)); err != nil || r.Versions == 0 {
		t.Fatalf("rebuilt: got %+v, %v", r, err)
	}
	f.sound("")
	f.start()
	if status, body := f.answer("/fhir/Patient?colour=red"); status != http.StatusOK || !strings.Contains(body, `/fhir/Patient/red"`) {
		t.Errorf("rebuilt: got %d %s", status, body)
	}
	f.conf.FHIR.Packages = nil
	f.again()
	unknown()
	if status, body := f.answer("/fhir/Patient?_id=red"); status != http.StatusOK || !strings.Contains(body, `/fhir/Patient/red"`) {
		t.Errorf("got %d %s, want what R4's own parameters find", status, body)
	}
}

// TestWordsAreFoundFromTheStartThatNamesThem: with a start that asks for it, what is there already is found by its words.
func TestWordsAreFoundFromTheStartThatNamesThem(t *testing.T) {
	if testing.Short() {
		t.Skip("a node that is started three times")
	}
	f := newFeeding(t, nil)
	told := []byte(`{"resourceType":"Patient","id":"told","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">bone metastases</div>"},"name":[{"family":"Sample"}]}`)
	if got := f.put("/fhir/Patient/told", told); got != http.StatusCreated {
		t.Fatalf("got %d", got)
	}
	finds := func(query string, want bool) {
		t.Helper()
		if status, body := f.answer("/fhir/Patient?" + query); status != http.StatusOK || strings.Contains(body, `/fhir/Patient/told"`) != want {
			t.Errorf("%s: got %d %s", query, status, body)
		}
	}
	refused := func(query string) {
		t.Helper()
		if status, body := f.answer("/fhir/Patient?" + query); status != http.StatusBadRequest || !strings.Contains(body, `"search-not-supported"`) {
			t.Errorf("%s: got %d %s", query, status, body)
		}
	}
	finds("_text=(bone+or+liver)+and+metastases", true)
	finds("_text=liver", false)
	refused("_content=sample")
	if _, body := f.answer("/fhir/metadata"); !strings.Contains(body, `{"name":"_text","definition":"http://hl7.org/fhir/SearchParameter/DomainResource-text","type":"string"`) || strings.Contains(body, `"_content"`) {
		t.Error("the CapabilityStatement lists other parameters")
	}
	f.conf.FHIR.FullText = "content"
	f.again()
	finds("_content=sample+bone", true)
	finds("_text=bone", true)
	f.conf.FHIR.FullText = "off"
	f.again()
	refused("_text=bone")
}
