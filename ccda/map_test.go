package ccda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/validate"
)

func fixture(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/summary.xml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type bundle struct {
	Entry []struct {
		FullURL  string
		Resource json.RawMessage
		Request  map[string]string
	}
}

func read(t testing.TB, b []byte) bundle {
	t.Helper()
	var out bundle
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func pick(t testing.TB, b bundle, request string) map[string]any {
	t.Helper()
	for _, e := range b.Entry {
		if e.Request["url"] == request {
			var m map[string]any
			d := json.NewDecoder(bytes.NewReader(e.Resource))
			d.UseNumber()
			if err := d.Decode(&m); err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	t.Fatalf("no entry %s", request)
	return nil
}

func at(m any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			o, _ := m.(map[string]any)
			m = o[p]
		case int:
			l, _ := m.([]any)
			if p >= len(l) {
				return nil
			}
			m = l[p]
		}
	}
	return m
}

func TestEntriesMapAsTheGuideSays(t *testing.T) {
	r, err := Map(fixture(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := read(t, r.Bundle)
	url := func(kind, id string) string {
		return kind + "?identifier=urn:oid:2.16.840.1.113883.19.5|" + id
	}
	for _, c := range []struct {
		url  string
		path []any
		want any
	}{
		{url("Condition", "c-1"), []any{"code", "coding", 0, "system"}, "http://snomed.info/sct"},
		{url("Condition", "c-1"), []any{"code", "text"}, "Lung <script> infection"},
		{url("Condition", "c-1"), []any{"onsetDateTime"}, "2012-08-06"},
		{url("Condition", "c-1"), []any{"clinicalStatus", "coding", 0, "code"}, "active"},
		{url("AllergyIntolerance", "a-1"), []any{"code", "coding", 0, "code"}, "716186003"},
		{url("AllergyIntolerance", "a-1"), []any{"verificationStatus"}, nil},
		{url("Observation", "o-1"), []any{"valueQuantity", "value"}, json.Number("13.20")},
		{url("Observation", "o-1"), []any{"effectiveDateTime"}, "2020-01-01"},
		{url("DiagnosticReport", "r-1"), []any{"status"}, "final"},
		{url("Immunization", "i-1"), []any{"status"}, "not-done"},
		{url("Immunization", "i-1"), []any{"vaccineCode", "coding", 0, "system"}, "http://hl7.org/fhir/sid/cvx"},
		{url("MedicationRequest", "m-1"), []any{"intent"}, "plan"},
		{url("MedicationRequest", "m-1"), []any{"dosageInstruction", 0, "timing", "repeat", "periodUnit"}, "h"},
		{url("MedicationRequest", "m-1"), []any{"dosageInstruction", 0, "timing", "repeat", "boundsPeriod", "start"}, "2020-01-01"},
		{
			url("Composition", "doc-1"),
			[]any{"section", 0, "text", "div"},
			`<div xmlns="http://www.w3.org/1999/xhtml"><p>Lung &lt;script&gt; infection</p></div>`,
		},
	} {
		if d := cmp.Diff(c.want, at(pick(t, b, c.url), c.path...)); d != "" {
			t.Errorf("%s %v (-want +got):\n%s", c.url, c.path, d)
		}
	}
	base := "/ClinicalDocument/component[1]/structuredBody[1]/component"
	want := []Unmapped{
		{result, base + "[3]/section[1]/entry[1]/organizer[1]/component[1]/observation[1]/effectiveTime[1]", ReasonPrecision},
		{problem, base + "[1]/section[1]/entry[1]/act[1]/entryRelationship[1]/observation[1]/priorityCode[1]", ReasonNoMap},
	}
	if d := cmp.Diff(want, r.Unmapped); d != "" {
		t.Errorf("unmapped (-want +got):\n%s", d)
	}
	again, err := Map(fixture(t), Options{})
	if err != nil || !bytes.Equal(again.Bundle, r.Bundle) {
		t.Errorf("the same document gave another Bundle (%v)", err)
	}
}

func TestAProblemThatEndedAtAnUnknownTimeIsNotActive(t *testing.T) {
	in := bytes.Replace(fixture(t), []byte(`<low value="20120806"/>`), []byte(`<low value="20120806"/><high nullFlavor="UNK"/>`), 1)
	r, err := Map(in, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := pick(t, read(t, r.Bundle), "Condition?identifier=urn:oid:2.16.840.1.113883.19.5|c-1")
	if got := at(c, "clinicalStatus", "coding", 0, "code"); got != "inactive" {
		t.Errorf("got %v, want inactive", got)
	}
	if got := at(c, "_abatementDateTime", "extension", 0, "valueCode"); got != "unknown" {
		t.Errorf("got %v, want unknown", got)
	}
}

func TestHostileDocumentsAreRefused(t *testing.T) {
	ok := string(fixture(t))
	body := ok[strings.Index(ok, "<ClinicalDocument"):]
	for name, c := range map[string]struct{ in, code string }{
		"billion laughs":     {`<!DOCTYPE x [<!ENTITY a "b">]>` + body, CodeDTD},
		"unknown entity":     {strings.Replace(ok, "Testa", "&secret;", 1), CodeSyntax},
		"truncated":          {ok[:len(ok)-30], CodeSyntax},
		"two roots":          {ok + body, CodeSyntax},
		"twice an attribute": {strings.Replace(ok, `code="A"`, `code="A" code="B"`, 1), CodeSyntax},
		"deep":               {`<ClinicalDocument xmlns="urn:hl7-org:v3">` + strings.Repeat("<a>", 200), CodeLimit},
		"other namespace":    {strings.Replace(ok, `xmlns="urn:hl7-org:v3"`, `xmlns="urn:other"`, 1), CodeNamespace},
		"no namespace":       {strings.Replace(ok, `xmlns="urn:hl7-org:v3"`, ``, 1), CodeNamespace},
		"other root":         {`<section xmlns="urn:hl7-org:v3"/>`, CodeRoot},
		"no patient":         {`<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2"/></ClinicalDocument>`, CodePatient},
		"no id":              {`<ClinicalDocument xmlns="urn:hl7-org:v3"/>`, CodeID},
		"invalid UTF-8":      {strings.Replace(ok, "Testa", "\xff\xfe", 1), CodeEncoding},
		"other encoding":     {strings.Replace(ok, "UTF-8", "EBCDIC-US", 1), CodeEncoding},
		"empty":              {"", CodeSyntax},
	} {
		_, err := Map([]byte(c.in), Options{})
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
}

func TestEncodingsGiveTheSameResources(t *testing.T) {
	s := strings.Replace(string(fixture(t)), "Testa", "Zoë", 1)
	family := func(in []byte) any {
		r, err := Map(in, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return at(pick(t, read(t, r.Bundle), "Patient"), "name", 0, "given", 0)
	}
	latin := []byte(strings.Replace(strings.Replace(s, "UTF-8", "ISO-8859-1", 1), "ë", "\xeb", 1))
	wide := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(strings.Replace(s, "UTF-8", "UTF-16", 1))) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for name, in := range map[string][]byte{"UTF-8": []byte(s), "ISO-8859-1": latin, "UTF-16": wide} {
		if got := family(in); got != "Zoë" {
			t.Errorf("%s: got another name", name)
		}
	}
}

func valid(t *testing.T, v *validate.Validator, name string, b []byte) int {
	t.Helper()
	n := 0
	for _, e := range read(t, b).Entry {
		r, err := fhir.Parse(e.Resource)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n++
		for _, i := range v.Validate(context.Background(), r) {
			if i.Severity == validate.Fatal || i.Severity == "error" {
				t.Errorf("%s: %s %s at %s", name, i.Code, i.Text, i.Expression)
			}
		}
	}
	return n
}

var prolog = regexp.MustCompile(`(?s)^\x{feff}?\s*<\?xml.*?\?>`)

// HL7's samples are documents and fragments; a fragment is put into a document.
func TestSamplesOfHL7MapToValidResources(t *testing.T) {
	root := "../../shared/data/ccda/hl7-ccda-examples"
	if _, err := os.Stat(root); err != nil {
		t.Skip("HL7's C-CDA examples are not here")
	}
	v, err := validate.New(definition.R4(), validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	whole, parts, refused, resources, unmapped := 0, 0, 0, 0, 0
	templates := map[string]int{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.EqualFold(filepath.Ext(path), ".xml") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		r, err := Map(src, Options{})
		var e *Error
		if errors.As(err, &e) && (e.Code == CodeRoot || e.Code == CodeNamespace || e.Code == CodeSyntax) {
			body := prolog.ReplaceAllString(string(src), "")
			open, end := `<component><structuredBody><component>`, `</component></structuredBody></component>`
			if !strings.Contains(body, "<section") {
				open, end = open+"<section><text>t</text>", "</section>"+end
				if !strings.Contains(body, "<entry>") && !strings.Contains(body, "<entry ") {
					open, end = open+"<entry>", "</entry>"+end
				}
			}
			r, err = Map([]byte(`<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><id root="1.2.3"/><recordTarget><patientRole><id root="1.2.3" extension="p"/></patientRole></recordTarget>`+open+body+end+`</ClinicalDocument>`), Options{})
			parts++
		} else {
			whole++
		}
		if err != nil {
			refused++
			t.Logf("%s: %v", filepath.Base(path), err)
			return nil
		}
		resources += valid(t, v, filepath.Base(path), r.Bundle)
		unmapped += len(r.Unmapped)
		for _, u := range r.Unmapped {
			templates[u.Template]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// A ratchet: more refused or unmapped, or fewer resources, is a loss. It is
	// what the maps gave when they were written, and no proof that they are right.
	if refused > 1 || resources < 1736 || unmapped > 1723 || len(templates) > 69 {
		t.Errorf("got %d refused, %d resources, %d unmapped, %d templates; want at most 1, at least 1736, at most 1723, at most 69", refused, resources, unmapped, len(templates))
	}
	t.Logf("%d documents, %d fragments, %d refused, %d resources, %d places unmapped of %d templates", whole, parts, refused, resources, unmapped, len(templates))
}

func FuzzMap(f *testing.F) {
	f.Add(fixture(f))
	f.Add([]byte(`<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2"/></ClinicalDocument>`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := Map(in, Options{})
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("got %v, want an Error", err)
			}
			return
		}
		if !json.Valid(r.Bundle) {
			t.Fatal("the Bundle is not JSON")
		}
	})
}
