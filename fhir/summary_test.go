package fhir

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSummarySaysTypeDateTitleAndCode(t *testing.T) {
	for in, want := range map[string]Summary{
		`{"resourceType":"Observation","issued":"2024-05-02T00:00:00Z","effectiveDateTime":"2024-05-01","code":{"coding":[{"system":"http://loinc.org","code":"8302-2","display":"Body Height"}]}}`: {"Observation", "2024-05-01", "Body Height", "http://loinc.org", "8302-2"},
		`{"resourceType":"Condition","recordedDate":"2020","code":{"coding":[{"system":"s","code":"1","display":"D"}],"text":"Said so"}}`:                                                           {"Condition", "2020", "Said so", "s", "1"},
		`{"resourceType":"Encounter","class":{"system":"c","code":"AMB"},"period":{"start":"2024-05-01T10:00:00+02:00"},"type":[{"coding":[{"system":"s","code":"2"}]}]}`:                           {"Encounter", "2024-05-01T10:00:00+02:00", "2", "s", "2"},
		`{"resourceType":"MedicationRequest","authoredOn":"2024-05","medicationCodeableConcept":{"text":"Pills"}}`:                                                                                  {"MedicationRequest", "2024-05", "Pills", "", ""},
		`{"resourceType":"Patient","birthDate":"1970-01-01","name":[{"family":"Patient 0007","given":["Sample","X"]}]}`:                                                                             {"Patient", "", "Sample X Patient 0007", "", ""},
		`{"resourceType":"DocumentReference","description":"Letter","type":{"coding":[{"system":"http://loinc.org","code":"11488-4"}]},"date":"2024-05-01T10:00:00.123Z"}`:                          {"DocumentReference", "2024-05-01T10:00:00.123Z", "Letter", "http://loinc.org", "11488-4"},
		`{"resourceType":"Goal","startDate":"2024-01-01","description":{"text":"Walk"}}`:                                                                                                            {"Goal", "2024-01-01", "Walk", "", ""},
		`{"resourceType":"Immunization","occurrenceDateTime":"2024-01-01","vaccineCode":{"coding":[{"system":"cvx","code":"140"}]}}`:                                                                {"Immunization", "2024-01-01", "140", "cvx", "140"},
		`{"resourceType":"Observation","effectiveDateTime":"yesterday","issued":"2024-01-01T00:00:00Z"}`:                                                                                            {"Observation", "2024-01-01T00:00:00Z", "", "", ""},
		`{"resourceType":"Basic","title":" two\nlines\tand\u0007 more "}`:                                                                                                                           {"Basic", "", "two lines and more", "", ""},
		`{"resourceType":"Basic","title":"` + strings.Repeat("é", 200) + `"}`:                                                                                                                       {"Basic", "", strings.Repeat("é", MaxTitle), "", ""},
		`{"resourceType":"Basic","code":7,"title":["x"],"period":[],"date":{"a":1}}`:                                                                                                                {"Basic", "", "x", "", ""},
	} {
		r, err := Parse([]byte(in))
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		if diff := cmp.Diff(want, Summarize(r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

func TestSummaryHasOneForm(t *testing.T) {
	s := Summary{Type: "Observation", Date: "2024", Title: "a < b & \"c\"", System: "http://loinc.org", Code: "1-8"}
	b, err := json.Marshal([]Summary{s}) // embedding must not change it
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"type":"Observation","date":"2024","title":"a \u003c b \u0026 \"c\"","system":"http://loinc.org","code":"1-8"}]`
	if string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	var back []Summary
	if err := json.Unmarshal(b, &back); err != nil || back[0] != s {
		t.Errorf("got %v, %v; want the same summary", back, err)
	}
	for name, bad := range map[string]string{
		"nothing":       "",
		"not JSON":      "{" + canary,
		"a list":        "[]",
		"other order":   `{"date":"2024","type":"Observation"}`,
		"a space":       `{"type": "Observation"}`,
		"unknown field": `{"type":"Observation","` + canary + `":1}`,
		"empty field":   `{"type":"Observation","date":""}`,
		"twice":         `{"type":"Observation","type":"Observation"}`,
		"other escape":  `{"type":"Observation","title":"<"}`,
		"unknown type":  `{"type":"` + canary + `"}`,
		"null":          `null`,
		"trailing":      `{"type":"Observation"}x`,
	} {
		got, err := ParseSummary([]byte(bad))
		if codeOf(t, err) != CodeSummary || got != (Summary{}) {
			t.Errorf("%s: got %v, %v; want %s", name, got, err, CodeSummary)
			continue
		}
		wantNoContent(t, name, err)
	}
	if _, err := ParseSummary([]byte(`{"type":"x-salus-slots"}`)); err != nil {
		t.Errorf("got %v, want the summary of a record that is not FHIR (x-...) to be taken", err)
	}
}

func FuzzParseSummary(f *testing.F) {
	f.Add([]byte(`{"type":"Observation","date":"2024","title":"x","system":"http://loinc.org","code":"1-8"}`))
	f.Add([]byte(`{"type":"Patient","title":"\u003c"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := ParseSummary(in)
		if err != nil {
			codeOf(t, err)
			return
		}
		if again, err := s.MarshalJSON(); err != nil || string(again) != string(in) {
			t.Fatalf("got %s, %v; want the bytes that were read", again, err)
		}
	})
}

func TestAccessorsReadCodesSecurityAndTime(t *testing.T) {
	r, err := Parse([]byte(`{"resourceType":"Observation","meta":{"lastUpdated":"2024-05-01T10:00:00.5+02:00","security":[{"system":"s","code":"R"},{"code":"X","display":"d"}],"tag":[{"system":"t","code":"hidden"}]},
		"code":{"coding":[{"system":"http://loinc.org","code":"1"},{"system":"a","code":"2","display":"Zwei \u00e9"}]},"valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"mg"},
		"contained":[{"resourceType":"Basic","code":{"coding":[{"system":"b","code":"3"}]}}],"x":{"code":"no system"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Coding{{"http://loinc.org", "1", ""}, {"a", "2", "Zwei é"}, {"b", "3", ""}}, r.Codes()); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Coding{{"s", "R", ""}, {"", "X", "d"}}, r.Security()); diff != "" {
		t.Errorf("security (-want +got):\n%s", diff)
	}
	want := time.Date(2024, 5, 1, 8, 0, 0, 500e6, time.UTC)
	if got, ok := r.LastUpdated(); !ok || !got.Equal(want) {
		t.Errorf("got %v, %t; want %v", got, ok, want)
	}
	if _, ok := (Resource{}).LastUpdated(); ok {
		t.Error("got a time from the zero Resource, want none")
	}
	if got := LabelsOf(Resource{}); len(got) != 1 || got[0] != KindAdministrative {
		t.Errorf("got labels %v of the zero Resource, want administrative", got)
	}
	if len(Codes()) != len(sentences) {
		t.Error("got other codes than there are sentences")
	}
}
