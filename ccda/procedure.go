package ccda

import "strings"

// procedure: guide, CF-procedures.
func (m *mapper) procedure(n *node) *draft {
	d := m.start("Procedure", n)
	r := d.r
	r["status"] = status(n, map[string]string{"aborted": "stopped", "active": "in-progress", "cancelled": "not-done", "completed": "completed", "nullified": "entered-in-error"}, "unknown")
	if negated(n) {
		r["status"] = "not-done"
		if a := n.one("statusCode").find("code"); a != nil && a.state == fed {
			a.passOver()
		}
	}
	r["code"] = m.must(n.one("code"))
	m.when(r, "performed", n.one("effectiveTime"))
	if r["performedDateTime"] == nil && r["performedPeriod"] == nil {
		r["_performedDateTime"] = absent(n.one("effectiveTime"))
	}
	for _, s := range n.all("targetSiteCode") {
		if c := m.concept(s); len(c) > 0 {
			push(r, "bodySite", c)
		}
	}
	for _, p := range m.performers(n, requesters...) {
		o := object{"actor": p.who.ref}
		set(o, "function", m.concept(p.function()))
		push(r, "performer", o)
	}
	m.participants(d, n)
	m.relations(d, n, where{}, func(rel, k *node) bool {
		switch {
		case k.name == "observation" && (k.template(t+"19") || rel.peek("typeCode") == "RSON" && !hasCategory(k) && !k.template(problem)):
			return m.indication(d, k)
		case k.name == "organizer" && k.template(t+"311"):
			m.udi(d, k)
			return true
		case k.name == "act" && k.template(t+"20"):
			if s := m.text(k.one("text")); s != "" {
				push(r, "note", object{"text": s})
				k.one("statusCode").fixed("completed")
			}
			return true
		}
		return false
	})
	if who := d.latest(recorders...); who != nil {
		r["recorder"] = who
	}
	return d
}

// participants maps the places and devices of an entry.
func (m *mapper) participants(d *draft, n *node) {
	for _, p := range n.all("participant") {
		role := p.one("participantRole")
		switch {
		case p.peek("typeCode") == "LOC":
			l := m.location(role)
			if l == nil {
				continue
			}
			switch {
			case d.kind == "Encounter":
				o := object{"location": l.ref}
				set(o, "period", m.period(p.one("time")))
				push(d.r, "location", o)
			case d.kind == "ServiceRequest":
				push(d.r, "locationReference", l.ref)
			case d.kind == "Procedure" && d.r["location"] == nil:
				d.r["location"] = l.ref
			default:
				m.note(p, "", ReasonLink)
			}
		case role.one("playingDevice") != nil:
			dev := m.device(role)
			switch d.kind {
			case "Procedure":
				push(d.r, "focalDevice", object{"manipulated": dev.ref})
			case "Observation":
				if d.r["device"] == nil {
					d.r["device"] = dev.ref
				}
			case "SupplyDelivery":
				if d.r["suppliedItem"] == nil {
					d.r["suppliedItem"] = object{"itemReference": dev.ref}
				}
			case "ServiceRequest":
				push(d.r, "supportingInfo", dev.ref)
			default:
				m.note(p, "", ReasonLink)
			}
		}
	}
}

// devices maps the Product Instances of an entry that is nothing else.
func (m *mapper) devices(n *node) (out []*draft) {
	for _, p := range n.all("participant") {
		if role := p.one("participantRole"); role.one("playingDevice") != nil {
			out = append(out, m.device(role))
		}
	}
	return out
}

// device maps a Product Instance (US Core Implantable Device).
func (m *mapper) device(role *node) *draft {
	d := m.make("Device", role)
	if len(m.security) > 0 {
		d.r["meta"] = object{"security": m.security}
	}
	for _, id := range role.all("id") {
		root, ext := id.peek("root"), id.peek("extension")
		if root == "2.16.840.1.113883.3.3719" && ext != "" { // FDA: a UDI in the form that people read
			id.feed("root", "extension")
			id.pass("assigningAuthorityName", "displayable")
			o := object{"carrierHRF": ext, "issuer": "http://hl7.org/fhir/NamingSystem/fda-udi"}
			if di := gtin(ext); di != "" {
				o["deviceIdentifier"] = di
			}
			push(d.r, "udiCarrier", o)
			if d.key == "" {
				d.key = "http://hl7.org/fhir/NamingSystem/fda-udi|" + ext
				push(d.r, "identifier", object{"system": "http://hl7.org/fhir/NamingSystem/fda-udi", "value": ext})
			}
			continue
		}
		m.identify(d, []*node{id})
	}
	dev := role.one("playingDevice")
	set(d.r, "type", m.concept(dev.one("code")))
	if s := m.text(dev.one("manufacturerModelName")); s != "" {
		push(d.r, "deviceName", object{"name": s, "type": "model-name"})
	}
	if maker := role.one("scopingEntity"); maker != nil {
		if s := m.text(maker.one("desc")); s != "" {
			d.r["manufacturer"] = s
		}
		for _, id := range maker.all("id") {
			if id.peek("root") == "2.16.840.1.113883.3.3719" && id.peek("extension") == "" {
				id.pass("root") // that the identifier is the FDA's
			}
		}
	}
	return d
}

// gtin finds the device identifier of a GS1 UDI: application identifier 01, 14 digits.
func gtin(s string) string {
	rest, ok := strings.CutPrefix(s, "(01)")
	if !ok || len(rest) < 14 || strings.Trim(rest[:14], "0123456789") != "" {
		return ""
	}
	return rest[:14]
}

// udi maps a UDI Organizer: the production identifiers of the procedure's device.
func (m *mapper) udi(d *draft, n *node) {
	var dev *draft
	for _, x := range items(d.r["focalDevice"]) {
		for _, y := range m.drafts[max(0, len(m.drafts)-100):] {
			if y.kind == "Device" && encoded(y.ref) == encoded(x.(object)["manipulated"]) {
				dev = y
			}
		}
	}
	if dev == nil {
		dev = m.make("Device", n)
		push(d.r, "focalDevice", object{"manipulated": dev.ref})
	}
	r := dev.r
	n.one("code").fixed("74711-3")
	n.one("statusCode").fixed("completed")
	for _, id := range n.all("id") {
		if ext := id.peek("extension"); ext != "" {
			if l := items(r["udiCarrier"]); len(l) == 1 && l[0].(object)["carrierHRF"] == ext {
				id.every(passed)
			} else if len(l) == 0 {
				id.feed("extension")
				id.pass("root", "assigningAuthorityName")
				push(r, "udiCarrier", object{"carrierHRF": ext, "issuer": "http://hl7.org/fhir/NamingSystem/fda-udi"})
				m.identifiers(nil)
			}
		}
	}
	for _, c := range n.all("component") {
		o := c.one("observation")
		v := o.one("value")
		once := func(k, value string) {
			if value != "" && r[k] == nil {
				r[k] = value
				helper(o)
			}
		}
		safety := func() {
			if k := m.concept(v); len(k) > 0 {
				push(r, "safety", k)
				helper(o)
			}
		}
		switch {
		case o.template(t + "304"):
			if ext := v.peek("extension"); ext != "" {
				v.feed("extension")
				v.pass("root", "displayable", "assigningAuthorityName")
				helper(o)
				l := items(r["udiCarrier"])
				if len(l) == 0 {
					l = list(object{})
				}
				l[0].(object)["deviceIdentifier"] = ext
				r["udiCarrier"] = l
			}
		case o.template(t + "315"):
			once("lotNumber", m.text(v))
		case o.template(t + "319"):
			once("serialNumber", m.text(v))
		case o.template(t + "316"):
			once("manufactureDate", m.moment(v))
		case o.template(t + "309"):
			once("expirationDate", m.moment(v))
		case o.template(t + "308"):
			once("distinctIdentifier", m.text(v))
		case o.template(t + "317"):
			once("modelNumber", m.text(v))
		case o.template(t + "302"):
			once("partNumber", m.text(v))
		case o.template(t + "303"):
			once("manufacturer", m.text(v))
		case o.template(t + "301"):
			if s := m.text(v); s != "" {
				push(r, "deviceName", object{"name": s, "type": "udi-label-name"})
				helper(o)
			}
		case o.template(t+"314", t+"318"):
			safety()
		}
	}
}

// supply maps a Non-Medicinal Supply Activity to a SupplyDelivery, a Planned Supply to
// a SupplyRequest. The guide has no map for either.
func (m *mapper) supply(n *node) *draft {
	if m.cannot(n) {
		return nil
	}
	if planned(n) {
		d := m.start("SupplyRequest", n)
		delete(d.r, "subject") // R4 has no patient of a SupplyRequest but who it is delivered to
		d.r["deliverTo"] = m.patient.ref
		d.r["status"] = status(n, map[string]string{"active": "active", "completed": "completed", "cancelled": "cancelled", "suspended": "suspended", "new": "draft"}, "unknown")
		d.r["quantity"] = object{"value": 1}
		if q := m.quantity(n.one("quantity")); q != nil {
			d.r["quantity"] = q
		}
		m.when(d.r, "occurrence", n.one("effectiveTime"))
		item := m.concept(n.one("product", "manufacturedProduct", "manufacturedMaterial", "code"))
		if role := n.one("participant", "participantRole"); role.one("playingDevice") != nil && len(item) == 0 {
			d.r["itemReference"] = m.device(role).ref
		} else {
			if len(item) == 0 {
				item = absent(nil)
			}
			d.r["itemCodeableConcept"] = item
		}
		if who := d.latest("Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson", "Device"); who != nil {
			d.r["requester"] = who
		}
		set(d.r, "authoredOn", d.earliest())
		m.relations(d, n, where{}, nil)
		return d
	}
	d := m.start("SupplyDelivery", n)
	delete(d.r, "subject")
	d.r["patient"] = m.patient.ref
	d.r["status"] = status(n, map[string]string{"active": "in-progress", "completed": "completed", "aborted": "abandoned", "nullified": "entered-in-error"}, "completed")
	m.participants(d, n)
	item, _ := d.r["suppliedItem"].(object)
	if item == nil {
		item = object{}
	}
	if c := m.concept(n.one("product", "manufacturedProduct", "manufacturedMaterial", "code")); len(c) > 0 && item["itemReference"] == nil {
		item["itemCodeableConcept"] = c
	}
	set(item, "quantity", m.quantity(n.one("quantity")))
	set(d.r, "suppliedItem", item)
	m.when(d.r, "occurrence", n.one("effectiveTime"))
	for _, p := range m.performers(n, staff...) {
		if d.r["supplier"] == nil {
			d.r["supplier"] = p.who.ref
		}
	}
	m.relations(d, n, where{}, nil)
	return d
}
