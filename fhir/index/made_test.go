package index

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/element"
	"salus/fhir/fhirpath"
	"salus/fhir/search"
)

// A maker makes resources of every type from the definitions: structurally right, and without sense.
type maker struct {
	*rand.Rand
	x     *Index
	types []string
	nodes int
}

func newMaker(seed uint64) *maker {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 1)), x: fast()}
	for _, typ := range m.x.set.Types() {
		if m.x.Known(typ) {
			m.types = append(m.types, typ)
		}
	}
	return m
}

// resource makes one in which every element is as likely as share says.
func (m *maker) resource(typ, id string, share float64) fhir.Resource {
	m.nodes = 0
	o := m.object(m.x.model.Type(typ), 0, share)
	o["resourceType"], o["id"] = typ, id
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	r, err := fhir.Parse(b)
	if err != nil {
		panic(fmt.Sprint(err, string(b)))
	}
	return r
}

func (m *maker) object(t *element.Type, depth int, share float64) map[string]any {
	o := map[string]any{}
	for i := range t.Fields {
		f := &t.Fields[i]
		switch f.Name {
		case "id", "contained", "implicitRules", "modifierExtension":
			continue
		case "extension":
			if depth == 0 {
				o["extension"] = m.extensions()
			}
			continue
		}
		if depth > 0 && m.Float64() > share || depth > 3 && m.Float64() > share*share || m.nodes > 3000 {
			continue
		}
		opt := f.Types[m.IntN(len(f.Types))]
		if opt.Type == nil {
			continue
		}
		v := m.value(opt.Type, t.Name+"."+f.Name, depth+1, share)
		if v == nil {
			continue
		}
		if f.Many {
			list := []any{v}
			if w := m.value(opt.Type, t.Name+"."+f.Name, depth+1, share); w != nil && m.IntN(3) == 0 {
				list = append(list, w)
			}
			v = list
		}
		o[opt.JSON] = v
	}
	return o
}

// urls are those of extensions that parameters read.
var urls = map[string][]string{
	"http://hl7.org/fhir/StructureDefinition/observation-geneticsGene":                     {"valueCodeableConcept"},
	"http://hl7.org/fhir/StructureDefinition/observation-geneticsDnaVariant":               {"valueString"},
	"http://hl7.org/fhir/StructureDefinition/observation-geneticsAminoAcidChangeName":      {"valueString"},
	"http://hl7.org/fhir/StructureDefinition/patient-extensions-Patient-mothersMaidenName": {"valueString"},
	"http://hl7.org/fhir/StructureDefinition/DiagnosticReport-geneticsAssessedCondition":   {"valueReference"},
	"http://hl7.org/fhir/SearchParameter/device-extensions-Device-din":                     {"valueIdentifier"},
	"http://example.org/fhir/StructureDefinition/participation-agreement":                  {"valueReference"},
	"http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject":              {"valueBoolean"},
	"http://example.org/StructureDefinition/nobody-reads-this":                             {"valueString"},
}

func (m *maker) extensions() (out []any) {
	var all []string
	for u := range urls {
		all = append(all, u)
	}
	slices.Sort(all)
	for _, u := range all {
		name := urls[u][0]
		_, o := m.x.model.Type("Extension").Member(name)
		out = append(out, map[string]any{"url": u, name: m.value(o.Type, "", 2, 0.9)})
	}
	return out
}

func (m *maker) pick(s ...string) string { return s[m.IntN(len(s))] }

func (m *maker) value(t *element.Type, path string, depth int, share float64) any {
	m.nodes++
	switch t.Name {
	case "boolean":
		return m.IntN(2) == 0
	case "integer", "positiveInt", "unsignedInt":
		return m.IntN(1000) + 1
	case "decimal":
		return json.Number(m.pick("0", "1.50", "-2", "3e2", "0.001", "123456.789", "37.0"))
	case "date":
		return m.pick("1999", "2001-02", "2020-02-29", "1969-12-31")
	case "dateTime":
		return m.pick("1999", "2001-02", "2020-02-29", "2011-05-05T11:00:00+02:00", "2015-01-01T00:00:00.123Z")
	case "instant":
		return m.pick("2011-05-05T11:00:00+02:00", "2015-01-01T00:00:00.123Z")
	case "time":
		return "10:00:00"
	case "base64Binary":
		return "AAAA"
	case "code":
		return m.code(path)
	case "id":
		return m.pick("a", "b-1", "C.2")
	case "uri", "url", "canonical", "oid", "uuid":
		u := m.pick("http://example.org/thing/1", "urn:oid:1.2.3", base+"/ValueSet/own", "urn:uuid:5b1c0e7e-6f0e-4a51-9d0a-0d6b7f5a3c11")
		if t.Name == "canonical" && m.IntN(2) == 0 {
			u += "|" + m.pick("1", "2.0.1")
		}
		return u
	case "string", "markdown", "xhtml":
		return m.pick("Plain", "Two  words", "Ärger, größer | $5 \\ x", "naïve", "1")
	case "Reference":
		return m.reference()
	case "Quantity", "Age", "Duration", "Distance", "Count":
		u := m.pick("mg", "g", "mm[Hg]", "{score}", "unheard")
		q := map[string]any{"value": m.value(m.x.model.Type("decimal"), "", depth, share), "unit": u, "system": ucum, "code": u}
		if m.IntN(5) == 0 {
			q["comparator"] = m.pick("<", "<=", ">", ">=")
		}
		if m.IntN(4) == 0 {
			delete(q, "system")
		}
		return q
	case "Range":
		return map[string]any{"low": map[string]any{"value": 1, "code": "g", "system": ucum}, "high": map[string]any{"value": 2.5, "code": "g", "system": ucum}}
	case "Period":
		return map[string]any{"start": m.pick("2001", "2001-02-03"), "end": m.pick("2002", "2003-04-05T10:00:00Z")}
	case "SampledData":
		return map[string]any{"origin": map[string]any{"value": 1, "code": "mV", "system": ucum}, "period": 1, "dimensions": 1, "data": "1 2 E 5"}
	case "Resource":
		return map[string]any{"resourceType": m.pick("Composition", "MessageHeader", "Patient"), "id": "inner"}
	case "Narrative", "Extension":
		return nil
	}
	if t.Kind == element.Primitive || depth > 6 {
		return nil
	}
	if depth > 3 && strings.Contains(t.Name, ".") && m.IntN(3) > 0 {
		return nil
	}
	o := m.object(t, depth, share)
	if len(o) == 0 {
		return nil
	}
	return o
}

// code is one of the required binding, if there is one.
func (m *maker) code(path string) string {
	root, _, _ := strings.Cut(path, ".")
	if def := m.x.set.Type(root); def != nil {
		if e := def.Element(path); e != nil {
			if vs := m.x.set.ValueSet(e.ValueSet); vs != nil && len(vs.Codes) > 0 {
				return vs.Codes[m.IntN(len(vs.Codes))].Code
			}
		}
	}
	return m.pick("a", "b", "code|with,all$of\\them")
}

func (m *maker) reference() any {
	r := map[string]any{}
	switch m.IntN(12) {
	case 0:
		r["reference"] = base + "/" + m.pick("Patient", "Practitioner") + "/own"
	case 1:
		r["reference"] = "https://elsewhere.example/fhir/Patient/far/_history/2"
	case 2:
		r["reference"] = "#c"
	case 3:
		r["display"] = "nobody"
	case 4:
		r["identifier"], r["type"] = map[string]any{"system": "http://example.org/ids", "value": "1"}, m.pick("Patient", "Group", "Practitioner")
	case 5:
		r["reference"] = "urn:uuid:5b1c0e7e-6f0e-4a51-9d0a-0d6b7f5a3c11"
	default:
		r["reference"] = m.pick("Patient", "Practitioner", "Location", "RelatedPerson", "Organization", m.types[m.IntN(len(m.types))]) + "/" + m.pick("1", "2", "x-9")
	}
	return r
}

// noEntries are parameters that no resource has a value of, with the reason.
var noEntries = map[string]string{
	"Patient part-agree":                 "its expression begins with DocumentReference",
	"QuestionnaireResponse item-subject": "it wants an extension of an item; testdata has one",
}

// TestEveryParameterOfEveryTypeIsRead makes resources of every type until each parameter has had an
// entry, and holds both ways of reading against each other.
func TestEveryParameterOfEveryTypeIsRead(t *testing.T) {
	m := newMaker(7)
	made, params := 0, 0
	for _, typ := range m.types {
		missing := map[string]bool{}
		for _, p := range fast().List(typ) {
			if !slices.Contains(stores, p.Code) && noEntries[typ+" "+p.Code] == "" {
				missing[p.Code] = true
			}
		}
		params += len(missing)
		for i := 0; i < 400 && len(missing) > 0 || i < 3; i++ {
			r := m.resource(typ, "x", 0.75)
			entries, err := fast().Entries(r)
			if err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
			had := len(missing)
			entries = spread(typ, entries)
			for j := range entries {
				delete(missing, entries[j].Code)
			}
			if made++; i < 3 || len(missing) < had {
				compare(t, example{fmt.Sprintf("%s %d", typ, i), r})
			}
		}
		for code := range missing {
			t.Errorf("%s.%s: no resource had an entry", typ, code)
		}
	}
	t.Logf("%d types, %d parameters, %d resources", len(m.types), params, made)
}

// TestMadeResourcesAreFoundByTheirEntries does by HTTP what the test before does in memory.
func TestMadeResourcesAreFoundByTheirEntries(t *testing.T) {
	m := newMaker(11)
	var all []example
	for _, typ := range m.types {
		all = append(all, example{typ, m.resource(typ, "made", 0.5)})
	}
	roundTrip(t, all, 40)
}

// readOneWay reports whether no element has a choice twice, as valueString beside valueCode (of those
// the evaluation takes the first, the walk both), and none that is no primitive a "_" before its name
// (which the walk leaves out). Neither is FHIR.
func readOneWay(e element.Element) bool {
	seen := map[*element.Field]bool{}
	for m := range e.Value().Children() {
		name, under := strings.CutPrefix(m.Name(), "_")
		f, o := e.Type().Member(name)
		if under && o != nil && o.Type != nil && o.Type.Kind != element.Primitive {
			return false
		}
		if f != nil && f.Choice {
			if seen[f] && !under {
				return false
			}
			seen[f] = true
		}
	}
	c := e.Children()
	for x, ok := c.Next(); ok; x, ok = c.Next() {
		if x.Value().Kind() == element.Object && !readOneWay(x) {
			return false
		}
	}
	return true
}

// amounts are a resource's quantities and decimals, all of them and those that FHIRPath tells apart.
var amounts = sync.OnceValue(func() (list [][2]*fhirpath.Expression) {
	engine := fhirpath.New(definition.R4())
	for _, typ := range []string{"Quantity", "decimal"} {
		text := "descendants().where($this is FHIR." + typ + ")"
		all, err := engine.Compile(text)
		if err != nil {
			panic(err)
		}
		apart, err := engine.Compile(text + ".distinct()")
		if err != nil {
			panic(err)
		}
		list = append(list, [2]*fhirpath.Expression{all, apart})
	}
	return list
})

// writtenAlike reports whether no amount is written in two ways, as 1 mg and 1.0 mg are: of those a
// union in an expression keeps the first, the walk both.
func writtenAlike(t *testing.T, root element.Element) bool {
	t.Helper()
	for _, x := range amounts() {
		all, err := x[0].Eval(root, nil)
		if err != nil {
			t.Fatal(err)
		}
		apart, err := x[1].Eval(root, nil)
		if err != nil {
			t.Fatal(err)
		}
		written := map[string]bool{}
		for _, v := range all {
			written[string(v.Element().Value().Raw())] = true
		}
		if len(written) != len(apart) {
			return false
		}
	}
	return true
}

// FuzzEntries: what is a resource has entries, whatever is in it, and both ways agree.
func FuzzEntries(f *testing.F) {
	for _, x := range fixtures(f) {
		f.Add(x.Raw())
	}
	m := newMaker(3)
	for _, typ := range m.types {
		f.Add(m.resource(typ, "x", 0.4).Raw())
	}
	f.Add([]byte(`{"resourceType":"Observation","code":[{"coding":null}],"subject":[["x"]],"component":[[],{"code":7}],"valueQuantity":{"value":"1","code":5}}`))
	f.Add([]byte(`{"resourceType":"Patient","name":"x","identifier":{"value":"not a list"},"telecom":[null,{"system":["phone"]}],"birthDate":17}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := fhir.Parse(b)
		if err != nil {
			t.Skip()
		}
		entries, err := fast().Entries(r)
		if err != nil {
			t.Fatal(err)
		}
		fast().Owner(r)
		tree, err := element.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if root := fast().model.Root(tree); readOneWay(root) && writtenAlike(t, root) {
			compare(t, example{r.Type(), r})
		}
		for i := range entries {
			e := &entries[i]
			if e.Code == "" || e.Kind == 0 || e.Kind == search.Composite || (e.Group > 0) != (e.Part > 0) {
				t.Errorf("got %+v", e)
			}
		}
	})
}
