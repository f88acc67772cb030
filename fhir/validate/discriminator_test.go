package validate

import (
	"strings"
	"testing"
)

const (
	person = "http://synthetic.example/StructureDefinition/person"
	folder = "http://synthetic.example/StructureDefinition/folder"
)

func TestSlicesAreToldByEveryDiscriminator(t *testing.T) {
	v := profiled(t, Options{})
	const patient = `{"resourceType":"Patient",`
	const kept = `"extension":[{"url":"http://synthetic.example/StructureDefinition/kept","valueBoolean":true}]`
	for _, s := range []ruleTest{
		{"value of an extension", patient + `"identifier":[{` + kept + `,"system":"s:x"},{"value":"1"}]}`, ""},
		{"value of an extension, the slice's rule", patient + `"identifier":[{"value":"1"},{` + kept + `}]}`, "validate-min Patient.identifier[1].system"},
		{"value of an extension, another", patient + `"identifier":[{` + strings.Replace(kept, "true", "false", 1) + `}]}`, ""},
		{"the whole by its fixed parts", patient + `"telecom":[{"system":"email","value":"a@x.example"},{"system":"phone"}]}`, ""},
		{"the whole by its fixed parts, the slice's rule", patient + `"telecom":[{"system":"phone"},{"system":"email"}]}`, "validate-min Patient.telecom[1].value"},
		{"the whole by its fixed parts, a length", patient + `"telecom":[{"system":"email","value":"somebody-with-a-long-name@x.example"}]}`, "validate-length Patient.telecom[0].value"},
		{"the whole by its fixed parts, too often", patient + `"telecom":[{"system":"email","value":"a"},{"system":"email","value":"b"}]}`, "validate-slice-max Patient.telecom the slice mail"},
		{"type of what a reference leads to", patient + `"generalPractitioner":[{"reference":"Practitioner/1"},{"reference":"Organization/1"}]}`, ""},
		{"type of what a reference leads to, none of them", patient + `"generalPractitioner":[{"reference":"PractitionerRole/1"}]}`, "validate-slice-closed Patient.generalPractitioner[0]"},
		{"type of what a reference leads to, not to be told", patient + `"generalPractitioner":[{"reference":"urn:uuid:5d1f2a34-0000-4000-8000-00000000000b"}]}`, ""},
		{"a fixed object", patient + `"maritalStatus":{"text":"married","coding":[{"code":"M","system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"}]}}`, ""},
		{"a fixed object with more", patient + `"maritalStatus":{"text":"married","coding":[{"code":"M","system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","display":"x"}]}}`, "validate-fixed Patient.maritalStatus"},
		{"a fixed object with more items", patient + `"maritalStatus":{"text":"married","coding":[{"code":"M","system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"},{"code":"x"}]}}`, "validate-fixed Patient.maritalStatus"},
		{"a type of contained resource", patient + `"contained":[{"resourceType":"Practitioner","id":"a"}],"generalPractitioner":[{"reference":"#a"}]}`, "validate-type Patient.contained[0]"},
	} {
		expect(t, v, s, person)
	}
}

func TestBundlesAreSlicedByTheirResources(t *testing.T) {
	v := profiled(t, Options{})
	one := string(fixture(t, "pressure.json").Raw())
	entry := func(url, r string) string { return `{"fullUrl":"` + url + `","resource":` + r + `}` }
	bundle := func(entries ...string) string {
		return `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Join(entries, ",") + `]}`
	}
	patient := `{"resourceType":"Patient","telecom":[{"system":"email","value":"a"}]}`
	for _, s := range []ruleTest{
		{"as it is", bundle(entry("urn:uuid:5d1f2a34-0000-4000-8000-00000000000b", one), entry("urn:uuid:5d1f2a34-0000-4000-8000-00000000000c", patient)), ""},
		{"without the slice", bundle(entry("urn:uuid:5d1f2a34-0000-4000-8000-00000000000c", patient)), "validate-slice-min Bundle.entry the slice pressure"},
		{"a rule beside the resource", bundle(`{"resource":` + one + `}`), "validate-min Bundle.entry[0].fullUrl"},
		{"an invariant with conformsTo()", bundle(entry("urn:uuid:5d1f2a34-0000-4000-8000-00000000000b", one), entry("urn:uuid:5d1f2a34-0000-4000-8000-00000000000c", `{`+obs+`}`)), "validate-invariant Bundle syn-2"},
		{"a fixed code", strings.Replace(bundle(entry("urn:uuid:5d1f2a34-0000-4000-8000-00000000000b", one)), `"collection"`, `"searchset"`, 1), "validate-fixed Bundle.type"},
	} {
		expect(t, v, s, folder)
	}
}

func TestCodesHaveSentences(t *testing.T) {
	for code, text := range Codes() {
		if text == "" || !strings.HasPrefix(code, "validate-") {
			t.Errorf("%s has no sentence", code)
		}
	}
}
