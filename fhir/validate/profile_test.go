package validate

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"salus/fhir/definition"
	"salus/fhir/fhirtest"
)

// pack makes an npm package of testdata/package.
func pack(t testing.TB) *bytes.Reader {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "package", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("testdata/package is missing", err)
	}
	bodies := map[string]string{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		bodies[filepath.Base(f)] = string(raw)
	}
	return bytes.NewReader(fhirtest.Package(t, bodies))
}

func profiled(t testing.TB, o Options) *Validator {
	t.Helper()
	set, err := definition.R4().Add(pack(t))
	if err != nil {
		t.Fatal(err)
	}
	if o.Contexts, err = ReadContexts(pack(t)); err != nil {
		t.Fatal(err)
	}
	v, err := New(set, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const (
	pressure = "http://synthetic.example/StructureDefinition/pressure"
	mark     = `{"url": "http://synthetic.example/StructureDefinition/mark", "valueBoolean": true}`
)

// profileTests replace one part of testdata/pressure.json.
var profileTests = []struct{ name, from, to, want string }{
	{"as it is", "", "", ""},
	{"an invariant of the profile", `"effectiveDateTime": "2024-01-01",`, "", "validate-invariant Observation syn-1"},
	{"a type that the profile does not allow", `"effectiveDateTime": "2024-01-01"`, `"effectivePeriod": {"start": "2024"}`, "validate-type Observation.effective"},
	{"a slice of extensions is missing", mark, `{"url": "s:x", "valueBoolean": true}`, "validate-slice-min Observation.extension the slice mark"},
	{"no extension at all", `"extension": [` + mark + `],`, "", "validate-slice-min Observation.extension the slice mark"},
	{"a slice of extensions too often", mark, mark + "," + mark, "validate-slice-max Observation.extension the slice mark"},
	{"an extension's value of another type", `"valueBoolean": true`, `"valueString": "x"`, "validate-type Observation.extension[0].value"},
	{"a slice by pattern is missing", `"code": "vital-signs"`, `"code": "laboratory"`, "validate-slice-min Observation.category the slice signs"},
	{"a pattern is not contained", `"code": "85354-9"`, `"code": "1"`, "validate-pattern Observation.code"},
	{"an element that the profile requires", `"subject": {"reference": "Patient/1"},`, "", "validate-min Observation.subject"},
	{"a target that the profile does not allow", `Patient/1`, `Group/1`, "validate-target Observation.subject"},
	{"a slice by type fits", `"note"`, `"valueQuantity": {"value": 1, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}, "note"`, ""},
	{"a fixed value in a slice by type", `"note"`, `"valueQuantity": {"value": 1, "system": "http://unitsofmeasure.org", "code": "kPa"}, "note"`, "validate-fixed Observation.value.code"},
	{"a required element in a slice by type", `"note"`, `"valueQuantity": {"system": "http://unitsofmeasure.org", "code": "mm[Hg]"}, "note"`, "validate-min Observation.value.value"},
	{"a type in no slice of a closed slicing", `"note"`, `"valueString": "x", "note"`, "validate-slice-closed Observation.value"},
	{"a type that the profile leaves out", `"note"`, `"valueInteger": 1, "note"`, "validate-type Observation.value"},
	{"a slice by existence too often", `{"text": "three"}`, `{"authorString": "x", "text": "three"}`, "validate-slice-max Observation.note the slice signed"},
	{"a required binding of the profile", `"code": "cuff"`, `"code": "guess"`, "validate-binding Observation.method"},
	{"an element that the profile forbids", `"note"`, `"specimen": {"display": "x"}, "note"`, "validate-max Observation.specimen"},
	{"a slice by value is missing", `"code": "8462-4"`, `"code": "8463-2"`, "validate-slice-closed Observation.component[1]"},
	{"a slice's own rule", `"valueQuantity": {"value": 120.0}`, `"valueString": "x"`, "validate-type Observation.component[0].value"},
	{"a slice's own minimum", `, "valueQuantity": {"value": 120.0}`, ``, "validate-min Observation.component[0].value"},
	{"a slice by the profile of what is elsewhere cannot be told", `"note"`, `"hasMember": [{"reference": "Observation/1"}, {"reference": "Observation/2"}], "note"`, ""},
}

func TestProfilesAddTheirRules(t *testing.T) {
	v := profiled(t, Options{})
	base := string(fixture(t, "pressure.json").Raw())
	for _, s := range profileTests {
		if s.from != "" && !strings.Contains(base, s.from) {
			t.Fatalf("%s: the fixture has no %s", s.name, s.from)
		}
		r := strings.Replace(base, s.from, s.to, 1)
		got := issuesOf(t, v, r)
		if s.want == "" {
			if len(got) > 0 {
				t.Errorf("%s: got %v, want nothing", s.name, got)
			}
			continue
		}
		w := append(strings.SplitN(s.want, " ", 3), "")
		found := false
		for _, i := range got {
			found = found || i.Code == w[0] && i.Expression == w[1] && strings.HasPrefix(i.Text, w[2])
		}
		if !found {
			t.Errorf("%s: got %v, want %s", s.name, got, s.want)
		}
	}
}

func TestSlicesKeepTheirOrder(t *testing.T) {
	r := string(fixture(t, "pressure.json").Raw())
	r = strings.NewReplacer("8480-6", "8462-4", "8462-4", "8480-6").Replace(r)
	expect(t, profiled(t, Options{}), ruleTest{"the other way round", r, "validate-slice-order Observation.component[1]"})
}

func TestProfilesAreAskedForOrAlwaysOn(t *testing.T) {
	const r = `{"resourceType":"Observation","status":"final","code":{"text":"x"}}`
	v := profiled(t, Options{})
	if got := issuesOf(t, v, r); len(got) > 0 {
		t.Errorf("got %v without a profile, want nothing", got)
	}
	if got := issuesOf(t, v, r, pressure+"|1.0.0"); Valid(got) {
		t.Error("got no error with the profile asked for, want some")
	}
	if got := issuesOf(t, profiled(t, Options{Profiles: []string{pressure}}), r); Valid(got) {
		t.Error("got no error with the profile always on, want some")
	}
	if got := issuesOf(t, v, `{"resourceType":"Patient"}`, pressure); len(got) != 1 || got[0].Code != CodeProfileType {
		t.Errorf("got %v for a profile of another type, want %s", got, CodeProfileType)
	}
	if got := issuesOf(t, v, r, "http://x.example/none"); Valid(got) || got[0].Code != CodeProfileUnknown {
		t.Errorf("got %v for a profile that is not loaded, want %s", got, CodeProfileUnknown)
	}
	if _, err := New(definition.R4(), Options{Profiles: []string{"http://x.example/none"}}); err == nil {
		t.Error("got no error for options with a profile that is not loaded")
	}
}

func TestExtensionsStandWhereTheyMay(t *testing.T) {
	v := profiled(t, Options{})
	const origin = `"url":"http://synthetic.example/StructureDefinition/origin"`
	for _, s := range []ruleTest{
		{"on a type", `{` + obs + `,"extension":[` + mark + `]}`, ""},
		{"on a type within a Bundle", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{` + obs + `,"extension":[` + mark + `]}}]}`, ""},
		{"on a contained resource", `{"resourceType":"Patient","contained":[{"id":"a",` + obs + `,"extension":[` + mark + `],"subject":{"reference":"#"}}]}`, ""},
		{"on another type within a Bundle", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","extension":[` + mark + `]}}]}`, "validate-context Bundle.entry[0].resource.extension[0]"},
		{"on an element of a data type", `{"resourceType":"Patient","name":[{"_family":{"extension":[` + mark + `]}}]}`, ""},
		{"on an element of a resource", `{"resourceType":"Patient","contact":[{"name":{"text":"x"},"extension":[` + mark + `]}]}`, ""},
		{"on another type", `{"resourceType":"Patient","extension":[` + mark + `]}`, "validate-context Patient.extension[0]"},
		{"on another element", `{"resourceType":"Patient","name":[{"text":"x","extension":[` + mark + `]}]}`, "validate-context Patient.name[0].extension[0]"},
		{"with parts", `{"resourceType":"Patient","extension":[{` + origin + `,"extension":[{"url":"place","valueString":"x"},{"url":"year","valueInteger":1970}]}]}`, ""},
		{"with a part of another type", `{"resourceType":"Patient","extension":[{` + origin + `,"extension":[{"url":"place","valueInteger":1}]}]}`, "validate-type Patient.extension[0].extension[0].value"},
		{"without a part", `{"resourceType":"Patient","extension":[{` + origin + `,"extension":[{"url":"year","valueInteger":1970}]}]}`, "validate-slice-min Patient.extension[0].extension the slice place"},
		{"with a part that is not defined", `{"resourceType":"Patient","extension":[{` + origin + `,"extension":[{"url":"place","valueString":"x"},{"url":"planet","valueString":"x"}]}]}`, "validate-slice-closed Patient.extension[0].extension[1]"},
		{"with a value where parts are wanted", `{"resourceType":"Patient","extension":[{` + origin + `,"valueBoolean":true}]}`, "validate-max Patient.extension[0].value"},
	} {
		got := issuesOf(t, v, s.resource)
		w := append(strings.SplitN(s.want, " ", 3), "", "")
		found := s.want == "" && len(got) == 0
		for _, i := range got {
			found = found || i.Code == w[0] && i.Expression == w[1]
		}
		if !found {
			t.Errorf("%s: got %v, want %q", s.name, got, s.want)
		}
	}
}

func TestValidatorsAreUsedByMany(t *testing.T) {
	v := profiled(t, Options{})
	good, bad := fixture(t, "pressure.json"), fixture(t, "observation.json")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got := v.Validate(context.Background(), good); len(got) > 0 {
					t.Errorf("got %v, want nothing", got)
				}
				if got := v.Validate(context.Background(), bad, pressure); Valid(got) {
					t.Error("got nothing, want errors")
				}
			}
		})
	}
	wg.Wait()
}

func TestContextsAreReadStrictly(t *testing.T) {
	if _, err := ReadContexts(strings.NewReader("no gzip")); err == nil {
		t.Error("got no error for bytes that are no package")
	}
	c, err := ReadContexts(pack(t))
	if err != nil || len(c["http://synthetic.example/StructureDefinition/mark"]) != 3 {
		t.Errorf("got %v, %v, want three contexts", c, err)
	}
}

func TestUSCoreSlicesAreChecked(t *testing.T) {
	file := filepath.Join(data, "fhir-packages", "us_core_610.tgz")
	set := withPackage(t, definition.R4(), file)
	v, err := New(set, Options{Contexts: contexts(t, file)})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("not checked: %q", v.Skipped())
	const core = "http://hl7.org/fhir/us/core/StructureDefinition/"
	bp := string(fixture(t, "observation.json").Raw())
	for _, s := range []struct{ name, r, profile, want string }{
		{"blood pressure", bp, "us-core-blood-pressure", ""},
		{"one component is of another code", strings.Replace(bp, `"8462-4"`, `"8463-2"`, 1), "us-core-blood-pressure", "validate-slice-min Observation.component"},
		{"unit of another system", strings.Replace(bp, `"code": "mm[Hg]"`, `"code": "kPa"`, 1), "us-core-blood-pressure", "validate-fixed Observation.component[0].value.code"},
		{"no category", strings.Replace(bp, `"code": "vital-signs"`, `"code": "exam"`, 1), "us-core-vital-signs", "validate-slice-min Observation.category"},
		{"a patient without name", `{"resourceType":"Patient","identifier":[{"system":"s:x","value":"1"}],"gender":"other"}`, "us-core-patient", "validate-min Patient.name"},
		{"race without text", `{"resourceType":"Patient","identifier":[{"system":"s:x","value":"1"}],"gender":"other","name":[{"family":"x"}],"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3"}}]}]}`, "us-core-patient", "validate-slice-min Patient.extension[0].extension"},
	} {
		got := issuesOf(t, v, s.r, core+s.profile)
		w := append(strings.SplitN(s.want, " ", 2), "")
		found := s.want == "" && Valid(got)
		for _, i := range got {
			found = found || i.Code == w[0] && i.Expression == w[1]
		}
		if !found {
			t.Errorf("%s: got %v, want %s", s.name, got, s.want)
		}
	}
}
