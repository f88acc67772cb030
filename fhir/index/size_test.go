package index

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"salus/fhir"
)

// TestLargeResourcesTakeTimeByTheirSize: each of these is some megabytes of one shape. A step that
// is quadratic in any of them takes many minutes.
func TestLargeResourcesTakeTimeByTheirSize(t *testing.T) {
	const n = 40_000
	list := func(format string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	started := time.Now()
	for name, body := range map[string]string{
		"codings":    `{"resourceType":"Observation","code":{"coding":[` + list(`{"code":"%[1]d","display":"text %[1]d"}`) + `]}}`,
		"components": `{"resourceType":"Observation","component":[` + list(`{"code":{"coding":[{"code":"%[1]d"}]},"valueQuantity":{"value":%[1]d,"system":"http://unitsofmeasure.org","code":"{%[1]d}"}}`) + `]}`,
		"contained":  `{"resourceType":"Provenance","contained":[` + list(`{"resourceType":"Patient","id":"c%d"}`) + `],"target":[` + list(`{"reference":"#c%d"}`) + `]}`,
		"members":    `{"resourceType":"Group","member":[` + list(`{"entity":{"reference":"Patient/%d"}}`) + `]}`,
		"items":      `{"resourceType":"QuestionnaireResponse","item":[` + list(`{"linkId":"%d","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject"}],"answer":[{"valueReference":{"reference":"Patient/1"}}]}`) + `]}`,
		"variants":   `{"resourceType":"MolecularSequence","referenceSeq":{"chromosome":{"coding":[{"code":"1"}]}},"variant":[` + list(`{"start":%[1]d,"end":%[1]d}`) + `]}`,
		"names":      `{"resourceType":"Patient","name":[` + list(`{"family":"name %[1]d","given":["given %[1]d"]}`) + `]}`,
	} {
		r, err := fhir.Parse([]byte(body))
		if err != nil {
			t.Fatal(name, err)
		}
		e, err := fast().Entries(r)
		if err != nil || len(e) < n {
			t.Errorf("%s: got %d entries, %v", name, len(e), err)
		}
		fast().Owner(r)
	}
	if took := time.Since(started); took > time.Minute {
		t.Errorf("all of it took %v", took)
	}
}
