package ips

import (
	"bytes"
	"encoding/json"

	"salus/fhir"
)

type (
	coding struct {
		System  string `json:"system"`
		Code    string `json:"code"`
		Display string `json:"display,omitempty"`
	}
	codeable struct {
		Coding []coding `json:"coding"`
		Text   string   `json:"text,omitempty"`
	}
	reference struct {
		Reference string `json:"reference"`
	}
	identifier struct {
		System string `json:"system"`
		Value  string `json:"value"`
	}
	meta struct {
		Profile []string `json:"profile"`
	}
	narrative struct {
		Status string `json:"status"`
		Div    string `json:"div"`
	}
	part struct {
		Title       string      `json:"title"`
		Code        codeable    `json:"code"`
		Text        narrative   `json:"text"`
		Entry       []reference `json:"entry,omitempty"`
		EmptyReason *codeable   `json:"emptyReason,omitempty"`
	}
	composition struct {
		ResourceType    string      `json:"resourceType"`
		ID              string      `json:"id"`
		Meta            meta        `json:"meta"`
		Language        string      `json:"language"`
		Text            narrative   `json:"text"`
		Identifier      identifier  `json:"identifier"`
		Status          string      `json:"status"`
		Type            codeable    `json:"type"`
		Subject         reference   `json:"subject"`
		Date            string      `json:"date"`
		Author          []reference `json:"author"`
		Title           string      `json:"title"`
		Confidentiality string      `json:"confidentiality"`
		Custodian       *reference  `json:"custodian,omitempty"`
		Section         []part      `json:"section"`
	}
	deviceName struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	author struct {
		ResourceType string       `json:"resourceType"`
		ID           string       `json:"id"`
		Text         narrative    `json:"text"`
		DeviceName   []deviceName `json:"deviceName"`
	}
	organization struct {
		ResourceType string    `json:"resourceType"`
		ID           string    `json:"id"`
		Text         narrative `json:"text"`
		Name         string    `json:"name"`
	}
	entry struct {
		FullURL  string          `json:"fullUrl"`
		Resource json.RawMessage `json:"resource"`
	}
	bundle struct {
		ResourceType string     `json:"resourceType"`
		ID           string     `json:"id"`
		Meta         meta       `json:"meta"`
		Identifier   identifier `json:"identifier"`
		Type         string     `json:"type"`
		Timestamp    string     `json:"timestamp"`
		Entry        []entry    `json:"entry"`
	}
)

// encode writes the document.
func (d *document) encode() []byte {
	version := "|2.0.0"
	if d.Edition == V110 {
		version = "|1.1.0"
	}
	at := d.At.UTC().Format("2006-01-02T15:04:05.000Z")
	self := identifier{"urn:ietf:rfc:3986", "urn:uuid:" + d.ID}
	device, keeper := d.made("author"), d.made("custodian")
	c := composition{
		ResourceType: "Composition", ID: d.made("composition"), Meta: meta{[]string{Composition + version}}, Language: "en",
		Text: narrative{"generated", paragraphs(append([]string{"Patient summary of " + d.row(d.subject).what}, d.Notes...)...)}, Identifier: self,
		Status: "final", Type: codeable{Coding: []coding{{System: loinc, Code: "60591-5"}}}, Subject: reference{d.url(d.subject.key())}, Date: at,
		Author: []reference{{"urn:uuid:" + device}}, Title: "International Patient Summary", Confidentiality: d.confidentiality(),
	}
	b := bundle{ResourceType: "Bundle", ID: d.ID, Meta: meta{[]string{profiles + "Bundle-uv-ips" + version}}, Identifier: self, Type: "document", Timestamp: at, Entry: make([]entry, 1)}
	for _, it := range d.order {
		e := emitter{resolve: d.resolve}
		e.resource(it.n, about(it.typ, d.row(it)))
		b.Entry = append(b.Entry, entry{d.url(it.key()), bytes.Clone(e.b.Bytes())})
	}
	for i := range sections {
		p, more := d.section(i)
		if p != nil {
			c.Section = append(c.Section, *p)
		}
		if more != nil {
			b.Entry = append(b.Entry, *more)
		}
	}
	b.Entry = append(b.Entry, entry{"urn:uuid:" + device, encode(author{"Device", device, narrative{"generated", paragraphs(d.Author)}, []deviceName{{d.Author, "user-friendly-name"}}})})
	if d.Custodian != "" {
		c.Custodian = &reference{"urn:uuid:" + keeper}
		b.Entry = append(b.Entry, entry{c.Custodian.Reference, encode(organization{"Organization", keeper, narrative{"generated", paragraphs(d.Custodian)}, d.Custodian})})
	}
	b.Entry[0] = entry{"urn:uuid:" + c.ID, encode(c)}
	return encode(b)
}

// section makes a section; nil if it is left out. The entry is one that is made to say that there is
// nothing.
func (d *document) section(i int) (p *part, made *entry) {
	s, list := &sections[i], d.in[i]
	if len(list) == 0 && !s.required {
		return nil, nil
	}
	p = &part{Title: s.title, Code: codeable{Coding: []coding{{System: loinc, Code: s.code}}}}
	var rows [][]string
	structured := false
	for _, it := range list {
		c := d.row(it)
		rows = append(rows, []string{c.what, c.status, c.detail, c.date})
		p.Entry = append(p.Entry, reference{d.url(it.key())})
		structured = structured || it.typ != "DocumentReference"
	}
	switch {
	case len(list) > 0:
		p.Text = narrative{"generated", table([]string{s.what, "Status", "Details", "Date"}, rows)}
	default:
		p.Text = narrative{"generated", paragraphs(s.none)}
	}
	switch {
	case !s.required || structured:
	case d.Edition == V110:
		id := d.made(s.code)
		_, raw := s.noInformation(id, d.url(d.subject.key()))
		p.Entry = append(p.Entry, reference{"urn:uuid:" + id})
		return p, &entry{"urn:uuid:" + id, raw}
	case len(list) == 0:
		p.EmptyReason = s.emptyReason(d.Withheld)
	}
	return p, nil
}

// confidentiality is that of the most confidential resource (v3-Confidentiality).
func (d *document) confidentiality() string {
	level := "N"
	for _, it := range d.order {
		for _, l := range fhir.LabelsOf(it.res) {
			switch {
			case l == fhir.V:
				return "V"
			case l.Sensitive():
				level = "R"
			}
		}
	}
	return level
}

// encode is JSON without the escapes that only HTML needs.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("ips: internal error: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
