package ips

import (
	"slices"
	"strings"
)

// emptyReason says why a required section has no entry, in 2.0.0.
func (s *section) emptyReason(withheld []string) *codeable {
	code, display := "unavailable", "Unavailable"
	if len(s.types) > 0 && !slices.ContainsFunc(s.types, func(t string) bool { return !slices.Contains(withheld, t) }) {
		code, display = "withheld", "Information Withheld"
	}
	return &codeable{Coding: []coding{{"http://terminology.hl7.org/CodeSystem/list-empty-reason", code, display}}, Text: s.none}
}

// noInformation is the resource of absent-unknown that is the entry of a required section, in 1.1.0.
func (s *section) noInformation(id, patient string) (typ string, raw []byte) {
	concept := func(code, display string) string {
		return `{"coding":[{"system":"` + absentSystem + `","code":"` + code + `","display":"` + display + `"}]}`
	}
	active := func(system string) string {
		return `,"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/` + system + `","code":"active"}]}`
	}
	subject := `{"reference":` + string(quote(patient)) + `}`
	typ = s.types[0]
	var b strings.Builder
	b.WriteString(`{"resourceType":"` + typ + `","id":` + string(quote(id)) + `,"text":{"status":"generated","div":` + string(quote(paragraphs(s.none))) + `}`)
	switch typ {
	case "Condition":
		b.WriteString(active("condition-clinical") + `,"code":` + concept("no-problem-info", "No information about problems") + `,"subject":` + subject)
	case "AllergyIntolerance":
		b.WriteString(active("allergyintolerance-clinical") + `,"code":` + concept("no-allergy-info", "No information about allergies") + `,"patient":` + subject)
	case "MedicationStatement":
		b.WriteString(`,"status":"unknown","medicationCodeableConcept":` + concept("no-medication-info", "No information about medications") + `,"subject":` + subject +
			`,"effectivePeriod":` + strings.Replace(unknown, `"unknown"`, `"not-applicable"`, 1))
	}
	b.WriteByte('}')
	return typ, []byte(b.String())
}
