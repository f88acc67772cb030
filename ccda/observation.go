package ccda

import (
	"encoding/base64"
	"maps"
	"strings"
)

var resultStatus = map[string]string{
	"aborted": "cancelled", "active": "registered", "cancelled": "cancelled", "completed": "final",
	"held": "registered", "suspended": "registered", "nullified": "entered-in-error",
}

const (
	observationCategory = "http://terminology.hl7.org/CodeSystem/observation-category"
	coreCategory        = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
	loinc               = "http://loinc.org"
	nullFlavor          = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
)

func categoryOf(c string) object {
	switch c {
	case "functional-status", "cognitive-status", "disability-status":
		return coding(coreCategory, c)
	}
	return coding(observationCategory, c)
}

// observation: guide, CF-results, CF-vitals, CF-social; the same shape for every other
// template that is an observation in C-CDA.
func (m *mapper) observation(n *node, category string) *draft {
	if m.cannot(n) {
		return nil
	}
	d := m.start("Observation", n)
	m.observed(d, n, category)
	m.relations(d, n, where{}, nil)
	return d
}

func (m *mapper) observed(d *draft, n *node, category string) {
	r := d.r
	r["status"] = status(n, resultStatus, "unknown")
	if category != "" {
		r["category"] = list(categoryOf(category))
	}
	r["code"] = m.must(n.one("code"))
	m.when(r, "effective", n.one("effectiveTime"))
	m.measured(r, n)
	for _, p := range m.performers(n, performers...) {
		push(r, "performer", p.who.ref)
	}
	if r["performer"] == nil && category == "vital-signs" { // guide, CF-vitals
		if who := d.latest(performers...); who != nil {
			r["performer"] = list(who)
		}
	}
	if s := m.specimen(n.one("specimen"), nil); s != nil {
		r["specimen"] = s.ref
	}
	for _, x := range n.all("reference") {
		m.external(d, x)
	}
}

// measured maps value, interpretation, method, site and ranges.
func (m *mapper) measured(r object, n *node) {
	if values := n.all("value"); len(values) > 0 {
		m.value(r, values[0])
		for _, v := range values[1:] {
			if v.waiting() {
				m.lost(v, ReasonNoMap)
			}
		}
	}
	if !valued(r) {
		r["dataAbsentReason"] = coding("http://terminology.hl7.org/CodeSystem/data-absent-reason", why(n.one("value")))
	}
	for _, i := range n.all("interpretationCode") {
		if c := m.concept(i); len(c) > 0 {
			push(r, "interpretation", c)
		}
	}
	set(r, "method", m.concept(n.one("methodCode")))
	set(r, "bodySite", m.concept(n.one("targetSiteCode")))
	var ranges []any
	for _, rr := range n.all("referenceRange") {
		o := rr.one("observationRange")
		if c := o.one("interpretationCode"); c.peek("code") != "" && c.peek("code") != "N" { // guide: the normal range alone
			continue
		}
		o.one("interpretationCode").fixed("N")
		one := object{}
		v := o.one("value")
		switch v.peek("xsi:type") {
		case "IVL_PQ", "IVL_REAL", "IVL_INT":
			set(one, "low", m.quantity(v.one("low")))
			set(one, "high", m.quantity(v.one("high")))
		case "ST", "ED":
			set(one, "text", m.text(v))
		}
		if one["text"] == nil {
			set(one, "text", m.text(o.one("text")))
		}
		ranges = append(ranges, list(one)...)
	}
	set(r, "referenceRange", ranges)
}

func valued(r object) bool {
	for k := range r {
		if strings.HasPrefix(k, "value") {
			return true
		}
	}
	return r["extension"] != nil
}

// value maps the types that Observation.value[x] of R4 can hold.
func (m *mapper) value(r object, v *node) {
	switch v.peek("xsi:type") {
	case "PQ", "REAL":
		set(r, "valueQuantity", m.quantity(v))
	case "IVL_PQ", "IVL_REAL", "IVL_INT":
		q, span := m.bounds(v)
		set(r, "valueQuantity", q)
		set(r, "valueRange", span)
	case "CD", "CE", "CV", "CO", "CS":
		set(r, "valueCodeableConcept", m.concept(v))
	case "ST":
		set(r, "valueString", m.text(v))
	case "ED":
		if a := embedded(v); a != nil {
			r["extension"] = list(object{"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value", "valueAttachment": a})
			return
		}
		if mt := v.peek("mediaType"); mt != "" && mt != "text/plain" && v.peek("representation") == "" && v.words() != "" {
			v.feed("mediaType")
			a := object{"contentType": mt, "data": base64.StdEncoding.EncodeToString([]byte(v.say()))}
			r["extension"] = list(object{"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value", "valueAttachment": a})
			return
		}
		set(r, "valueString", m.text(v))
	case "INT":
		if i, ok := whole(v); ok {
			r["valueInteger"] = i
		}
	case "BL":
		if b, ok := flag(v); ok {
			r["valueBoolean"] = b
		}
	case "TS":
		set(r, "valueDateTime", m.moment(v))
	case "IVL_TS":
		set(r, "valuePeriod", m.period(v))
	case "RTO", "RTO_PQ_PQ", "RTO_INT_INT":
		num, den := m.quantity(v.one("numerator")), m.quantity(v.one("denominator"))
		if num != nil && den != nil {
			r["valueRatio"] = object{"numerator": num, "denominator": den}
		}
	}
}

// external maps an External Document Reference: the document by its identifier.
func (m *mapper) external(d *draft, n *node) {
	doc := n.one("externalDocument")
	for _, id := range m.identifiers(doc.all("id")) {
		ref := object{"identifier": id, "type": "DocumentReference"}
		if c := doc.one("code"); c.peek("displayName") != "" {
			ref["display"] = words(c.a("displayName"))
		}
		switch d.kind {
		case "Observation":
			push(d.r, "derivedFrom", ref)
		case "DocumentReference":
			push(d.r, "relatesTo", object{"code": "appends", "target": ref})
		case "ServiceRequest":
			push(d.r, "supportingInfo", ref)
		case "Condition":
			push(d.r, "evidence", object{"detail": list(ref)})
		default:
			m.note(n, "", ReasonLink)
		}
	}
}

// cluster maps an organizer of observations to an Observation with members.
func (m *mapper) cluster(n *node, category string) *draft {
	d := m.start("Observation", n)
	d.r["status"] = status(n, resultStatus, "unknown")
	d.r["category"] = list(categoryOf(category))
	d.r["code"] = m.must(n.one("code"))
	m.when(d.r, "effective", n.one("effectiveTime"))
	m.relations(d, n, where{}, nil)
	if d.r["hasMember"] == nil {
		d.r["dataAbsentReason"] = coding("http://terminology.hl7.org/CodeSystem/data-absent-reason", "unknown")
	}
	return d
}

// diagnosticReport: guide, CF-results.
func (m *mapper) diagnosticReport(n *node) *draft {
	from := len(m.drafts)
	d := m.start("DiagnosticReport", n)
	r := d.r
	r["status"] = status(n, resultStatus, "unknown")
	r["category"] = list(coding("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB"))
	r["code"] = m.must(n.one("code"))
	m.when(r, "effective", n.one("effectiveTime"))
	for _, p := range m.performers(n, staff...) {
		push(r, "performer", p.who.ref)
	}
	var taking *node
	for _, c := range n.all("component") {
		if p := c.one("procedure"); p.one("code").peek("code") == "17636008" {
			taking = p
		}
	}
	spec := m.specimen(n.one("specimen"), taking)
	if spec != nil {
		r["specimen"] = list(spec.ref)
	}
	m.relations(d, n, where{}, func(_, k *node) bool {
		switch {
		case k == taking && spec != nil:
			return true
		case k.name == "observation" && !k.template("2.16.840.1.113883.10.20.22.4.202") && !hasCategory(k), k.name == "observation" && k.template(result):
			o := m.observation(k, "laboratory")
			if o != nil {
				if spec != nil && o.r["specimen"] == nil {
					o.r["specimen"] = spec.ref
				}
				push(r, "result", o.ref)
			}
			return true
		}
		return false
	})
	if r["effectiveDateTime"] == nil && r["effectivePeriod"] == nil {
		spanned(r, r["result"], m.drafts[from:])
	}
	return d
}

// spanned takes the times of members where a panel has none (guide).
func spanned(r object, members any, drafts []*draft) {
	l, _ := members.([]any)
	first, last := "", ""
	of := map[any]bool{}
	for _, ref := range l {
		of[ref.(object)["reference"]] = true
	}
	for _, d := range drafts {
		if !of[d.ref["reference"]] {
			continue
		}
		if s, _ := d.r["effectiveDateTime"].(string); s != "" {
			if first == "" || before(s, first) {
				first = s
			}
			if last == "" || before(last, s) {
				last = s
			}
		}
	}
	switch first {
	case "":
	case last:
		r["effectiveDateTime"] = first
	default:
		r["effectivePeriod"] = object{"start": first, "end": last}
	}
}

// specimen: guide, "C-CDA Specimen to FHIR Specimen"; taking is its collection.
func (m *mapper) specimen(n, taking *node) *draft {
	role := n.one("specimenRole")
	if role == nil && taking == nil {
		return nil
	}
	r := object{}
	set(r, "identifier", m.identifiers(role.all("id")))
	thing := role.one("specimenPlayingEntity")
	kind := m.concept(thing.one("code"))
	name := m.text(thing.one("name"))
	if len(kind) == 0 && name != "" {
		kind = object{"text": name}
	} else if name != "" && name != kind["text"] {
		push(r, "note", object{"text": name})
	}
	set(r, "type", kind)
	if s := m.text(thing.one("desc")); s != "" {
		push(r, "note", object{"text": s})
	}
	col := object{}
	set(col, "quantity", m.quantity(thing.one("quantity")))
	if taking != nil {
		set(col, "bodySite", m.concept(taking.one("targetSiteCode")))
		m.when(col, "collected", taking.one("effectiveTime"))
		set(col, "method", m.concept(taking.one("methodCode")))
		taking.one("code").fixed("17636008")
		taking.one("statusCode").fixed("completed")
	}
	set(r, "collection", col)
	if len(r) == 0 {
		return nil
	}
	k := "Specimen " + encoded(r)
	if d := m.people[k]; d != nil {
		return d
	}
	at := role
	if at == nil {
		at = taking
	}
	d := m.make("Specimen", at)
	maps.Copy(d.r, r)
	m.keyed(d)
	m.people[k] = d
	return d
}
