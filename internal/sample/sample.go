// Package sample makes FHIR R4 records of patients who do not exist, for demonstrations,
// tests, and the training of the compression dictionary.
//
// Everything is drawn from the seed: the same seed gives the same bytes, on every machine
// and in every version (examples/patients holds some, and a test compares). The patients
// are plainly synthetic ("Sample Patient 0007", born on the first of a month, living in
// "Sampletown"); the codes are real (LOINC, SNOMED CT, RxNorm, CVX, ICD-10-CM).
//
// The package must never read real records, and nothing in it may look like a real person.
package sample

import (
	"bytes"
	"fmt"
	"strings"
)

// Bundle returns a transaction Bundle with n resources of one patient (at least 1; 60 to
// 200 tell a rich story), one entry a line. The Patient comes first; references within the
// Bundle are urn:uuid.
func Bundle(seed uint64, n int) []byte {
	g := newGenerator(seed, "urn:uuid:")
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[` + "\n")
	for i, r := range g.resources(n) {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, `{"fullUrl":"urn:uuid:%s","resource":%s,"request":{"method":"POST","url":"%s"}}`, r.id, r.json, r.typ)
	}
	b.WriteString("\n]}\n")
	return b.Bytes()
}

// NDJSON returns n resources of one patient, one a line, with references like
// "Patient/<id>", as a FHIR Bulk Data export has them.
func NDJSON(seed uint64, n int) []byte {
	g := newGenerator(seed, "")
	var b bytes.Buffer
	for _, r := range g.resources(n) {
		b.WriteString(r.json)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// Name returns the name of the patient of a seed, as it stands in the Patient resource.
func Name(seed uint64) string { return fmt.Sprintf("Sample Patient %04d", seed%10000) }

// A resource is one generated resource.
type resource struct{ typ, id, json string }

// A generator draws one patient. It is not safe for concurrent use.
type generator struct {
	seed   uint64
	state  uint64
	own    uint64 // of the seed, in every id: the sequences of seeds beside each other are the same, one step apart
	prefix string // of references: "urn:uuid:", or "" for Type/id
	plain  bool   // no meta, as some systems export
	story  story

	patient, practitioner, organization, coverage string // ids
	out                                           []resource
	now                                           clock
}

func newGenerator(seed uint64, prefix string) *generator {
	g := &generator{seed: seed, state: seed*0x9e3779b97f4a7c15 + 0x2545f4914f6cdd1d, prefix: prefix}
	g.own = (&generator{state: ^seed * 0xd1342543de82ef95}).next()
	g.patient, g.practitioner, g.organization, g.coverage = g.uuid(), g.uuid(), g.uuid(), g.uuid()
	g.plain = seed%2 == 1
	g.story = stories[seed%uint64(len(stories))]
	return g
}

// next is splitmix64 (Steele, Lea, Flood, OOPSLA 2014), written out so that the sequence
// never changes with a library.
func (g *generator) next() uint64 {
	g.state += 0x9e3779b97f4a7c15
	z := g.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (g *generator) below(n int) int { return int(g.next() >> 11 % uint64(n)) }

// uuid returns a version 4 UUID (RFC 9562) of the sequence.
func (g *generator) uuid() string {
	a, b := g.next()^g.own, g.next()^g.own
	a = a&^0xf000 | 0x4000
	b = b&^(3<<62) | 2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
}

// decimal returns a number from low to high in steps of 0.1 or, with whole, of 1.
func (g *generator) decimal(low, high float64, whole bool) string {
	tenths := int(low*10) + g.below(int((high-low)*10)+1)
	if whole {
		return fmt.Sprint(tenths / 10)
	}
	return fmt.Sprintf("%d.%d", tenths/10, tenths%10)
}

// add keeps a resource; element holds its elements after the meta, without braces.
func (g *generator) add(typ, id, security string, elements ...string) string {
	meta := ""
	if parts := g.meta(typ, security); parts != "" {
		meta = `"meta":{` + parts + `},`
	}
	g.out = append(g.out, resource{typ, id, `{"resourceType":"` + typ + `","id":"` + id + `",` + meta + strings.Join(elements, ",") + `}`})
	return id
}

func (g *generator) meta(typ, security string) string {
	var parts []string
	if !g.plain {
		parts = append(parts, `"versionId":"1","lastUpdated":"`+g.now.instant(g.below(1000))+`"`)
		if p := profiles[typ]; p != "" {
			parts = append(parts, `"profile":["http://hl7.org/fhir/us/core/StructureDefinition/`+p+`"]`)
		}
	}
	if security != "" {
		parts = append(parts, `"security":[`+security+`]`)
	}
	return strings.Join(parts, ",")
}

// ref returns a Reference element.
func (g *generator) ref(element, typ, id string) string {
	return `"` + element + `":` + g.refObject(typ, id, "")
}

func (g *generator) refObject(typ, id, display string) string {
	target := g.prefix + id
	if g.prefix == "" {
		target = typ + "/" + id
	}
	if display != "" {
		return `{"reference":"` + target + `","display":"` + display + `"}`
	}
	return `{"reference":"` + target + `"}`
}

// resources returns the first n resources of the patient's story.
func (g *generator) resources(n int) []resource {
	n = max(n, 1)
	g.begin()
	for visit := 0; len(g.out) < n; visit++ {
		g.visit(visit)
	}
	return g.out[:n]
}
