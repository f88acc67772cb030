package ccda

import "maps"

// Templates of C-CDA R2.1 under 2.16.840.1.113883.10.20.22.4.
const (
	t              = "2.16.840.1.113883.10.20.22.4."
	problemConcern = t + "3"
	problem        = t + "4"
	allergyConcern = t + "30"
	allergy        = t + "7"
	reaction       = t + "9"
	medication     = t + "16"
	immunization   = t + "52"
	procedure      = t + "14"
	procedureAct   = t + "12"
	resultPanel    = t + "1"
	result         = t + "2"
	vitalPanel     = t + "26"
	vital          = t + "27"
	social         = t + "38"
	smoking        = t + "78"
	tobacco        = t + "85"
)

// entry maps one entry of section s and gives references to what came of it.
func (m *mapper) entry(e, s *node) []any {
	var out []any
	for _, n := range e.kids {
		switch {
		case n.template(problemConcern):
			for _, r := range n.enter().all("entryRelationship") {
				if o := r.one("observation"); o.template(problem) {
					out = append(out, m.problem(o, n, s))
				}
			}
		case n.template(problem):
			out = append(out, m.problem(n, nil, s))
		case n.template(allergyConcern):
			for _, r := range n.enter().all("entryRelationship") {
				if o := r.one("observation"); o.template(allergy) {
					out = append(out, m.allergy(o, n))
				}
			}
		case n.template(medication):
			out = append(out, m.medication(n))
		case n.template(immunization):
			out = append(out, m.immunization(n))
		case n.template(procedure, procedureAct):
			out = append(out, m.procedure(n))
		case n.template(resultPanel):
			out = append(out, m.report(n))
		case n.template(vitalPanel):
			out = append(out, m.panel(n))
		case n.template(result):
			out = append(out, m.observation(n, "laboratory"))
		case n.template(vital):
			out = append(out, m.observation(n, "vital-signs"))
		case n.template(social, smoking, tobacco):
			out = append(out, m.observation(n, "social-history"))
		}
	}
	return out
}

// begin starts a resource with what all entries share. The text of an entry points
// into the narrative, which the Composition carries.
func (m *mapper) begin(kind, subject string, n *node) object {
	n.enter()
	r := object{"resourceType": kind, subject: m.patient}
	set(r, "identifier", identifiers(n.all("id")))
	if t := n.one("text"); t != nil && m.byID[trimHash(t.one("reference").a("value"))] != nil {
		t.take()
	}
	return r
}

func trimHash(s string) string {
	if s != "" && s[0] == '#' {
		return s[1:]
	}
	return s
}

func negated(n *node) bool { return n.a("negationInd") == "true" || n.a("negationInd") == "1" }

// status maps statusCode by one of the guide's concept maps.
func status(n *node, table map[string]string, other string) string {
	c := n.one("statusCode")
	if s := table[c.a("code")]; s != "" {
		c.take()
		return s
	}
	return other
}

// nested finds the entryRelationship observations with a code.
func nested(n *node, code string) *node {
	for _, r := range n.all("entryRelationship") {
		if o := r.one("observation"); o.one("code").a("code") == code {
			return o
		}
	}
	return nil
}

// clinical reads the Problem or Allergy Status observation, else the concern's status.
func clinical(n, concern *node, table map[string]string) string {
	if o := nested(n, "33999-4"); o != nil {
		if s := table[o.one("value").a("code")]; s != "" {
			o.take()
			return s
		}
	}
	return status(concern, map[string]string{"aborted": "inactive", "active": "active", "completed": "inactive", "suspended": "inactive"}, "")
}

const (
	conditionClinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
	conditionVer      = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
	allergyClinical   = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
	allergyVer        = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
)

// problem: guide, CF-problems.
func (m *mapper) problem(n, concern, s *node) object {
	r := m.begin("Condition", "subject", n)
	n.one("statusCode").take() // fixed to completed
	cat := "problem-list-item"
	if s.one("code").a("code") == "46240-8" {
		cat = "encounter-diagnosis"
	}
	r["category"] = list(coding("http://terminology.hl7.org/CodeSystem/condition-category", cat))
	r["code"] = m.must(n.one("value"))
	low, high := n.one("effectiveTime", "low"), n.one("effectiveTime", "high")
	n.one("effectiveTime").enter()
	set(r, "onsetDateTime", m.moment(low))
	set(r, "abatementDateTime", m.moment(high))
	if negated(n) {
		r["verificationStatus"] = coding(conditionVer, "refuted")
	}
	st := clinical(n, concern, map[string]string{
		"246455001": "recurrence", "263855007": "relapse", "277022003": "remission",
		"413322009": "resolved", "55561003": "active", "73425007": "inactive",
	})
	unknown := high.a("nullFlavor") == "UNK"
	if unknown && r["abatementDateTime"] == nil {
		r["_abatementDateTime"] = absent(high)
	}
	if (unknown || r["abatementDateTime"] != nil) && st != "resolved" && st != "remission" { // con-4
		st = "inactive"
	}
	if st != "" { // none is made up
		r["clinicalStatus"] = coding(conditionClinical, st)
	}
	return m.add(r, n, false)
}

// allergy: guide, CF-allergies; category, type and negations by its concept maps.
func (m *mapper) allergy(n, concern *node) object {
	r := m.begin("AllergyIntolerance", "patient", n)
	n.one("statusCode").take() // fixed to completed
	value := n.one("value")
	kind := value.a("code")
	set(r, "type", map[string]string{"235719002": "intolerance", "414285001": "allergy", "416098002": "allergy", "419199007": "allergy", "59037007": "intolerance"}[kind])
	if c := map[string]string{"235719002": "food", "414285001": "food", "418471000": "food", "416098002": "medication", "419511003": "medication", "59037007": "medication"}[kind]; c != "" {
		r["category"] = list(c)
	}
	if r["type"] != nil || r["category"] != nil {
		value.take()
	}
	agent := n.one("participant", "participantRole", "playingEntity", "code")
	code := m.concept(agent)
	switch {
	case negated(n) && len(list(code)) == 0:
		if none := map[string]string{"414285001": "429625007", "416098002": "409137002", "419199007": "716186003"}[kind]; none != "" {
			code = coding("http://snomed.info/sct", none)
		} else {
			m.lost(value, ReasonValue)
			code = absent(agent)
			r["verificationStatus"] = coding(allergyVer, "refuted")
		}
		delete(r, "type")
	case negated(n):
		r["verificationStatus"] = coding(allergyVer, "refuted")
	case len(code) == 0:
		code = absent(agent)
	}
	r["code"] = code
	n.one("effectiveTime").enter()
	set(r, "onsetDateTime", m.moment(n.one("effectiveTime", "low")))
	st := clinical(n, concern, map[string]string{"413322009": "resolved", "73425007": "inactive", "55561003": "active"})
	if st == "" {
		st = "active"
	}
	r["clinicalStatus"] = coding(allergyClinical, st)
	if o := nested(n, "82606-5"); o != nil {
		if c := map[string]string{"CRITH": "high", "CRITL": "low", "CRITU": "unable-to-assess"}[o.one("value").a("code")]; c != "" {
			r["criticality"] = c
			o.take()
		}
	}
	var reactions []any
	for _, e := range n.all("entryRelationship") {
		o := e.one("observation")
		if e.a("typeCode") != "MFST" && !o.template(reaction) || o == nil {
			continue
		}
		o.enter()
		o.one("code").take()
		o.one("statusCode").take()
		one := object{"manifestation": list(m.must(o.one("value")))}
		if sev := nested(o, "SEV"); sev != nil {
			if s := map[string]string{"255604002": "mild", "6736007": "moderate", "24484000": "severe"}[sev.one("value").a("code")]; s != "" {
				one["severity"] = s
				sev.take()
			}
		}
		reactions = append(reactions, one)
	}
	set(r, "reaction", reactions)
	return m.add(r, n, false)
}

func material(n *node) *node {
	return n.one("consumable", "manufacturedProduct", "manufacturedMaterial")
}

// medication: guide, CF-medications. EVN is a plan, INT an order.
func (m *mapper) medication(n *node) object {
	r := m.begin("MedicationRequest", "subject", n)
	r["intent"] = "plan"
	if n.a("moodCode") == "INT" {
		r["intent"] = "order"
	}
	r["status"] = status(n, map[string]string{"active": "active", "suspended": "on-hold", "aborted": "stopped", "completed": "completed", "nullified": "entered-in-error"}, "unknown")
	if negated(n) {
		r["doNotPerform"] = true
	}
	r["medicationCodeableConcept"] = m.must(material(n).one("code"))
	d := object{}
	for _, t := range n.all("effectiveTime") {
		repeat := object{}
		switch t.a("xsi:type") {
		case "PIVL_TS":
			p := t.one("period")
			v, ok := decimal(p.a("value"))
			if unit := map[string]string{"s": "s", "min": "min", "h": "h", "d": "d", "wk": "wk", "mo": "mo", "a": "a"}[p.a("unit")]; ok && unit != "" {
				repeat["frequency"], repeat["period"], repeat["periodUnit"] = 1, v, unit
				t.take()
			}
		case "EIVL_TS": // left to Unmapped until the offset is mapped too
		default:
			if v := m.moment(t); v != "" {
				timing, _ := d["timing"].(object)
				if timing == nil {
					timing = object{}
				}
				timing["event"] = list(v)
				d["timing"] = timing
			} else if p := m.period(t); len(p) > 0 {
				repeat["boundsPeriod"] = p
			}
		}
		if len(repeat) > 0 {
			timing, _ := d["timing"].(object)
			if timing == nil {
				timing = object{}
				d["timing"] = timing
			}
			old, _ := timing["repeat"].(object)
			maps.Copy(repeat, old)
			timing["repeat"] = repeat
		}
	}
	set(d, "route", m.concept(n.one("routeCode")))
	dose := object{}
	set(dose, "doseQuantity", m.quantity(n.one("doseQuantity")))
	set(dose, "rateQuantity", m.quantity(n.one("rateQuantity")))
	set(d, "doseAndRate", list(dose))
	set(r, "dosageInstruction", list(d))
	return m.add(r, n, false)
}

// immunization: guide, CF-immunizations.
func (m *mapper) immunization(n *node) object {
	r := m.begin("Immunization", "patient", n)
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
	}
	r["vaccineCode"] = m.must(material(n).one("code"))
	t := n.one("effectiveTime")
	at := m.moment(t)
	if at == "" {
		at = m.moment(t.one("low"))
	}
	if at != "" {
		r["occurrenceDateTime"] = at
	} else {
		r["_occurrenceDateTime"] = absent(t)
	}
	set(r, "lotNumber", m.text(material(n).one("lotNumberText")))
	set(r, "route", m.concept(n.one("routeCode")))
	set(r, "site", m.concept(n.one("approachSiteCode")))
	set(r, "doseQuantity", m.quantity(n.one("doseQuantity")))
	return m.add(r, n, false)
}

// procedure: guide, CF-procedures.
func (m *mapper) procedure(n *node) object {
	r := m.begin("Procedure", "subject", n)
	r["status"] = status(n, map[string]string{"aborted": "stopped", "active": "in-progress", "cancelled": "not-done", "completed": "completed"}, "unknown")
	if negated(n) {
		r["status"] = "not-done"
	}
	r["code"] = m.must(n.one("code"))
	m.when(r, "performed", n.one("effectiveTime"))
	if site := m.concept(n.one("targetSiteCode")); len(site) > 0 {
		r["bodySite"] = list(site)
	}
	return m.add(r, n, false)
}
