// Package fromfhir maps FHIR R4 resources to HL7 v2.5.1 messages: the tables of package tofhir, which are HL7's,
// read the other way round (docs/fhir-to-hl7v2.md).
//
//	fromfhir.go  a change of a resource becomes a message
//	event.go     which messages a change of a resource calls for
//	segment.go   the table's rows, read backwards
//	datatype.go  codes, identifiers, times, numbers
//	party.go     names, addresses, and what a resource refers to
//	visit.go     ADT: persons, visits, merges
//	order.go     ORU, OML, ORM, VXU: orders, results, immunizations
//	document.go  MDM, SIU, DFT: documents, appointments, charges
//	wire.go      fields, separators, escapes
//	json.go      resources as they are read
//	notice.go    what has to go with a message
//	lost.go      what a message does not say
//
// Its contract: the same change, context and Options give the same bytes. Text of a resource never ends a field, a
// repetition or a segment, and never takes something away at the receiver ("" is escaped). Decimals have the
// digits that are stored. What a resource says and its message cannot is listed in the document above, and by Lost of each; a status that
// has no code in HL7's table is left out, never guessed. Whatever JSON comes, nothing panics.
//
// The package must never decide who may be told something: Source does, and what it refuses ends the message. It
// must not read a clock, touch a store or the network, or put a value of a resource into an error.
package fromfhir

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Errors of Map. What Source returns is passed on.
var (
	ErrEvent   = errors.New("fromfhir: no such message of that type of resource")
	ErrJSON    = errors.New("fromfhir: the resource is no FHIR JSON")
	ErrPatient = errors.New("fromfhir: the resource names no patient that can be read")
	ErrEmpty   = errors.New("fromfhir: the resource says nothing that the message could carry")
)

// A Source reads what a resource refers to.
type Source interface {
	// Read returns the JSON of a resource by its relative reference ("Patient/1"); nil where there is none. An error
	// ends the message: what it would have to hold may not be told, or cannot be read now.
	Read(ctx context.Context, reference string) ([]byte, error)
}

// Options say for whom and by whom messages are made.
type Options struct {
	Base                 string            // of the FHIR server: names resources that have no identifier of their own
	Authorities          map[string]string // assigning authority (namespace or universal id) to system URI
	CodeSystems          map[string]string // name of a coding system to its URI
	Application, Sender  string            // MSH-3, MSH-4
	Receiver, ReceiverAt string            // MSH-5, MSH-6
	Processing           string            // MSH-11; "P" if empty
}

// A Change is a version of a resource that is told of.
type Change struct {
	Resource  []byte
	Event     string    // of Events
	Control   string    // MSH-10: at most 20 printable ASCII characters
	Time      time.Time // of the version
	First     bool      // it is the resource's first
	Encounter []byte    // of ADT^A08 of a Patient: the visit; nil: none
	Other     []byte    // of ADT^A37: the Patient from whom the link was taken away
}

// Events are all messages that can be made, by code and trigger event.
func Events() []string {
	return []string{
		"ADT^A01", "ADT^A03", "ADT^A04", "ADT^A05", "ADT^A08", "ADT^A11", "ADT^A13", "ADT^A28", "ADT^A31", "ADT^A37", "ADT^A40",
		"DFT^P03", "MDM^T02", "MDM^T11", "OML^O21", "ORM^O01", "ORU^R01",
		"SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S17", "SIU^S26", "VXU^V04",
	}
}

// Known says whether there is a message of a code ("ADT") or a code and event ("ADT^A01").
func Known(name string) bool {
	return slices.ContainsFunc(Events(), func(e string) bool { return e == name || len(name) == 3 && strings.HasPrefix(e, name+"^") })
}

// structures are MSH-9.3 where it is not code and event (HL7 v2.5.1, table 0354).
var structures = map[string]string{
	"ADT^A04": "ADT_A01", "ADT^A08": "ADT_A01", "ADT^A13": "ADT_A01", "ADT^A28": "ADT_A05", "ADT^A31": "ADT_A05", "ADT^A11": "ADT_A09", "ADT^A40": "ADT_A39",
	"MDM^T11": "MDM_T01", "SIU^S13": "SIU_S12", "SIU^S14": "SIU_S12", "SIU^S15": "SIU_S12", "SIU^S17": "SIU_S12", "SIU^S26": "SIU_S12",
}

// A maker makes one message.
type maker struct {
	ctx     context.Context //nolint:containedctx // of one call of Map
	o       Options
	src     Source
	c       Change
	root    object
	code    string
	event   string
	known   map[string]object // what was read, by reference
	patient string
	out     []*segment
}

// Map makes the message of a change. Errors: those above, or what Source returns.
func Map(ctx context.Context, c Change, src Source, o Options) ([]byte, error) {
	root := decode(c.Resource)
	if root == nil {
		return nil, ErrJSON
	}
	m := &maker{ctx: ctx, o: o, src: src, c: c, root: root, known: map[string]object{}}
	m.code, m.event, _ = strings.Cut(c.Event, "^")
	if !slices.Contains(Events(), c.Event) {
		return nil, ErrEvent
	}
	m.head()
	kind := str(root["resourceType"])
	var err error
	switch {
	case m.code == "ADT" && kind == "Patient":
		err = m.person()
	case m.code == "ADT" && kind == "Encounter":
		err = m.visit()
	case m.code == "ORU" && kind == "DiagnosticReport":
		err = m.results()
	case (m.code == "OML" || m.code == "ORM") && kind == "ServiceRequest":
		err = m.order()
	case m.code == "VXU" && kind == "Immunization":
		err = m.immunization()
	case m.code == "MDM" && kind == "DocumentReference":
		err = m.document()
	case m.code == "SIU" && kind == "Appointment":
		err = m.appointment()
	case m.code == "DFT" && (kind == "ChargeItem" || kind == "Claim"):
		err = m.charges(kind)
	default:
		err = ErrEvent
	}
	if err != nil {
		return nil, err
	}
	return encode(m.out), nil
}

// head writes MSH, and EVN where the message has one.
func (m *maker) head() {
	structure := structures[m.c.Event]
	if structure == "" {
		structure = m.code + "_" + m.event
	}
	processing := m.o.Processing
	if processing == "" {
		processing = "P"
	}
	at := m.c.Time.UTC().Format("20060102150405") + "+0000"
	h := m.segment("MSH")
	h.set(3, escape(m.o.Application))
	h.set(4, escape(m.o.Sender))
	h.set(5, escape(m.o.Receiver))
	h.set(6, escape(m.o.ReceiverAt))
	h.set(7, at)
	h.set(9, components(m.code, m.event, structure))
	h.set(10, escape(m.c.Control))
	h.set(11, escape(processing))
	h.set(12, "2.5.1")
	h.set(18, "UNICODE UTF-8")
	switch m.code {
	case "ADT", "MDM", "DFT":
		m.segment("EVN").set(2, at)
	}
}

// pid writes the person whom the message is about, and PD1.
func (m *maker) pid(ref string) (*segment, error) {
	p, err := m.read(ref)
	if err != nil {
		return nil, err
	}
	if p == nil || str(p["resourceType"]) != "Patient" {
		return nil, ErrPatient
	}
	return m.personOf(p, ref)
}

func (m *maker) personOf(p object, ref string) (*segment, error) {
	m.patient = ref
	s := m.segment("PID")
	s.set(1, "1")
	if err := m.rows(s, p); err != nil {
		return nil, err
	}
	for _, x := range objects(obj(p["_birthDate"])["extension"]) {
		if t := str(x["valueDateTime"]); strings.HasSuffix(str(x["url"]), "/patient-birthTime") && day(t) == str(p["birthDate"]) {
			s.set(7, when(t))
		}
	}
	if s.get(3) == "" {
		s.set(3, m.own("Patient", ref, ""))
	}
	if s.get(5) == "" {
		s.set(5, components("", "", "", "", "", "", "U")) // name not known: PID-5 is required
	}
	d := m.loose("PD1")
	if err := m.rows(d, p); err != nil {
		return nil, err
	}
	m.add(d)
	return s, nil
}

// own is a CX of a resource that has no identifier: its id at this server.
func (m *maker) own(kind, ref, typ string) string {
	id := ref[strings.LastIndexByte(ref, '/')+1:]
	if id == "" {
		return ""
	}
	return components(escape(id), "", "", subs("", escape(m.o.Base+"/"+kind), "URI"), typ)
}

// ownEI is that as an EI.
func (m *maker) ownEI(kind string, o object) string {
	id := str(o["id"])
	if id == "" {
		return ""
	}
	return components(escape(id), "", escape(m.o.Base+"/"+kind), "URI")
}
