package ccda

import "strings"

const actCode = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

// classes splits an encounter's code into class, of V3 ActCode, and type, of the rest
// (guide, CF-encounters).
func (m *mapper) classes(r object, code *node) {
	c := m.concept(code)
	var class object
	var rest []any
	for _, x := range items(c["coding"]) {
		o := x.(object)
		if o["system"] == actCode && class == nil {
			class = o
		} else {
			rest = append(rest, o)
		}
	}
	if class == nil {
		for _, x := range rest {
			o := x.(object)
			if to := cpt(o); to != "" && class == nil {
				class = object{"system": actCode, "code": to}
			}
		}
	}
	if class == nil {
		class = absent(code)
	}
	r["class"] = class
	if len(rest) > 0 {
		kind := object{"coding": rest}
		set(kind, "text", c["text"])
		r["type"] = list(kind)
	} else if c["text"] != nil && c["text"] != class["display"] {
		r["type"] = list(object{"text": c["text"]})
	}
}

// cpt gives the class of the ranges of CPT that the guide names.
func cpt(o object) string {
	code, _ := o["code"].(string)
	if o["system"] != "http://www.ama-assn.org/go/cpt" || len(code) != 5 {
		return ""
	}
	switch {
	case code >= "99211" && code <= "99215":
		return "AMB"
	case code >= "99221" && code <= "99223":
		return "IMP"
	case code >= "99281" && code <= "99285":
		return "EMER"
	}
	return ""
}

var encounterStatus = map[string]string{
	"aborted": "unknown", "active": "in-progress", "cancelled": "cancelled", "completed": "finished", "held": "planned",
	"new": "unknown", "suspended": "onleave", "nullified": "entered-in-error",
}

// course sets period and status: a single time or a high is finished, else the
// statusCode says, else nothing is known (guide, CF-encounters).
func (m *mapper) course(r object, n *node) {
	eff := n.one("effectiveTime")
	p := m.period(eff)
	set(r, "period", p)
	code := n.one("statusCode")
	over := p["end"] != nil || eff.peek("value") != "" && p["start"] != nil
	switch act := code.peek("code"); {
	case over && (act == "" || act == "completed" || act == "active"):
		r["status"] = "finished"
		code.fixed("completed", "active")
	default:
		r["status"] = code.choose(encounterStatus)
		if r["status"] == "" {
			r["status"] = "unknown"
		}
	}
}

// encounter maps an Encounter Activity; one that is planned has the status planned.
func (m *mapper) encounter(n *node) *draft {
	if m.cannot(n) {
		return nil
	}
	d := m.start("Encounter", n)
	r := d.r
	m.classes(r, n.one("code"))
	m.course(r, n)
	if planned(n) {
		if a := n.one("statusCode").find("code"); a != nil && a.state == fed {
			a.passOver()
		}
		r["status"] = "planned"
	}
	if c := m.concept(n.one("sdtc:dischargeDispositionCode")); len(c) > 0 {
		r["hospitalization"] = object{"dischargeDisposition": c}
	}
	set(r, "priority", m.concept(n.one("priorityCode")))
	for _, p := range m.performers(n, recorders...) {
		if p.who.kind == "Patient" {
			continue
		}
		o := object{"individual": p.who.ref}
		if c := m.concept(p.function()); len(c) > 0 {
			o["type"] = list(c)
		}
		set(o, "period", m.period(p.n.one("time")))
		push(r, "participant", o)
	}
	m.participants(d, n)
	m.relations(d, n, where{category: "encounter-diagnosis"}, func(rel, k *node) bool {
		switch {
		case k.template(t + "80"):
			for _, c := range m.wrapper(k, where{}, "encounter-diagnosis") {
				if c.kind == "Condition" {
					push(r, "diagnosis", object{"condition": c.ref})
					c.r["encounter"] = d.ref
				}
			}
			return true
		case k.name == "observation" && (k.template(t+"19") || rel.peek("typeCode") == "RSON" && !k.template(problem)):
			return m.indication(d, k)
		}
		return false
	})
	return d
}

// encompassing maps the header's encounter.
func (m *mapper) encompassing(n *node) *draft {
	d := m.start("Encounter", n)
	r := d.r
	m.classes(r, n.one("code"))
	m.course(r, n)
	h := object{}
	set(h, "dischargeDisposition", m.concept(n.one("dischargeDispositionCode")))
	set(h, "admitSource", m.concept(n.one("sdtc:admissionReferralSourceCode")))
	set(r, "hospitalization", h)
	add := func(p *node, code string) {
		who, _ := m.assigned(p.one("assignedEntity"))
		if who == nil || who.kind != "Practitioner" && who.kind != "PractitionerRole" {
			return
		}
		o := object{"individual": who.ref}
		if code != "" && code == strings.ToUpper(code) && len(code) < 10 {
			o["type"] = list(coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", code))
		}
		set(o, "period", m.period(p.one("time")))
		push(r, "participant", o)
	}
	for _, p := range n.all("responsibleParty") {
		add(p, "RESP")
	}
	for _, p := range n.all("encounterParticipant") {
		add(p, p.peek("typeCode"))
	}
	facility := n.one("location", "healthCareFacility")
	if l := m.location(facility); l != nil {
		r["location"] = list(object{"location": l.ref})
		if o := l.r["managingOrganization"]; o != nil {
			r["serviceProvider"] = o
		}
	}
	return d
}

// noteActivity maps a Note Activity: guide, CF-notes. in is the entry that holds it.
func (m *mapper) noteActivity(n *node, in *draft) *draft {
	if m.cannot(n) {
		return nil
	}
	d := m.make("DocumentReference", n)
	m.identify(d, n.all("id"))
	if len(m.security) > 0 {
		d.r["meta"] = object{"security": m.security}
	}
	m.origins(d, n)
	r := d.r
	r["status"] = status(n, map[string]string{"completed": "current", "active": "current", "nullified": "entered-in-error"}, "current")
	if a := n.one("statusCode").find("code"); a != nil && a.state == fed && r["status"] == "current" {
		a.passOver()
	}
	r["type"] = m.must(n.one("code"))
	r["category"] = list(coding("http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note"))
	txt := n.one("text")
	var content []any
	if a := embedded(txt); a != nil {
		content = append(content, object{"attachment": a})
	}
	if at := m.target(txt); at != nil && at.words() != "" {
		txt.one("reference").feed("value")
		var b strings.Builder
		b.WriteString(divOpen)
		excerpt(&b, at)
		b.WriteString(divClose)
		content = append(content, object{"attachment": object{"contentType": "application/xhtml+xml", "data": base64Text(b.String())}})
	} else if own := txt.words(); own != "" && txt.peek("representation") != "B64" {
		txt.say()
		content = append(content, object{"attachment": object{"contentType": "text/plain", "data": base64Text(own)}})
	}
	if len(content) == 0 {
		content = list(object{"attachment": absent(txt)})
	}
	r["content"] = content
	if p := m.period(n.one("effectiveTime")); len(p) > 0 {
		ctx, _ := r["context"].(object)
		if ctx == nil {
			ctx = object{}
			r["context"] = ctx
		}
		ctx["period"] = p
	}
	for _, a := range d.authors {
		if !among(r["author"], a.who.ref) {
			push(r, "author", a.who.ref)
		}
	}
	if when := d.earliest(); len(when) > 10 {
		r["date"] = when
	} else if when != "" {
		for _, a := range d.authors {
			m.note(a.n, "/@value", ReasonPrecision)
		}
	}
	for _, p := range n.all("participant") {
		if p.peek("typeCode") != "LA" || r["authenticator"] != nil {
			continue
		}
		role := p.one("participantRole")
		if who, _ := m.assigned(role); who != nil {
			r["authenticator"] = who.ref
		}
	}
	switch {
	case in != nil && in.kind == "Encounter":
		framed(r, "encounter", in.ref)
	case in != nil:
		framed(r, "related", in.ref)
	}
	m.relations(d, n, where{}, nil)
	if ctx, _ := r["context"].(object); ctx["encounter"] == nil && m.visit != nil {
		m.later = append(m.later, func() {
			if ctx, _ := r["context"].(object); ctx["encounter"] == nil {
				framed(r, "encounter", m.visit.ref)
			}
		})
	}
	for _, x := range n.all("reference") {
		for _, id := range m.identifiers(x.one("externalDocument").all("id")) {
			push(r, "relatesTo", object{"code": "appends", "target": object{"identifier": id}})
		}
	}
	return d
}
