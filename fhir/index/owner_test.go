package index

import (
	"slices"
	"testing"

	"salus/fhir"
)

func ownerOf(t testing.TB, body string) string {
	t.Helper()
	r, err := fhir.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return fast().Owner(r)
}

func TestOwnerIsTheFirstPatientCompartment(t *testing.T) {
	for _, tt := range []struct{ why, body, want string }{
		{"a patient is her own", `{"resourceType":"Patient","id":"p"}`, "Patient/p"},
		{"whom it is about", `{"resourceType":"Observation","subject":{"reference":"Patient/p"},"performer":[{"reference":"Patient/q"}]}`, "Patient/p"},
		{"our own address", `{"resourceType":"Observation","subject":{"reference":"http://example.org/fhir/Patient/p"}}`, "Patient/p"},
		{"a version of her", `{"resourceType":"Condition","subject":{"reference":"Patient/p/_history/4"}}`, "Patient/p"},
		{"elsewhere", `{"resourceType":"Condition","subject":{"reference":"https://elsewhere.example/fhir/Patient/p"}}`, "https://elsewhere.example/fhir/Patient/p"},
		{"nobody's yet", `{"resourceType":"Condition","subject":{"reference":"urn:uuid:5b1c0e7e-6f0e-4a51-9d0a-0d6b7f5a3c11"}}`, "urn:uuid:5b1c0e7e-6f0e-4a51-9d0a-0d6b7f5a3c11"},
		{"about no patient, told by one", `{"resourceType":"Condition","subject":{"reference":"Group/g"},"asserter":{"reference":"Patient/p"}}`, "Patient/p"},
		{"the first of several", `{"resourceType":"Group","member":[{"entity":{"reference":"Device/d"}},{"entity":{"reference":"Patient/b"}},{"entity":{"reference":"Patient/a"}}]}`, "Patient/b"},
		{"the order of the definition", `{"resourceType":"AllergyIntolerance","asserter":{"reference":"Patient/second"},"recorder":{"reference":"Patient/first"},"patient":{"reference":"Group/none"}}`, "Patient/first"},
		{"contained", `{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"c"}],"subject":{"reference":"#c"}}`, Unowned},
		{"by an identifier alone", `{"resourceType":"Observation","subject":{"type":"Patient","identifier":{"value":"1"}}}`, Unowned},
		{"no patient", `{"resourceType":"Observation","subject":{"reference":"Device/d"}}`, ""},
		{"not in the compartment", `{"resourceType":"Organization","name":"x"}`, ""},
		{"a patient without an id", `{"resourceType":"Patient"}`, ""},
	} {
		if got := ownerOf(t, tt.body); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.why, got, tt.want)
		}
	}
}

// TestWhatNamesAPatientIsNeverEverybodys: a reader who is held to one compartment sees what has no
// owner. Whatever R4's compartment finds a patient in must have one.
func TestWhatNamesAPatientIsNeverEverybodys(t *testing.T) {
	m := newMaker(23)
	c := fast().set.Compartment("Patient")
	owned := 0
	for _, typ := range m.types {
		for i := range 20 {
			r := m.resource(typ, "x", 0.6)
			entries, err := fast().Entries(r)
			if err != nil {
				t.Fatal(err)
			}
			named := false
			for _, e := range entries {
				named = named || slices.Contains(c.Params[typ], e.Code) && fast().typeIn(e.Value.Text) == "Patient" && e.Modifier == 0
			}
			if named && fast().Owner(r) == "" {
				t.Errorf("%s %d names a patient and has no owner", typ, i)
			}
			if named {
				owned++
			}
		}
	}
	if owned < 300 {
		t.Errorf("only %d resources named a patient", owned)
	}
}

func TestSubsetNamesMembers(t *testing.T) {
	summary, mandatory := fast().Subset("Observation")
	for _, name := range []string{"status", "code", "subject", "valueQuantity", "valueCodeableConcept", "effectiveDateTime", "meta"} {
		if !slices.Contains(summary, name) {
			t.Errorf("the summary of an Observation lacks %s", name)
		}
	}
	for _, name := range []string{"text", "note", "value", "value[x]", "interpretation", "component.code"} {
		if slices.Contains(summary, name) {
			t.Errorf("the summary of an Observation has %s", name)
		}
	}
	for _, name := range []string{"status", "code", "modifierExtension", "implicitRules"} {
		if !slices.Contains(mandatory, name) {
			t.Errorf("what an Observation keeps lacks %s", name)
		}
	}
	if slices.Contains(mandatory, "subject") {
		t.Error("a subject is not mandatory")
	}
	if s, m := fast().Subset("Nothing"); s != nil || m != nil {
		t.Errorf("Nothing: got %v %v", s, m)
	}
}

// TestAReaderHeldToACompartmentSeesNothingOfOthers: what refers to a patient in whatever way is
// hers or hidden, at every end of a search; what is nobody's is seen.
func TestAReaderHeldToACompartmentSeesNothingOfOthers(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{
		`{"resourceType":"Patient","id":"a"}`, `{"resourceType":"Patient","id":"b"}`,
		`{"resourceType":"Observation","id":"hers","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"},"device":{"reference":"Device/d"}}`,
		`{"resourceType":"Observation","id":"own-address","status":"final","code":{"text":"x"},"subject":{"reference":"http://example.org/fhir/Patient/a"}}`,
		`{"resourceType":"Observation","id":"other","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/b"},"device":{"reference":"Device/d"}}`,
		`{"resourceType":"Observation","id":"elsewhere","status":"final","code":{"text":"x"},"subject":{"reference":"https://elsewhere.example/fhir/Patient/a"}}`,
		`{"resourceType":"Observation","id":"contained","status":"final","code":{"text":"x"},"contained":[{"resourceType":"Patient","id":"a"}],"subject":{"reference":"#a"}}`,
		`{"resourceType":"Observation","id":"identifier","status":"final","code":{"text":"x"},"subject":{"type":"Patient","identifier":{"system":"http://example.org/mrn","value":"1"}}}`,
		`{"resourceType":"Observation","id":"pending","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:5b1c0e7e-6f0e-4a51-9d0a-0d6b7f5a3c11"}}`,
		`{"resourceType":"Observation","id":"nobody","status":"final","code":{"text":"x"},"subject":{"reference":"Device/d"}}`,
		`{"resourceType":"Condition","id":"told","subject":{"reference":"Group/g"},"asserter":{"reference":"Patient/b"}}`,
		`{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/b"}},{"entity":{"reference":"Patient/a"}}]}`,
		`{"resourceType":"Device","id":"d"}`,
	} {
		r, err := fhir.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		w.put([]example{{r.ID(), r}})
	}
	w.compartment = "Patient/a"
	for query, want := range map[string][]string{
		"Patient?_sort=_id":     {"Patient/a"},
		"Observation?_sort=_id": {"Observation/hers", "Observation/nobody", "Observation/own-address"},
		"Observation?subject:identifier=http://example.org/mrn|1":                      nil,
		"Observation?subject=https://elsewhere.example/fhir/Patient/a":                 nil,
		"Observation?code:text=x&_sort=-_id":                                           {"Observation/own-address", "Observation/nobody", "Observation/hers"},
		"Condition?":                                                                   nil,
		"Group?":                                                                       nil,
		"Device?_has:Observation:device:patient=b":                                     nil,
		"Device?_has:Observation:device:patient=a":                                     {"Device/d"},
		"Device?_id=d&_revinclude=Observation:device":                                  {"Device/d", "Observation/hers"},
		"Observation?_id=other&_include=Observation:subject":                           nil,
		"Observation?subject:Patient._id=b":                                            nil,
		"Patient?_has:Observation:patient:code:text=x&_revinclude=Observation:subject": {"Patient/a", "Observation/hers", "Observation/own-address"},
	} {
		status, got, included := w.find(query)
		if got = append(got, included...); status != 200 || !slices.Equal(got, want) {
			t.Errorf("%s: got %d %v, want %v", query, status, got, want)
		}
	}
}
