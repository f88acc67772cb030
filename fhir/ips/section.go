package ips

import (
	"slices"

	"salus/fhir/element"
)

const (
	loinc        = "http://loinc.org"
	absentSystem = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
)

// A section is one of a summary (IPS 2.0.0, Composition-uv-ips).
type section struct {
	title, code string // code of LOINC
	what        string // heading of the first column
	none        string // what the narrative says when there is nothing
	required    bool
	types       []string // of the entries, but for DocumentReference
	take        func(n element.Node) bool
	newest      bool // of each code the newest alone
	group       func(n element.Node) string
}

// sections are all of them, in the order of a summary.
var sections = []section{
	{
		title: "Problem List", code: "11450-4", what: "Problem", required: true, none: "No information about problems is available.",
		types: []string{"Condition"}, take: currentProblem,
	},
	{
		title: "Allergies and Intolerances", code: "48765-2", what: "Allergy or intolerance", required: true, none: "No information about allergies and intolerances is available.",
		types: []string{"AllergyIntolerance"}, take: allergy,
	},
	{
		title: "Medication Summary", code: "10160-0", what: "Medication", required: true, none: "No information about medications is available.",
		types: []string{"MedicationStatement", "MedicationRequest"}, take: medication,
	},
	{title: "Immunizations", code: "11369-6", what: "Vaccine", types: []string{"Immunization"}, take: status("completed")},
	{title: "Diagnostic Results", code: "30954-2", what: "Result", types: []string{"Observation", "DiagnosticReport"}, take: result, newest: true, group: codeAndPending},
	{
		title: "History of Procedures", code: "47519-4", what: "Procedure", types: []string{"Procedure"},
		take: status("in-progress", "on-hold", "stopped", "completed", "unknown"), newest: true, group: codeGroup,
	},
	{title: "Medical Devices", code: "46264-8", what: "Device", types: []string{"DeviceUseStatement"}, take: status("active", "on-hold", "completed", "stopped")},
	{title: "Advance Directives", code: "42348-3", what: "Directive", types: []string{"Consent"}, take: directive},
	{title: "Alerts", code: "104605-1", what: "Alert", types: []string{"Flag"}, take: status("active")},
	{title: "Functional Status", code: "47420-5", what: "Assessment", types: []string{"ClinicalImpression"}, take: status("completed")},
	{title: "History of Past Problems", code: "11348-0", what: "Problem", types: []string{"Condition"}, take: pastProblem},
	{title: "History of Pregnancy", code: "10162-6", what: "Observation", types: []string{"Observation"}, take: pregnancy, newest: true, group: codeGroup},
	{title: "Patient Story", code: "81338-6", what: "Document"},
	{title: "Plan of Care", code: "18776-5", what: "Plan", types: []string{"CarePlan", "ImmunizationRecommendation"}, take: plan, newest: true, group: planGroup},
	{title: "Social History", code: "29762-2", what: "Observation", types: []string{"Observation"}, take: social, newest: true, group: codeGroup},
	{title: "Vital Signs", code: "8716-3", what: "Measurement", types: []string{"Observation"}, take: vitalSign, newest: true, group: codeAndPending},
}

// Types are the resource types that a summary is made of, sorted: the others need not be given to Document.
func Types() []string {
	out := []string{"DocumentReference"}
	for i := range sections {
		out = append(out, sections[i].types...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// place names the sections that a resource goes into.
func place(typ string, n element.Node) (in []int) {
	if has(n.Get("verificationStatus"), "", "entered-in-error", "refuted") || one(n.Get("status"), "entered-in-error") {
		return nil
	}
	for i := range sections {
		s := &sections[i]
		switch {
		case typ == "DocumentReference":
			if one(n.Get("status"), "current") && !one(n.Get("docStatus"), "entered-in-error") && has(n.Get("type"), loinc, s.code) {
				in = append(in, i)
			}
		case slices.Contains(s.types, typ) && s.take(n):
			in = append(in, i)
		}
	}
	return in
}
