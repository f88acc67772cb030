package ccda

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // Attachment.hash is SHA-1 (R4, datatypes) // Attachment.hash of FHIR R4 is SHA-1; never a commitment
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Source is the guide that the maps follow.
const Source = "HL7/ccda-on-fhir 2ecc324bb9225a76f321b2df01e6515dec9bcc3a"

// Options of Map. Zone is where times without a zone were written; nil keeps of
// them the date alone.
type Options struct{ Zone *time.Location }

// A Result is a transaction Bundle, the SHA-256 of the document, and what of the
// document went into no other resource than its DocumentReference.
type Result struct {
	Bundle   []byte
	Hash     [32]byte
	Unmapped []Unmapped
}

type mapper struct {
	o        Options
	byID     map[string]*node
	doc      string // seed of derived identifiers
	patient  object // reference
	entries  []any
	keys     map[string]bool
	unmapped []Unmapped
}

// Map reads a document. Errors are *Error.
func Map(src []byte, o Options) (*Result, error) {
	root, err := parse(src)
	if err != nil {
		return nil, err
	}
	m := &mapper{o: o, byID: map[string]*node{}, keys: map[string]bool{}}
	index(root, m.byID)
	ids := identifiers(root.all("id"))
	if len(ids) != 1 {
		return nil, &Error{Code: CodeID}
	}
	id := ids[0].(object)
	m.doc = fmt.Sprintf("%s|%s", id["system"], id["value"])
	targets := root.all("recordTarget")
	if len(targets) != 1 || targets[0].one("patientRole") == nil {
		return nil, &Error{Code: CodePatient}
	}
	if err := m.person(targets[0].one("patientRole")); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(src)
	m.document(root, id, src)
	unread(root, "", &m.unmapped)
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(object{"resourceType": "Bundle", "type": "transaction", "entry": m.entries}); err != nil {
		return nil, fmt.Errorf("ccda: encode: %w", err)
	}
	return &Result{Bundle: bytes.TrimSpace(buf.Bytes()), Hash: sum, Unmapped: m.unmapped}, nil
}

func index(n *node, into map[string]*node) {
	if id := n.attr["ID"]; id != "" && into[id] == nil {
		into[id] = n
	}
	for _, k := range n.kids {
		index(k, into)
	}
}

func (m *mapper) lost(n *node, reason string) {
	template := ""
	for at := n; at != nil && template == ""; at = at.parent {
		if r := at.one("templateId").a("root"); oid(r) {
			template = r
		}
	}
	m.unmapped = append(m.unmapped, Unmapped{template, n.path(), reason})
}

// add puts a resource into the Bundle under its first identifier, or one that is
// derived from the document's and the place, and gives a reference to it. Who and
// where (once) is created only if it is not there; clinical content is updated.
func (m *mapper) add(r object, n *node, once bool) object {
	kind := r["resourceType"].(string)
	ids, _ := r["identifier"].([]any)
	one, single := r["identifier"].(object)
	if single {
		ids = list(one)
	}
	key := func(id object) string { return fmt.Sprintf("%s|%s", id["system"], id["value"]) }
	for _, id := range ids {
		if m.keys[kind+key(id.(object))] {
			m.lost(n.one("id"), ReasonDuplicate)
			ids = nil
			break
		}
	}
	if len(ids) == 0 {
		ids = list(object{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:" + uuid(kind, m.doc, n.path())})
		r["identifier"] = ids
		if single {
			r["identifier"] = ids[0]
		}
	}
	for _, id := range ids {
		m.keys[kind+key(id.(object))] = true
	}
	k := key(ids[0].(object))
	full := "urn:uuid:" + uuid(kind, k, "")
	query := "identifier=" + escape(k)
	req := object{"method": "PUT", "url": kind + "?" + query}
	if once {
		req = object{"method": "POST", "url": kind, "ifNoneExist": query}
	}
	m.entries = append(m.entries, object{"fullUrl": full, "resource": r, "request": req})
	return object{"reference": full}
}

// escape makes a token of a search: its own separators by backslash, the rest by percent.
func escape(k string) string {
	i := strings.LastIndexByte(k, '|')
	sep := strings.NewReplacer(`\`, `\\`, ",", `\,`, "$", `\$`, "|", `\|`)
	if j := strings.IndexByte(k, '|'); j >= 0 {
		i = j
	}
	s := sep.Replace(k[:i]) + "|" + sep.Replace(k[i+1:])
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("-._~:/|", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func uuid(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func (m *mapper) person(role *node) error {
	ids := identifiers(role.all("id"))
	if len(ids) == 0 {
		return &Error{Code: CodePatient}
	}
	p := role.one("patient")
	r := object{"resourceType": "Patient", "identifier": ids}
	set(r, "name", names(p.all("name")))
	set(r, "telecom", telecoms(role.all("telecom")))
	set(r, "address", addresses(role.all("addr")))
	if g := p.one("administrativeGenderCode"); g.a("code") != "" {
		set(r, "gender", map[string]string{"M": "male", "F": "female", "UN": "other"}[g.a("code")])
		if r["gender"] != nil {
			g.take()
		}
	}
	if b := m.moment(p.one("birthTime")); b != "" {
		r["birthDate"] = b[:min(len(b), 10)]
	}
	set(r, "maritalStatus", m.concept(p.one("maritalStatusCode")))
	if t := m.moment(p.one("sdtc:deceasedTime")); t != "" {
		r["deceasedDateTime"] = t
	} else if d := p.one("sdtc:deceasedInd"); d.a("value") == "true" || d.a("value") == "false" {
		r["deceasedBoolean"] = d.take().a("value") == "true"
	}
	m.patient = m.add(r, role, true)
	return nil
}

func (m *mapper) document(root *node, id object, src []byte) {
	date := m.moment(root.one("effectiveTime"))
	kind := m.must(root.one("code"))
	title := m.text(root.one("title"))
	if title == "" {
		title = "Clinical document"
	}
	hash := sha1.Sum(src) //nolint:gosec // as above
	ref := object{
		"resourceType": "DocumentReference", "identifier": list(id), "status": "current", "type": kind, "subject": m.patient,
		"content": list(object{"attachment": object{
			"contentType": "text/xml", "data": base64.StdEncoding.EncodeToString(src),
			"hash": base64.StdEncoding.EncodeToString(hash[:]), "size": len(src), "title": title,
		}}),
	}
	if len(date) > 10 {
		ref["date"] = date
	}
	m.add(ref, root, false)
	c := object{
		"resourceType": "Composition", "identifier": id, "status": "final", "type": kind, "subject": m.patient, "title": title,
		"author": list(absent(nil)),
	}
	if date != "" {
		c["date"] = date
	} else {
		c["_date"] = absent(root.one("effectiveTime"))
	}
	if code := root.one("confidentialityCode"); code.a("code") != "" && len(code.a("code")) == 1 && strings.Contains("ULMNRV", code.a("code")) {
		c["confidentiality"] = code.take().a("code")
	}
	var sections []any
	for _, k := range root.one("component", "structuredBody").all("component") {
		if s := k.one("section"); s != nil {
			sections = append(sections, m.section(s))
		}
	}
	set(c, "section", sections)
	m.add(c, root, false)
}

func (m *mapper) section(s *node) object {
	o := object{}
	set(o, "title", m.text(s.one("title")))
	set(o, "code", m.concept(s.one("code")))
	var refs []any
	for _, e := range s.all("entry") {
		refs = append(refs, m.entry(e, s)...)
	}
	if div := narrative(s.one("text")); div != "" {
		o["text"] = object{"status": "generated", "div": div}
		s.one("text").take()
	}
	set(o, "entry", refs)
	var subs []any
	for _, k := range s.all("component") {
		if sub := k.one("section"); sub != nil {
			subs = append(subs, m.section(sub))
		}
	}
	set(o, "section", subs)
	if len(refs) == 0 && len(subs) == 0 && o["text"] == nil {
		o["emptyReason"] = coding("http://terminology.hl7.org/CodeSystem/list-empty-reason", "unavailable")
		o["text"] = object{"status": "empty", "div": `<div xmlns="http://www.w3.org/1999/xhtml">No text was provided</div>`} // cmp-1
	}
	return o
}
