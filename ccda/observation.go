package ccda

import "strconv"

var resultStatus = map[string]string{
	"aborted": "cancelled", "active": "registered", "cancelled": "cancelled", "completed": "final",
	"held": "registered", "suspended": "registered",
}

const observationCategory = "http://terminology.hl7.org/CodeSystem/observation-category"

// observation: guide, CF-results, CF-vitals, CF-social.
func (m *mapper) observation(n *node, category string) object {
	r := m.begin("Observation", "subject", n)
	r["status"] = status(n, resultStatus, "unknown")
	r["category"] = list(coding(observationCategory, category))
	r["code"] = m.must(n.one("code"))
	m.when(r, "effective", n.one("effectiveTime"))
	if values := n.all("value"); len(values) > 0 {
		m.value(r, values[0]) // further ones stay unread and are listed
	}
	if r["valueQuantity"] == nil && r["valueCodeableConcept"] == nil && r["valueString"] == nil && r["valueInteger"] == nil {
		r["dataAbsentReason"] = coding("http://terminology.hl7.org/CodeSystem/data-absent-reason",
			absent(n.one("value"))["extension"].([]any)[0].(object)["valueCode"].(string))
	}
	if i := m.concept(n.one("interpretationCode")); len(i) > 0 {
		r["interpretation"] = list(i)
	}
	set(r, "method", m.concept(n.one("methodCode")))
	set(r, "bodySite", m.concept(n.one("targetSiteCode")))
	var ranges []any
	for _, rr := range n.all("referenceRange") {
		o := rr.one("observationRange")
		one := object{}
		if v := o.one("value"); v.a("xsi:type") == "IVL_PQ" {
			set(one, "low", m.quantity(v.one("low")))
			set(one, "high", m.quantity(v.one("high")))
		} else if v.a("xsi:type") == "ST" {
			set(one, "text", m.text(v))
		}
		if one["text"] == nil {
			set(one, "text", m.text(o.one("text")))
		}
		ranges = append(ranges, list(one)...)
	}
	set(r, "referenceRange", ranges)
	return m.add(r, n, false)
}

// value maps the types that Observation.value[x] of R4 can hold.
func (m *mapper) value(r object, v *node) {
	switch v.a("xsi:type") {
	case "PQ", "REAL":
		set(r, "valueQuantity", m.quantity(v))
	case "CD", "CE", "CV", "CO", "CS":
		set(r, "valueCodeableConcept", m.concept(v))
	case "ST", "ED":
		if v.a("representation") == "" {
			set(r, "valueString", m.text(v))
		}
	case "INT":
		if i, err := strconv.ParseInt(v.a("value"), 10, 32); err == nil {
			r["valueInteger"] = i
			v.take()
		}
	}
}

func (m *mapper) members(n *node, category string) []any {
	var out []any
	for _, c := range n.all("component") {
		if o := c.one("observation"); o != nil {
			out = append(out, m.observation(o, category))
		}
	}
	return out
}

func (m *mapper) report(n *node) object {
	r := m.begin("DiagnosticReport", "subject", n)
	r["status"] = status(n, resultStatus, "unknown")
	r["category"] = list(coding("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB"))
	r["code"] = m.must(n.one("code"))
	m.when(r, "effective", n.one("effectiveTime"))
	set(r, "result", m.members(n, "laboratory"))
	return m.add(r, n, false)
}

// panel: a Vital Signs Organizer is an Observation 85353-1 of its members.
func (m *mapper) panel(n *node) object {
	r := m.begin("Observation", "subject", n)
	n.one("statusCode").take() // fixed to completed
	n.one("code").take()       // replaced as the guide says
	r["status"] = "final"
	r["category"] = list(coding(observationCategory, "vital-signs"))
	r["code"] = coding("http://loinc.org", "85353-1")
	m.when(r, "effective", n.one("effectiveTime"))
	set(r, "hasMember", m.members(n, "vital-signs"))
	return m.add(r, n, false)
}
