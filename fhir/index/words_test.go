package index

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"salus/fhir"
)

func TestResourcesAreFoundByWords(t *testing.T) {
	x := with(t, FullText(true)...)
	if s := x.Skipped(); len(s) > 0 {
		t.Fatalf("got %v skipped, want none", s)
	}
	w := worldOf(t, x)
	if status, _, _ := w.find("Patient?_text=sample"); status != http.StatusBadRequest {
		t.Errorf("before what is stored is indexed: got %d", status)
	}
	x.Offer()
	w.put1(`{"resourceType":"Patient","id":"p1","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\" title=\"a>hidden\"><p>Bone</p><!-- <p>secret --><p>Met\u00e1stases &lt;5 &amp; f&#232;ver</p><img alt='x>y'/>x-ray</div>"},"name":[{"family":"Sample"}]}`)
	w.put1(`{"resourceType":"Patient","id":"p2","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">liver metastases</div>"},"name":[{"family":"Other"}],"contact":[{"name":{"text":"Kind Neighbour"}}]}`)
	w.put1(`{"resourceType":"Patient","id":"p3"}`)
	w.put1(`{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"code":"a","display":"Heart rate"}]},"subject":{"reference":"Patient/p1","display":"Mrs. Sample"},"note":[{"text":"calm, **after** rest"}]}`)
	for query, want := range map[string]string{
		"Patient?_text=metastases": "Patient/p1 Patient/p2", "Patient?_text=(bone+OR+liver)+and+metastases": "Patient/p1 Patient/p2", "Patient?_text=bone": "Patient/p1", "Patient?_text=METAST": "Patient/p1 Patient/p2",
		"Patient?_text=fever+5": "Patient/p1", "Patient?_text=x-ray": "Patient/p1", "Patient?_text=not+bone": "Patient/p2 Patient/p3", "Patient?_text=liver,bone": "Patient/p1 Patient/p2", "Patient?_text=liver+not+metastases": "",
		"Patient?_text=hidden": "", "Patient?_text=secret": "", "Patient?_text=div": "", "Patient?_text=xhtml": "", "Patient?_text=sample": "", "Patient?_text=stases": "",
		"Patient?_text:missing=true": "Patient/p3", "Patient?_text:missing=false": "Patient/p1 Patient/p2",
		"Patient?_content=sample": "Patient/p1", "Patient?_content=liver": "Patient/p2", "Patient?_content=neighbour+other": "Patient/p2", "Observation?_content=calm+heart": "Observation/o1", "Observation?_content=mrs": "Observation/o1",
		"Observation?_content=final": "", "Observation?_content=patient": "", "?_content=sample": "Observation/o1 Patient/p1", "?_type=Patient,Observation&_text=bone": "Patient/p1",
		"Observation?subject:Patient._text=bone+fever": "Observation/o1", "Observation?subject:Patient._text=liver": "", "Patient?_has:Observation:subject:_content=calm+or+wild": "Patient/p1",
		"Patient?family=sample&_text=bone": "Patient/p1", "Patient?family=other&_text=bone": "", "Patient?_id=p1&_text=liver": "",
	} {
		status, got, _ := w.find(query)
		slices.Sort(got)
		if status != http.StatusOK || strings.Join(got, " ") != want {
			t.Errorf("%s: got %d %v, want %q", query, status, got, want)
		}
	}
	w.compartment = "Patient/p2"
	for query, want := range map[string]string{"Patient?_text=metastases": "Patient/p2", "Patient?_text=bone": "", "Observation?_content=calm": "", "Patient?_text=not+liver": "", "Patient?_has:Observation:subject:_content=calm": ""} {
		if status, got, _ := w.find(query); status != http.StatusOK || strings.Join(got, " ") != want {
			t.Errorf("of another compartment: %s: got %d %v, want %q", query, status, got, want)
		}
	}
}

func TestFullTextIsWhatWasAskedFor(t *testing.T) {
	only := with(t, FullText(false)...)
	if _, ok := only.Param("Patient", "_content"); ok {
		t.Error("_content is there and was not asked for")
	}
	if p, ok := only.Param("Patient", "_text"); !ok || !p.Words || !p.Unready {
		t.Errorf("got %+v, %v; want _text, not ready", p, ok)
	}
	for _, typ := range []string{"Bundle", "Binary", "Resource"} { // without a narrative
		if _, ok := only.Param(typ, "_text"); ok {
			t.Errorf("%s has no narrative", typ)
		}
	}
	if a, b, c := with(t).Digest(), only.Digest(), with(t, FullText(true)...).Digest(); a != 0 || b == 0 || c == 0 || b == c {
		t.Errorf("got the digests %d, %d, %d; want 0 and two others", a, b, c)
	}
	r, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"a","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">b a b</div>"}}`))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := only.Entries(r)
	var words []string
	for _, e := range entries {
		if e.Code == "_text" {
			words = append(words, e.Value.Text)
		}
	}
	if err != nil || !slices.Equal(words, []string{"b", "a"}) {
		t.Errorf("got %v, %v; want each word once", words, err)
	}
}
