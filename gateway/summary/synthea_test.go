package summary

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/validate"
)

// TestSummaryOfAChartIsValid asks a server for the summary of a generated patient.
func TestSummaryOfAChartIsValid(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "synthea", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("there are no Synthea bundles here")
	}
	raw, err := os.ReadFile(slices.Min(files))
	if err != nil {
		t.Fatal(err)
	}
	var b struct {
		Entry []struct {
			FullURL  string `json:"fullUrl"`
			Resource json.RawMessage
		}
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	var pairs []string
	patient := ""
	for _, e := range b.Entry {
		r, err := fhir.Parse(e.Resource)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, `"`+e.FullURL+`"`, `"`+r.Type()+"/"+r.ID()+`"`)
		if r.Type() == "Patient" {
			patient = r.ID()
		}
	}
	w, turn := newWorld(t), strings.NewReplacer(pairs...)
	for _, e := range b.Entry {
		w.put(thing{body: turn.Replace(string(e.Resource))}, false)
	}
	check, err := validate.New(definition.R4(), validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"", "%7C1.1.0"} {
		status, doc := w.do("GET Patient/"+patient+"/$summary?profile=http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips"+version, "")
		if status != 200 {
			t.Fatalf("got %d %s", status, doc)
		}
		r, err := fhir.Parse([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range check.Validate(t.Context(), r) {
			if i.Severity == validate.Error || i.Severity == validate.Fatal {
				t.Errorf("%s %s: %s", i.Code, i.Expression, i.Text)
			}
		}
		for _, code := range []string{`"11450-4"`, `"48765-2"`, `"10160-0"`, `"11369-6"`, `"30954-2"`, `"8716-3"`} {
			if !strings.Contains(doc, code) {
				t.Errorf("there is no section %s", code)
			}
		}
		// What was asked for twice is the same but for what is the document's own.
		_, again := w.do("GET Patient/"+patient+"/$summary?profile=http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips"+version, "")
		if drawn.ReplaceAllString(again, "") != drawn.ReplaceAllString(doc, "") {
			t.Error("a second answer differs")
		}
	}
}
