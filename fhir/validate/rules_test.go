package validate

import (
	"context"
	"slices"
	"strings"
	"testing"

	"salus/fhir"
	"salus/fhir/element"
)

// A rule test is a resource, and what must be said of it: "code expression [text]"; "" is
// nothing at all.
type ruleTest struct{ name, resource, want string }

const obs = `"resourceType":"Observation","status":"final","code":{"text":"x"}`

var ruleTests = []ruleTest{
	{"no resourceType", `{"id":"x"}`, "validate-resource-type "},
	{"abstract type", `{"resourceType":"DomainResource"}`, "validate-resource-type "},
	{"obs-6", `{` + obs + `,"valueString":"x","dataAbsentReason":{"text":"y"}}`, "validate-invariant Observation obs-6"},
	{"obs-7", `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"s:x","code":"a"}]},"valueString":"x","component":[{"code":{"coding":[{"system":"s:x","code":"a"}]},"valueString":"y"}]}`, "validate-invariant Observation obs-7"},
	{"obs-3", `{` + obs + `,"referenceRange":[{"appliesTo":[{"text":"x"}]}]}`, "validate-invariant Observation.referenceRange[0] obs-3"},
	{"qty-3 deep in a component", `{` + obs + `,"component":[{"code":{"text":"y"},"valueQuantity":{"value":1,"code":"g"}}]}`, "validate-invariant Observation.component[0].value qty-3"},
	{"simple quantity has no comparator", `{` + obs + `,"referenceRange":[{"low":{"value":1,"comparator":"<"}}]}`, "validate-max Observation.referenceRange[0].low.comparator"},
	{"reference range through contentReference", `{` + obs + `,"component":[{"code":{"text":"y"},"referenceRange":[{"age":{"low":{"value":1}}}]}]}`, "validate-invariant Observation.component[0].referenceRange[0] obs-3"},
	{"dom-2", `{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"a","contained":[{"resourceType":"Patient","id":"b"}]}],"link":[{"other":{"reference":"#a"},"type":"seealso"}]}`, "validate-invariant Patient dom-2"},
	{"dom-3", `{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"a"}]}`, "validate-invariant Patient dom-3"},
	{"dom-4", `{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"a","meta":{"versionId":"1"}}],"link":[{"other":{"reference":"#a"},"type":"seealso"}]}`, "validate-invariant Patient dom-4"},
	{"dom-5", `{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"a","meta":{"security":[{"code":"R"}]}}],"link":[{"other":{"reference":"#a"},"type":"seealso"}]}`, "validate-invariant Patient dom-5"},
	{"ref-1", `{"resourceType":"Patient","managingOrganization":{"reference":"#none"}}`, "validate-contained Patient.managingOrganization ref-1"},
	{"# alone is the container", `{"resourceType":"Patient","contained":[{"resourceType":"Provenance","id":"p","target":[{"reference":"#"}],"recorded":"2024-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]}]}`, ""},
	{"ext-1 both", `{"resourceType":"Patient","extension":[{"url":"s:x","valueString":"a","extension":[{"url":"b","valueString":"c"}]}]}`, "validate-invariant Patient.extension[0] ext-1"},
	{"ext-1 neither", `{"resourceType":"Patient","extension":[{"url":"s:x"}]}`, "validate-invariant Patient.extension[0] ext-1"},
	{"ext-1 on a primitive", `{"resourceType":"Patient","_birthDate":{"extension":[{"url":"s:x"}]}}`, "validate-invariant Patient.birthDate.extension[0] ext-1"},
	{"an extension needs its url", `{"resourceType":"Patient","extension":[{"valueString":"a"}]}`, "validate-min Patient.extension[0].url"},
	{"per-1", `{"resourceType":"Patient","name":[{"family":"x","period":{"start":"2021","end":"2020"}}]}`, "validate-invariant Patient.name[0].period per-1"},
	{"per-1 left open by precision holds", `{"resourceType":"Patient","name":[{"family":"x","period":{"start":"2021","end":"2021-05"}}]}`, ""},
	{"pat-1", `{"resourceType":"Patient","contact":[{"gender":"male"}]}`, "validate-invariant Patient.contact[0] pat-1"},
	{"cpt-2", `{"resourceType":"Patient","telecom":[{"value":"1"}]}`, "validate-invariant Patient.telecom[0] cpt-2"},
	{"org-1", `{"resourceType":"Organization","active":true}`, "validate-invariant Organization org-1"},
	{"org-3 on an item", `{"resourceType":"Organization","name":"x","telecom":[{"system":"phone","use":"home"}]}`, "validate-invariant Organization.telecom[0] org-3"},
	{"ait-1", `{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"}}`, "validate-invariant AllergyIntolerance ait-1"},
	{"con-4", `{"resourceType":"Condition","subject":{"reference":"Patient/1"},"abatementString":"x","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]}}`, "validate-invariant Condition con-4"},
	{"con-5 wrong system", `{"resourceType":"Condition","subject":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"system":"s:x","code":"active"}]}}`, "validate-binding Condition.clinicalStatus"},
	{"bound concept of text alone", `{"resourceType":"Condition","subject":{"reference":"Patient/1"},"clinicalStatus":{"text":"active"}}`, "validate-binding Condition.clinicalStatus"},
	{"bound concept, one coding of two fits", `{"resourceType":"Condition","subject":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"system":"s:x","code":"a"},{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]}}`, ""},
	{"media type by its syntax", `{"resourceType":"Patient","photo":[{"contentType":"no type"}]}`, "validate-binding Patient.photo[0].contentType"},
	{"currency by its syntax", `{"resourceType":"Invoice","status":"draft","totalNet":{"value":1.00,"currency":"eur"}}`, "validate-binding Invoice.totalNet.currency"},
	{"target type", `{` + obs + `,"subject":{"reference":"Organization/1"}}`, "validate-target Observation.subject"},
	{"target type of an absolute reference", `{` + obs + `,"subject":{"reference":"https://x.example/fhir/Organization/1/_history/2"}}`, "validate-target Observation.subject"},
	{"target type said by Reference.type", `{` + obs + `,"subject":{"type":"Organization","identifier":{"value":"1"}}}`, "validate-target Observation.subject.type"},
	{"target type of a contained resource", `{` + obs + `,"contained":[{"resourceType":"Organization","id":"o","name":"x"}],"subject":{"reference":"#o"}}`, "validate-target Observation.subject"},
	{"absolute reference of no known form", `{` + obs + `,"subject":{"reference":"https://x.example/whoever"}}`, ""},
	{"reference without a type", `{` + obs + `,"subject":{"reference":"17"}}`, "validate-reference Observation.subject.reference"},
	{"reference to an unknown type", `{` + obs + `,"subject":{"reference":"Patients/17"}}`, "validate-reference Observation.subject.reference"},
	{"reference with a bad id", `{` + obs + `,"subject":{"reference":"Patient/a b"}}`, "validate-reference Observation.subject.reference"},
	{"conditional reference outside of a transaction", `{` + obs + `,"subject":{"reference":"Patient?identifier=1"}}`, "validate-reference Observation.subject.reference"},
	{"urn that the transaction does not have", `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:5d1f2a34-0000-4000-8000-0000000000b1","resource":{` + obs + `,"subject":{"reference":"urn:uuid:5d1f2a34-0000-4000-8000-0000000000b2"}},"request":{"method":"POST","url":"Observation"}}]}`, "validate-not-found Bundle.entry[0].resource.subject.reference"},
	{"target type found through the transaction", `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:5d1f2a34-0000-4000-8000-0000000000b1","resource":{` + obs + `,"subject":{"reference":"urn:uuid:5d1f2a34-0000-4000-8000-0000000000b1"}},"request":{"method":"POST","url":"Observation"}}]}`, "validate-target Bundle.entry[0].resource.subject"},
	{"bdl-3", `{"resourceType":"Bundle","type":"batch","entry":[{"resource":{` + obs + `}}]}`, "validate-invariant Bundle bdl-3"},
	{"bdl-7", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:5d1f2a34-0000-4000-8000-0000000000b1","resource":{` + obs + `}},{"fullUrl":"urn:uuid:5d1f2a34-0000-4000-8000-0000000000b1","resource":{` + obs + `}}]}`, "validate-invariant Bundle bdl-7"},
	{"fullUrl of another id", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://x.example/Observation/2","resource":{"id":"1",` + obs + `}}]}`, "validate-full-url Bundle.entry[0].fullUrl"},
	{"fullUrl that is relative", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"Observation/1","resource":{"id":"1",` + obs + `}}]}`, "validate-full-url Bundle.entry[0].fullUrl"},
	{"an error within an entry", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Observation","status":"finale","code":{"text":"x"}}}]}`, "validate-binding Bundle.entry[0].resource.status"},
	{"an error within a parameter", `{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"Observation","status":"final"}}]}`, "validate-min Parameters.parameter[0].resource.code"},
	{"inv-1 of Parameters", `{"resourceType":"Parameters","parameter":[{"name":"a","valueString":"x","part":[{"name":"b","valueString":"y"}]}]}`, "validate-invariant Parameters.parameter[0] inv-1"},
	{"que-2 over all levels", `{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"group","item":[{"linkId":"1","type":"string"}]}]}`, "validate-invariant Questionnaire que-2"},
	{"sibling of what is no primitive", `{"resourceType":"Patient","_name":[{"id":"x"}]}`, "validate-unknown Patient._name"},
	{"nulls on both sides", `{"resourceType":"Patient","name":[{"given":[null],"_given":[null]}]}`, "validate-null Patient.name[0].given[0]"},
	{"a primitive of id alone", `{"resourceType":"Patient","_birthDate":{"id":"x"}}`, "validate-empty Patient.birthDate"},
	{"an integer over 32 bits", `{"resourceType":"Patient","multipleBirthInteger":2147483648}`, "validate-format Patient.multipleBirth"},
	{"modifier extension unknown", `{"resourceType":"Patient","modifierExtension":[{"url":"s:x","valueBoolean":true}]}`, "validate-modifier Patient.modifierExtension[0]"},
	{"profile that is not loaded", `{"resourceType":"Patient","meta":{"profile":["http://x.example/p"]}}`, "validate-profile-unknown Patient.meta.profile[0]"},
	{"a decimal in every spelling", `{` + obs + `,"valueQuantity":{"value":-0.00010e-10}}`, ""},
	{"a string of escapes", `{` + obs + `,"valueString":"\u0009\r\n\ud83d\ude00"}`, ""},
	{"a string with a control character", `{` + obs + `,"valueString":"a\u0000"}`, "validate-format Observation.value"},
	{"no narrative status", `{"resourceType":"Patient","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}}`, "validate-min Patient.text.status"},
	{"a script in the narrative", `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script></div>"}}`, "validate-narrative Patient.text.div txt-1"},
}

func issuesOf(t *testing.T, v *Validator, resource string, profiles ...string) []Issue {
	t.Helper()
	tree, err := element.Parse([]byte(resource))
	if err != nil {
		return v.Validate(context.Background(), fhir.Resource{})
	}
	return v.ValidateTree(context.Background(), tree, profiles...)
}

func expect(t *testing.T, v *Validator, s ruleTest, profiles ...string) {
	t.Helper()
	got := issuesOf(t, v, s.resource, profiles...)
	if s.want == "" {
		if len(got) > 0 {
			t.Errorf("%s: got %v, want nothing", s.name, got)
		}
		return
	}
	w := append(strings.SplitN(s.want, " ", 3), "")
	if !slices.ContainsFunc(got, func(i Issue) bool {
		return i.Code == w[0] && i.Expression == w[1] && strings.HasPrefix(i.Text, w[2])
	}) {
		t.Errorf("%s: got %v, want %s", s.name, got, s.want)
	}
	for _, i := range got {
		if i.Type == "" || i.Severity == "" || i.Text == "" {
			t.Errorf("%s: got an issue with an empty part: %v", s.name, i)
		}
		if i.Severity == Error && i.Code != w[0] && !strings.HasPrefix(w[1], i.Expression) {
			t.Errorf("%s: got %v too, want %s alone", s.name, i, s.want)
		}
	}
}

func TestEachRuleIsChecked(t *testing.T) {
	v := validator(t, Options{})
	for _, s := range ruleTests {
		expect(t, v, s)
	}
}

func TestNoResourceIsAnError(t *testing.T) {
	got := validator(t, Options{}).Validate(context.Background(), fhir.Resource{})
	if len(got) != 1 || got[0].Severity != Error || got[0].Code != element.CodeSyntax {
		t.Errorf("got %v, want %s", got, element.CodeSyntax)
	}
}

func TestANameThatIsTooLongIsSaidToBe(t *testing.T) {
	r, err := fhir.Parse([]byte(`{"resourceType":"Patient","` + strings.Repeat("n", 2000) + `":1}`))
	if err != nil {
		t.Fatal(err)
	}
	got := validator(t, Options{}).Validate(context.Background(), r)
	if len(got) != 1 || got[0].Code != element.CodeName || got[0].Text != element.Codes()[element.CodeName] {
		t.Errorf("got %v, want %s with its sentence", got, element.CodeName)
	}
}

func TestStructureAloneLooksAtNoMeaning(t *testing.T) {
	v := validator(t, Options{Strictness: Structure})
	for _, s := range []ruleTest{
		{"a code outside of its value set", `{"resourceType":"Observation","status":"finale","code":{"text":"x"}}`, ""},
		{"an invariant", `{"resourceType":"Organization","active":true}`, ""},
		{"a missing element", `{"resourceType":"Observation","status":"final"}`, "validate-min Observation.code"},
		{"an unknown element", `{` + obs + `,"heart":1}`, "validate-unknown Observation"},
	} {
		expect(t, v, s)
	}
}

func TestFullSaysWhatIsNoError(t *testing.T) {
	v := validator(t, Options{Strictness: Full})
	for _, s := range []ruleTest{
		{"dom-6", `{"resourceType":"Patient"}`, "validate-invariant Patient dom-6"},
		{"an extension that is not loaded", `{"resourceType":"Patient","extension":[{"url":"s:x","valueString":"x"}]}`, "validate-extension Patient.extension[0]"},
	} {
		expect(t, v, s)
		if got := issuesOf(t, v, s.resource); !Valid(got) {
			t.Errorf("%s: got %v, want no error", s.name, got)
		}
	}
}

func TestIssuesHoldNoValueOfTheResource(t *testing.T) {
	const secret = "Zebediah"
	v := validator(t, Options{Strictness: Full})
	for _, r := range []string{
		`{"resourceType":"Patient","gender":"Zebediah","birthDate":"Zebediah","Zebediah":1,"name":"Zebediah","_Zebediah":{},"active":"Zebediah"}`,
		`{"resourceType":"Zebediah"}`,
		`{"resourceType":"Patient","meta":{"profile":["http://x.example/Zebediah"]},"managingOrganization":{"reference":"#Zebediah","type":"Zebediah"},"generalPractitioner":[{"reference":"Zebediah"}]}`,
		`{"resourceType":"Patient","extension":[{"url":"http://x.example/Zebediah","valueZebediah":1}],"text":{"status":"generated","div":"<div>Zebediah</div>"}}`,
		`{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"Zebediah","resource":{"resourceType":"Zebediah"}}]}`,
		`{"Zebediah":"Zebediah",}`,
	} {
		for _, i := range issuesOf(t, v, r, "http://x.example/Zebediah") {
			if strings.Contains(i.Text+i.Expression+i.Code, secret) {
				t.Errorf("%s: got %v, want nothing of the resource", r, i)
			}
		}
	}
}

func TestIssuesAreBounded(t *testing.T) {
	v := validator(t, Options{Limit: 10})
	got := issuesOf(t, v, `{"resourceType":"Patient","name":[`+strings.Repeat(`1,`, 1000)+`1]}`)
	if len(got) > 10 || got[len(got)-1].Code != CodeLimit || Valid(got) {
		t.Errorf("got %d issues, want at most 10, the last %s", len(got), CodeLimit)
	}
}

func TestCancelledValidationEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	tree, err := element.Parse([]byte(`{"resourceType":"Patient","name":[` + strings.Repeat(`{"family":"x"},`, 5000) + `{"family":"x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := validator(t, Options{}).ValidateTree(ctx, tree)
	if len(got) != 1 || got[0].Code != CodeCancelled {
		t.Errorf("got %v, want %s", got, CodeCancelled)
	}
}

func TestReferencesAreLookedUpWhereAskedTo(t *testing.T) {
	v := validator(t, Options{Exists: func(_ context.Context, ref string) (bool, bool) {
		return ref == "Patient/here", !strings.HasPrefix(ref, "http")
	}})
	expect(t, v, ruleTest{"there", `{` + obs + `,"subject":{"reference":"Patient/here"}}`, ""})
	expect(t, v, ruleTest{"elsewhere", `{` + obs + `,"subject":{"reference":"http://x.example/Patient/1"}}`, ""})
	expect(t, v, ruleTest{"nowhere", `{` + obs + `,"subject":{"reference":"Patient/gone"}}`, "validate-not-found Observation.subject.reference"})
}

type terms map[string]bool

func (m terms) Member(_, system, code string) (is, known bool) {
	is, known = m[system+"|"+code]
	return is, known
}

func TestTerminologyAnswersForOpenValueSets(t *testing.T) {
	const variant = `{"resourceType":"MolecularSequence","coordinateSystem":0,"structureVariant":[{"variantType":{"coding":[{"system":"http://loinc.org","code":"CODE"}]}}]}`
	v := validator(t, Options{Terminology: terms{"http://loinc.org|LA9658-1": true, "http://loinc.org|X": false}})
	for code, want := range map[string]string{"LA9658-1": "", "X": CodeBinding, "LA0": CodeUnchecked} {
		got := issuesOf(t, v, strings.Replace(variant, "CODE", code, 1))
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || got[0].Code != want) {
			t.Errorf("%s: got %v, want %q", code, got, want)
		}
	}
}
