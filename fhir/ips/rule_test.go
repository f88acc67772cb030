package ips

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"salus/fhir"
)

const patient = `{"resourceType":"Patient","id":"p","name":[{"family":"Sample","given":["Ada"]}],"birthDate":"1970-01-01"}`

// coded is a CodeableConcept of HL7's own systems.
func coded(system, code string) string {
	return fmt.Sprintf(`{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/%s","code":%q}]}`, system, code)
}

func condition(id, clinical, verification, rest string) string {
	s := `{"resourceType":"Condition","id":"` + id + `","code":{"text":"Sample problem"},"subject":{"reference":"Patient/p"}`
	if clinical != "" {
		s += `,"clinicalStatus":` + coded("condition-clinical", clinical)
	}
	if verification != "" {
		s += `,"verificationStatus":` + coded("condition-ver-status", verification)
	}
	return s + rest + `}`
}

func allergyOf(id, clinical, verification string) string {
	s := `{"resourceType":"AllergyIntolerance","id":"` + id + `","code":{"text":"Nuts"},"patient":{"reference":"Patient/p"}`
	if clinical != "" {
		s += `,"clinicalStatus":` + coded("allergyintolerance-clinical", clinical)
	}
	if verification != "" {
		s += `,"verificationStatus":` + coded("allergyintolerance-verification", verification)
	}
	return s + `}`
}

func statement(id, status string) string {
	return `{"resourceType":"MedicationStatement","id":"` + id + `","status":"` + status + `","medicationCodeableConcept":{"text":"Drug"},"subject":{"reference":"Patient/p"}}`
}

func request(id, status, intent, rest string) string {
	return `{"resourceType":"MedicationRequest","id":"` + id + `","status":"` + status + `","intent":"` + intent + `","medicationCodeableConcept":{"text":"Drug"},"subject":{"reference":"Patient/p"}` + rest + `}`
}

func observation(id, category, code, status, date string) string {
	s := `{"resourceType":"Observation","id":"` + id + `","status":"` + status + `","code":{"coding":[{"system":"http://loinc.org","code":"` + code + `"}]},"subject":{"reference":"Patient/p"},"valueString":"v"`
	if category != "" {
		s += `,"category":[` + coded("observation-category", category) + `]`
	}
	if date != "" {
		s += `,"effectiveDateTime":"` + date + `"`
	}
	return s + `}`
}

func simple(typ, id, status, rest string) string {
	subject := "subject"
	if typ == "Immunization" || typ == "Consent" || typ == "ImmunizationRecommendation" {
		subject = "patient"
	}
	s := `{"resourceType":"` + typ + `","id":"` + id + `","` + subject + `":{"reference":"Patient/p"}`
	if status != "" {
		s += `,"status":"` + status + `"`
	}
	return s + rest + `}`
}

func TestRulesOfSelection(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		code   string // of the section
		bodies []string
		want   []string
	}{
		{"1: what is about others is not selected", "11450-4", []string{
			strings.ReplaceAll(condition("other", "active", "", ""), "Patient/p", "Patient/q"),
			strings.ReplaceAll(condition("elsewhere", "active", "", ""), "Patient/p", "http://elsewhere.example.org/fhir/Patient/p"),
			strings.ReplaceAll(condition("here", "active", "", ""), "Patient/p", "http://example.org/fhir/Patient/p"),
		}, []string{"Condition/here"}},
		{"2: errors and refuted problems are not selected", "11450-4", []string{
			condition("a", "", "entered-in-error", ""), condition("b", "active", "refuted", ""), condition("c", "active", "unconfirmed", ""), condition("d", "active", "confirmed", ""),
		}, []string{"Condition/d", "Condition/c"}},
		{"2: refuted allergies are not selected", "48765-2", []string{allergyOf("a", "active", "refuted"), allergyOf("b", "", "entered-in-error"), allergyOf("c", "active", "unconfirmed")}, []string{"AllergyIntolerance/c"}},
		{"3: current problems", "11450-4", []string{
			condition("a", "active", "", ""), condition("b", "recurrence", "", ""), condition("c", "relapse", "", ""), condition("d", "inactive", "", ""), condition("e", "remission", "", ""),
			condition("f", "resolved", "", ""), condition("g", "", "", ""), condition("h", "", "", `,"abatementDateTime":"2020"`),
		}, []string{"Condition/g", "Condition/c", "Condition/b", "Condition/a"}},
		{"13: past problems", "11348-0", []string{
			condition("a", "active", "", ""), condition("d", "inactive", "", ""), condition("e", "remission", "", ""), condition("f", "resolved", "", ""), condition("g", "", "", ""),
			condition("h", "", "", `,"abatementDateTime":"2020"`), condition("i", "resolved", "refuted", ""),
		}, []string{"Condition/h", "Condition/f", "Condition/e", "Condition/d"}},
		{"4: allergies that are not resolved", "48765-2", []string{allergyOf("a", "active", ""), allergyOf("b", "inactive", ""), allergyOf("c", "resolved", ""), allergyOf("d", "", "")}, []string{"AllergyIntolerance/d", "AllergyIntolerance/b", "AllergyIntolerance/a"}},
		{"5: medications", "10160-0", []string{
			statement("a", "active"), statement("b", "intended"), statement("c", "on-hold"), statement("d", "unknown"), statement("e", "completed"), statement("f", "stopped"), statement("g", "not-taken"), statement("h", "entered-in-error"),
		}, []string{"MedicationStatement/d", "MedicationStatement/c", "MedicationStatement/b", "MedicationStatement/a"}},
		{"5: prescriptions", "10160-0", []string{
			request("a", "active", "order", ""), request("b", "on-hold", "plan", ""), request("c", "unknown", "order", ""), request("d", "completed", "order", ""), request("e", "draft", "order", ""),
			request("f", "active", "proposal", ""), request("g", "active", "option", ""), request("h", "active", "order", `,"doNotPerform":true`), request("i", "active", "order", `,"doNotPerform":false`),
		}, []string{"MedicationRequest/i", "MedicationRequest/c", "MedicationRequest/b", "MedicationRequest/a"}},
		{"6: vaccinations that were given", "11369-6", []string{
			simple("Immunization", "a", "completed", `,"occurrenceDateTime":"2001","vaccineCode":{"text":"MMR"}`), simple("Immunization", "b", "completed", `,"occurrenceDateTime":"2002","vaccineCode":{"text":"MMR"}`),
			simple("Immunization", "c", "not-done", `,"occurrenceDateTime":"2002","vaccineCode":{"text":"MMR"}`), simple("Immunization", "d", "entered-in-error", `,"occurrenceDateTime":"2002","vaccineCode":{"text":"MMR"}`),
		}, []string{"Immunization/b", "Immunization/a"}},
		{"7: the newest result of each code", "30954-2", []string{
			observation("a", "laboratory", "1-1", "final", "2020-01-01"), observation("b", "laboratory", "1-1", "amended", "2021"), observation("c", "laboratory", "1-1", "entered-in-error", "2022"),
			observation("d", "imaging", "2-2", "corrected", "2019-05"), observation("e", "laboratory", "2-1", "cancelled", "2022"), observation("f", "survey", "3-1", "final", "2022"), observation("g", "laboratory", "1-1", "final", ""),
		}, []string{"Observation/b", "Observation/d"}},
		{"7: a pending result that is newer", "30954-2", []string{observation("a", "laboratory", "1-1", "final", "2020"), observation("b", "laboratory", "1-1", "registered", "2021"), observation("c", "laboratory", "1-1", "preliminary", "2019")}, []string{"Observation/b", "Observation/a"}},
		{"7: a pending result that has been overtaken", "30954-2", []string{observation("a", "laboratory", "1-1", "final", "2020"), observation("c", "laboratory", "1-1", "preliminary", "2019")}, []string{"Observation/a"}},
		{"7: reports, not notes", "30954-2", []string{
			simple("DiagnosticReport", "a", "final", `,"code":{"text":"Panel"},"effectiveDateTime":"2020"`), simple("DiagnosticReport", "b", "final", `,"code":{"text":"panel"},"effectiveDateTime":"2021","category":[`+coded("v2-0074", "LAB")+`]`),
			simple("DiagnosticReport", "c", "final", `,"code":{"text":"Note"},"category":[{"coding":[{"system":"http://loinc.org","code":"34117-2"}]}]`), simple("DiagnosticReport", "d", "cancelled", `,"code":{"text":"X"}`),
		}, []string{"DiagnosticReport/b"}},
		{"8: procedures that were done", "47519-4", []string{
			simple("Procedure", "a", "completed", `,"code":{"text":"Dialysis"},"performedPeriod":{"start":"2020-01-01T10:00:00Z"}`), simple("Procedure", "b", "completed", `,"code":{"text":"Dialysis"},"performedDateTime":"2021"`),
			simple("Procedure", "c", "not-done", `,"code":{"text":"X"}`), simple("Procedure", "d", "preparation", `,"code":{"text":"Y"}`), simple("Procedure", "e", "completed", ``), simple("Procedure", "f", "completed", ``),
		}, []string{"Procedure/b", "Procedure/f", "Procedure/e"}},
		{"9: devices", "46264-8", []string{simple("DeviceUseStatement", "a", "active", `,"device":{"display":"Pacemaker"}`), simple("DeviceUseStatement", "b", "intended", `,"device":{"display":"X"}`)}, []string{"DeviceUseStatement/a"}},
		{"10: directives, no other consents", "42348-3", []string{
			simple("Consent", "a", "active", `,"scope":`+coded("consentscope", "adr")+`,"category":[{"text":"DNR"}]`), simple("Consent", "b", "active", `,"scope":`+coded("consentscope", "patient-privacy")+`,"category":[{"text":"X"}]`),
			simple("Consent", "c", "rejected", `,"scope":`+coded("consentscope", "adr")+`,"category":[{"text":"X"}]`),
		}, []string{"Consent/a"}},
		{"11: alerts", "104605-1", []string{simple("Flag", "a", "active", `,"code":{"text":"Falls"}`), simple("Flag", "b", "inactive", `,"code":{"text":"X"}`)}, []string{"Flag/a"}},
		{"12: assessments", "47420-5", []string{simple("ClinicalImpression", "a", "completed", ""), simple("ClinicalImpression", "b", "in-progress", "")}, []string{"ClinicalImpression/a"}},
		{"14: pregnancy", "10162-6", []string{
			observation("a", "", "82810-3", "final", "2020"), observation("b", "", "82810-3", "final", "2021"), observation("c", "", "11778-8", "final", "2022"), observation("d", "", "11640-0", "entered-in-error", "2022"), observation("e", "", "1-1", "final", "2022"),
		}, []string{"Observation/c", "Observation/b"}},
		{"15: plans", "18776-5", []string{
			simple("CarePlan", "a", "active", `,"intent":"plan","title":"X"`), simple("CarePlan", "b", "active", `,"intent":"plan","title":"X"`), simple("CarePlan", "c", "completed", `,"intent":"plan"`), simple("CarePlan", "d", "active", `,"intent":"proposal"`),
			simple("ImmunizationRecommendation", "e", "", `,"date":"2020","recommendation":[{"forecastStatus":{"text":"due"}}]`), simple("ImmunizationRecommendation", "f", "", `,"date":"2021","recommendation":[{"forecastStatus":{"text":"due"}}]`),
		}, []string{"ImmunizationRecommendation/f", "CarePlan/b", "CarePlan/a"}},
		{"16: tobacco and alcohol", "29762-2", []string{
			observation("a", "social-history", "72166-2", "final", "2020"), observation("b", "social-history", "72166-2", "final", "2021"), observation("c", "", "74013-4", "final", "2019"), observation("d", "social-history", "76690-7", "final", "2022"),
		}, []string{"Observation/b", "Observation/c"}},
		{"17: the newest of each vital sign", "8716-3", []string{
			observation("a", "vital-signs", "8867-4", "final", "2020-01-01T10:00:00+02:00"), observation("b", "vital-signs", "8867-4", "final", "2020-01-01T09:00:00Z"), observation("c", "vital-signs", "8302-2", "final", "2010"),
		}, []string{"Observation/b", "Observation/c"}},
		{"18: documents of the section's code", "81338-6", []string{
			simple("DocumentReference", "a", "current", `,"type":{"coding":[{"system":"http://loinc.org","code":"81338-6"}]},"content":[{"attachment":{"title":"x"}}]`),
			simple("DocumentReference", "b", "superseded", `,"type":{"coding":[{"system":"http://loinc.org","code":"81338-6"}]},"content":[{"attachment":{"title":"x"}}]`),
			simple("DocumentReference", "c", "current", `,"docStatus":"entered-in-error","type":{"coding":[{"system":"http://loinc.org","code":"81338-6"}]},"content":[{"attachment":{"title":"x"}}]`),
		}, []string{"DocumentReference/a"}},
		{"18: documents of any section", "42348-3", []string{
			simple("DocumentReference", "a", "current", `,"type":{"coding":[{"system":"http://loinc.org","code":"42348-3"}]},"content":[{"attachment":{"title":"x"}}]`),
		}, []string{"DocumentReference/a"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := newChart(t, append(tt.bodies, patient)...)
			s := read(t, c.document(t, c.options(V200)))
			got := s.entries(tt.code)
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			s.closed(t)
		})
	}
}

func TestEntriesStandNewestFirst(t *testing.T) {
	written := func(id, at string) string {
		return strings.Replace(condition(id, "active", "", ""), `"code":`, `"meta":{"lastUpdated":"`+at+`"},"code":`, 1)
	}
	c := newChart(t, patient, written("b", "2025-01-01T00:00:00Z"), written("a", "2025-01-02T00:00:00Z"), condition("z", "active", "", ""), condition("y", "active", "", ""),
		condition("e", "active", "", `,"onsetDateTime":"2020-03"`), condition("d", "active", "", `,"onsetPeriod":{"start":"2020-03-01T12:00:00Z"}`),
		condition("f", "active", "", `,"onsetString":"long ago","recordedDate":"2021"`), condition("g", "active", "", `,"onsetDateTime":"2020-03-01T12:30:00+01:00"`))
	s := read(t, c.document(t, c.options(V200)))
	want := []string{"Condition/d", "Condition/g", "Condition/e", "Condition/a", "Condition/b", "Condition/z", "Condition/y"}
	got := s.entries("11450-4")
	// What has a text for a date has none that can be compared.
	if i := slices.Index(got, "Condition/f"); i < 3 {
		t.Errorf("got %v, want f among the undated", got)
	}
	if got = slices.DeleteFunc(got, func(id string) bool { return id == "Condition/f" }); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestARequiredSectionSaysThatThereIsNothing(t *testing.T) {
	c := newChart(t, patient)
	raw := c.document(t, c.options(V200))
	valid(t, raw)
	s := read(t, raw)
	if len(s.sections) != 3 {
		t.Errorf("got %d sections, want the 3 that are required", len(s.sections))
	}
	for code, p := range s.sections {
		if !has(p.Get("emptyReason"), "http://terminology.hl7.org/CodeSystem/list-empty-reason", "unavailable") || len(s.entries(code)) != 0 {
			t.Errorf("%s: got %s", code, p.Raw())
		}
	}
	raw = c.document(t, c.options(V110))
	valid(t, raw)
	for code, want := range map[string]string{"11450-4": "no-problem-info", "48765-2": "no-allergy-info", "10160-0": "no-medication-info"} {
		p := read(t, raw).sections[code]
		if !strings.Contains(string(raw), want) || p.Get("entry").Len() != 1 || !absent(p.Get("emptyReason")) {
			t.Errorf("1.1.0, %s: got %s", code, p.Raw())
		}
	}
	if strings.Contains(string(raw), "no-known") || strings.Contains(string(raw), "nilknown") {
		t.Error("the document says that there is nothing, which nobody said")
	}
	o := c.options(V200)
	o.Withheld = []string{"MedicationRequest", "AllergyIntolerance"}
	s = read(t, c.document(t, o))
	for code, want := range map[string]string{"48765-2": "withheld", "10160-0": "unavailable", "11450-4": "unavailable"} {
		if !has(s.sections[code].Get("emptyReason"), "", want) {
			t.Errorf("%s: got %s, want %s", code, s.sections[code].Raw(), want)
		}
	}
}

func TestWhatEntriesReferToComesWithThem(t *testing.T) {
	panel := observation("panel", "laboratory", "24323-8", "final", "2020")
	c := newChart(t, patient,
		strings.TrimSuffix(panel, "}")+`,"hasMember":[{"reference":"Observation/k"},{"reference":"Observation/wrong"}],"derivedFrom":[{"reference":"Observation/base"}],"performer":[{"reference":"PractitionerRole/r/_history/3"}],"encounter":{"reference":"Encounter/e"},"specimen":{"reference":"Specimen/others","display":"Blood"}}`,
		observation("k", "", "2823-3", "final", "2020"), observation("wrong", "", "2823-4", "entered-in-error", "2020"), observation("base", "", "1-9", "final", "2020"),
		`{"resourceType":"PractitionerRole","id":"r","practitioner":{"reference":"Practitioner/d"},"organization":{"reference":"Organization/o"}}`,
		`{"resourceType":"Practitioner","id":"d","name":[{"family":"Doctor"}]}`, `{"resourceType":"Organization","id":"o","name":"Clinic","partOf":{"reference":"Organization/top"}}`,
		`{"resourceType":"Organization","id":"top","name":"Trust","partOf":{"reference":"Organization/over"}}`, `{"resourceType":"Organization","id":"over","name":"Far"}`,
		`{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p"}}`,
		`{"resourceType":"Specimen","id":"others","subject":{"reference":"Patient/q"}}`,
		`{"resourceType":"MedicationRequest","id":"m","status":"active","intent":"order","medicationReference":{"reference":"Medication/gone"},"subject":{"reference":"Patient/p"}}`,
		`{"resourceType":"MedicationStatement","id":"s","status":"active","contained":[{"resourceType":"Medication","id":"in","code":{"text":"Aspirin"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">old</div>"}}],"medicationReference":{"reference":"#in"},"subject":{"reference":"Patient/p"}}`,
	)
	raw := c.document(t, c.options(V200))
	valid(t, raw)
	s := read(t, raw)
	s.closed(t)
	has := func(id string) bool { return !absent(s.by["http://example.org/fhir/"+id]) }
	for id, want := range map[string]bool{
		"Observation/panel": true, "Observation/k": true, "Observation/wrong": false, "Observation/base": false, "PractitionerRole/r": true, "Practitioner/d": true, "Organization/o": true,
		"Organization/top": true, "Organization/over": false, "Encounter/e": false, "Specimen/others": false,
	} {
		if has(id) != want {
			t.Errorf("%s: got in the document %v, want %v", id, !want, want)
		}
	}
	text := string(raw)
	for _, want := range []string{`"specimen":{"display":"Blood"}`, `"medicationReference":` + unknown, `"performer":[{"reference":"http://example.org/fhir/PractitionerRole/r"}]`, "<td>Aspirin</td>"} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %s in %s", want, text)
		}
	}
	for _, not := range []string{"Encounter/e", "old</div>", "derivedFrom"} {
		if strings.Contains(text, not) {
			t.Errorf("got %s", not)
		}
	}
}

func TestWhatTheGuideRequiresIsFilled(t *testing.T) {
	c := newChart(t, `{"resourceType":"Patient","id":"p"}`, strings.Replace(condition("c", "active", "", ""), `"code":{"text":"Sample problem"},`, "", 1), strings.Replace(allergyOf("a", "active", ""), `"code":{"text":"Nuts"},`, "", 1),
		statement("s", "active"), simple("Procedure", "x", "completed", ""), simple("DeviceUseStatement", "u", "active", `,"device":{"display":"Pacemaker"}`), observation("o", "laboratory", "1-1", "final", ""),
		simple("Immunization", "i", "completed", `,"occurrenceDateTime":"2001","vaccineCode":{"text":"MMR"}`))
	for _, ed := range []Edition{V200, V110} {
		raw := c.document(t, c.options(ed))
		valid(t, raw)
		for _, want := range []string{`"_birthDate":` + unknown, `"code":` + unknownConcept, `"_effectiveDateTime":` + unknown, `"_performedDateTime":` + unknown, `"_timingDateTime":` + unknown} {
			if !strings.Contains(string(raw), want) {
				t.Errorf("got no %s", want)
			}
		}
	}
	v := guide(t)
	for _, i := range wrong(t, v, c.document(t, c.options(V110)), profiles+"Bundle-uv-ips") {
		t.Errorf("IPS 1.1.0: %s %s: %s", i.Code, i.Expression, i.Text)
	}
}

func TestANameThatNamesNobodySaysSo(t *testing.T) {
	c := newChart(t, `{"resourceType":"Patient","id":"p","name":[{"use":"official"},{"family":"Sample"}],"link":[{"other":{"reference":"Patient/q"},"type":"seealso"}]}`)
	raw := c.document(t, c.options(V110))
	valid(t, raw)
	for _, want := range []string{`"name":[{"use":"official","_text":` + unknown + `},{"family":"Sample"}]`, `"link":[{"other":` + unknown + `,"type":"seealso"}]`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("got no %s in %s", want, raw)
		}
	}
	for _, i := range wrong(t, guide(t), raw, profiles+"Bundle-uv-ips") {
		t.Errorf("IPS 1.1.0: %s %s: %s", i.Code, i.Expression, i.Text)
	}
}

func TestTheMostConfidentialResourceDecides(t *testing.T) {
	secret := func(code string) string {
		return strings.Replace(condition("c", "active", "", ""), `"code":{"text"`, `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"`+code+`"}]},"code":{"text"`, 1)
	}
	for body, want := range map[string]string{condition("c", "active", "", ""): "N", secret("R"): "R", secret("V"): "V"} {
		c := newChart(t, patient, body)
		s := read(t, c.document(t, c.options(V200)))
		if got := s.by[s.urls[0]].Get("confidentiality").Text(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestDocumentRefusesWhatIsNoPatient(t *testing.T) {
	c := newChart(t, patient)
	for _, body := range []string{`{"resourceType":"Patient"}`, `{"resourceType":"Practitioner","id":"x"}`} {
		r, err := fhir.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Document(r, c.items(), c.options(V200)); !errors.Is(err, ErrSubject) {
			t.Errorf("%s: got %v, want ErrSubject", body, err)
		}
	}
	if _, err := Document(c.subject, c.items(), Options{}); !errors.Is(err, ErrOptions) {
		t.Errorf("got %v, want ErrOptions", err)
	}
}
