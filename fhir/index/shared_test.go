package index

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/fhir/definition"
	"salus/fhir/search"
)

// TestWhatOthersFindIsNotIndexedTwice lists the parameters of R4 that have no entries of their own. That the others find
// the same is in TestEveryParameterOfEveryTypeIsRead and its neighbours, which compare with an index that has all.
func TestWhatOthersFindIsNotIndexedTwice(t *testing.T) {
	want := `CapabilityStatement.fhirversion = version
CodeSystem.system = url
Coverage.beneficiary = patient
EnrollmentRequest.subject = patient
Linkage.source = item
Observation.combo-code = code, component-code
Observation.combo-code-value-concept = code-value-concept, component-code-value-concept
Observation.combo-code-value-quantity = code-value-quantity, component-code-value-quantity
Observation.combo-data-absent-reason = component-data-absent-reason, data-absent-reason
Observation.combo-value-concept = component-value-concept, value-concept
Observation.combo-value-quantity = component-value-quantity, value-quantity
Observation.gene-amino-acid-change = amino-acid-change
Observation.gene-dnavariant = dna-variant
Patient.phonetic = name
Person.phonetic = name
Practitioner.phonetic = name
RelatedPerson.phonetic = name
ResearchSubject.individual = patient`
	var got []string
	for _, typ := range slices.Sorted(maps.Keys(fast().plans)) {
		for _, p := range fast().List(typ) {
			of := p.Entries(typ)
			if p.Of != nil {
				got = append(got, fmt.Sprintf("%s.%s = %s", typ, p.Code, strings.Join(of, ", ")))
			} else if !slices.Equal(of, []string{p.Code}) {
				t.Errorf("%s.%s: got entries of %v", typ, p.Code, of)
			}
			for _, code := range of {
				if o, ok := fast().Param(typ, code); !ok || o.Of != nil || o.Kind != p.Kind {
					t.Errorf("%s.%s: %s has no entries of its kind", typ, p.Code, code)
				}
			}
		}
	}
	if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What is not quite the same keeps its own entries.
func TestSharingWantsTheSameEntriesOfTheSameValues(t *testing.T) {
	made := func(code, expression string, kind search.Kind, targets ...string) *param {
		return &param{Param: search.Param{Code: code, Kind: kind, Targets: targets}, expression: expression}
	}
	for _, tt := range []struct {
		name   string
		params []*param
		want   string
	}{
		{"a union", []*param{made("a", "Patient.name", search.String), made("b", "Patient.address", search.String), made("c", "Patient.name | Patient.address", search.String)}, "c=a,b"},
		{"of other types too", []*param{made("a", "Person.name | Patient.name", search.String), made("bb", "Patient.name", search.String)}, "bb=a"},
		{"of three, the widest first", []*param{
			made("a", "Patient.name", search.String), made("b", "Patient.address", search.String),
			made("c", "Patient.name | Patient.address", search.String), made("d", "Patient.name | Patient.address | Patient.contact.name", search.String), made("e", "Patient.contact.name", search.String),
		}, "c=a,b d=a,b,e"},
		{"with more than the others have", []*param{made("a", "Patient.name", search.String), made("b", "Patient.name | Patient.address", search.String)}, ""},
		{"with less", []*param{made("a", "Patient.name.where(use = 'old')", search.String), made("b", "Patient.name", search.String)}, ""},
		{"of another kind", []*param{made("a", "Patient.gender", search.Token), made("b", "Patient.gender", search.String)}, ""},
		{"with other targets", []*param{made("a", "Patient.link.other", search.Reference, "Patient"), made("b", "Patient.link.other", search.Reference, "Patient", "RelatedPerson")}, ""},
		{"no path", []*param{made("a", "Patient.name.exists()", search.Token), made("b", "Patient.name.exists()", search.Token)}, ""},
		{"the store's", []*param{made("a", "", search.Token), made("b", "", search.Token)}, ""},
		{"of no value", []*param{made("a", "Person.name", search.String), made("b", "Person.name", search.String)}, ""},
	} {
		p := &planner{set: definition.R4(), model: definition.R4().Model()}
		p.share("Patient", tt.params)
		var got []string
		for _, x := range tt.params {
			if x.Of != nil {
				got = append(got, x.Code+"="+strings.Join(x.Of["Patient"], ","))
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, s, tt.want)
		}
	}
}
