package ccda

import "strings"

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
