package ips

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"salus/fhir"
	"salus/fhir/element"
)

// hostile are texts that try to be more than text.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</div><script>alert(1)</script><div>`, `]]><!--`, `<![CDATA[x]]>`, `javascript:alert(1)`, `&lt;script&gt;`, `&#60;b&#62;`,
	`' onmouseover='alert(1)`, "\x00\x01\x08\x0b\x1f\x7f\u0085", "\u202emoc.elpmaxe\u202c", "\ufffe\uffff\ufeff", "\u2028\u2029", `<svg/onload=alert(1)>`, `<a href="javascript:x">y</a>`,
	`{{constructor.constructor('x')()}}`, "<\u0000script>", `<style>@import'x'</style>`, `&`, `<?xml version="1.0"?>`, `<!DOCTYPE x [<!ENTITY y SYSTEM "file:///">]>`, `\u003cscript\u003e`, "a\tb\nc\rd", "\U0001F489",
}

// full has a text in every field that a narrative shows, and in some that none shows.
func full(text string) []string {
	q := string(quote(text))
	put := func(s string) string { return strings.ReplaceAll(s, "TEXT", q) }
	concept := `{"coding":[{"system":"http://loinc.org","code":"1-1","display":TEXT}],"text":TEXT}`
	bare := `{"coding":[{"display":TEXT}]}`
	ref := `{"reference":"Patient/p","display":TEXT}`
	var out []string
	for _, s := range []string{
		`{"resourceType":"Patient","id":"p","text":{"status":"generated","div":TEXT},"name":[{"text":TEXT,"family":TEXT,"given":[TEXT]}],"gender":"female","generalPractitioner":[{"reference":"Practitioner/d"}]}`,
		`{"resourceType":"Practitioner","id":"d","name":[{"family":TEXT,"prefix":[TEXT]}]}`,
		`{"resourceType":"Condition","id":"c","code":` + concept + `,"severity":` + bare + `,"subject":` + ref + `,"onsetString":TEXT,"recordedDate":TEXT,"note":[{"text":TEXT}],"clinicalStatus":` + concept + `}`,
		`{"resourceType":"Condition","id":"c2","code":` + concept + `,"subject":` + ref + `,"abatementString":TEXT}`,
		`{"resourceType":"AllergyIntolerance","id":"a","code":` + bare + `,"criticality":TEXT,"patient":` + ref + `,"reaction":[{"substance":` + concept + `,"manifestation":[` + concept + `],"severity":TEXT}]}`,
		`{"resourceType":"MedicationRequest","id":"m","status":"active","intent":"order","medicationReference":{"reference":"Medication/x","display":TEXT},"subject":` + ref + `,"authoredOn":TEXT,"dosageInstruction":[{"text":TEXT}]}`,
		`{"resourceType":"MedicationStatement","id":"s","status":"active","medicationCodeableConcept":` + concept + `,"subject":` + ref + `,"dosage":[{"timing":{"code":` + concept + `},"route":` + bare + `,"doseAndRate":[{"doseQuantity":{"value":1.50,"unit":TEXT}}]}]}`,
		`{"resourceType":"Medication","id":"x","code":` + concept + `}`,
		`{"resourceType":"Immunization","id":"i","status":"completed","vaccineCode":` + concept + `,"patient":` + ref + `,"occurrenceString":TEXT,"site":` + bare + `,"protocolApplied":[{"doseNumberString":TEXT,"targetDisease":[` + concept + `]}]}`,
		`{"resourceType":"Observation","id":"o","status":"final","category":[{"coding":[{"system":"` + observationCategory + `","code":"laboratory"}]}],"code":` + concept + `,"subject":` + ref + `,"effectiveDateTime":TEXT,"valueString":TEXT,"interpretation":[` + bare + `],"referenceRange":[{"text":TEXT}],"component":[{"code":` + concept + `,"valueQuantity":{"value":0.10,"comparator":TEXT,"unit":TEXT}}]}`,
		`{"resourceType":"DiagnosticReport","id":"r","status":"final","code":` + concept + `,"subject":` + ref + `,"conclusion":TEXT,"conclusionCode":[` + bare + `]}`,
		`{"resourceType":"Procedure","id":"pr","status":"completed","code":` + concept + `,"subject":` + ref + `,"bodySite":[` + bare + `],"outcome":` + concept + `,"performedString":TEXT}`,
		`{"resourceType":"DeviceUseStatement","id":"u","status":"active","subject":` + ref + `,"device":{"display":TEXT},"bodySite":` + bare + `}`,
		`{"resourceType":"Consent","id":"co","status":"active","scope":` + coded("consentscope", "adr") + `,"category":[` + concept + `],"patient":` + ref + `}`,
		`{"resourceType":"Flag","id":"f","status":"active","category":[` + bare + `],"code":` + concept + `,"subject":` + ref + `}`,
		`{"resourceType":"ClinicalImpression","id":"ci","status":"completed","description":TEXT,"summary":TEXT,"subject":` + ref + `}`,
		`{"resourceType":"CarePlan","id":"cp","status":"active","intent":"plan","title":TEXT,"description":TEXT,"subject":` + ref + `}`,
		`{"resourceType":"DocumentReference","id":"dr","status":"current","type":{"coding":[{"system":"http://loinc.org","code":"81338-6","display":TEXT}]},"description":TEXT,"subject":` + ref + `,"content":[{"attachment":{"title":TEXT,"url":TEXT}}]}`,
	} {
		out = append(out, put(s))
	}
	return out
}

// plain fails the test unless a narrative is XHTML of a few elements without attributes or addresses.
func plain(t rapid.TB, div string) {
	t.Helper()
	if !strings.HasPrefix(div, divOpen) || !utf8.ValidString(div) {
		t.Fatalf("no div: %q", div)
	}
	d := xml.NewDecoder(strings.NewReader(div))
	allowed := []string{"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td"}
	for depth := 0; ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			if depth != 0 {
				t.Fatalf("not closed: %q", div)
			}
			return
		}
		if err != nil {
			t.Fatalf("%v: %q", err, div)
		}
		switch x := tok.(type) {
		case xml.StartElement:
			depth++
			if !slices.Contains(allowed, x.Name.Local) || depth > 1 && len(x.Attr) > 0 {
				t.Fatalf("element %v %v in %q", x.Name, x.Attr, div)
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
		default:
			t.Fatalf("%T in %q", tok, div)
		}
	}
}

// divs are all narratives of a document.
func divs(n element.Node, yield func(string)) {
	if d := n.Get("div"); d.Kind() == element.String {
		yield(d.Text())
	}
	for c := range n.Children() {
		divs(c, yield)
	}
}

func TestNarrativesAreTextWhateverTheFieldsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(hostile), rapid.String()), 1, 4).Draw(t, "text")
		text := strings.Join(parts, "")
		c := &chart{by: map[string]fhir.Resource{}}
		for _, b := range full(text) {
			r, err := fhir.Parse([]byte(b))
			if err != nil {
				t.Fatalf("%v: %s", err, b)
			}
			if r.Type() == "Patient" {
				c.subject = r
			}
			c.list, c.by[r.Type()+"/"+r.ID()] = append(c.list, r), r
		}
		o := c.options(rapid.SampledFrom([]Edition{V200, V110}).Draw(t, "edition"))
		o.Author, o.Custodian, o.Notes = text+"x", text, []string{text}
		raw, err := Document(c.subject, c.items(), o)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := element.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		divs(tree.Root(), func(d string) { n++; plain(t, d) })
		if n < 30 {
			t.Fatalf("got %d narratives, want one for each resource and section", n)
		}
	})
}

func TestTheNarrativesOfHostileTextsAreValid(t *testing.T) {
	for _, text := range hostile {
		v, err := base()
		if err != nil {
			t.Fatal(err)
		}
		c := newChart(t, full(text)...)
		for _, i := range wrong(t, v, c.document(t, c.options(V200))) {
			if i.Code == "validate-narrative" {
				t.Errorf("%q: %s %s", text, i.Expression, i.Text)
			}
		}
	}
}

func TestTheOrderOfTheResourcesDoesNotMatter(t *testing.T) {
	bodies := append(full("Sample"), patient[:0])
	bodies = bodies[:len(bodies)-1]
	for i := range 12 {
		bodies = append(bodies, observation("o"+string(rune('a'+i)), "laboratory", []string{"1-1", "2-2", ""}[i%3], []string{"final", "registered"}[i%2], []string{"2020", "2020-01-01", "", "2021"}[i%4]), condition("k"+string(rune('a'+i)), []string{"active", "resolved", ""}[i%3], "", ""))
	}
	c := newChart(t, bodies...)
	want := c.document(t, c.options(V200))
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		r.Shuffle(len(c.list), func(i, j int) { c.list[i], c.list[j] = c.list[j], c.list[i] })
		if got := c.document(t, c.options(V200)); !bytes.Equal(got, want) {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
	// Another time and another identifier change nothing else.
	o := c.options(V200)
	o.ID, o.At = "00000000-0000-4000-8000-000000000000", o.At.AddDate(1, 0, 0)
	other := string(c.document(t, o))
	other = strings.NewReplacer(o.ID, c.options(V200).ID, "2027-01-02T03:04:05.000Z", "2026-01-02T03:04:05.000Z").Replace(other)
	for _, what := range []string{"composition", "author", "custodian"} {
		other = strings.ReplaceAll(other, uuid(o.ID, what), uuid(c.options(V200).ID, what))
	}
	if other != string(want) {
		t.Errorf("got\n%s\nwant\n%s", other, want)
	}
}

func TestWithoutABaseAddressesAreURNs(t *testing.T) {
	c := newChart(t, full("Sample")...)
	o := c.options(V200)
	o.Base = ""
	s := read(t, c.document(t, o))
	s.closed(t)
	for _, u := range s.urls {
		if !strings.HasPrefix(u, "urn:uuid:") {
			t.Errorf("got %s", u)
		}
	}
}

func TestNumbersAndTextsAreKept(t *testing.T) {
	c := newChart(t, full("Sample \\u00e9 é")...)
	raw := string(c.document(t, c.options(V200)))
	for _, want := range []string{`"value":1.50,`, `"value":0.10,`, `"conclusion":"Sample \\u00e9 é"`} {
		if !strings.Contains(raw, want) {
			t.Errorf("got no %s", want)
		}
	}
}

// FuzzDocument gives any resource beside a patient: there is a document whose references are closed
// and whose narratives are plain, or an error.
func FuzzDocument(f *testing.F) {
	for _, b := range full(`<b>"&`) {
		f.Add([]byte(b))
	}
	f.Add([]byte(`{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"code":[{"text":[[]]}],"reference":{"reference":"x"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := fhir.Parse(b)
		if err != nil {
			return
		}
		c := newChart(t, patient, string(b))
		c.subject = c.list[0]
		if r.Type() == "Patient" && r.ID() != "" {
			c.subject = r
		}
		raw, err := Document(c.subject, c.items(), c.options(V200))
		if err != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("no JSON: %s", raw)
		}
		tree, err := element.Parse(raw)
		if err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		// What a source calls div need not be a narrative; those that are made are the resources' own.
		for e := range tree.Root().Get("entry").Children() {
			plain(t, e.Get("resource").Get("text").Get("div").Text())
		}
		for p := range tree.Root().Get("entry").At(0).Get("resource").Get("section").Children() {
			plain(t, p.Get("text").Get("div").Text())
		}
		for ref := range references(tree.Root(), false) {
			if !strings.HasPrefix(ref, "#") && !bytes.Contains(raw, append([]byte(`"fullUrl":`), quote(ref)...)) {
				t.Fatalf("%q is not in the document: %s", ref, raw)
			}
		}
	})
}
