package ccda

import (
	"encoding/base64"
	"slices"
	"strings"
)

func base64Text(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// request maps what is planned or ordered, and is no medication or supply, to a
// ServiceRequest (US Core ServiceRequest). The guide has no map.
func (m *mapper) request(n *node) *draft {
	d := m.start("ServiceRequest", n)
	r := d.r
	r["intent"] = map[string]string{"INT": "plan", "RQO": "order", "PRP": "proposal", "PRMS": "plan", "ARQ": "proposal", "APT": "plan"}[n.peek("moodCode")]
	if r["intent"] == "" {
		r["intent"] = "plan"
	}
	r["status"] = status(n, map[string]string{
		"active": "active", "completed": "completed", "cancelled": "revoked", "aborted": "revoked", "suspended": "on-hold",
		"held": "on-hold", "new": "draft", "nullified": "entered-in-error",
	}, "unknown")
	if negated(n) {
		r["doNotPerform"] = true
	}
	r["code"] = m.must(n.one("code"))
	if n.template(t + "20") { // an Instruction: what is to be done is often in its text alone
		if s := m.text(n.one("text")); s != "" {
			r["patientInstruction"] = s
		}
	}
	m.when(r, "occurrence", n.one("effectiveTime"))
	set(r, "priority", n.one("priorityCode").choose(map[string]string{"R": "routine", "UR": "urgent", "A": "asap", "S": "stat", "EM": "stat"}))
	for _, s := range n.all("targetSiteCode") {
		if c := m.concept(s); len(c) > 0 {
			push(r, "bodySite", c)
		}
	}
	for _, v := range n.all("value") {
		if c := m.concept(v); v.peek("xsi:type") == "CD" && len(c) > 0 {
			push(r, "orderDetail", c)
		}
	}
	for _, v := range n.all("methodCode") {
		if c := m.concept(v); len(c) > 0 {
			push(r, "orderDetail", c)
		}
	}
	for _, p := range m.performers(n, requesters...) {
		push(r, "performer", p.who.ref)
	}
	m.participants(d, n)
	m.relations(d, n, where{}, func(rel, k *node) bool {
		switch {
		case k.name == "observation" && (k.template(t+"19") || rel.peek("typeCode") == "RSON" && !hasCategory(k) && !k.template(problem)):
			return m.indication(d, k)
		case k.name == "act" && k.template(t+"20"):
			if s := m.text(k.one("text")); s != "" && r["patientInstruction"] == nil {
				r["patientInstruction"] = s
				k.one("statusCode").fixed("completed")
				m.lostContent(k.one("code"))
			}
			return true
		}
		return false
	})
	m.requested(d)
	return d
}

// lostContent reports a code that has no place.
func (m *mapper) lostContent(n *node) {
	if n != nil && n.waiting() {
		m.lost(n, ReasonNoMap)
	}
}

// goal maps a Goal Observation to a Goal (US Core Goal). The guide has no map.
func (m *mapper) goal(n *node) *draft {
	if m.cannot(n) {
		return nil
	}
	d := m.start("Goal", n)
	r := d.r
	r["lifecycleStatus"] = status(n, map[string]string{
		"active": "active", "completed": "completed", "cancelled": "cancelled", "aborted": "cancelled", "suspended": "on-hold",
		"held": "on-hold", "new": "proposed", "nullified": "entered-in-error",
	}, "active")
	code := m.concept(n.one("code"))
	eff := n.one("effectiveTime")
	start := m.day(eff)
	if start == "" {
		start = m.day(eff.one("low"))
	}
	set(r, "startDate", start)
	target := object{}
	set(target, "dueDate", m.day(eff.one("high")))
	v := n.one("value")
	detail := ""
	switch v.peek("xsi:type") {
	case "PQ", "REAL", "IVL_PQ", "IVL_REAL", "IVL_INT":
		q, span := m.bounds(v)
		set(target, "detailQuantity", q)
		set(target, "detailRange", span)
	case "CD", "CE", "CV", "CO":
		set(target, "detailCodeableConcept", m.concept(v))
	case "ST", "ED":
		detail = m.text(v)
		set(target, "detailString", detail)
	case "INT":
		if i, ok := whole(v); ok {
			target["detailInteger"] = i
		}
	case "BL":
		if b, ok := flag(v); ok {
			target["detailBoolean"] = b
		}
	}
	if len(code) > 0 && len(target) > 0 && (len(target) > 1 || target["dueDate"] == nil) {
		target["measure"] = code // gol-1
	} else if len(code) == 0 {
		for k, x := range target {
			if k == "detailCodeableConcept" {
				code, _ = x.(object)
				delete(target, k)
			}
		}
		if len(code) == 0 && detail != "" {
			code = object{"text": detail}
			delete(target, "detailString")
		}
		for k := range target { // a detail needs a measure
			if k != "dueDate" {
				delete(target, k)
				m.lost(v, ReasonNoMap)
			}
		}
	}
	if len(code) == 0 {
		code = object{"text": "Goal"} // 1..1, and no narrative either
		if s := m.text(n.one("text")); s != "" {
			code["text"] = s
		}
	}
	r["description"] = code
	set(r, "target", list(target))
	if who := d.latest(recorders...); who != nil {
		r["expressedBy"] = who
	}
	m.relations(d, n, where{}, func(_, k *node) bool {
		switch {
		case k.template(t+"143") && r["priority"] == nil: // Priority Preference
			if c := m.concept(k.one("value")); len(c) > 0 && k.one("author") == nil {
				r["priority"] = c
				helper(k)
				for _, id := range k.all("id") {
					id.pass("root", "extension")
				}
				return true
			}
		case k.template(t+"110") && r["achievementStatus"] == nil: // Progress Toward Goal
			if c := m.concept(k.one("value")); len(c) > 0 {
				r["achievementStatus"] = c
				helper(k)
				return true
			}
		}
		return false
	})
	return d
}

// intervention maps an Intervention Act to a CarePlan of what it holds.
func (m *mapper) intervention(n *node, w where) *draft {
	if m.cannot(n) {
		return nil
	}
	d := m.start("CarePlan", n)
	r := d.r
	r["intent"] = "plan"
	r["status"] = status(n, map[string]string{"active": "active", "completed": "completed", "cancelled": "revoked", "aborted": "revoked", "suspended": "on-hold", "new": "draft", "nullified": "entered-in-error"}, "unknown")
	if c := m.concept(n.one("code")); len(c) > 0 {
		r["category"] = list(c)
	}
	set(r, "period", m.period(n.one("effectiveTime")))
	set(r, "created", d.earliest())
	if who := d.latest("Patient", "Practitioner", "PractitionerRole", "Device", "RelatedPerson", "Organization", "CareTeam"); who != nil {
		r["author"] = who
	}
	m.relations(d, n, w, nil)
	return d
}

// family maps a Family History Organizer to a FamilyMemberHistory (base R4; US Core 6).
func (m *mapper) family(n *node) *draft {
	d := m.start("FamilyMemberHistory", n)
	r := d.r
	r["status"] = status(n, map[string]string{"completed": "completed", "active": "partial", "nullified": "entered-in-error"}, "completed")
	rel := n.one("subject", "relatedSubject")
	r["relationship"] = m.must(rel.one("code"))
	who := rel.one("subject")
	if g := who.one("administrativeGenderCode"); g.peek("code") != "" {
		if s := g.choose(map[string]string{"M": "male", "F": "female", "UN": "other"}); s != "" {
			r["sex"] = coding("http://hl7.org/fhir/administrative-gender", s)
		}
	}
	for _, id := range m.identifiers(append(who.all("sdtc:id"), who.all("id")...)) {
		push(r, "identifier", id) // of the relative in the source
	}
	if l := m.names(who.all("name")); len(l) > 0 {
		if txt := plainName(l[0].(object)); txt != "" {
			r["name"] = txt
		}
	}
	set(r, "bornDate", m.day(who.one("birthTime")))
	if s := m.day(who.one("sdtc:deceasedTime")); s != "" {
		r["deceasedDate"] = s
		who.one("sdtc:deceasedInd").pass("value")
	} else if v, ok := flag(who.one("sdtc:deceasedInd")); ok {
		r["deceasedBoolean"] = v
	}
	for _, c := range n.all("component") {
		o := c.one("observation")
		if o == nil || m.cannot(o) {
			continue
		}
		push(r, "condition", m.inherited(r, o))
	}
	m.keyed(d)
	return d
}

func plainName(o object) string {
	if s, ok := o["text"].(string); ok {
		return s
	}
	var parts []string
	for _, k := range []string{"prefix", "given", "family", "suffix"} {
		if f, ok := o[k].(string); ok {
			parts = append(parts, f)
		}
		for _, x := range items(o[k]) {
			parts = append(parts, x.(string))
		}
	}
	return words(strings.Join(parts, " "))
}

// inherited maps a Family History Observation to a condition of the relative.
func (m *mapper) inherited(r object, o *node) object {
	c := object{"code": m.must(o.one("value"))}
	o.one("code").fixed("ASSERTION", "64572001", "75315-2", "75326-9", "55607006")
	for _, x := range o.one("code").all("translation") {
		x.fixed("75315-2", "75326-9")
	}
	o.one("statusCode").fixed("completed")
	for _, rel := range o.all("entryRelationship") {
		k := rel.one("observation")
		switch {
		case k.one("code").peek("code") == "445518008" || k.template(t+"31"):
			if age := m.age(k.one("value")); age != nil && c["onsetAge"] == nil {
				c["onsetAge"] = age
				helper(k)
			}
		case k.template(t + "47"): // Family History Death Observation
			k.one("value").fixed("419099009")
			if a := k.one("value").find("code"); a != nil && a.state == passed {
				a.state = fed
				c["contributedToDeath"] = true
				if r["deceasedDate"] == nil && r["deceasedBoolean"] == nil {
					r["deceasedBoolean"] = true
				}
				helper(k)
			}
		}
	}
	eff := o.one("effectiveTime")
	if c["onsetAge"] == nil {
		p := m.interval(eff)
		if s := m.moment(eff); s != "" {
			p = object{"start": s}
		}
		set(c, "onsetPeriod", p)
	}
	return c
}

// team maps a Care Team Organizer (US Core CareTeam). The guide has no map.
func (m *mapper) team(n *node) *draft {
	if m.cannot(n) {
		return nil
	}
	d := m.start("CareTeam", n)
	r := d.r
	statuses := map[string]string{"active": "active", "completed": "inactive", "suspended": "suspended", "aborted": "inactive", "new": "proposed", "nullified": "entered-in-error"}
	set(r, "status", n.one("statusCode").choose(statuses))
	n.one("code").fixed("86744-0")
	set(r, "name", m.text(n.one("code", "originalText")))
	set(r, "period", m.period(n.one("effectiveTime")))
	type member struct {
		ids []any
		o   object
	}
	var members []member
	for _, c := range n.all("component") {
		if o := c.one("observation"); o.template(t + "500.2") {
			if k := m.concept(o.one("value")); len(k) > 0 {
				push(r, "category", k)
				helper(o)
			}
		}
		a := c.one("act")
		if a == nil {
			continue
		}
		for _, p := range a.all("performer") {
			role := p.one("assignedEntity")
			before := append(m.probeIDs(role), m.probeIDs(a)...)
			who, _ := m.assigned(role)
			if who == nil {
				if rel := p.one("sdtc:relatedEntity"); rel != nil {
					who = m.related(rel)
				}
			}
			if who == nil || !slices.Contains(performers, who.kind) {
				continue
			}
			o := object{"member": who.ref}
			fn := p.one("sdtc:functionCode")
			if k := m.concept(fn); len(k) > 0 {
				o["role"] = list(k)
			}
			set(o, "period", m.period(a.one("effectiveTime")))
			a.one("code").fixed("85847-2")
			a.one("statusCode").fixed(n.one("statusCode").peek("code"))
			for _, x := range a.all("id") { // the act is no resource: its member is
				x.pass("root", "extension", "assigningAuthorityName")
			}
			members = append(members, member{before, o})
		}
		m.relations(d, a, where{}, nil)
	}
	for i, p := range n.all("participant") { // who leads
		if p.peek("typeCode") != "PPRF" || i >= maxMerged {
			continue
		}
		lead := m.probeIDs(p.one("participantRole"))
		for _, x := range members {
			for _, id := range lead {
				if has(x.ids, id) && !leads(x.o) {
					push(x.o, "role", coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "PPRF"))
					for _, i := range p.one("participantRole").all("id") {
						i.feed("root", "extension")
					}
				}
			}
		}
	}
	for _, x := range members {
		push(r, "participant", x.o)
	}
	return d
}

func leads(o object) bool {
	return has(items(o["role"]), coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "PPRF"))
}

// probeIDs reads ids without a trace.
func (m *mapper) probeIDs(n *node) []any {
	var out []any
	c := &mapper{}
	for _, id := range n.all("id") {
		out = append(out, c.identifiers([]*node{clone(id)})...)
	}
	return out
}

// coverages maps a Coverage Activity: each Policy Activity in it is a Coverage.
func (m *mapper) coverages(n *node) (out []*draft) {
	if m.cannot(n) {
		return nil
	}
	for _, rel := range n.all("entryRelationship") {
		if a := rel.one("act"); a.template(t + "61") {
			if d := m.policy(a, rel.one("sequenceNumber")); d != nil {
				out = append(out, d)
			}
		}
	}
	if len(out) > 0 {
		n.one("code").fixed("48768-6")
		n.one("statusCode").fixed("completed")
		m.alias(n, out[0])
	}
	return out
}

// policy maps a Policy Activity to a Coverage (US Core Coverage). The guide has no map.
func (m *mapper) policy(n, order *node) *draft {
	if m.cannot(n) {
		return nil
	}
	d := m.start("Coverage", n)
	r := d.r
	r["status"] = status(n, map[string]string{"completed": "active", "active": "active", "cancelled": "cancelled", "nullified": "entered-in-error"}, "active")
	set(r, "type", m.concept(n.one("code")))
	if order == nil {
		order = n.one("sequenceNumber")
	}
	if i, ok := whole(order); ok && i > 0 {
		r["order"] = i
	}
	for _, p := range n.all("performer") {
		role := p.one("assignedEntity")
		guarantor := p.template(t+"88") || role.one("code").peek("code") == "GUAR"
		if guarantor {
			continue // FHIR has it in Account
		}
		role.one("code").fixed("PAYOR")
		if a := role.one("code").find("code"); a != nil && a.state == passed && len(role.one("code").kids) == 0 {
			c := role.one("code")
			role.kids = slices.DeleteFunc(slices.Clone(role.kids), func(k *node) bool { return k == c })
		}
		if _, org := m.assigned(role); org != nil {
			push(r, "payor", org.ref)
		} else if who, _ := m.assigned(role); who != nil && who.kind == "Organization" {
			push(r, "payor", who.ref)
		}
	}
	if r["payor"] == nil {
		r["payor"] = list(absent(nil))
	}
	for _, p := range n.all("participant") {
		role := p.one("participantRole")
		ids := m.probeIDs(role)
		switch p.peek("typeCode") {
		case "COV":
			set(r, "period", m.interval(p.one("time")))
			if c := m.concept(role.one("code")); len(c) > 0 {
				r["relationship"] = c
			}
			for _, id := range m.identifiers(role.all("id")) {
				push(r, "identifier", id) // the member's
			}
			if role.one("code").peek("code") == "SELF" {
				r["subscriber"] = m.patient.ref
			}
			for _, k := range []string{"addr", "telecom", "playingEntity"} { // the patient, as in the header
				for _, x := range role.all(k) {
					if k == "playingEntity" || m.selfish(x) {
						m.covered(x)
					}
				}
			}
		case "HLD":
			if len(ids) > 0 {
				if v, _ := ids[0].(object)["value"].(string); v != "" {
					r["subscriberId"] = v
				}
			}
			if d := m.related(role); d != nil && r["subscriber"] == nil {
				r["subscriber"] = d.ref
			} else if d != nil {
				m.note(p, "", ReasonLink)
			}
		}
	}
	m.relations(d, n, where{}, nil)
	return d
}

// selfish says whether an address or telecom is one of the patient's own.
func (m *mapper) selfish(n *node) bool {
	c := &mapper{}
	if n.name == "addr" {
		l := c.addresses([]*node{clone(n)})
		return len(l) == 1 && has(items(m.patient.r["address"]), l[0])
	}
	l := c.telecoms([]*node{clone(n)})
	return len(l) == 1 && has(items(m.patient.r["telecom"]), l[0])
}

// covered passes what the header says of the patient too.
func (m *mapper) covered(n *node) {
	if n.name != "playingEntity" {
		n.every(passed)
		return
	}
	c := &mapper{}
	for _, k := range n.all("name") {
		if l := c.names([]*node{clone(k)}); len(l) == 1 && has(items(m.patient.r["name"]), l[0]) {
			k.every(passed)
		}
	}
	if b := n.one("sdtc:birthTime"); b != nil && c.day(clone(b)) == m.patient.r["birthDate"] {
		b.every(passed)
	}
}
