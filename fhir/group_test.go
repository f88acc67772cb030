package fhir

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// grouped puts entries into a collection Bundle and says where each went: the reference of
// its group, or the code of its rejection.
func grouped(t *testing.T, entries ...string) (where []string, groups []Group) {
	t.Helper()
	in := `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Join(entries, ",") + `]}`
	groups, rejected, err := GroupByPatient(ReadBundle(strings.NewReader(in)))
	if err != nil {
		t.Fatal(err)
	}
	where = make([]string, len(entries))
	for _, g := range groups {
		for _, it := range g.Items {
			where[it.Index] = g.Reference()
		}
	}
	for _, r := range rejected {
		where[r.Index] = r.Issue.Code
	}
	return where, groups
}

func at(url, resource string) string { return `{"fullUrl":"` + url + `","resource":` + resource + `}` }
func alone(resource string) string   { return `{"resource":` + resource + `}` }
func condition(reference string) string {
	return `{"resourceType":"Condition","subject":{"reference":"` + reference + `"}}`
}

func TestEveryResourceGoesToItsOwnPatientOrNowhere(t *testing.T) {
	patient := func(id string) string { return `{"resourceType":"Patient","id":"` + id + `"}` }
	for name, c := range map[string]struct{ entries, want []string }{
		"one Patient takes what names nobody": {
			[]string{at("urn:uuid:1", patient("a")), alone(`{"resourceType":"Practitioner"}`), alone(`{"resourceType":"Organization"}`), alone(condition("Group/1")), at("urn:uuid:g", `{"resourceType":"Group","id":"g"}`), alone(condition("urn:uuid:g"))},
			[]string{"Patient/a", "Patient/a", "Patient/a", "Patient/a", "Patient/a", "Patient/a"},
		},
		"a reference to another patient wins over the only Patient": {
			[]string{at("urn:uuid:1", patient("a")), alone(condition("Patient/b")), alone(condition("Patient/a"))},
			[]string{"Patient/a", "Patient/b", "Patient/a"},
		},
		"several Patients, and nobody's resource": {
			[]string{at("urn:uuid:1", patient("a")), at("urn:uuid:2", patient("b")), alone(condition("urn:uuid:2")), alone(condition("Patient/a")), alone(`{"resourceType":"Practitioner"}`)},
			[]string{"Patient/a", "Patient/b", "Patient/b", "Patient/a", CodeNoPatient},
		},
		"no Patient, but references": {
			[]string{alone(condition("Patient/a")), alone(condition("Patient/a/_history/3")), alone(`{"resourceType":"Observation"}`), alone(condition("http://h/fhir/Patient/a"))},
			[]string{"Patient/a", "Patient/a", CodeNoPatient, "http://h/fhir/Patient/a"},
		},
		"a reference that leads nowhere is never guessed": {
			[]string{
				at("urn:uuid:1", patient("a")), alone(condition("urn:uuid:9")), alone(condition("#p")), alone(condition("Patient?identifier=x|7")),
				alone(`{"resourceType":"Condition","subject":{"identifier":{"value":"7"}}}`), alone(`{"resourceType":"Condition","subject":{"type":"Patient","identifier":{"value":"7"}}}`),
			},
			[]string{"Patient/a", CodeReference, CodeReference, CodeReference, CodeReference, CodeReference},
		},
		"a Patient without an id is known by its fullUrl": {
			[]string{at("urn:uuid:1", `{"resourceType":"Patient"}`), alone(condition("urn:uuid:1")), alone(`{"resourceType":"Patient"}`)},
			[]string{"urn:uuid:1", "urn:uuid:1", CodeID},
		},
		"two servers' Patient/1 are two people": {
			[]string{
				at("http://a/fhir/Patient/1", patient("1")), at("http://b/fhir/Patient/1", patient("1")),
				at("http://a/fhir/Condition/7", `{"resourceType":"Condition","id":"7","subject":{"reference":"Patient/1"}}`),
				at("http://b/fhir/Condition/7", `{"resourceType":"Condition","id":"7","subject":{"reference":"Patient/1"}}`),
				alone(condition("http://b/fhir/Patient/1")), alone(condition("Patient/1")),
			},
			[]string{"http://a/fhir/Patient/1", "http://b/fhir/Patient/1", "http://a/fhir/Patient/1", "http://b/fhir/Patient/1", "http://b/fhir/Patient/1", CodeReference},
		},
		"the same fullUrl for two things": {
			[]string{at("urn:uuid:1", patient("a")), at("urn:uuid:1", patient("b")), alone(condition("urn:uuid:1"))},
			[]string{"Patient/a", CodeFullURL, "Patient/a"},
		},
		"versions of one Patient": {
			[]string{at("http://a/Patient/1", patient("1")), at("http://a/Patient/1", patient("1"))},
			[]string{"http://a/Patient/1", "http://a/Patient/1"},
		},
		"who is it about, not who took part": {
			[]string{
				at("urn:uuid:1", patient("child")), at("urn:uuid:2", patient("mother")),
				alone(`{"resourceType":"AllergyIntolerance","patient":{"reference":"urn:uuid:1"},"recorder":{"reference":"urn:uuid:2"},"asserter":{"reference":"urn:uuid:2"}}`),
				alone(`{"resourceType":"Coverage","policyHolder":{"reference":"urn:uuid:2"},"beneficiary":{"reference":"urn:uuid:1"}}`),
				alone(`{"resourceType":"Coverage","policyHolder":{"reference":"urn:uuid:2"},"beneficiary":{"reference":"urn:uuid:9"}}`),
				alone(`{"resourceType":"Observation","performer":[{"reference":"urn:uuid:2"}]}`),
			},
			[]string{"Patient/child", "Patient/mother", "Patient/child", "Patient/child", CodeReference, CodeNoPatient},
		},
		"elements inside lists": {
			[]string{
				at("urn:uuid:1", patient("a")), at("urn:uuid:2", patient("b")),
				alone(`{"resourceType":"Appointment","participant":[{"actor":{"reference":"Practitioner/1"}},{"actor":{"reference":"urn:uuid:2"}}]}`),
				alone(`{"resourceType":"Provenance","target":[{"reference":"Observation/1"},{"reference":"Patient/b"}]}`),
				alone(`{"resourceType":"Task","for":{"reference":"Patient/a"}}`), alone(`{"resourceType":"ResearchSubject","individual":{"reference":"Patient/a"}}`),
				alone(`{"resourceType":"Claim","patient":[{"reference":"Patient/a"}]}`),
			},
			[]string{"Patient/a", "Patient/b", "Patient/b", "Patient/b", "Patient/a", "Patient/a", "Patient/a"},
		},
		"an element that names several patients": {
			[]string{
				alone(`{"resourceType":"Group","member":[{"entity":{"reference":"Patient/a"}},{"entity":{"reference":"Patient/b"}}]}`), alone(`{"resourceType":"Group","member":[{"entity":{"reference":"Patient/a"}},{"entity":{"reference":"Patient/a"}}]}`),
				alone(`{"resourceType":"Provenance","target":[{"reference":"Patient/a"},{"reference":"urn:uuid:none"}]}`),
			},
			[]string{CodeReference, "Patient/a", "Patient/a"},
		},
		"a reference to something else under a Patient's element": {
			[]string{at("urn:uuid:1", patient("a")), at("urn:uuid:d", `{"resourceType":"Device","id":"d"}`), alone(condition("urn:uuid:d")), alone(`{"resourceType":"Condition","subject":{"reference":"urn:uuid:zz","type":"Device"}}`)},
			[]string{"Patient/a", "Patient/a", "Patient/a", "Patient/a"},
		},
	} {
		got, _ := grouped(t, c.entries...)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAGroupHoldsItsPatient(t *testing.T) {
	_, groups := grouped(t, alone(condition("Patient/a")), alone(`{"resourceType":"Patient","id":"a","active":true}`), alone(condition("Patient/b")))
	if len(groups) != 2 || groups[0].PatientResource.ID() != "a" || groups[1].PatientResource.Raw() != nil {
		t.Fatalf("got %d groups, want a's with the Patient and b's without", len(groups))
	}
	if rs := groups[0].Resources(); len(rs) != 2 || rs[0].Type() != "Condition" || rs[1].Type() != "Patient" {
		t.Errorf("got %v, want both resources in the order of the input", rs)
	}
}

func TestPatientReadsTheReference(t *testing.T) {
	for in, want := range map[string]string{
		`{"resourceType":"Patient","id":"a"}`:      "Patient/a",
		`{"resourceType":"Patient"}`:               "",
		condition("Patient/a"):                     "Patient/a",
		condition("http://h/Patient/a/_history/2"): "http://h/Patient/a",
		condition("urn:uuid:1"):                    "urn:uuid:1",
		condition("Group/1"):                       "",
		condition("#p"):                            "",
		condition("Patient/"):                      "",
		condition("http://h/Patient/a b"):          "",
		`{"resourceType":"Group","member":[{"entity":{"reference":"Patient/x"}},{"entity":{"reference":"Patient/y"}}]}`: "",
		`{"resourceType":"Practitioner","id":"x"}`:                                                   "",
		`{"resourceType":"Immunization","patient":{"reference":"Patient\/\u0061"}}`:                  "Patient/a",
		`{"resourceType":"Condition","subject":"Patient/a"}`:                                         "",
		`{"resourceType":"Group","member":[{"entity":{"reference":"Patient/x"}}]}`:                   "Patient/x",
		`{"resourceType":"QuestionnaireResponse","subject":{"reference":"Patient/s"}}`:               "Patient/s",
		`{"resourceType":"SupplyRequest","deliverTo":{"reference":"Patient/s"}}`:                     "Patient/s",
		`{"resourceType":"EnrollmentRequest","candidate":{"reference":"Patient/s"}}`:                 "Patient/s",
		`{"resourceType":"Person","link":[{"target":{"reference":"Patient/s"}}]}`:                    "Patient/s",
		`{"resourceType":"AuditEvent","entity":[{"what":{"reference":"Patient/s"}}]}`:                "Patient/s",
		`{"resourceType":"Schedule","actor":[{"reference":"Location/1"},{"reference":"Patient/s"}]}`: "Patient/s",
	} {
		r, err := Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := r.Patient()
		if got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %t; want %q", in, got, ok, want)
		}
	}
}

func TestEveryTypeOfTheCompartmentIsOfR4(t *testing.T) {
	if got, want := len(resourceTypes), 146; got != want {
		t.Errorf("got %d resource types, want %d", got, want)
	}
	for _, table := range []map[string]bool{keys(compartment), keys(kinds), notRecords} {
		for typ := range table {
			if knownType(typ) == "" {
				t.Errorf("got %s in a table, want types of R4 only", typ)
			}
		}
	}
}

func keys[V any](m map[string]V) map[string]bool {
	out := map[string]bool{}
	for k := range m {
		out[k] = true
	}
	return out
}

func TestTooMuchAtOnceIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("makes MaxImport bytes of items")
	}
	r, err := Parse([]byte(fmt.Sprintf(`{"resourceType":"Binary","data":"%s"}`, strings.Repeat("A", MaxResource-64))))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = GroupByPatient(func(yield func(Item, error) bool) {
		for i := 0; yield(Item{Resource: r, Type: r.Type(), Index: i}, nil); i++ {
		}
	})
	if codeOf(t, err) != CodeSize {
		t.Errorf("got %v, want %s", err, CodeSize)
	}
}
