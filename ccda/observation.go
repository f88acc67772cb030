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

// Codes of blood pressure and pulse oximetry (guide, CF-vitals, note 2).
const (
	systolic, diastolic = "8480-6", "8462-4"
	saturation1         = "59408-5"
	saturation2         = "2708-6"
	oxygenPart          = "3150-0"
	oxygenFlow          = "3151-8"
)

// panel: a Vital Signs Organizer is an Observation 85353-1 of its members.
func (m *mapper) panel(n *node) *draft {
	from := len(m.drafts)
	d := m.start("Observation", n)
	r := d.r
	n.one("statusCode").fixed("completed")
	n.one("code").fixed("46680005", "74728-7") // replaced as the guide says
	for _, c := range n.one("code").all("translation") {
		c.fixed("74728-7", "46680005")
	}
	r["status"] = "final"
	r["category"] = list(categoryOf("vital-signs"))
	r["code"] = coding(loinc, "85353-1")
	m.when(r, "effective", n.one("effectiveTime"))
	taken := map[*node]bool{}
	byTime := map[string]map[string]*node{}
	var times []string
	for _, c := range n.all("component") {
		for _, o := range c.all("observation") {
			eff := o.one("effectiveTime")
			at := eff.peek("value") + "/" + eff.one("low").peek("value")
			if byTime[at] == nil {
				byTime[at] = map[string]*node{}
				times = append(times, at)
			}
			if code := o.one("code").peek("code"); byTime[at][code] == nil && !negates(o.peek("negationInd")) {
				byTime[at][code] = o
			}
		}
	}
	for _, at := range times {
		l := byTime[at]
		if l[systolic] != nil && l[diastolic] != nil {
			b := m.combined(l[systolic], object{"coding": list(object{"system": loinc, "code": "85354-9"})}, nil, l[systolic], l[diastolic])
			push(r, "hasMember", b.ref)
			taken[l[systolic]], taken[l[diastolic]] = true, true
		}
		sat := l[saturation1]
		if sat == nil {
			sat = l[saturation2]
		}
		if sat != nil && (l[oxygenPart] != nil || l[oxygenFlow] != nil) {
			var parts []*node
			for _, c := range []string{oxygenFlow, oxygenPart} {
				if l[c] != nil {
					parts = append(parts, l[c])
					taken[l[c]] = true
				}
			}
			b := m.combined(sat, nil, sat, parts...)
			taken[sat] = true
			push(r, "hasMember", b.ref)
		}
	}
	m.relations(d, n, where{}, func(_, k *node) bool {
		switch {
		case taken[k]:
			return true
		case k.name == "observation":
			if o := m.observation(k, "vital-signs"); o != nil {
				oximetry(o.r, k)
				push(r, "hasMember", o.ref)
			}
			return true
		}
		return false
	})
	if r["effectiveDateTime"] == nil && r["effectivePeriod"] == nil {
		spanned(r, r["hasMember"], m.drafts[from:])
	}
	if r["hasMember"] == nil {
		r["dataAbsentReason"] = coding("http://terminology.hl7.org/CodeSystem/data-absent-reason", "unknown")
	}
	return d
}

// oximetry gives a saturation both of its codes.
func oximetry(r object, n *node) {
	code, _ := r["code"].(object)
	l, _ := code["coding"].([]any)
	c := n.one("code").peek("code")
	for _, other := range []string{saturation1, saturation2} {
		if (c == saturation1 || c == saturation2) && other != c && !hasCode(l, other) {
			code["coding"] = append(l, object{"system": loinc, "code": other})
		}
	}
}

func hasCode(l []any, code string) bool {
	for _, x := range l {
		if o, _ := x.(object); o["code"] == code {
			return true
		}
	}
	return false
}

// combined makes one Observation of several: value is the one whose value it has, parts
// are its components.
func (m *mapper) combined(head *node, code object, value *node, parts ...*node) *draft {
	d := m.start("Observation", head)
	r := d.r
	r["status"] = status(head, resultStatus, "unknown")
	r["category"] = list(categoryOf("vital-signs"))
	if value != nil {
		code = m.must(value.one("code"))
	}
	r["code"] = code
	m.when(r, "effective", head.one("effectiveTime"))
	if value != nil {
		m.measured(r, value)
		oximetry(r, value)
	}
	for _, p := range parts {
		o := object{"code": m.must(p.one("code"))}
		m.measured(o, p)
		for _, k := range []string{"method", "bodySite", "extension"} { // not of a component
			if o[k] != nil && r[k] == nil {
				r[k] = o[k]
			}
			delete(o, k)
		}
		push(r, "component", o)
		if p == head {
			continue
		}
		m.identify(d, p.all("id"))
		if status(p, resultStatus, "unknown") != r["status"] {
			m.note(p.one("statusCode"), "", ReasonConflict)
		}
		if e := p.one("effectiveTime"); e != nil {
			x := object{}
			m.when(x, "effective", e)
			if encoded(x["effectiveDateTime"]) != encoded(r["effectiveDateTime"]) {
				m.note(e, "", ReasonConflict)
			}
		}
		if s := m.story(p.one("text")); s != nil {
			if was, ok := r["text"].(object); ok {
				was["div"] = strings.TrimSuffix(was["div"].(string), divClose) + " " + strings.TrimPrefix(s["div"].(string), divOpen)
			} else {
				r["text"] = s
			}
		}
		m.origins(d, p)
		m.relations(d, p, where{}, nil)
	}
	m.relations(d, head, where{}, nil)
	for _, x := range append([]*node{head}, parts...) {
		for _, p := range m.performers(x, performers...) {
			if !among(r["performer"], p.who.ref) {
				push(r, "performer", p.who.ref)
			}
		}
	}
	if r["performer"] == nil {
		if who := d.latest(performers...); who != nil {
			r["performer"] = list(who)
		}
	}
	return d
}

// pregnancy: guide, CF-social, Pregnancy Observation and Pregnancy Intention.
func (m *mapper) pregnancy(n *node) *draft {
	if m.cannot(n) {
		return nil
	}
	d := m.start("Observation", n)
	r := d.r
	r["status"] = status(n, resultStatus, "unknown")
	r["category"] = list(categoryOf("social-history"))
	if n.template(t + "281") {
		r["code"] = m.must(n.one("code"))
	} else {
		n.one("code").fixed("ASSERTION", "82810-3")
		r["code"] = coding(loinc, "82810-3")
	}
	eff := n.one("effectiveTime")
	at := m.point(eff)
	if at == "" {
		at = m.moment(eff.one("high"))
	}
	if at == "" {
		at = d.earliest()
	}
	set(r, "effectiveDateTime", at)
	v := n.one("value")
	if v.peek("nullFlavor") == "UNK" && v.peek("code") == "" {
		v.feed("nullFlavor")
		r["valueCodeableConcept"] = coding(nullFlavor, "UNK")
	} else {
		m.measured(r, n)
	}
	m.relations(d, n, where{}, func(_, k *node) bool {
		if k.name == "observation" && k.one("code").peek("code") == "11778-8" {
			if due := m.moment(k.one("value")); due != "" {
				push(r, "component", object{"code": m.must(k.one("code")), "valueDateTime": due})
				k.one("statusCode").fixed("completed")
			}
			return true
		}
		return false
	})
	return d
}

// directive maps an Advance Directive Observation to an Observation. It is no Consent:
// a Consent here would grant or forbid access to records.
func (m *mapper) directive(n *node) *draft {
	return m.observation(n, "")
}

// trait maps an observation that is an extension of the Patient (guide, CF-social).
func (m *mapper) trait(n *node) {
	if m.cannot(n) {
		return
	}
	v, r := n.one("value"), m.patient.r
	before := len(items(r["extension"]))
	switch {
	case n.template(t + "200"):
		code := v.peek("code")
		if v.peek("nullFlavor") == "UNK" || v.peek("nullFlavor") == "OTH" {
			code = v.peek("nullFlavor")
		}
		switch code {
		case "F", "M", "UNK", "OTH":
			v.feed("code", "nullFlavor")
			v.described()
			push(r, "extension", object{"url": core + "us-core-birthsex", "valueCode": code})
		}
	case n.template("2.16.840.1.113883.10.20.34.3.45"):
		if c := m.concept(v); len(c) > 0 {
			push(r, "extension", object{"url": core + "us-core-genderIdentity", "valueCodeableConcept": c})
		}
	case n.template(t + "507"):
		if code := v.peek("code"); code != "" && code == strings.TrimSpace(code) && !strings.Contains(code, " ") {
			v.feed("code")
			v.described()
			push(r, "extension", object{"url": core + "us-core-sex", "valueCode": code})
		}
	case n.template(t + "506"):
		if c := m.concept(v); len(c) > 0 {
			push(r, "extension", object{"url": core + "us-core-tribal-affiliation", "extension": list(object{"url": "tribalAffiliation", "valueCodeableConcept": c})})
		}
	}
	if len(items(r["extension"])) == before {
		return
	}
	helper(n)
	n.one("code").every(passed)
	if o := v.one("originalText"); o != nil && o.waiting() {
		o.every(passed)
	}
	n.one("text").every(passed)
}

func items(v any) []any {
	l, _ := v.([]any)
	return l
}

// media maps an observationMedia.
func (m *mapper) media(n *node) *draft {
	a := embedded(n.one("value"))
	if a == nil {
		v := n.one("value")
		if u := v.one("reference").peek("value"); safe(u) && u[0] != '#' {
			v.one("reference").feed("value")
			a = object{"url": u}
			if mt := v.peek("mediaType"); mt != "" {
				v.feed("mediaType")
				a["contentType"] = mt
			}
		}
	}
	if a == nil {
		return nil
	}
	d := m.start("Media", n)
	d.r["status"], d.r["content"] = "completed", a
	return d
}
