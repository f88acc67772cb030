package ccda

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
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
	root     *node
	byID     map[string]*node
	doc      string // seed of derived identifiers
	self     string // the patient's first identifier, as key gives it
	selves   map[string]bool
	patient  *draft
	visit    *draft // the encompassing encounter
	drafts   []*draft
	ids      map[string]*draft // by identifier, for references between entries
	people   map[string]*draft // who and where, by kind and content
	source   object            // the document's identifier
	later    []func()
	prov     []*origin
	security []any // of the section at hand
	unmapped []Unmapped
	budget   int // bytes of narrative that entries may repeat
}

// Map reads a document. Errors are *Error.
func Map(src []byte, o Options) (*Result, error) {
	m, err := run(src, o)
	if err != nil {
		return nil, err
	}
	m.leftovers(m.root, "")
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(object{"resourceType": "Bundle", "type": "transaction", "entry": m.entries()}); err != nil {
		return nil, fmt.Errorf("ccda: encode: %w", err)
	}
	return &Result{Bundle: bytes.TrimSpace(buf.Bytes()), Hash: sha256.Sum256(src), Unmapped: m.unmapped}, nil
}

// run does all of Map but to encode and to report what is left.
func run(src []byte, o Options) (*mapper, error) {
	root, err := parse(src)
	if err != nil {
		return nil, err
	}
	m := &mapper{o: o, root: root, byID: map[string]*node{}, ids: map[string]*draft{}, people: map[string]*draft{}, selves: map[string]bool{}}
	index(root, m.byID)
	m.budget = 1<<20 + 8*len(src)
	ids := m.identifiers(root.all("id"))
	if len(ids) != 1 || key(ids[0]) == "" {
		return nil, &Error{Code: CodeID}
	}
	m.source = ids[0].(object)
	m.doc = key(m.source)
	targets := root.all("recordTarget")
	if len(targets) != 1 || targets[0].one("patientRole") == nil {
		return nil, &Error{Code: CodePatient}
	}
	if err := m.person(targets[0].one("patientRole")); err != nil {
		return nil, err
	}
	m.document(root, src)
	for len(m.later) > 0 {
		do := m.later[0]
		m.later = m.later[1:]
		do()
	}
	m.settle()
	m.disjoin()
	m.provenance()
	return m, nil
}

func index(n *node, into map[string]*node) {
	if id := n.peek("ID"); id != "" && into[id] == nil {
		into[id] = n
	}
	for _, k := range n.kids {
		index(k, into)
	}
}

// A draft is a resource that is being made. References to it are its ref, which is
// filled in at the end, so that what turns out to be one resource is one.
type draft struct {
	kind    string
	r, ref  object
	n       *node // where it comes from
	key     string
	once    bool // created only if it is not there: who and where
	gone    bool // another draft took its place
	authors []author
}

// subject is the element that names the patient, by type; "" for none.
func subject(kind string) string {
	switch kind {
	case "AllergyIntolerance", "Immunization", "FamilyMemberHistory", "Device", "RelatedPerson":
		return "patient"
	case "Coverage":
		return "beneficiary"
	case "Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Medication", "Provenance":
		return ""
	}
	return "subject"
}

// make starts a resource from n under its identifiers.
func (m *mapper) make(kind string, n *node) *draft {
	d := m.draft(kind, n, object{"resourceType": kind})
	if s := subject(kind); s != "" {
		d.r[s] = m.patient.ref
	}
	return d
}

// draft keeps r; until it is settled, its reference is its place among the drafts.
func (m *mapper) draft(kind string, n *node, r object) *draft {
	d := &draft{kind: kind, n: n, r: r, ref: object{"reference": fmt.Sprintf("draft %d", len(m.drafts))}}
	m.drafts = append(m.drafts, d)
	return d
}

// start is make for an entry: with its identifiers, narrative, authors and informants.
func (m *mapper) start(kind string, n *node) *draft {
	d := m.make(kind, n)
	m.identify(d, n.all("id"))
	if len(m.security) > 0 {
		d.r["meta"] = object{"security": m.security}
	}
	if t := m.story(n.one("text")); t != nil {
		d.r["text"] = t
	}
	m.origins(d, n)
	return d
}

// identify gives d identifiers, and makes it known by them to references in entries.
func (m *mapper) identify(d *draft, nodes []*node) {
	ids := m.identifiers(nodes)
	for _, id := range ids {
		push(d.r, "identifier", id)
		if k := key(id); k != "" {
			if d.key == "" {
				d.key = k
			}
			if m.ids[k] == nil {
				m.ids[k] = d
			}
		}
	}
}

// found gives the resource that the ids of n name.
func (m *mapper) found(n *node) *draft {
	for _, id := range n.all("id") {
		probe := &mapper{}
		if l := probe.identifiers([]*node{{name: "id", attrs: append([]attribute(nil), id.attrs...)}}); len(l) == 1 {
			if d := m.ids[key(l[0])]; d != nil {
				id.feed("root", "extension")
				id.pass("assigningAuthorityName", "displayable")
				return d
			}
		}
	}
	return nil
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// settle gives every draft its place: one key, one resource. Who and where come
// first, then what the entries say, the last first, so that what a resource refers to
// is settled before it is compared with another of its key.
func (m *mapper) settle() {
	taken := map[string]*draft{}
	for _, d := range m.drafts {
		if d.once && !d.gone {
			m.place(d, taken)
		}
	}
	groups := map[string][]*draft{}
	var order []string
	for _, d := range m.drafts {
		if d.once || d.gone {
			continue
		}
		if d.key == "" {
			m.derive(d, d.n.path())
		}
		k := d.kind + " " + d.key
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], d)
		d.ref["reference"] = "urn:uuid:" + uuid(d.kind, m.self, d.key)
	}
	for _, k := range slices.Backward(order) {
		g := groups[k]
		head := g[0]
		for _, d := range g[1:] {
			switch {
			case encoded(unsaid(d.r)) == encoded(unsaid(head.r)):
				d.gone = true
			case d.kind == "Encounter": // guide: an encounter that is told twice is one
				m.merge(head, d)
			default:
				m.note(d.n, "/id", ReasonDuplicate)
				delete(d.r, "identifier")
				m.derive(d, d.n.path())
				d.ref["reference"] = "urn:uuid:" + uuid(d.kind, m.self, d.key)
			}
		}
	}
}

// disjoin takes an identifier away from all but one resource of a type: a condition
// must find one.
func (m *mapper) disjoin() {
	owner := map[string]*draft{}
	for _, d := range m.drafts {
		if !d.gone && !d.once {
			owner[d.kind+" "+d.key] = d
		}
	}
	for _, d := range m.drafts {
		ids, many := d.r["identifier"].([]any)
		if d.gone || d.once || !many {
			continue
		}
		var mine []any
		for _, id := range ids {
			k := key(id)
			if o := owner[d.kind+" "+k]; k != "" && o != nil && o != d {
				m.note(d.n, "/id", ReasonDuplicate)
				continue
			}
			if k != "" {
				owner[d.kind+" "+k] = d
			}
			if len(mine) < maxMerged && !slices.ContainsFunc(mine, func(x any) bool { return k != "" && key(x) == k }) {
				mine = append(mine, id)
			}
		}
		d.r["identifier"] = mine
	}
}

// unsaid is a resource without its narrative.
func unsaid(r object) object {
	out := object{}
	for k, v := range r {
		if k != "text" {
			out[k] = v
		}
	}
	return out
}

// place settles who or where: what shares an identifier is one.
func (m *mapper) place(d *draft, taken map[string]*draft) {
	ids, _ := d.r["identifier"].([]any)
	for _, id := range ids {
		if k := key(id); k != "" {
			if old := taken[d.kind+" "+k]; old != nil {
				m.merge(old, d)
				for _, id := range ids {
					if k := key(id); k != "" {
						taken[d.kind+" "+k] = old
					}
				}
				return
			}
		}
	}
	if d.key == "" {
		m.derive(d, encoded(d.r))
		if old := taken[d.kind+" "+d.key]; old != nil {
			d.gone = true
			d.ref["reference"] = old.ref["reference"]
			return
		}
		taken[d.kind+" "+d.key] = d
	}
	for _, id := range ids {
		if k := key(id); k != "" {
			taken[d.kind+" "+k] = d
		}
	}
	d.ref["reference"] = "urn:uuid:" + uuid(d.kind, "", d.key)
}

// derive gives d an identifier of its own from the document's and seed.
func (m *mapper) derive(d *draft, seed string) {
	id := object{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:" + uuid(d.kind, m.doc, seed)}
	d.key = key(id)
	switch d.kind {
	case "Provenance": // has no identifier in R4
	case "Composition":
		d.r["identifier"] = id
	default:
		l, _ := d.r["identifier"].([]any)
		d.r["identifier"] = append([]any{id}, l...)
	}
}

// merge puts what d has and old has not into old, and reports what differs.
func (m *mapper) merge(old, d *draft) {
	d.gone = true
	d.ref["reference"] = old.ref["reference"]
	for k, v := range d.r {
		was, ok := old.r[k]
		switch {
		case !ok:
			old.r[k] = v
		case k == "text" || encoded(was) == encoded(v):
		default:
			a, ok1 := was.([]any)
			b, ok2 := v.([]any)
			if !ok1 || !ok2 {
				m.conflict(d.n)
				continue
			}
			for _, x := range b {
				if len(a) >= maxMerged {
					m.conflict(d.n)
					break
				}
				if !has(a, x) {
					a = append(a, x)
				}
			}
			old.r[k] = a
		}
	}
}

// maxMerged bounds the lists of a resource that is told many times.
const maxMerged = 100

func (m *mapper) conflict(n *node) {
	last := len(m.unmapped) - 1
	if last < 0 || m.unmapped[last].Reason != ReasonConflict || m.unmapped[last].Path != n.path() {
		m.note(n, "", ReasonConflict)
	}
}

func has(l []any, x any) bool {
	want := encoded(x)
	for _, y := range l {
		if encoded(y) == want {
			return true
		}
	}
	return false
}

// entries lists what the Bundle asks for. Who and where is created only if it is not
// there; clinical content is updated. The condition of clinical content names the
// patient too: documents reuse ids, and nobody's record may be taken for another's.
func (m *mapper) entries() []any {
	var out []any
	for _, d := range m.drafts {
		if d.gone {
			continue
		}
		query := "identifier=" + escape(d.key)
		switch {
		case d.kind == "Provenance":
			query = "_tag=" + escape(d.key)
		case d.kind == "SupplyRequest": // R4 has no parameter patient there
			query += "&subject:Patient.identifier=" + escape(m.self)
		case !d.once:
			query += "&patient.identifier=" + escape(m.self)
		}
		req := object{"method": "PUT", "url": d.kind + "?" + query}
		if d.once {
			req = object{"method": "POST", "url": d.kind, "ifNoneExist": query}
		}
		out = append(out, object{"fullUrl": d.ref["reference"], "resource": d.r, "request": req})
	}
	return out
}

func split(k string) (system, value string) {
	system, value, _ = strings.Cut(k, "|")
	return system, value
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
