package sample

import (
	"encoding/base64"
	"fmt"
	"strings"
)

func coding(c code) string {
	if c.display == "" {
		return `{"system":"` + c.system + `","code":"` + c.code + `"}`
	}
	return `{"system":"` + c.system + `","code":"` + c.code + `","display":"` + c.display + `"}`
}

func concept(element string, cs ...code) string {
	return `"` + element + `":` + conceptObject(cs...)
}

func conceptObject(cs ...code) string {
	var all []string
	for _, c := range cs {
		all = append(all, coding(c))
	}
	text := ""
	if cs[0].display != "" {
		text = `,"text":"` + cs[0].display + `"`
	}
	return `{"coding":[` + strings.Join(all, ",") + `]` + text + `}`
}

// tho is a code of HL7 Terminology without a display.
func tho(system, c string) code { return code{thosys + system, c, ""} }

func (g *generator) person() {
	sex := []string{"female", "male"}[g.below(2)]
	if g.story.problem != nil && g.story.problem.reason.code == "424619006" {
		sex = "female" // the pregnancy
	}
	g.add("Patient", g.patient, "",
		`"identifier":[{"use":"usual","type":`+conceptObject(code{thosys + "v2-0203", "MR", "Medical Record Number"})+`,"system":"urn:oid:2.999.1","value":"`+fmt.Sprintf("SAMPLE-%06d", g.seed%1000000)+`"}]`,
		`"active":true`,
		`"name":[{"use":"official","text":"`+Name(g.seed)+`","family":"`+fmt.Sprintf("Patient %04d", g.seed%10000)+`","given":["Sample"]}]`,
		`"telecom":[{"system":"phone","value":"555-0100","use":"home"}]`,
		`"gender":"`+sex+`"`, fmt.Sprintf(`"birthDate":"%d-%02d-01"`, 1935+g.below(65), 1+g.below(12)),
		`"address":[{"line":["1 Example Street"],"city":"Sampletown","state":"MA","postalCode":"00000","country":"US"}]`,
		concept("maritalStatus", code{thosys + "v3-MaritalStatus", "M", "Married"}),
		`"multipleBirthBoolean":false`, `"communication":[{`+concept("language", code{"urn:ietf:bcp:47", "en-US", "English"})+`}]`)
}

func (g *generator) caregivers() {
	g.add("Organization", g.organization, "", `"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"0000000000"}]`, `"active":true`,
		`"type":[`+conceptObject(code{thosys + "organization-type", "prov", "Healthcare Provider"})+`]`, `"name":"Sample General Hospital"`,
		`"telecom":[{"system":"phone","value":"555-0101"}]`, `"address":[{"line":["2 Example Street"],"city":"Sampletown","state":"MA","postalCode":"00000","country":"US"}]`)
	g.add("Practitioner", g.practitioner, "", `"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"0000000001"}]`, `"active":true`,
		`"name":[{"family":"Practitioner","given":["Sample"],"prefix":["Dr."]}]`, `"gender":"female"`)
	g.add("Coverage", g.coverage, "", `"status":"active"`, `"type":{"text":"private"}`, g.ref("beneficiary", "Patient", g.patient), `"payor":[{"display":"Sample Insurer"}]`)
}

func (g *generator) allergy() {
	a := allergies[g.below(len(allergies))]
	g.add("AllergyIntolerance", g.uuid(), "", concept("clinicalStatus", tho("allergyintolerance-clinical", "active")),
		concept("verificationStatus", tho("allergyintolerance-verification", "confirmed")), `"type":"allergy"`, `"category":["`+a.category+`"]`, `"criticality":"low"`,
		concept("code", a.code), g.ref("patient", "Patient", g.patient), `"recordedDate":"`+g.now.dateTime()+`"`)
}

func (g *generator) encounter(v *visit) {
	class := tho("v3-ActCode", "AMB")
	if v.reason == emergency {
		class = tho("v3-ActCode", "EMER")
	}
	reason := ""
	if !v.wellness {
		reason = `,"reasonCode":[` + conceptObject(v.problem.condition) + `]`
	}
	g.add("Encounter", v.encounter, v.security, `"status":"finished"`, `"class":`+coding(class), `"type":[`+conceptObject(v.reason)+`]`,
		`"subject":`+g.refObject("Patient", g.patient, ""), `"participant":[{`+g.ref("individual", "Practitioner", g.practitioner)+`}]`,
		`"period":{"start":"`+g.now.dateTime()+`","end":"`+v.end.dateTime()+`"}`+reason, g.ref("serviceProvider", "Organization", g.organization))
	v.items = append(v.items, item{v.reason, "", ""})
}

// about returns the elements that tie an observation or a report to patient, visit and time.
func (g *generator) about(v *visit) string {
	return g.ref("subject", "Patient", g.patient) + "," + g.ref("encounter", "Encounter", v.encounter) +
		`,"effectiveDateTime":"` + g.now.dateTime() + `","issued":"` + g.now.instant(g.below(1000)) + `"`
}

func category(c string) string {
	return `"category":[{"coding":[` + coding(code{thosys + "observation-category", c, c}) + `]}]`
}

func value(m measure, number string) string {
	return `"valueQuantity":{"value":` + number + `,"unit":"` + m.unit + `","system":"http://unitsofmeasure.org","code":"` + m.unit + `"}`
}

func (g *generator) quantity(v *visit, cat string, m measure) string {
	return g.add("Observation", g.uuid(), v.security, `"status":"final"`, category(cat), concept("code", code{loinc, m.loinc, m.display}), g.about(v),
		value(m, g.decimal(m.low, m.high, m.whole)))
}

func (g *generator) bloodPressure(v *visit) {
	part := func(c, display string, low, high float64) string {
		m := measure{c, display, "mm[Hg]", low, high, true}
		return `{` + concept("code", code{loinc, c, display}) + `,` + value(m, g.decimal(low, high, true)) + `}`
	}
	g.add("Observation", g.uuid(), v.security, `"status":"final"`, category("vital-signs"), concept("code", code{loinc, "85354-9", "Blood Pressure"}), g.about(v),
		`"component":[`+part("8462-4", "Diastolic Blood Pressure", 60, 95)+`,`+part("8480-6", "Systolic Blood Pressure", 100, 160)+`]`)
}

func (g *generator) smoking(v *visit) {
	status := []code{{snomed, "266919005", "Never smoker"}, {snomed, "8517006", "Former smoker"}, {snomed, "449868002", "Current every day smoker"}}[g.below(3)]
	g.add("Observation", g.uuid(), v.security, `"status":"final"`, category("social-history"), concept("code", code{loinc, "72166-2", "Tobacco smoking status NHIS"}), g.about(v),
		concept("valueCodeableConcept", status))
}

func (g *generator) panel(v *visit) {
	p := panels[g.below(len(panels))]
	var results []string
	for _, m := range p.parts {
		results = append(results, g.refObject("Observation", g.quantity(v, "laboratory", m), m.display))
	}
	g.add("DiagnosticReport", g.uuid(), v.security, `"status":"final"`, `"category":[{"coding":[`+coding(code{thosys + "v2-0074", "LAB", "Laboratory"})+`]}]`,
		concept("code", p.code), g.about(v), `"result":[`+strings.Join(results, ",")+`]`)
}

func (g *generator) immunization(v *visit) {
	c := vaccines[g.below(len(vaccines))]
	id := g.add("Immunization", g.uuid(), v.security, `"status":"completed"`, concept("vaccineCode", c), g.ref("patient", "Patient", g.patient),
		g.ref("encounter", "Encounter", v.encounter), `"occurrenceDateTime":"`+g.now.dateTime()+`"`, `"primarySource":true`)
	v.items = append(v.items, item{c, "Immunization", id})
}

func (g *generator) conditionOf(v *visit) {
	status, end := "active", ""
	if g.below(2) == 0 {
		status, end = "resolved", `,"abatementDateTime":"`+g.now.days(14).dateTime()+`"`
	}
	v.condition = g.add("Condition", g.uuid(), v.security, concept("clinicalStatus", tho("condition-clinical", status)), concept("verificationStatus", tho("condition-ver-status", "confirmed")),
		`"category":[`+conceptObject(code{thosys + "condition-category", "encounter-diagnosis", "Encounter Diagnosis"})+`]`,
		concept("code", v.problem.condition, v.problem.icd), g.ref("subject", "Patient", g.patient), g.ref("encounter", "Encounter", v.encounter),
		`"onsetDateTime":"`+g.now.dateTime()+`"`+end, `"recordedDate":"`+g.now.dateTime()+`"`)
	v.items = append(v.items, item{v.problem.condition, "Condition", v.condition})
}

func (g *generator) procedure(v *visit, c code) {
	id := g.add("Procedure", g.uuid(), v.security, `"status":"completed"`, concept("code", c), g.ref("subject", "Patient", g.patient), g.ref("encounter", "Encounter", v.encounter),
		`"performedPeriod":{"start":"`+g.now.dateTime()+`","end":"`+v.end.dateTime()+`"}`, `"reasonReference":[`+g.refObject("Condition", v.condition, v.problem.condition.display)+`]`)
	v.items = append(v.items, item{c, "Procedure", id})
}

func (g *generator) prescribe(v *visit, drug code) {
	v.prescription = g.add("MedicationRequest", g.uuid(), v.security, `"status":"`+[]string{"active", "stopped", "completed"}[g.below(3)]+`"`, `"intent":"order"`,
		concept("medicationCodeableConcept", drug), g.ref("subject", "Patient", g.patient), g.ref("encounter", "Encounter", v.encounter), `"authoredOn":"`+g.now.dateTime()+`"`,
		g.ref("requester", "Practitioner", g.practitioner), `"reasonReference":[`+g.refObject("Condition", v.condition, "")+`]`,
		fmt.Sprintf(`"dosageInstruction":[{"sequence":1,"timing":{"repeat":{"frequency":%d,"period":1.0,"periodUnit":"d"}},"asNeededBoolean":%t,"doseAndRate":[{"type":{"coding":[%s]},"doseQuantity":{"value":%d.0}}]}]`,
			1+g.below(3), g.below(2) == 0, coding(code{thosys + "dose-rate-type", "ordered", "Ordered"}), 1+g.below(2)))
}

func (g *generator) carePlan(v *visit) {
	p := v.problem
	goal := g.add("Goal", g.uuid(), v.security, `"lifecycleStatus":"accepted"`, concept("achievementStatus", tho("goal-achievement", "in-progress")),
		`"description":{"text":"`+p.condition.display+` under control"}`, g.ref("subject", "Patient", g.patient), `"addresses":[`+g.refObject("Condition", v.condition, "")+`]`)
	team := g.add("CareTeam", g.uuid(), v.security, `"status":"active"`, `"name":"Care team for `+p.plan.display+`"`, g.ref("subject", "Patient", g.patient), g.ref("encounter", "Encounter", v.encounter), `"period":{"start":"`+g.now.dateTime()+`"}`,
		`"participant":[{"role":[`+conceptObject(code{snomed, "223366009", "Healthcare professional (occupation)"})+`],`+g.ref("member", "Practitioner", g.practitioner)+`}]`, `"managingOrganization":[`+g.refObject("Organization", g.organization, "")+`]`)
	var activities, list []string
	for _, a := range p.activities {
		activities = append(activities, `{"detail":{`+concept("code", a)+`,"status":"in-progress"}}`)
		list = append(list, `<li>`+a.display+`</li>`)
	}
	if len(activities) == 0 {
		activities = append(activities, `{"detail":{`+concept("code", p.plan)+`,"status":"in-progress"}}`)
	}
	g.add("CarePlan", g.uuid(), v.security, `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Care Plan for `+p.plan.display+`.<br/>Activities: <ul>`+strings.Join(list, "")+`</ul><br/>Care plan is meant to treat `+p.condition.display+`.</div>"}`,
		`"status":"active"`, `"intent":"order"`, `"category":[`+conceptObject(p.plan)+`]`, g.ref("subject", "Patient", g.patient), g.ref("encounter", "Encounter", v.encounter),
		`"period":{"start":"`+g.now.dateTime()+`"}`, `"careTeam":[`+g.refObject("CareTeam", team, "")+`]`, `"addresses":[`+g.refObject("Condition", v.condition, "")+`]`, `"goal":[`+g.refObject("Goal", goal, "")+`]`,
		`"activity":[`+strings.Join(activities, ",")+`]`)
}

func (g *generator) imaging(v *visit) {
	uid := fmt.Sprintf("2.999.%d.%d", 10000000+g.below(89999999), 10000000+g.below(89999999))
	g.add("ImagingStudy", g.uuid(), v.security, `"identifier":[{"use":"official","system":"urn:dicom:uid","value":"urn:oid:`+uid+`"}]`, `"status":"available"`, g.ref("subject", "Patient", g.patient),
		g.ref("encounter", "Encounter", v.encounter), `"started":"`+g.now.dateTime()+`"`, `"numberOfSeries":1`, `"numberOfInstances":1`,
		`"series":[{"uid":"`+uid+`.1","number":1,"modality":`+coding(code{"http://dicom.nema.org/resources/ontology/DCM", "DX", "Digital Radiography"})+`,"numberOfInstances":1,"bodySite":`+coding(code{snomed, "51185008", "Thoracic structure (body structure)"})+
			`,"started":"`+g.now.dateTime()+`","instance":[{"uid":"`+uid+`.1.1","sopClass":{"system":"urn:ietf:rfc:3986","code":"urn:oid:1.2.840.10008.5.1.4.1.1.1.1"},"number":1,"title":"Image of chest"}]}]`)
}

func (g *generator) document(v *visit) {
	text := fmt.Sprintf("%s\n\n# Chief complaint\n%s\n\n# History of present illness\n%s is a synthetic patient. Seen for %s.\n\n# Assessment and plan\nContinue present management; return in %d weeks.\n",
		g.now.date(), v.reason.display, Name(g.seed), v.problem.condition.display, 2+g.below(10))
	g.add("DocumentReference", g.uuid(), v.security, `"identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:`+g.uuid()+`"}]`, `"status":"current"`, concept("type", g.story.note),
		`"category":[`+conceptObject(code{"http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note", "Clinical Note"})+`]`, g.ref("subject", "Patient", g.patient),
		`"date":"`+g.now.instant(g.below(1000))+`"`, `"author":[`+g.refObject("Practitioner", g.practitioner, "Dr. Sample Practitioner")+`]`, g.ref("custodian", "Organization", g.organization),
		`"content":[{"attachment":{"contentType":"text/plain; charset=utf-8","data":"`+base64.StdEncoding.EncodeToString([]byte(text))+`"}}]`,
		`"context":{"encounter":[`+g.refObject("Encounter", v.encounter, "")+`],"period":{"start":"`+g.now.dateTime()+`","end":"`+v.end.dateTime()+`"}}`)
}
