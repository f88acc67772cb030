package ccda

import (
	"crypto/sha1" //nolint:gosec // Attachment.hash is SHA-1 (R4, datatypes); never a commitment
	"encoding/base64"
	"slices"
	"strings"
)

const core = "http://hl7.org/fhir/us/core/StructureDefinition/"

// person maps the recordTarget: guide, CF-patient.
func (m *mapper) person(role *node) error {
	ids := m.identifiers(role.all("id"))
	d := m.draft("Patient", role, object{"resourceType": "Patient"})
	d.once = true
	m.patient = d
	for _, id := range ids {
		k := key(id)
		if k == "" {
			continue
		}
		m.selves[k] = true
		if d.key == "" {
			d.key, m.self = k, k
		}
	}
	if d.key == "" {
		return &Error{Code: CodePatient}
	}
	r, p := d.r, role.one("patient")
	r["identifier"] = ids
	set(r, "name", m.names(p.all("name")))
	set(r, "telecom", m.telecoms(role.all("telecom")))
	set(r, "address", m.addresses(role.all("addr")))
	set(r, "gender", p.one("administrativeGenderCode").choose(map[string]string{"M": "male", "F": "female", "UN": "other"}))
	if b := p.one("birthTime"); b != nil {
		v := m.moment(b)
		if len(v) > 10 { // the extension holds what birthDate cannot
			r["_birthDate"] = object{"extension": list(object{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueDateTime": v})}
			v = v[:10]
		}
		set(r, "birthDate", v)
	}
	set(r, "maritalStatus", m.concept(p.one("maritalStatusCode")))
	if t := m.moment(p.one("sdtc:deceasedTime")); t != "" {
		r["deceasedDateTime"] = t
		p.one("sdtc:deceasedInd").pass("value")
	} else if v, ok := flag(p.one("sdtc:deceasedInd")); ok {
		r["deceasedBoolean"] = v
	}
	if c := m.concept(p.one("religiousAffiliationCode")); len(c) > 0 {
		push(r, "extension", object{"url": "http://hl7.org/fhir/StructureDefinition/patient-religion", "valueCodeableConcept": c})
	}
	push(r, "extension", m.group("us-core-race", append(p.all("raceCode"), p.all("sdtc:raceCode")...), 5))
	push(r, "extension", m.group("us-core-ethnicity", append(p.all("ethnicGroupCode"), p.all("sdtc:ethnicGroupCode")...), 1))
	if a := m.addresses(p.one("birthplace", "place").all("addr")); len(a) > 0 {
		push(r, "extension", object{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueAddress": a[0]})
	}
	for _, g := range p.all("guardian") {
		push(r, "contact", m.guardian(g))
	}
	for _, l := range p.all("languageCommunication") {
		push(r, "communication", m.language(l))
	}
	if o := m.organization(role.one("providerOrganization")); o != nil {
		r["managingOrganization"] = o.ref
	}
	return nil
}

// omb are the categories of race and ethnicity (US Core, OMB Race and Ethnicity Category).
var omb = map[string]bool{
	"1002-5": true, "2028-9": true, "2054-5": true, "2076-8": true, "2106-3": true, // race
	"2135-2": true, "2186-5": true, // ethnicity
}

// group makes the extension of race or ethnicity; most is how many categories it takes.
func (m *mapper) group(name string, codes []*node, most int) object {
	var parts, texts []any
	n := 0
	for _, c := range codes {
		o := m.codingOf(c)
		t := m.text(c.one("originalText"))
		if o == nil {
			switch f := c.peek("nullFlavor"); {
			case (f == "UNK" || f == "ASKU") && n == 0 && len(codes) == 1: // codes of the extension's value set
				c.feed("nullFlavor")
				o = object{"system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "code": f}
				parts = append(parts, object{"url": "ombCategory", "valueCoding": o})
				if t == "" {
					t = map[string]string{"UNK": "Unknown", "ASKU": "Asked but no answer"}[f]
				}
				n++
			default:
				if t == "" {
					continue
				}
			}
		} else {
			if t == "" {
				t, _ = o["display"].(string)
			}
			if t == "" {
				t, _ = o["code"].(string)
			}
			url := "detailed"
			if code, _ := o["code"].(string); omb[code] && n < most {
				url = "ombCategory"
				n++
			}
			parts = append(parts, object{"url": url, "valueCoding": o})
		}
		if t != "" && !slices.Contains(texts, any(t)) {
			texts = append(texts, t)
		}
	}
	if len(texts) == 0 {
		return nil
	}
	var all []string
	for _, t := range texts {
		all = append(all, t.(string))
	}
	parts = append(parts, object{"url": "text", "valueString": strings.Join(all, ", ")})
	return object{"url": core + name, "extension": parts}
}

func (m *mapper) guardian(g *node) object {
	o := object{"relationship": list(coding("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "GUARD"))}
	person := g.one("guardianPerson")
	for _, c := range []*node{g.one("code"), person.one("sdtc:asPatientRelationship", "code")} {
		push(o, "relationship", m.concept(c))
	}
	if l := m.names(person.all("name")); len(l) > 0 {
		o["name"] = l[0]
	}
	set(o, "telecom", m.telecoms(g.all("telecom")))
	if l := m.addresses(g.all("addr")); len(l) > 0 {
		o["address"] = l[0]
	}
	if org := m.organization(g.one("guardianOrganization")); org != nil {
		o["organization"] = org.ref
	}
	if len(o) == 1 {
		return nil // pat-1
	}
	return o
}

func (m *mapper) language(l *node) object {
	c := l.one("languageCode")
	code := c.peek("code")
	if code == "" {
		return nil
	}
	if strings.ContainsAny(code, " \t\r\n") { // no tag has blanks, nor has a code two of them
		m.lostAttr(c, "code", ReasonValue)
		return nil
	}
	c.feed("code")
	o := object{"language": coding("urn:ietf:bcp:47", code)}
	if v, ok := flag(l.one("preferenceInd")); ok {
		o["preferred"] = v
	}
	var parts []any
	for _, k := range [][2]string{{"proficiencyLevelCode", "level"}, {"modeCode", "type"}} {
		if c := m.codingOf(l.one(k[0])); c != nil {
			parts = append(parts, object{"url": k[1], "valueCoding": c})
		}
	}
	if parts != nil {
		o["extension"] = list(object{"url": "http://hl7.org/fhir/StructureDefinition/patient-proficiency", "extension": parts})
	}
	return o
}

// document maps the header and body: a Composition, and the document as it came.
func (m *mapper) document(root *node, src []byte) {
	date := m.moment(root.one("effectiveTime"))
	kind := m.must(root.one("code"))
	title := m.text(root.one("title"))
	if title == "" {
		title = "Clinical document"
	}
	hash := sha1.Sum(src) //nolint:gosec // as above
	attachment := object{
		"contentType": "text/xml", "data": base64.StdEncoding.EncodeToString(src),
		"hash": base64.StdEncoding.EncodeToString(hash[:]), "size": len(src), "title": title,
	}
	ref, c := m.make("DocumentReference", root), m.make("Composition", root)
	ref.r["identifier"], c.r["identifier"] = list(m.source), m.source
	ref.key, c.key = m.doc, m.doc
	ref.r["status"], ref.r["type"] = "current", kind
	ref.r["content"] = list(object{"attachment": attachment})
	c.r["status"], c.r["type"], c.r["title"] = "final", kind, title
	if s := root.one("sdtc:statusCode"); s != nil {
		set(c.r, "status", s.choose(map[string]string{"active": "preliminary", "completed": "final", "nullified": "entered-in-error"}))
	}
	if date != "" {
		c.r["date"] = date
	} else {
		c.r["_date"] = absent(root.one("effectiveTime"))
	}
	if len(date) > 10 {
		ref.r["date"] = date
	}
	if l := root.one("languageCode"); languageTag(l.peek("code")) {
		l.feed("code")
		c.r["language"], attachment["language"] = l.peek("code"), l.peek("code")
	}
	m.confidential(root.one("confidentialityCode"), c.r)
	if len(m.security) > 0 {
		sec := object{"security": m.security}
		c.r["meta"], ref.r["meta"] = sec, sec
	}
	for _, id := range m.identifiers(root.all("setId")) {
		push(ref.r, "identifier", id)
	}
	if v, ok := whole(root.one("versionNumber")); ok {
		push(c.r, "extension", object{"url": "http://hl7.org/fhir/StructureDefinition/composition-clinicaldocument-versionNumber", "valueString": decimalText(v)})
	}
	m.header(root, c, ref)
	for _, rel := range root.all("relatedDocument") {
		ids := m.identifiers(rel.one("parentDocument").all("id"))
		how := map[string]string{"RPLC": "replaces", "APND": "appends", "XFRM": "transforms"}[rel.peek("typeCode")]
		if len(ids) != 1 || how == "" {
			continue
		}
		push(ref.r, "relatesTo", object{"code": how, "target": object{"identifier": ids[0]}})
		push(c.r, "relatesTo", object{"code": how, "targetIdentifier": ids[0]})
	}
	for _, o := range root.all("inFulfillmentOf") {
		for _, id := range m.identifiers(o.one("order").all("id")) {
			related := object{"identifier": id, "type": "ServiceRequest"}
			if c := o.one("order", "code"); c.peek("displayName") != "" {
				related["display"] = words(c.a("displayName"))
			}
			framed(ref.r, "related", related)
		}
	}
	m.body(root, c, ref)
}

func framed(r object, k string, v any) {
	o, _ := r["context"].(object)
	if o == nil {
		o = object{}
		r["context"] = o
	}
	push(o, k, v)
}

func languageTag(s string) bool {
	if len(s) < 2 || len(s) > 35 {
		return false
	}
	for i, part := range strings.Split(s, "-") {
		if part == "" || len(part) > 8 || i == 0 && (len(part) > 3 || strings.ToLower(part) != part) {
			return false
		}
		for _, c := range []byte(part) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}

const confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

// confidential reads a code of confidentiality. What is more than normal becomes a
// label of each resource that is made below it.
func (m *mapper) confidential(n *node, c object) {
	code := n.peek("code")
	if len(code) != 1 || !strings.Contains("ULMNRV", code) {
		return
	}
	n.feed("code")
	n.described()
	if c != nil {
		c["confidentiality"] = code
	}
	m.security = nil
	if code != "N" {
		m.security = list(object{"system": confidentiality, "code": code})
	}
}

// header maps who had a part in the document.
func (m *mapper) header(root *node, c, ref *draft) {
	m.origins(ref, root)
	for _, a := range ref.authors[:min(len(ref.authors), maxMerged)] {
		if !among(c.r["author"], a.who.ref) {
			push(c.r, "author", a.who.ref)
			push(ref.r, "author", a.who.ref)
		}
	}
	if c.r["author"] == nil {
		c.r["author"] = list(absent(nil))
	}
	part := func(as string, n, role *node) *draft {
		who, org := m.assigned(role)
		if who != nil {
			m.prov = append(m.prov, &origin{ref, as, who, org, "", n})
		}
		return who
	}
	for _, n := range root.all("dataEnterer") {
		if part("enterer", n, n.one("assignedEntity")) != nil {
			if t := n.one("time"); t != nil {
				m.point(t)
				m.lost(t, ReasonNoMap)
			}
		}
	}
	if o := m.organization(root.one("custodian", "assignedCustodian", "representedCustodianOrganization")); o != nil {
		c.r["custodian"], ref.r["custodian"] = o.ref, o.ref
	}
	attest := func(n *node, mode string) {
		who, _ := m.assigned(n.one("assignedEntity"))
		a := object{"mode": mode}
		set(a, "time", m.point(n.one("time")))
		if who != nil {
			a["party"] = who.ref
		}
		n.one("signatureCode").fixed("S")
		push(c.r, "attester", a)
		if mode == "legal" && who != nil && ref.r["authenticator"] == nil && slices.Contains(staff, who.kind) {
			ref.r["authenticator"] = who.ref
		}
	}
	for _, n := range root.all("legalAuthenticator") {
		attest(n, "legal")
	}
	for _, n := range root.all("authenticator") {
		attest(n, "professional")
	}
	for _, n := range root.all("participant") { // who supports the patient
		e := n.one("associatedEntity")
		if n.peek("typeCode") == "IND" && personOf(e) != nil {
			if d := m.related(e); d != nil && d.r["period"] == nil {
				set(d.r, "period", m.interval(n.one("time")))
			}
		}
	}
	for _, n := range root.all("documentationOf") {
		m.service(n.one("serviceEvent"), c, ref)
	}
	if n := root.one("componentOf", "encompassingEncounter"); n != nil {
		m.visit = m.encompassing(n)
		c.r["encounter"] = m.visit.ref
		framed(ref.r, "encounter", m.visit.ref)
	}
}

func among(l, x any) bool {
	a, _ := l.([]any)
	return has(a, x)
}

// service maps a serviceEvent to Composition.event; who performed it is a member of
// the patient's care team (US Core CareTeam).
func (m *mapper) service(n *node, c, ref *draft) {
	if n == nil {
		return
	}
	ev := object{}
	if code := m.concept(n.one("code")); len(code) > 0 {
		ev["code"] = list(code)
		framed(ref.r, "event", code)
	}
	set(ev, "period", m.period(n.one("effectiveTime")))
	push(c.r, "event", ev)
	var members []any
	for _, p := range m.performers(n, performers...) {
		o := object{"member": p.who.ref}
		if f := m.concept(p.function()); len(f) > 0 {
			o["role"] = list(f)
		}
		set(o, "period", m.period(p.n.one("time")))
		members = append(members, o)
	}
	if members == nil {
		return
	}
	d := m.start("CareTeam", n)
	d.r["status"] = "active"
	d.r["participant"] = members
	if ev["period"] != nil {
		d.r["period"] = ev["period"]
	}
}

func (m *mapper) body(root *node, c, ref *draft) {
	whole := m.security
	if t := root.one("component", "nonXMLBody", "text"); t != nil {
		if a := embedded(t); a != nil {
			push(ref.r, "content", object{"attachment": a})
		}
		push(c.r, "section", object{"title": "Document", "text": object{"status": "empty", "div": divOpen + "The document is an attachment" + divClose}})
	}
	for _, k := range root.one("component", "structuredBody").all("component") {
		if s := k.one("section"); s != nil {
			push(c.r, "section", m.section(s))
			m.security = whole
		}
	}
}

// embedded reads what an ED holds in base 64.
func embedded(t *node) object {
	if t.peek("representation") != "B64" || t.peek("mediaType") == "" {
		return nil
	}
	data := strings.Join(strings.Fields(t.words()), "")
	if b, err := base64.StdEncoding.DecodeString(data); err != nil || len(b) == 0 {
		return nil
	}
	t.say()
	t.feed("mediaType")
	t.pass("representation")
	o := object{"contentType": t.peek("mediaType"), "data": data}
	if l := t.peek("language"); languageTag(l) {
		t.feed("language")
		o["language"] = l
	}
	return o
}

func (m *mapper) section(s *node) object {
	o := object{}
	m.confidential(s.one("confidentialityCode"), nil)
	set(o, "title", m.text(s.one("title")))
	set(o, "code", m.concept(s.one("code")))
	for _, a := range s.all("author") {
		if who, _ := m.assigned(a.one("assignedAuthor")); who != nil {
			push(o, "author", who.ref)
		}
	}
	var refs []any
	seen := map[*draft]bool{}
	for _, e := range s.all("entry") {
		for _, d := range m.entry(e, s) {
			if !seen[d] {
				seen[d] = true
				refs = append(refs, d.ref)
			}
		}
	}
	if div := narrative(s.one("text")); div != "" {
		o["text"] = object{"status": "additional", "div": div}
	}
	set(o, "entry", refs)
	var subs []any
	was := m.security
	for _, k := range s.all("component") {
		if sub := k.one("section"); sub != nil {
			subs = append(subs, m.section(sub))
			m.security = was
		}
	}
	set(o, "section", subs)
	if len(refs) == 0 && len(subs) == 0 && (o["text"] == nil || s.peek("nullFlavor") != "") {
		why := map[string]string{"NASK": "notasked", "MSK": "withheld"}[s.peek("nullFlavor")]
		if why == "" {
			why = "unavailable"
		}
		if why == "unavailable" {
			s.pass("nullFlavor")
		} else {
			s.feed("nullFlavor")
		}
		o["emptyReason"] = coding("http://terminology.hl7.org/CodeSystem/list-empty-reason", why)
		if o["text"] == nil {
			o["text"] = object{"status": "empty", "div": divOpen + "No text was provided" + divClose} // cmp-1
		}
	}
	return o
}
