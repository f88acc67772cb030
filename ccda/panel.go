package ccda

import "strings"

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
