package ccda

import "slices"

// An author is who wrote something, and when.
type author struct {
	who  *draft
	when string
	n    *node // author/time
}

// An origin is what a Provenance says of one resource: one agent in its part.
type origin struct {
	target *draft
	part   string // of provenance-participant-type
	who    *draft
	behalf *draft
	when   string
	n      *node
}

// origins reads the authors and informants of an entry.
func (m *mapper) origins(d *draft, n *node) {
	for _, a := range n.all("author") {
		role := a.one("assignedAuthor")
		who, org := m.assigned(role)
		if who == nil {
			continue
		}
		au := author{who, m.moment(a.one("time")), a.one("time")}
		d.authors = append(d.authors, au)
		m.prov = append(m.prov, &origin{d, "author", who, org, au.when, a})
	}
	for _, i := range n.all("informant") {
		if who, org := m.informant(i); who != nil {
			m.prov = append(m.prov, &origin{d, "informant", who, org, "", i})
		}
	}
}

func (m *mapper) informant(n *node) (who, org *draft) {
	if r := n.one("relatedEntity"); r != nil {
		return m.related(r), nil
	}
	return m.assigned(n.one("assignedEntity"))
}

// latest is the author that wrote last, of the types that may stand there; earliest
// is the first time (guide: recorder, recordedDate).
func (d *draft) latest(kinds ...string) object {
	var best *author
	for i, a := range d.authors {
		if slices.Contains(kinds, a.who.kind) && (best == nil || before(best.when, a.when)) {
			best = &d.authors[i]
		}
	}
	if best == nil {
		return nil
	}
	return best.who.ref
}

func (d *draft) earliest() string {
	t := ""
	for _, a := range d.authors {
		if a.when != "" && (t == "" || before(a.when, t)) {
			t = a.when
		}
	}
	return t
}

// Types that may stand for an author or performer, by element of R4.
var (
	recorders  = []string{"Practitioner", "PractitionerRole", "Patient", "RelatedPerson"}
	requesters = []string{"Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson", "Device"}
	performers = []string{"Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson"}
	staff      = []string{"Practitioner", "PractitionerRole", "Organization"}
)

// known gives the draft of that kind and content, made if it is not there.
func (m *mapper) known(kind string, n *node, r object) *draft {
	r["resourceType"] = kind
	if s := subject(kind); s != "" {
		r[s] = m.patient.ref
	}
	k := kind + " " + encoded(r)
	if d := m.people[k]; d != nil {
		return d
	}
	d := m.draft(kind, n, r)
	d.once = true
	if ids, ok := r["identifier"].([]any); ok {
		for _, id := range ids {
			if d.key = key(id); d.key != "" {
				break
			}
		}
	}
	m.people[k] = d
	return d
}

// personOf and orgOf find who plays a role and for whom, under the names of each role.
func personOf(role *node) *node {
	for _, k := range []string{"assignedPerson", "associatedPerson", "relatedPerson", "informationRecipient", "guardianPerson", "playingEntity"} {
		if p := role.one(k); p != nil {
			return p
		}
	}
	return nil
}

func orgOf(role *node) *node {
	for _, k := range []string{"representedOrganization", "receivedOrganization", "scopingOrganization", "representedCustodianOrganization", "scopingEntity"} {
		if o := role.one(k); o != nil {
			return o
		}
	}
	return nil
}

// assigned maps a role to who plays it: the patient, a Device, a Practitioner, a
// PractitionerRole where there is an organization or a code too, or an Organization
// (guide, "Mapping to different FHIR resource types"). org is the organization, if any.
func (m *mapper) assigned(role *node) (who, org *draft) {
	if role == nil {
		return nil, nil
	}
	ids := m.identifiers(role.all("id"))
	for _, id := range ids {
		if m.selves[key(id)] {
			for _, k := range role.kids { // the recordTarget says who the patient is
				k.every(passed)
			}
			return m.patient, nil
		}
	}
	org = m.organization(orgOf(role))
	if dev := role.one("assignedAuthoringDevice"); dev != nil {
		return m.author(role, dev, ids, org), org
	}
	names := m.names(personOf(role).all("name"))
	contact := object{}
	set(contact, "telecom", m.telecoms(role.all("telecom")))
	set(contact, "address", m.addresses(role.all("addr")))
	code := role.one("code")
	what := m.concept(code)
	if len(names) == 0 && org != nil && len(what) == 0 {
		// The role is the organization's own.
		for _, id := range ids {
			if l, _ := org.r["identifier"].([]any); len(l) < maxMerged && !has(l, id) {
				push(org.r, "identifier", id)
			}
		}
		if org.key == "" && len(ids) > 0 {
			org.key = key(ids[0])
		}
		m.business(append(role.all("telecom"), role.all("addr")...), append(items(contact["telecom"]), items(contact["address"])...))
		for k, v := range contact {
			was, _ := org.r[k].([]any)
			for _, x := range v.([]any) {
				if len(was) < maxMerged && !has(was, x) {
					was = append(was, x)
				}
			}
			org.r[k] = was
		}
		return org, org
	}
	if len(names) == 0 && len(ids) == 0 && len(contact) == 0 && len(what) == 0 {
		return org, org
	}
	p := contact
	set(p, "identifier", ids)
	set(p, "name", names)
	if desc := m.text(personOf(role).one("sdtc:desc")); desc != "" {
		p["qualification"] = list(object{"code": object{"text": desc}})
	}
	if len(names) == 0 && len(ids) == 0 && org != nil {
		p = nil
	}
	if p != nil {
		who = m.known("Practitioner", role, p)
	}
	if org == nil && len(what) == 0 {
		return who, nil
	}
	r := object{}
	if who != nil {
		r["practitioner"] = who.ref
	}
	if org != nil {
		r["organization"] = org.ref
	}
	if len(what) > 0 {
		if code.peek("codeSystem") == "2.16.840.1.113883.6.101" { // NUCC
			r["specialty"] = list(what)
		} else {
			r["code"] = list(what)
		}
	}
	return m.known("PractitionerRole", role, r), org
}

// author maps an assignedAuthoringDevice.
func (m *mapper) author(role, dev *node, ids []any, org *draft) *draft {
	r := object{}
	set(r, "identifier", ids)
	set(r, "type", m.concept(dev.one("code")))
	var names []any
	if s := m.text(dev.one("manufacturerModelName")); s != "" {
		names = append(names, object{"name": s, "type": "model-name"})
	}
	if s := m.text(dev.one("softwareName")); s != "" {
		names = append(names, object{"name": s, "type": "other"})
	}
	set(r, "deviceName", names)
	if org != nil {
		r["owner"] = org.ref
	}
	set(r, "contact", m.telecoms(role.all("telecom")))
	d := m.known("Device", role, r)
	delete(d.r, "patient") // it is not the patient's
	return d
}

// organization: guide, "CDA to FHIR Organization".
func (m *mapper) organization(n *node) *draft {
	if n == nil {
		return nil
	}
	r := object{}
	set(r, "identifier", m.identifiers(n.all("id")))
	for i, name := range append(n.all("name"), n.all("desc")...) {
		if s := m.text(name); s != "" && i == 0 {
			r["name"] = s
		} else if s != "" {
			push(r, "alias", s)
		}
	}
	set(r, "telecom", m.business(n.all("telecom"), m.telecoms(n.all("telecom"))))
	set(r, "address", m.business(n.all("addr"), m.addresses(n.all("addr"))))
	code := n.one("standardIndustryClassCode")
	if code == nil {
		code = n.one("code")
	}
	if t := m.concept(code); len(t) > 0 {
		r["type"] = list(t)
	}
	if part := n.one("asOrganizationPartOf", "wholeOrganization"); part != nil {
		if whole := m.organization(part); whole != nil {
			r["partOf"] = whole.ref
		}
	}
	if len(r) == 0 {
		return nil
	}
	return m.known("Organization", n, r)
}

// related maps a person who is no provider: relatedEntity, associatedEntity or
// participantRole.
func (m *mapper) related(n *node) *draft {
	r := object{}
	set(r, "identifier", m.identifiers(n.all("id")))
	var kinds []any
	person := personOf(n)
	for _, c := range []*node{n.one("code"), person.one("sdtc:asPatientRelationship", "code")} {
		if k := m.concept(c); len(k) > 0 {
			kinds = append(kinds, k)
		}
	}
	set(r, "relationship", kinds)
	set(r, "name", m.names(person.all("name")))
	set(r, "telecom", m.telecoms(n.all("telecom")))
	set(r, "address", m.addresses(n.all("addr")))
	set(r, "period", m.interval(n.one("effectiveTime")))
	set(r, "birthDate", m.day(person.one("sdtc:birthTime")))
	if len(r) == 0 {
		return nil
	}
	return m.known("RelatedPerson", n, r)
}

// location maps a service delivery location: a participantRole or a healthCareFacility.
func (m *mapper) location(n *node) *draft {
	r := object{}
	set(r, "identifier", m.identifiers(n.all("id")))
	if c := m.concept(n.one("code")); len(c) > 0 {
		r["type"] = list(c)
	}
	place := n.one("playingEntity")
	if place == nil {
		place = n.one("location")
	}
	set(r, "name", m.text(place.one("name")))
	set(r, "description", m.text(place.one("desc")))
	set(r, "telecom", m.telecoms(n.all("telecom")))
	if a := m.addresses(append(n.all("addr"), place.all("addr")...)); len(a) > 0 {
		r["address"] = a[0]
	}
	org := n.one("serviceProviderOrganization")
	if org == nil {
		org = n.one("scopingEntity")
	}
	if o := m.organization(org); o != nil {
		r["managingOrganization"] = o.ref
	}
	if len(r) == 0 {
		return nil
	}
	return m.known("Location", n, r)
}

// performers maps performer elements to those that may stand there.
func (m *mapper) performers(n *node, kinds ...string) (out []performer) {
	for _, p := range n.all("performer") {
		role := p.one("assignedEntity")
		if role == nil {
			continue
		}
		who, _ := m.assigned(role)
		if who == nil || !slices.Contains(kinds, who.kind) {
			continue
		}
		out = append(out, performer{p, who})
	}
	return out
}

type performer struct {
	n   *node
	who *draft
}

func (p performer) function() *node {
	if f := p.n.one("sdtc:functionCode"); f != nil {
		return f
	}
	return p.n.one("functionCode")
}

// provenance makes one Provenance of what was written by the same agents at the same
// time, and one of all that conducts from the header.
func (m *mapper) provenance() {
	own := map[*draft][]*origin{}
	for _, o := range m.prov {
		own[o.target] = append(own[o.target], o)
	}
	type group struct {
		agents []any
		when   string
		target []any
		has    map[string]bool
	}
	groups := map[string]*group{}
	var order []string
	document := m.drafts[1:]
	var header []*origin
	for _, d := range document {
		if d.kind == "DocumentReference" && d.n == m.root {
			header = own[d]
		}
	}
	for _, d := range document {
		if d.gone || d.once {
			continue
		}
		l := own[d]
		written := slices.ContainsFunc(l, func(o *origin) bool { return o.part == "author" })
		if d.n == m.root {
			l = header
		} else if !written { // CDA context conduction
			l = append(slices.Clone(l), header...)
		}
		if len(l) == 0 {
			continue
		}
		var times []string // one Provenance for each time that something was written
		for _, o := range l {
			if o.part == "author" && len(times) <= maxMerged && !slices.Contains(times, o.when) {
				times = append(times, o.when)
			}
		}
		if len(times) == 0 {
			times = []string{""}
		}
		for i, when := range times[:min(len(times), maxMerged)] {
			g := &group{when: when, has: map[string]bool{}}
			for _, o := range l {
				if o.part == "author" && o.when != when || o.part != "author" && i > 0 {
					continue
				}
				a := object{"type": coding("http://terminology.hl7.org/CodeSystem/provenance-participant-type", o.part), "who": o.who.ref}
				if o.behalf != nil && o.who.kind != "PractitionerRole" && o.behalf != o.who {
					a["onBehalfOf"] = o.behalf.ref
				}
				if len(g.agents) < maxMerged && !has(g.agents, a) {
					g.agents = append(g.agents, a)
				}
			}
			k := g.when + encoded(g.agents)
			if groups[k] == nil {
				groups[k] = g
				order = append(order, k)
			}
			g = groups[k]
			if ref := d.ref["reference"].(string); !g.has[ref] {
				g.has[ref] = true
				g.target = append(g.target, d.ref)
			}
		}
	}
	for _, k := range order {
		g := groups[k]
		d := m.make("Provenance", m.root)
		d.r["target"], d.r["agent"] = g.target, g.agents
		if len(g.when) > 10 {
			d.r["recorded"] = g.when
		} else {
			d.r["_recorded"] = absent(nil)
			set(d.r, "occurredDateTime", g.when)
		}
		d.r["entity"] = list(object{"role": "source", "what": object{"identifier": m.source}})
		m.derive(d, k)
		d.ref["reference"] = "urn:uuid:" + uuid(d.kind, m.self, d.key)
		sys, code := split(d.key)
		d.r["meta"] = object{"tag": list(object{"system": sys, "code": code})}
	}
}
