package ccda

import "slices"

const (
	conditionClinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
	conditionVer      = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
	conditionCategory = "http://terminology.hl7.org/CodeSystem/condition-category"
	allergyClinical   = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
	allergyVer        = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
	snomed            = "http://snomed.info/sct"
)

// concern maps the observations of a Problem or Allergy Concern Act, each to a
// resource. The act itself is no resource (guide, CF-problems, CF-allergies).
func (m *mapper) concern(n *node, w where) []*draft {
	w.concern = n
	n.one("code").fixed("CONC", "48765-2", "11450-4")
	var out []*draft
	for _, r := range n.all("entryRelationship") {
		for _, k := range r.kids {
			switch {
			case k.template(comment), k.template(entryReference):
			case k.name == "observation" && len(out) > 0 && hasCategory(k):
				for _, d := range m.statement(k, w) {
					join(out[0], d, r.peek("typeCode"))
					out = append(out, d)
				}
			case k.name != "":
				out = append(out, m.statement(k, w)...)
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	m.alias(n, out[0])
	for _, r := range n.all("entryRelationship") {
		k := r.one("act")
		switch {
		case k.template(comment):
			m.annotate(out[0], k)
		case k.template(entryReference):
			m.refer(out[0], k, r)
		}
	}
	for _, d := range out {
		if d.kind == "Condition" || d.kind == "AllergyIntolerance" {
			m.origins(d, n)
			m.recorded(d)
		}
	}
	return out
}

// recorded sets recorder and recordedDate from the authors.
func (m *mapper) recorded(d *draft) {
	if r := d.latest(recorders...); r != nil {
		d.r["recorder"] = r
	}
	set(d.r, "recordedDate", d.earliest())
}

// clinical reads the Problem or Allergy Status observation, else the concern's status.
func clinical(n, concern *node, table map[string]string) string {
	acts := map[string]string{"aborted": "inactive", "active": "active", "completed": "inactive", "suspended": "inactive"}
	if o := nested(n, "33999-4"); o != nil {
		if s := answer(o, table); s != "" {
			concern.one("statusCode").fixed("active", "completed", "aborted", "suspended") // guide: only if the status is missing
			return s
		}
	}
	return concern.one("statusCode").choose(acts)
}

// problem: guide, CF-problems.
func (m *mapper) problem(n *node, w where) *draft {
	d := m.start("Condition", n)
	r := d.r
	n.one("statusCode").fixed("completed", "active")
	cat := w.category
	if cat == "" || cat == "-" {
		cat = map[string]string{"46240-8": "encounter-diagnosis", "75310-3": "health-concern"}[w.section]
	}
	if cat == "" {
		cat = "problem-list-item"
	}
	sys := conditionCategory
	if cat == "health-concern" {
		sys = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
	}
	r["category"] = list(coding(sys, cat))
	if code := n.one("code"); code.peek("code") == "ASSERTION" {
		code.fixed("ASSERTION")
	} else if c := m.concept(code); len(c) > 0 { // guide: /code is a category too
		push(r, "category", c)
	}
	r["code"] = m.must(n.one("value"))
	for _, v := range n.all("value")[min(1, len(n.all("value"))):] {
		m.lost(v, ReasonNoMap)
	}
	eff := n.one("effectiveTime")
	low, high := eff.one("low"), eff.one("high")
	onset := m.moment(low)
	if onset == "" {
		onset = m.moment(eff)
	}
	set(r, "onsetDateTime", onset)
	if end := m.moment(high); end != "" {
		r["abatementDateTime"] = end
	}
	if negated(n) {
		r["verificationStatus"] = coding(conditionVer, "refuted")
	}
	st := clinical(n, w.concern, map[string]string{
		"246455001": "recurrence", "263855007": "relapse", "277022003": "remission",
		"413322009": "resolved", "55561003": "active", "73425007": "inactive",
	})
	unknown := high.peek("nullFlavor") == "UNK"
	if unknown && r["abatementDateTime"] == nil {
		r["_abatementDateTime"] = absent(high)
	}
	if (unknown || r["abatementDateTime"] != nil) && st != "resolved" && st != "remission" { // con-4
		st = "inactive"
	}
	if st != "" { // none is made up
		r["clinicalStatus"] = coding(conditionClinical, st)
	}
	if s := m.concept(n.one("targetSiteCode")); len(s) > 0 {
		r["bodySite"] = list(s)
	}
	m.relations(d, n, where{section: w.section}, func(_, k *node) bool {
		code := k.one("code").peek("code")
		switch {
		case k.name == "act" && code == "77975-1": // Date of Diagnosis
			if t := m.point(k.one("effectiveTime")); t != "" {
				helper(k)
				push(r, "extension", object{"url": "http://hl7.org/fhir/StructureDefinition/condition-assertedDate", "valueDateTime": t})
			}
			return true
		case code == "33999-4":
			return true // clinical has it, or it is reported
		case code == "445518008": // Age Observation
			if age := m.age(k.one("value")); age != nil && r["onsetDateTime"] == nil {
				helper(k)
				r["onsetAge"] = age
			}
			return true
		case code == "SEV":
			if v := k.one("value"); v.peek("code") != "" {
				helper(k)
				r["severity"] = m.concept(v)
			}
			return true
		}
		return false
	})
	m.recorded(d)
	return d
}

// age reads a PQ as an Age (age-1: UCUM, positive).
func (m *mapper) age(v *node) object {
	if !slices.Contains([]string{"a", "mo", "wk", "d", "h", "min"}, v.peek("unit")) {
		return nil
	}
	return m.quantity(v)
}

// allergy: guide, CF-allergies; category, type and negations by its concept maps.
func (m *mapper) allergy(n, concern *node) *draft {
	d := m.start("AllergyIntolerance", n)
	r := d.r
	n.one("statusCode").fixed("completed", "active")
	n.one("code").fixed("ASSERTION")
	value := n.one("value")
	kind := value.peek("code")
	set(r, "type", value.choose(map[string]string{"235719002": "intolerance", "414285001": "allergy", "416098002": "allergy", "419199007": "allergy", "59037007": "intolerance"}))
	if c := value.choose(map[string]string{"235719002": "food", "414285001": "food", "418471000": "food", "416098002": "medication", "419511003": "medication", "59037007": "medication"}); c != "" {
		r["category"] = list(c)
	}
	value.fixed("420134006", "418038007") // a propensity and nothing more
	value.one("originalText").every(passed)
	player := n.one("participant", "participantRole", "playingEntity")
	agent := player.one("code")
	code := m.concept(agent)
	if len(code) == 0 {
		if s := m.text(player.one("name")); s != "" {
			code = object{"text": s}
		}
	} else if name := player.one("name"); name != nil && m.text(name) != code["text"] {
		m.refuse(name, ReasonNoMap)
	}
	no := negated(n)
	switch {
	case no && len(list(code)) == 0:
		if none := map[string]string{"414285001": "429625007", "416098002": "409137002", "419199007": "716186003"}[kind]; none != "" {
			value.feed("code")
			value.described()
			code = coding(snomed, none)
			agent.pass("nullFlavor")
		} else {
			m.lost(value, ReasonValue)
			code = absent(agent)
			r["verificationStatus"] = coding(allergyVer, "refuted")
		}
		delete(r, "type")
	case no:
		r["verificationStatus"] = coding(allergyVer, "refuted")
	case len(code) == 0:
		code = absent(agent)
	}
	r["code"] = code
	eff := n.one("effectiveTime")
	onset := m.moment(eff.one("low"))
	if onset == "" {
		onset = m.moment(eff)
	}
	set(r, "onsetDateTime", onset)
	if end := m.moment(eff.one("high")); end != "" {
		push(r, "extension", object{"url": "http://hl7.org/fhir/StructureDefinition/allergyintolerance-abatement", "valueDateTime": end})
	}
	st := clinical(n, concern, map[string]string{"413322009": "resolved", "73425007": "inactive", "55561003": "active"})
	if st == "" {
		st = "active"
	}
	r["clinicalStatus"] = coding(allergyClinical, st)
	severities := map[string]string{"255604002": "mild", "6736007": "moderate", "24484000": "severe"}
	overall := ""
	if o := nested(n, "SEV"); o != nil {
		overall = severities[o.one("value").peek("code")]
	}
	var reactions []any
	m.relations(d, n, where{}, func(rel, k *node) bool {
		code := k.one("code").peek("code")
		switch {
		case rel.peek("typeCode") == "MFST" && k.name == "observation" || k.template(reaction):
			if m.cannot(k) {
				return true
			}
			one := m.reaction(k, severities)
			if one["severity"] == nil && overall != "" { // guide: the severity of all reactions
				answer(nested(n, "SEV"), severities)
				one["severity"] = overall
			}
			reactions = append(reactions, one)
			return true
		case code == "82606-5":
			set(r, "criticality", answer(k, map[string]string{"CRITH": "high", "CRITL": "low", "CRITU": "unable-to-assess"}))
			return true
		case code == "33999-4", code == "SEV":
			return true
		}
		return false
	})
	set(r, "reaction", reactions)
	m.recorded(d)
	return d
}

// reaction maps a Reaction Observation of an allergy.
func (m *mapper) reaction(o *node, severities map[string]string) object {
	one := object{"manifestation": list(m.must(o.one("value")))}
	helper(o)
	set(one, "onset", m.point(o.one("effectiveTime")))
	if t := o.one("text"); t != nil {
		if s := m.text(t); s != "" {
			one["description"] = s
		}
	}
	for _, rel := range o.all("entryRelationship") {
		k := rel.one("observation")
		switch {
		case k.one("code").peek("code") == "SEV":
			set(one, "severity", answer(k, severities))
			m.aside(k.one("text"), k.one("value"))
		case rel.one("act").template(comment):
			c := rel.one("act")
			if s := m.text(c.one("text")); s != "" && c.one("author") == nil {
				c.one("code").fixed("48767-8")
				c.one("statusCode").fixed("completed")
				push(one, "note", object{"text": s})
			}
		}
	}
	return one
}

// aside passes a text that says no more than the value beside it.
func (m *mapper) aside(text, value *node) {
	if text == nil {
		return
	}
	if t := m.target(text); t != nil && text.words() == "" {
		text.one("reference").pass("value") // the section's narrative has it
		return
	}
	if s := text.words(); s != "" && s == words(value.peek("displayName")) {
		text.every(passed)
	}
}
