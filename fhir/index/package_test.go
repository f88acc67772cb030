package index

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/search"
)

const sp = "http://example.org/SearchParameter/"

// packaged1 is a parameter of a package.
func packaged1(code, typ, base, expression string) *definition.Param {
	return &definition.Param{URL: sp + code, Code: code, Type: typ, Base: []string{base}, Expression: expression, Status: "active", Description: "by " + code}
}

// extensionOf is an expression of an extension's value.
func extensionOf(typ, name string) string {
	return typ + ".extension.where(url = 'urn:example:" + name + "').value"
}

// guide are parameters of a package of every kind.
func guide() []*definition.Param {
	guided := packaged1("guided-by", "reference", "Patient", extensionOf("Patient", "guide"))
	guided.Target = []string{"Practitioner"}
	draft := packaged1("note", "string", "Observation", "Observation.note.text")
	draft.Status = "draft"
	both := packaged1("code-note", "composite", "Observation", "Observation")
	both.Components = []definition.Component{{Definition: "http://hl7.org/fhir/SearchParameter/clinical-code", Expression: "code"}, {Definition: sp + "note", Expression: "note.text"}}
	return []*definition.Param{
		packaged1("colour", "token", "Patient", extensionOf("Patient", "colour")),
		packaged1("nickname", "string", "Patient", "Patient.name.where(use = 'nickname').given"),
		packaged1("asserted", "date", "Condition", extensionOf("Condition", "asserted")+"DateTime"),
		packaged1("shoes", "number", "Patient", extensionOf("Patient", "shoes")),
		packaged1("weight", "quantity", "Patient", extensionOf("Patient", "weight")),
		packaged1("page", "uri", "Patient", extensionOf("Patient", "page")),
		packaged1("tongue", "token", "Resource", "Resource.language"),
		packaged1("first-family", "string", "Patient", "Patient.name.first().family"), // by package fhirpath
		packaged1("sole-family", "string", "Patient", "Patient.name.family.single()"), // fails where there are two
		guided, draft, both,
	}
}

func with(t testing.TB, packages ...*definition.Param) *Index {
	t.Helper()
	x, err := With(definition.R4(), packages, base)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

const coloured = `{"resourceType":"Patient","id":"p1","language":"de","extension":[
	{"url":"urn:example:colour","valueCoding":{"system":"urn:c","code":"red"}},{"url":"urn:example:shoes","valueDecimal":42},
	{"url":"urn:example:weight","valueQuantity":{"value":70,"system":"http://unitsofmeasure.org","code":"kg"}},{"url":"urn:example:page","valueUri":"urn:example:me"},
	{"url":"urn:example:guide","valueReference":{"reference":"Practitioner/d1"}}],
	"name":[{"use":"official","family":"Sample"},{"use":"nickname","given":["Sam"]}]}`

func TestParametersOfPackagesAreSearchedBy(t *testing.T) {
	x := with(t, guide()...)
	if s := x.Skipped(); len(s) > 0 {
		t.Fatalf("got %v skipped, want none", s)
	}
	x.Offer()
	w := worldOf(t, x)
	w.put1(`{"resourceType":"Practitioner","id":"d1","name":[{"family":"Guide"}]}`)
	w.put1(coloured)
	w.put1(`{"resourceType":"Patient","id":"p2","name":[{"family":"Sample"},{"family":"Other"}],"extension":[{"url":"urn:example:colour","valueCoding":{"system":"urn:c","code":"blue"}},{"url":"urn:example:shoes","valueDecimal":38}]}`)
	w.put1(`{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/p1"},"extension":[{"url":"urn:example:asserted","valueDateTime":"2020-05-05"}]}`)
	w.put1(`{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"code":"a"}]},"note":[{"text":"calm"}],"subject":{"reference":"Patient/p1"}}`)
	for query, want := range map[string]string{
		"Patient?colour=red": "Patient/p1", "Patient?colour=urn:c|blue": "Patient/p2", "Patient?colour:not=red": "Patient/p2", "Patient?colour:missing=true": "", "Patient?colour=green": "",
		"Patient?nickname=sam": "Patient/p1", "Patient?nickname:exact=sam": "", "Patient?first-family=sample": "Patient/p1 Patient/p2", "Patient?sole-family=sample": "Patient/p1",
		"Condition?asserted=2020-05": "Condition/c1", "Condition?asserted=gt2021": "", "Patient?shoes=gt40": "Patient/p1", "Patient?_sort=shoes": "Patient/p2 Patient/p1", "Patient?_sort=-shoes": "Patient/p1 Patient/p2",
		"Patient?weight=70000|http://unitsofmeasure.org|g": "Patient/p1", "Patient?weight=lt60": "", "Patient?page=urn:example:me": "Patient/p1", "Patient?tongue=de": "Patient/p1", "?_type=Patient,Condition&tongue=de": "Patient/p1",
		"Patient?guided-by=Practitioner/d1": "Patient/p1", "Patient?guided-by.family=guide": "Patient/p1", "Practitioner?_has:Patient:guided-by:colour=red": "Practitioner/d1", "Practitioner?_has:Patient:guided-by:colour=blue": "",
		"Observation?subject:Patient.colour=red": "Observation/o1", "Observation?patient.colour=blue": "", "Observation?code-note=a$calm": "Observation/o1", "Observation?code-note=a$wild": "",
		"Patient?_filter=colour+eq+red+or+shoes+lt+40": "Patient/p1 Patient/p2",
	} {
		status, got, _ := w.find(query)
		if !strings.Contains(query, "_sort") {
			slices.Sort(got)
		}
		if status != http.StatusOK || strings.Join(got, " ") != want {
			t.Errorf("%s: got %d %v, want %q", query, status, got, want)
		}
	}
	if _, _, inc := w.find("Patient?colour=red&_include=Patient:guided-by"); !slices.Equal(inc, []string{"Practitioner/d1"}) {
		t.Errorf("included: got %v, want the practitioner", inc)
	}
	if _, _, inc := w.find("Practitioner?_revinclude=Patient:guided-by"); !slices.Equal(inc, []string{"Patient/p1"}) {
		t.Errorf("included the other way: got %v, want the patient", inc)
	}
	// Who is held to one compartment feels nothing of another, by whatever way.
	w.compartment = "Patient/p2"
	for _, query := range []string{"Patient?colour=red", "Patient?nickname=sam", "Condition?asserted=2020-05", "Observation?patient.colour=red", "Observation?code-note=a$calm", "Practitioner?_has:Patient:guided-by:colour=red", "Patient?_filter=colour+eq+red"} {
		if status, got, _ := w.find(query); status != http.StatusOK || len(got) > 0 {
			t.Errorf("of another compartment: %s: got %d %v, want nothing", query, status, got)
		}
	}
	if _, got, _ := w.find("Patient?_sort=shoes"); !slices.Equal(got, []string{"Patient/p2"}) {
		t.Errorf("of another compartment, sorted: got %v", got)
	}
}

// TestBothWaysGiveThePackagesEntries: by the tree and by package fhirpath.
func TestBothWaysGiveThePackagesEntries(t *testing.T) {
	slow, err := build(definition.R4(), guide(), []string{base}, true)
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.Parse([]byte(coloured))
	if err != nil {
		t.Fatal(err)
	}
	shown := func(x *Index) (out []string) {
		entries, err := x.Entries(r)
		if err != nil {
			t.Fatal(err)
		}
		for i := range entries {
			if p, _ := x.Param("Patient", entries[i].Code); p.Definition != "" {
				out = append(out, show(&entries[i]))
			}
		}
		slices.Sort(out)
		return out
	}
	if a, b := shown(with(t, guide()...)), shown(slow); !slices.Equal(a, b) || len(a) < 9 {
		t.Errorf("got %v\nand %v", a, b)
	}
}

func TestWhatAPackageSaysThatCannotBeUsedIsSkippedWithItsReason(t *testing.T) {
	change := func(p *definition.Param, f func(*definition.Param)) *definition.Param { f(p); return p }
	for _, tt := range []struct {
		p         *definition.Param
		typ, want string
	}{
		{change(packaged1("x", "token", "Patient", "Patient.gender"), func(p *definition.Param) { p.Status = "retired" }), "", "status"},
		{packaged1("x", "special", "Patient", "Patient.gender"), "", "type"},
		{packaged1("x", "tokens", "Patient", "Patient.gender"), "", "type"},
		{packaged1("x", "token", "Patient", ""), "", "no expression"},
		{packaged1("x", "token", "Nobody", "Nobody.gender"), "", "base"},
		{packaged1("x", "token", "HumanName", "HumanName.use"), "", "base"},
		{change(packaged1("x", "token", "Patient", "Patient.gender"), func(p *definition.Param) { p.URL = "" }), "", "canonical"},
		{packaged1("a.b", "token", "Patient", "Patient.gender"), "", "code"},
		{packaged1("a:b", "token", "Patient", "Patient.gender"), "", "code"},
		{packaged1("_mine", "token", "Patient", "Patient.contact"), "Patient", "begin with _"},
		{packaged1("x", "date", "Patient", "today()"), "", "when"},
		{packaged1("x", "token", "Patient", "Patient.where("), "Patient", "fhirpath-syntax"},
		{packaged1("x", "token", "Patient", "Patient.nonesuch"), "Patient", "fhirpath-semantic"},
		{packaged1("x", "token", "Patient", "Patient.nonesuch()"), "Patient", "fhirpath-semantic"},
		{packaged1("x", "number", "Patient", "Patient.gender"), "Patient", "no value of type number"},
		{packaged1("x", "token", "Patient", "Practitioner.gender"), "Patient", "no value of type token"},
		{packaged1("gender", "token", "Patient", "Patient.maritalStatus"), "Patient", "individual-gender"},
		{packaged1("near", "token", "Location", "Location.mode"), "Location", "Location-near"},
		{packaged1("x", "composite", "Patient", "Patient"), "Patient", "components"},
		{change(packaged1("x", "composite", "Patient", "Patient"), func(p *definition.Param) {
			p.Components = []definition.Component{{Definition: sp + "none", Expression: "gender"}, {Definition: sp + "none", Expression: "gender"}}
		}), "Patient", "components"},
		{change(packaged1("x", "composite", "Patient", "Patient"), func(p *definition.Param) {
			p.Components = []definition.Component{{Definition: "http://hl7.org/fhir/SearchParameter/individual-gender", Expression: "gender"}, {Definition: "http://hl7.org/fhir/SearchParameter/individual-gender", Expression: "nonesuch"}}
		}), "Patient", "fhirpath-semantic"},
	} {
		x := with(t, tt.p)
		s := x.Skipped()
		if len(s) != 1 || s[0].Canonical != tt.p.URL || s[0].Type != tt.typ || !strings.Contains(s[0].Reason, tt.want) {
			t.Errorf("%s %q: got %+v, want one for %q with %q", tt.p.Code, tt.p.Expression, s, tt.typ, tt.want)
		}
		x.Offer()
		for _, typ := range []string{"Patient", "Location"} {
			if p, ok := x.Param(typ, tt.p.Code); ok && p.Definition != "" {
				t.Errorf("%s %q: it is offered", tt.p.Code, tt.p.Expression)
			}
		}
		if x.Digest() != 0 {
			t.Errorf("%s %q: got a digest, want none for what R4 has", tt.p.Code, tt.p.Expression)
		}
	}
	// Two packages, one code: the first one's.
	x := with(t, packaged1("x", "token", "Patient", "Patient.gender"), change(packaged1("x", "token", "Patient", "Patient.active"), func(p *definition.Param) { p.URL += "2" }))
	if s := x.Skipped(); len(s) != 1 || s[0].Canonical != sp+"x2" || !strings.Contains(s[0].Reason, sp+"x") {
		t.Errorf("got %v, want the second one skipped", s)
	}
}

// TestWhatAPackageRepeatsStaysAsR4HasIt: guides say again what R4 says, by its canonical or in its words.
func TestWhatAPackageRepeatsStaysAsR4HasIt(t *testing.T) {
	again := packaged1("family", "string", "Patient", "Patient.name.family.lower()")
	again.Derived = "http://hl7.org/fhir/SearchParameter/individual-family"
	id := packaged1("_id", "token", "Patient", "Patient.id")
	id.Derived = "http://hl7.org/fhir/SearchParameter/Resource-id"
	words := packaged1("identifier", "token", "Patient", "Patient.identifier")
	there := packaged1("family", "string", "RelatedPerson", "RelatedPerson.name.family") // R4 has none for this type
	there.Derived = again.Derived
	x := with(t, again, id, words, there)
	if s := x.Skipped(); len(s) > 0 {
		t.Errorf("got %v skipped, want none", s)
	}
	x.Offer()
	for code, typ := range map[string]string{"family": "Patient", "_id": "Patient", "identifier": "Patient"} {
		was, _ := fast().Param(typ, code)
		if p, ok := x.Param(typ, code); !ok || p.Definition != "" || p.Expression != was.Expression {
			t.Errorf("%s: got %+v, want R4's", code, p)
		}
	}
	if p, ok := x.Param("RelatedPerson", "family"); !ok || p.Definition != again.URL || p.Documentation == "" {
		t.Errorf("RelatedPerson.family: got %+v, want the package's", p)
	}
}

func TestAPackagesParametersAreRefusedUntilTheyAreOffered(t *testing.T) {
	x := with(t, guide()...)
	w := worldOf(t, x)
	w.put1(coloured)
	for _, query := range []string{
		"Patient?colour=red", "Patient?_sort=shoes", "Observation?subject.colour=red", "Patient?guided-by.family=x", "Practitioner?_has:Patient:guided-by:gender=male", "Patient?_filter=colour+eq+red",
		"Practitioner?_has:Patient:general-practitioner:colour=red", "Patient?_include=Patient:guided-by", "Practitioner?_revinclude=Patient:guided-by", "?_type=Patient,Condition&tongue=de",
	} {
		if status, body := w.get(query); status != http.StatusBadRequest || !strings.Contains(body, `"`+search.CodeIndexing+`"`) {
			t.Errorf("%s: got %d %s, want %s", query, status, body, search.CodeIndexing)
		}
	}
	if _, body := w.get("metadata"); strings.Contains(body, "colour") || strings.Contains(body, "guided-by") {
		t.Error("the CapabilityStatement lists them")
	}
	x.Offer() // what was written meanwhile is found
	if _, got, _ := w.find("Patient?colour=red"); !slices.Equal(got, []string{"Patient/p1"}) {
		t.Errorf("got %v, want the patient", got)
	}
	if _, body := w.get("metadata"); !strings.Contains(body, `{"name":"colour","definition":"`+sp+`colour","type":"token","documentation":"by colour"}`) || !strings.Contains(body, `"Patient:guided-by"`) {
		t.Error("the CapabilityStatement does not list them")
	}
}

// TestAPackageMovesNothingOfR4: entries by R4's parameters, and whose a resource is, stay.
func TestAPackageMovesNothingOfR4(t *testing.T) {
	subject := packaged1("subject-of", "reference", "Observation", "Observation.focus")
	x := with(t, append(guide(), subject)...)
	for _, r := range fixtures(t) {
		a, err := fast().Entries(r.Resource)
		if err != nil {
			t.Fatal(err)
		}
		b, err := x.Entries(r.Resource)
		if err != nil {
			t.Fatal(err)
		}
		b = slices.DeleteFunc(b, func(e search.Entry) bool { p, _ := x.Param(r.Type(), e.Code); return p.Definition != "" })
		if !slices.EqualFunc(a, b, func(a, b search.Entry) bool { return show(&a) == show(&b) }) || fast().Owner(r.Resource) != x.Owner(r.Resource) {
			t.Errorf("%s: the entries of R4's parameters differ", r.name)
		}
	}
}

func TestDigestsTellSetsApart(t *testing.T) {
	seen := map[int64]string{fast().Digest(): "none"}
	if seen[0] == "" {
		t.Error("R4 alone has a digest")
	}
	for name, list := range map[string][]*definition.Param{
		"guide": guide(), "less": guide()[1:], "another expression": {packaged1("a", "token", "Patient", "Patient.gender")}, "another type": {packaged1("a", "string", "Patient", "Patient.gender")},
		"another code": {packaged1("b", "token", "Patient", "Patient.gender")}, "another base": {packaged1("a", "token", "Person", "Person.gender")},
	} {
		d := with(t, list...).Digest()
		if o, ok := seen[d]; ok || d < 0 {
			t.Errorf("%s: got the digest %d of %s", name, d, o)
		}
		seen[d] = name
		slices.Reverse(list)
		if with(t, list...).Digest() != d {
			t.Errorf("%s: the digest depends on the order", name)
		}
	}
}
