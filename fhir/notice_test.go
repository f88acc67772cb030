package fhir_test

import (
	"slices"
	"testing"

	"salus/fhir"
)

func TestANoticeIsALabelThatRestricts(t *testing.T) {
	all := []fhir.Notice{{Label: fhir.SUD, Text: `No "more".`, Policy: "42CFRPart2"}, {Label: fhir.HIV, Text: "Another."}}
	for _, x := range []struct {
		labels []fhir.Label
		want   int
	}{{nil, 0}, {[]fhir.Label{fhir.KindCondition, fhir.R}, 0}, {[]fhir.Label{fhir.KindCondition, fhir.SUD}, 1}, {[]fhir.Label{fhir.HIV, fhir.SUD}, 2}} {
		if got := fhir.NoticesFor(all, x.labels); len(got) != x.want {
			t.Errorf("%v: got %v, want %d", x.labels, got, x.want)
		}
	}
	for i, want := range []string{
		`{"extension":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-basis","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"42CFRPart2"}}],` +
			`"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"NORDSCLCD","display":"No \"more\"."}`,
		`{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"NORDSCLCD","display":"Another."}`,
	} {
		got, err := all[i].Coding()
		if err != nil || string(got) != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
		r, err := fhir.Parse([]byte(`{"resourceType":"Basic","id":"1","meta":{"security":[` + want + `]}}`))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(fhir.LabelsOf(r), fhir.R) {
			t.Errorf("who takes it over does not restrict it: %v", fhir.LabelsOf(r))
		}
	}
}
