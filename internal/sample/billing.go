package sample

import (
	"fmt"
	"strings"
)

// An item is something of a visit that is billed.
type item struct {
	code
	typ, id string // the resource, or ""
}

const bluebutton = "https://bluebutton.cms.gov/resources/"

// claims bills a visit: its medication, then the visit itself, and the insurer's answers.
func (g *generator) claims(v *visit) {
	if v.prescription != "" {
		g.claim(v, "pharmacy", []item{v.items[0]}, g.ref("prescription", "MedicationRequest", v.prescription)+",")
	}
	claim, total := g.claim(v, "institutional", v.items, "")
	g.explanation(v, claim, total)
}

func money(cents int) string {
	return fmt.Sprintf(`{"value":%d.%02d,"currency":"USD"}`, cents/100, cents%100)
}

func (g *generator) claim(v *visit, typ string, items []item, extra string) (id string, cents int) {
	var diagnosis, procedure, information, lines []string
	for i, it := range items {
		link := ""
		switch it.typ {
		case "Condition":
			diagnosis = append(diagnosis, fmt.Sprintf(`{"sequence":%d,%s}`, len(diagnosis)+1, g.ref("diagnosisReference", it.typ, it.id)))
			link = fmt.Sprintf(`"diagnosisSequence":[%d],`, len(diagnosis))
		case "Procedure":
			procedure = append(procedure, fmt.Sprintf(`{"sequence":%d,%s}`, len(procedure)+1, g.ref("procedureReference", it.typ, it.id)))
			link = fmt.Sprintf(`"procedureSequence":[%d],`, len(procedure))
		case "Immunization":
			information = append(information, fmt.Sprintf(`{"sequence":%d,%s,%s}`, len(information)+1, concept("category", tho("claiminformationcategory", "info")), g.ref("valueReference", it.typ, it.id)))
			link = fmt.Sprintf(`"informationSequence":[%d],`, len(information))
		}
		where := ""
		if i == 0 {
			where = `,"encounter":[` + g.refObject("Encounter", v.encounter, "") + `]`
		}
		net := ""
		if it.typ == "Procedure" || it.typ == "Immunization" {
			c := 1000 + g.below(100000)
			cents += c
			net = `,"net":` + money(c)
		}
		lines = append(lines, fmt.Sprintf(`{"sequence":%d,%s%s%s%s}`, i+1, link, concept("productOrService", it.code), net, where))
	}
	cents += 12500
	var lists strings.Builder
	for _, l := range []struct {
		name string
		list []string
	}{{"supportingInfo", information}, {"diagnosis", diagnosis}, {"procedure", procedure}} {
		if len(l.list) > 0 {
			lists.WriteString(`"` + l.name + `":[` + strings.Join(l.list, ",") + `],`)
		}
	}
	id = g.add("Claim", g.uuid(), v.security, `"status":"active"`, concept("type", tho("claim-type", typ)), `"use":"claim"`, g.ref("patient", "Patient", g.patient),
		`"billablePeriod":{"start":"`+g.now.dateTime()+`","end":"`+v.end.dateTime()+`"}`, `"created":"`+v.end.dateTime()+`"`, g.ref("provider", "Organization", g.organization),
		concept("priority", tho("processpriority", "normal")), extra+lists.String()+`"insurance":[{"sequence":1,"focal":true,"coverage":`+g.refObject("Coverage", g.coverage, "private")+`}]`,
		`"item":[`+strings.Join(lines, ",")+`]`, `"total":`+money(cents))
	return id, cents
}

// adjudication of one line: what the insurer allows and pays.
func (g *generator) adjudication(cents int) string {
	line := func(c, display, rest string) string {
		return `{` + concept("category", code{bluebutton + "codesystem/adjudication", bluebutton + "variables/" + c, display}) + rest + `}`
	}
	amount := func(c int) string { return `,"amount":` + money(c) }
	return strings.Join([]string{
		line("line_coinsrnc_amt", "Line Beneficiary Coinsurance Amount", amount(cents/5)),
		line("line_prvdr_pmt_amt", "Line Provider Payment Amount", amount(cents*4/5)),
		line("line_sbmtd_chrg_amt", "Line Submitted Charge Amount", amount(cents)),
		line("line_alowd_chrg_amt", "Line Allowed Charge Amount", amount(cents)),
		line("line_bene_ptb_ddctbl_amt", "Line Beneficiary Part B Deductible Amount", amount(0)),
		line("line_prcsg_ind_cd", "Line Processing Indicator Code", `,"reason":`+conceptObject(code{bluebutton + "variables/line_prcsg_ind_cd", "A", "Allowed"})),
	}, ",")
}

func (g *generator) explanation(v *visit, claim string, total int) {
	var lines []string
	paid := 0
	for i, it := range v.items {
		where := ""
		if i == 0 {
			where = `,"encounter":[` + g.refObject("Encounter", v.encounter, "") + `]`
		}
		link, adjudicated := "", ""
		if it.typ == "Condition" {
			link = `"diagnosisSequence":[1],`
		} else if it.typ != "" {
			c := 1000 + g.below(50000)
			paid += c * 4 / 5
			adjudicated = `,"net":` + money(c) + `,"adjudication":[` + g.adjudication(c) + `]`
		}
		lines = append(lines, fmt.Sprintf(`{"sequence":%d,%s%s,%s,"servicedPeriod":{"start":"%s","end":"%s"},%s%s%s}`, i+1, link,
			concept("category", code{bluebutton + "variables/line_cms_type_srvc_cd", "1", "Medical care"}), concept("productOrService", it.code),
			g.now.dateTime(), v.end.dateTime(), concept("locationCodeableConcept", code{thosys + "ex-serviceplace", "19", "Off Campus-Outpatient Hospital"}), where, adjudicated))
	}
	diagnosis := ""
	if v.condition != "" {
		diagnosis = `"diagnosis":[{"sequence":1,` + g.ref("diagnosisReference", "Condition", v.condition) + `,"type":[` + conceptObject(tho("ex-diagnosistype", "principal")) + `]}],`
	}
	g.add("ExplanationOfBenefit", g.uuid(), v.security,
		`"contained":[{"resourceType":"ServiceRequest","id":"referral","status":"completed","intent":"order",`+g.ref("subject", "Patient", g.patient)+`,`+g.ref("requester", "Practitioner", g.practitioner)+`,"performer":[`+g.refObject("Practitioner", g.practitioner, "")+
			`]},{"resourceType":"Coverage","id":"coverage","status":"active","type":{"text":"private"},`+g.ref("beneficiary", "Patient", g.patient)+`,"payor":[{"display":"private"}]}]`,
		`"identifier":[{"system":"`+bluebutton+`variables/clm_id","value":"`+claim+`"},{"system":"`+bluebutton+`identifier/claim-group","value":"99999999999"}]`,
		`"status":"active"`, concept("type", tho("claim-type", "institutional")), `"use":"claim"`, g.ref("patient", "Patient", g.patient),
		`"billablePeriod":{"start":"`+v.end.dateTime()+`","end":"`+v.end.days(365).dateTime()+`"}`, `"created":"`+v.end.dateTime()+`"`, `"insurer":{"display":"private"}`, g.ref("provider", "Practitioner", g.practitioner),
		`"referral":{"reference":"#referral"}`, g.ref("claim", "Claim", claim), `"outcome":"complete"`,
		`"careTeam":[{"sequence":1,`+g.ref("provider", "Practitioner", g.practitioner)+`,`+concept("role", code{thosys + "claimcareteamrole", "primary", "Primary Care Practitioner"})+`}]`,
		diagnosis+`"insurance":[{"focal":true,"coverage":{"reference":"#coverage","display":"private"}}]`, `"item":[`+strings.Join(lines, ",")+`]`,
		`"total":[{`+concept("category", code{thosys + "adjudication", "submitted", "Submitted Amount"})+`,"amount":`+money(total)+`}]`, `"payment":{"amount":`+money(paid)+`}`)
}
