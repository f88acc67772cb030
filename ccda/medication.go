package ccda

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

func material(n *node) *node {
	return n.one("consumable", "manufacturedProduct", "manufacturedMaterial")
}

// product maps a manufacturedProduct to medicationCodeableConcept, or to a Medication
// where more than the code is known (guide, "C-CDA to FHIR (Medication)").
func (m *mapper) product(d *draft, p, form *node, vehicles []*node) {
	mat := p.one("manufacturedMaterial")
	code := m.concept(mat.one("code"))
	if s := m.text(mat.one("name")); s != "" {
		if len(code) == 0 {
			code = object{"text": s}
		} else if code["text"] != s {
			m.refuse(mat.one("name"), ReasonNoMap)
		}
	}
	med := object{}
	if o := m.organization(p.one("manufacturerOrganization")); o != nil {
		med["manufacturer"] = o.ref
	}
	set(med, "form", m.concept(form))
	if lot := m.text(mat.one("lotNumberText")); lot != "" {
		med["batch"] = object{"lotNumber": lot}
	}
	for _, v := range vehicles {
		if c := m.concept(v); len(c) > 0 {
			push(med, "ingredient", object{"itemCodeableConcept": c, "isActive": false})
		}
	}
	set(med, "identifier", m.identifiers(p.all("id")))
	if len(code) == 0 {
		code = absent(mat.one("code"))
	}
	if len(med) == 0 {
		d.r["medicationCodeableConcept"] = code
		return
	}
	med["code"] = code
	d.r["medicationReference"] = m.known("Medication", p, med).ref
}

// medication: guide, CF-medications. EVN is a plan, INT an order.
func (m *mapper) medication(n *node) *draft {
	d := m.start("MedicationRequest", n)
	r := d.r
	r["intent"] = "plan"
	if planned(n) {
		r["intent"] = map[string]string{"INT": "order", "RQO": "order", "PRP": "proposal"}[n.peek("moodCode")]
		if r["intent"] == "" {
			r["intent"] = "plan"
		}
	}
	r["status"] = status(n, map[string]string{
		"active": "active", "suspended": "on-hold", "aborted": "stopped", "completed": "completed", "nullified": "entered-in-error",
		"cancelled": "cancelled", "new": "draft", "held": "on-hold",
	}, "unknown")
	if negated(n) {
		r["doNotPerform"] = true
	}
	var vehicles []*node
	for _, p := range n.all("participant") {
		role := p.one("participantRole")
		if p.peek("typeCode") == "CSM" || role.template(t+"24") {
			vehicles = append(vehicles, role.one("playingEntity", "code"))
			role.one("code").fixed("412307009") // drug vehicle
		}
	}
	m.product(d, n.one("consumable", "manufacturedProduct"), n.one("administrationUnitCode"), vehicles)
	n.one("code").fixed("DRUG")
	dose := m.dosage(n)
	for _, p := range m.performers(n, staff...) {
		if r["performer"] == nil {
			r["performer"] = p.who.ref
		} else {
			m.lost(p.n, ReasonNoMap)
		}
	}
	m.relations(d, n, where{}, func(rel, k *node) bool {
		code := k.one("code").peek("code")
		switch {
		case k.name == "substanceAdministration" && (code == "76662-6" || k.template(t+"147")): // Free Text Sig
			if s := m.text(k.one("text")); s != "" {
				dose["text"] = s
				k.one("code").fixed("76662-6")
			}
			return true
		case k.name == "act" && k.template(t+"20"): // Instruction
			m.instruct(k, dose)
			return true
		case k.name == "observation" && (k.template(t+"19") || rel.peek("typeCode") == "RSON"):
			return m.indication(d, k)
		case k.name == "supply" && planned(k):
			m.supplies(d, k)
			return true
		case k.name == "supply" && !planned(k):
			m.dispense(k, d)
			return true
		}
		return false
	})
	set(r, "dosageInstruction", list(dose))
	m.requested(d)
	return d
}

// requested sets requester and authoredOn from the authors.
func (m *mapper) requested(d *draft) {
	if who := d.latest(requesters...); who != nil {
		d.r["requester"] = who
	}
	set(d.r, "authoredOn", d.earliest())
}

// instruct maps an Instruction to the dosage.
func (m *mapper) instruct(k *node, dose object) {
	s := ""
	if txt := k.one("text"); txt != nil {
		s = m.text(txt)
	}
	if c := m.concept(k.one("code")); len(c) > 0 {
		push(dose, "additionalInstruction", c)
	}
	if s != "" {
		if was, ok := dose["patientInstruction"].(string); ok {
			s = was + "; " + s
		}
		dose["patientInstruction"] = s
	}
	k.one("statusCode").fixed("completed")
}

// indication maps an Indication: the problem that its id names, or its value.
func (m *mapper) indication(d *draft, k *node) bool {
	if reasons[d.kind] == nil || m.cannot(k) {
		return true
	}
	m.later = append(m.later, func() {
		if target := m.found(k); target != nil && slices.Contains(reasons[d.kind], target.kind) {
			push(d.r, "reasonReference", target.ref)
			helper(k)
			if v := k.one("value"); encoded(m.probe(v)) == encoded(target.r["code"]) {
				v.every(passed)
			}
			return
		}
		if c := m.concept(k.one("value")); len(c) > 0 {
			helper(k)
			push(d.r, "reasonCode", c)
		}
	})
	return true
}

// probe is concept without a trace.
func (m *mapper) probe(n *node) object {
	if n == nil {
		return nil
	}
	c := &mapper{byID: m.byID, o: m.o, root: m.root}
	return c.concept(clone(n))
}

func clone(n *node) *node {
	out := &node{name: n.name, text: n.text, attrs: slices.Clone(n.attrs), nth: n.nth, parent: n.parent}
	for _, k := range n.kids {
		c := clone(k)
		c.parent = out
		out.kids = append(out.kids, c)
	}
	return out
}

// supplies maps a Medication Supply Order within a medication to its dispenseRequest.
func (m *mapper) supplies(d *draft, k *node) {
	o, _ := d.r["dispenseRequest"].(object)
	if o != nil {
		return
	}
	o = object{}
	set(o, "validityPeriod", m.interval(k.one("effectiveTime")))
	if i, ok := whole(k.one("repeatNumber")); ok && i > 0 { // guide: CDA counts the first
		o["numberOfRepeatsAllowed"] = i - 1
	}
	set(o, "quantity", m.quantity(k.one("quantity")))
	for _, p := range k.all("performer") {
		if _, org := m.assigned(p.one("assignedEntity")); org != nil && o["performer"] == nil {
			o["performer"] = org.ref
		}
	}
	k.one("statusCode").fixed("completed", "active")
	for _, id := range m.identifiers(k.all("id")) {
		push(d.r, "identifier", id)
	}
	if p := k.one("product", "manufacturedProduct"); p != nil && encoded(m.probe(p.one("manufacturedMaterial", "code"))) == encoded(d.r["medicationCodeableConcept"]) {
		p.every(passed) // the same medication
	}
	for _, rel := range k.all("entryRelationship") {
		if a := rel.one("act"); a.template(t + "20") {
			if s := m.text(a.one("text")); s != "" {
				push(d.r, "note", object{"text": s})
				a.one("statusCode").fixed("completed")
			}
		}
	}
	m.origins(d, k)
	set(d.r, "dispenseRequest", o)
}

// order maps a Medication Supply Order that stands alone.
func (m *mapper) order(n *node) *draft {
	if m.cannot(n) {
		return nil
	}
	d := m.make("MedicationRequest", n)
	if s := m.story(n.one("text")); s != nil {
		d.r["text"] = s
	}
	d.r["intent"] = "order"
	d.r["status"] = status(n, map[string]string{"active": "active", "aborted": "stopped", "completed": "completed"}, "unknown")
	m.product(d, n.one("product", "manufacturedProduct"), nil, nil)
	m.supplies(d, n)
	m.keyed(d)
	m.requested(d)
	return d
}

// keyed takes the first identifier that d got along the way as its key.
func (m *mapper) keyed(d *draft) {
	l, _ := d.r["identifier"].([]any)
	for _, id := range l {
		if k := key(id); k != "" && d.key == "" {
			d.key = k
			if m.ids[k] == nil {
				m.ids[k] = d
			}
		}
	}
}

// dispense maps a Medication Dispense; rx is the medication it stands in.
func (m *mapper) dispense(n *node, rx *draft) *draft {
	if m.cannot(n) {
		return nil
	}
	d := m.start("MedicationDispense", n)
	r := d.r
	r["status"] = status(n, map[string]string{"completed": "completed", "active": "in-progress", "aborted": "stopped", "cancelled": "cancelled", "suspended": "on-hold", "nullified": "entered-in-error"}, "unknown")
	p := n.one("product", "manufacturedProduct")
	switch {
	case p == nil && rx != nil && rx.r["medicationReference"] != nil:
		r["medicationReference"] = rx.r["medicationReference"]
	case p == nil && rx != nil:
		r["medicationCodeableConcept"] = rx.r["medicationCodeableConcept"]
	default:
		m.product(d, p, nil, nil)
	}
	if rx != nil {
		r["authorizingPrescription"] = list(rx.ref)
	}
	set(r, "quantity", m.quantity(n.one("quantity")))
	set(r, "whenHandedOver", m.point(n.one("effectiveTime")))
	for _, p := range m.performers(n, "Practitioner", "PractitionerRole", "Organization") {
		push(r, "performer", object{"actor": p.who.ref})
	}
	m.relations(d, n, where{}, func(_, k *node) bool {
		if k.name == "supply" && planned(k) && rx != nil {
			m.supplies(rx, k)
			return true
		}
		return false
	})
	return d
}

// dosage maps the times, route, site and doses of a substanceAdministration.
func (m *mapper) dosage(n *node) object {
	d, timing, repeat := object{}, object{}, object{}
	for _, x := range n.all("effectiveTime") {
		switch x.peek("xsi:type") {
		case "PIVL_TS":
			m.periodic(x, repeat)
		case "EIVL_TS":
			m.episodic(x, repeat)
		default:
			if v := m.moment(x); v != "" {
				push(timing, "event", v)
			} else if p := m.interval(x); len(p) > 0 && repeat["boundsPeriod"] == nil {
				repeat["boundsPeriod"] = p
			}
			if w := x.one("width"); w != nil && repeat["boundsPeriod"] == nil {
				if q := m.quantity(w); q != nil && q["code"] != nil {
					repeat["boundsDuration"] = q
				}
			}
		}
	}
	set(timing, "repeat", repeat)
	set(d, "timing", timing)
	set(d, "route", m.concept(n.one("routeCode")))
	set(d, "site", m.concept(n.one("approachSiteCode")))
	dose := object{}
	for _, k := range []string{"dose", "rate"} {
		q, span := m.bounds(n.one(k + "Quantity"))
		set(dose, k+"Quantity", q)
		set(dose, k+"Range", span)
		if q["comparator"] != nil { // SimpleQuantity has none
			delete(dose, k+"Quantity")
			low, high := n.one(k+"Quantity", "low"), n.one(k+"Quantity", "high")
			delete(q, "comparator")
			if low.peek("value") != "" {
				dose[k+"Range"] = object{"low": q}
			} else if high != nil {
				dose[k+"Range"] = object{"high": q}
			}
		}
	}
	set(d, "doseAndRate", list(dose))
	if mx := n.one("maxDoseQuantity"); mx != nil {
		num, den := m.quantity(mx.one("numerator")), m.quantity(mx.one("denominator"))
		if num != nil && den != nil {
			d["maxDosePerPeriod"] = object{"numerator": num, "denominator": den}
		}
	}
	for _, p := range n.all("precondition") {
		c := p.one("criterion")
		c.one("code").fixed("ASSERTION")
		if v := m.concept(c.one("value")); len(v) > 0 && d["asNeededCodeableConcept"] == nil {
			d["asNeededCodeableConcept"] = v
			delete(d, "asNeededBoolean")
		} else if txt := m.text(c.one("text")); txt != "" && d["asNeededCodeableConcept"] == nil {
			d["asNeededCodeableConcept"] = object{"text": txt}
			delete(d, "asNeededBoolean")
		} else if d["asNeededCodeableConcept"] == nil {
			d["asNeededBoolean"] = true
		}
	}
	return d
}

// periodic maps a PIVL_TS. A period that an institution specifies is how often a day
// (BID is 12 h), any other how far apart (q12h): C-CDA Common Medication Frequencies.
func (m *mapper) periodic(x *node, repeat object) {
	p := x.one("period")
	low, high := p.one("low"), p.one("high")
	at := p
	if p.peek("value") == "" && low != nil {
		at = low
	}
	v, ok := decimal(at.peek("value"))
	unit := map[string]string{"s": "s", "min": "min", "h": "h", "d": "d", "wk": "wk", "mo": "mo", "a": "a"}[at.peek("unit")]
	if !ok || unit == "" || strings.HasPrefix(string(v), "-") || repeat["period"] != nil {
		return
	}
	at.feed("value", "unit")
	defer x.pass("institutionSpecified") // where the form is the same for both
	repeat["frequency"], repeat["period"], repeat["periodUnit"] = 1, v, unit
	if i, err := strconv.Atoi(string(v)); err == nil && x.peek("institutionSpecified") == "true" && unit == "h" && i > 0 && i < 24 && 24%i == 0 {
		x.feed("institutionSpecified")
		repeat["frequency"], repeat["period"], repeat["periodUnit"] = 24/i, json.Number("1"), "d"
	} else if mx, ok := decimal(high.peek("value")); ok && high.peek("unit") == low.peek("unit") && at == low {
		high.feed("value", "unit")
		repeat["periodMax"] = mx
	}
}

// passOver makes what was read by the way known to say nothing more.
func (a *attribute) passOver() {
	if a != nil {
		a.state = passed
	}
}

// episodic maps an EIVL_TS: the event, and its offset in minutes.
func (m *mapper) episodic(x *node, repeat object) {
	ev := x.one("event")
	code := ev.peek("code")
	if !slices.Contains([]string{"HS", "WAKE", "C", "CM", "CD", "CV", "AC", "ACM", "ACD", "ACV", "PC", "PCM", "PCD", "PCV"}, code) {
		return
	}
	ev.feed("code")
	ev.described()
	push(repeat, "when", code)
	off := x.one("offset")
	at := off
	if off.peek("value") == "" {
		at = off.one("low")
	}
	per, known := map[string]int64{"min": 1, "h": 60, "d": 1440, "s": 0}[at.peek("unit")]
	i, err := strconv.ParseInt(at.peek("value"), 10, 32)
	if err != nil || !known || per == 0 || i < 0 || slices.Contains([]string{"C", "CM", "CD", "CV"}, code) { // tim-9
		return
	}
	at.feed("value", "unit")
	repeat["offset"] = i * per
}

// immunization: guide, CF-immunizations.
func (m *mapper) immunization(n *node) *draft {
	d := m.start("Immunization", n)
	r := d.r
	r["status"] = status(n, map[string]string{
		"aborted": "not-done", "cancelled": "not-done", "completed": "completed", "held": "not-done",
		"new": "not-done", "nullified": "entered-in-error", "obsolete": "not-done", "suspended": "not-done",
	}, "")
	if r["status"] == "" {
		delete(r, "status")
		r["_status"] = absent(n.one("statusCode"))
	}
	if negated(n) && r["status"] != "entered-in-error" {
		r["status"] = "not-done"
		delete(r, "_status")
		n.one("statusCode").find("code").passOver()
	}
	p := n.one("consumable", "manufacturedProduct")
	mat := material(n)
	r["vaccineCode"] = m.must(mat.one("code"))
	if at := m.point(n.one("effectiveTime")); at != "" {
		r["occurrenceDateTime"] = at
	} else {
		r["_occurrenceDateTime"] = absent(n.one("effectiveTime"))
	}
	r["_primarySource"] = absent(nil)
	set(r, "lotNumber", m.text(mat.one("lotNumberText")))
	set(r, "expirationDate", m.day(mat.one("sdtc:expirationTime")))
	if o := m.organization(p.one("manufacturerOrganization")); o != nil {
		r["manufacturer"] = o.ref
	}
	set(r, "route", m.concept(n.one("routeCode")))
	set(r, "site", m.concept(n.one("approachSiteCode")))
	set(r, "doseQuantity", m.quantity(n.one("doseQuantity")))
	for _, x := range m.performers(n, staff...) {
		push(r, "performer", object{
			"function": coding("http://terminology.hl7.org/CodeSystem/v2-0443", "AP"), "actor": x.who.ref,
		})
	}
	dose := func(v *node) {
		if i, ok := whole(v); ok && i > 0 && r["protocolApplied"] == nil {
			r["protocolApplied"] = list(object{"doseNumberPositiveInt": i})
		}
	}
	dose(n.one("repeatNumber"))
	m.relations(d, n, where{}, func(rel, k *node) bool {
		switch {
		case k.name == "observation" && k.template(t+"53"), k.name == "observation" && r["status"] == "not-done" && rel.peek("typeCode") == "RSON" && !k.template(t+"19"):
			if c := m.concept(k.one("code")); len(c) > 0 && r["statusReason"] == nil {
				r["statusReason"] = c
				k.one("statusCode").fixed("completed")
			}
			return true
		case k.name == "observation" && (k.template(t+"19") || rel.peek("typeCode") == "RSON"):
			return m.indication(d, k)
		case k.name == "observation" && (k.template(reaction) || rel.peek("typeCode") == "MFST"):
			if o := m.observation(k, ""); o != nil {
				push(r, "reaction", object{"detail": o.ref})
			}
			return true
		case k.name == "act" && k.template(t+"118"): // Substance Administered Act
			dose(rel.one("sequenceNumber"))
			return true
		}
		return false
	})
	set(r, "recorded", d.earliest())
	return d
}
