package tabular

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/validate"
)

const people = `
version = 1
delimiter = ";"
group = ["mrn"]
null = ["", "NULL"]
trim = true
decimal = ","
zone = "Europe/Berlin"
[codes.sex]
m = "male"
w = "female"
"-" = ""
[[resource]]
name = "patient"
type = "Patient"
system = "urn:example:mrn"
key = ["mrn"]
[resource.set]
"name[0].family" = { column = "family", required = true }
"name[0].given" = { column = "given", split = " " }
"name[0].use" = { value = "official" }
gender = { column = "sex", codes = "sex" }
birthDate = { column = "born", format = "dd.MM.yyyy" }
"telecom[0].system" = { value = "phone" }
"telecom[0].value" = { column = "phone" }
active = { value = "true" }
[[resource]]
name = "lab"
type = "Observation"
when = ["value"]
system = "urn:example:lab"
key = ["mrn", "code", "at"]
labels = ["PSY"]
[resource.set]
status = { value = "final" }
"code.coding[0].system" = { value = "http://loinc.org" }
"code.coding[0].code" = { column = "code", required = true }
subject = { refer = "patient" }
effectiveDateTime = { column = "at", format = "dd.MM.yyyy HH:mm" }
"valueQuantity.value" = { column = "value" }
"valueQuantity.unit" = { column = "unit" }
`

const header = "mrn;family;given;sex;born;phone;code;at;value;unit\n"

func load(t testing.TB, src string) *Mapping {
	t.Helper()
	m, err := Load([]byte(src), definition.R4())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type outcome struct {
	Groups   []*Group
	Rejected []Rejection
	Count    Count
	Err      error
}

func read(m *Mapping, src string) (o outcome) {
	o.Count, o.Err = m.Read(strings.NewReader(src), func(g *Group) error { o.Groups = append(o.Groups, g); return nil },
		func(r Rejection) error { o.Rejected = append(o.Rejected, r); return nil })
	return o
}

func TestRowsBecomeResources(t *testing.T) {
	o := read(load(t, people), header+
		"1;Example;Ann  Bea;w;02.01.1980;;718-7;02.07.2026 08:30;13,20;g/dL\n"+
		"1;Example;Ann  Bea;w;02.01.1980;;718-7;02.12.2026 08:30;13,5;\n"+
		"2;\"Sample;\"\"X\"\"\";;-;NULL;5550100;;;;\n")
	if o.Err != nil || len(o.Rejected) > 0 || len(o.Groups) != 2 {
		t.Fatalf("got %d groups, %v, %v", len(o.Groups), o.Rejected, o.Err)
	}
	ann := o.Groups[0].Entries[0]
	want := []string{
		`{"active":true,"birthDate":"1980-01-02","gender":"female","identifier":[{"system":"urn:example:mrn","value":"1"}],"name":[{"family":"Example","given":["Ann","Bea"],"use":"official"}],"resourceType":"Patient"}`,
		`{"code":{"coding":[{"code":"718-7","system":"http://loinc.org"}]},"effectiveDateTime":"2026-07-02T08:30:00+02:00","identifier":[{"system":"urn:example:lab","value":"1/718-7/02.07.2026 08:30"}],` +
			`"meta":{"security":[{"code":"PSY","system":"http://terminology.hl7.org/CodeSystem/v3-ActCode"}]},"resourceType":"Observation","status":"final","subject":{"reference":"` + ann.FullURL + `"},"valueQuantity":{"unit":"g/dL","value":13.20}}`,
		`{"code":{"coding":[{"code":"718-7","system":"http://loinc.org"}]},"effectiveDateTime":"2026-12-02T08:30:00+01:00","identifier":[{"system":"urn:example:lab","value":"1/718-7/02.12.2026 08:30"}],` +
			`"meta":{"security":[{"code":"PSY","system":"http://terminology.hl7.org/CodeSystem/v3-ActCode"}]},"resourceType":"Observation","status":"final","subject":{"reference":"` + ann.FullURL + `"},"valueQuantity":{"value":13.5}}`,
		`{"active":true,"identifier":[{"system":"urn:example:mrn","value":"2"}],"name":[{"family":"Sample;\"X\"","use":"official"}],"resourceType":"Patient","telecom":[{"system":"phone","value":"5550100"}]}`,
	}
	var got []string
	for _, g := range o.Groups {
		for _, e := range g.Entries {
			got = append(got, string(e.Body))
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{2, 3}, ann.Lines); d != "" {
		t.Errorf("lines of the patient: %s", d)
	}
	if raw := string(o.Groups[1].Raw); raw != header+"2;\"Sample;\"\"X\"\"\";;-;NULL;5550100;;;;\n" {
		t.Errorf("got other bytes kept than came: %q", raw)
	}
	valid, err := validate.New(definition.R4(), validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range got {
		r, err := fhir.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range valid.Validate(t.Context(), r) {
			if i.Severity == "error" {
				t.Errorf("%s: %s %s", i.Code, i.Expression, i.Text)
			}
		}
	}
}

func TestRejectedRowsAreReportedWithoutTheirValues(t *testing.T) {
	for _, c := range []struct {
		name, rows string
		want       []Rejection
	}{
		{"a missing value", "1;;A;w;;;;;;\n", []Rejection{{2, "family", CodeRequired}}},
		{"no key", ";X;;;;;;;;\n", []Rejection{{2, "mrn", CodeKey}}},
		{"a code that is not mapped", "1;X;;q;;;;;;\n", []Rejection{{2, "sex", CodeCode}}},
		{"a day that does not exist", "1;X;;;30.02.1980;;;;;\n", []Rejection{{2, "born", CodeDate}}},
		{"an hour that the zone leaves out", "1;X;;;;;a;29.03.2026 02:30;1;\n", []Rejection{{2, "at", CodeDate}}},
		{"a number with the other point", "1;X;;;;;a;01.01.2026 00:00;1.5;\n", []Rejection{{2, "value", CodeValue}}},
		{"too few fields", "1;X\n2;Y;;;;;;;;\n", []Rejection{{2, "", CodeFields}, {3, "", CodeGroup}}},
		{"a quote in a field", "1;X\"Y;;;;;;;;\n", []Rejection{{2, "", CodeQuote}}},
		{"a quote that does not end", "1;\"X;;;;;;;;\n", []Rejection{{2, "", CodeQuote}}},
		{"no UTF-8", "1;X\xff;;;;;;;;\n", []Rejection{{2, "", CodeEncoding}}},
		{"a control character", "1;X\x01;;;;;;;;\n", []Rejection{{2, "family", CodeValue}}},
		{"the group of a rejected row", "1;X;;;;;;;;\n1;X;;q;;;;;;\n2;Y;;;;;;;;\n", []Rejection{{2, "", CodeGroup}, {3, "sex", CodeCode}}},
		{"two names for one patient", "1;X;;;;;;;;\n1;Y;;;;;;;;\n", []Rejection{{2, "", CodeGroup}, {3, "", CodeConflict}}},
		{"lines within a field are lines", "1;\"X\n\nY\";;;;;;;;\n2;Y;;q;;;;;;\n", []Rejection{{5, "sex", CodeCode}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := read(load(t, people), header+c.rows)
			if d := cmp.Diff(c.want, o.Rejected); d != "" || o.Err != nil {
				t.Errorf("%v\n%s", o.Err, d)
			}
			if o.Count.Rejected != len(c.want) {
				t.Errorf("got %d counted, want %d", o.Count.Rejected, len(c.want))
			}
		})
	}
}

func TestFileThatCannotBeReadOn(t *testing.T) {
	for _, c := range []struct {
		name, src string
		want      Error
	}{
		{"empty", "", Error{CodeHeader, 1, ""}},
		{"a column is missing", strings.Replace(header, "unit", "u", 1), Error{CodeHeader, 1, "unit"}},
		{"a column is there twice", strings.Replace(header, "unit", "mrn", 1), Error{CodeHeader, 1, ""}},
		{"a row that does not end", header + "1;\"" + strings.Repeat("x", MaxRow), Error{CodeLong, 2, ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, ok := errors.AsType[*Error](read(load(t, people), c.src).Err)
			if !ok || *e != c.want {
				t.Errorf("got %v, want %v", e, &c.want)
			}
		})
	}
}

func TestMappingThatFHIRDoesNotKnowIsRefused(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"an unknown key", "trim = true", "trims = true", "trims"},
		{"an unknown key of a rule", "required = true", "requird = true", "requird"},
		{"an unknown element", `birthDate`, `birthdate`, "no element"},
		{"a list without a place", `"name[0].use"`, `"name.use"`, "is a list"},
		{"a place in what is no list", `gender =`, `"gender[0]" =`, "no list"},
		{"an unknown type", `"Observation"`, `"Observe"`, "no resource type"},
		{"a type of a choice that there is not", "effectiveDateTime", "effectiveDate", "no element"},
		{"a mandatory element left out", `status = { value = "final" }`, "", "status must be set"},
		{"a code that FHIR does not have", `w = "female"`, `w = "woman"`, "no code"},
		{"a constant of the wrong type", `active = { value = "true" }`, `active = { value = "yes" }`, "no boolean"},
		{"a table that there is not", `codes = "sex" }`, `codes = "sexes" }`, "no table"},
		{"a reference to nothing", `refer = "patient"`, `refer = "nobody"`, "no resource"},
		{"a reference without refer", `{ refer = "patient" }`, `{ column = "mrn" }`, "refer"},
		{"a complex element", `"valueQuantity.unit"`, `valueQuantity`, "no single value"},
		{"the server's own", `active =`, `id =`, "not for a mapping"},
		{"a zone that there is not", "Europe/Berlin", "Europe/Bonn", "no time zone"},
		{"a time without a zone", `zone = "Europe/Berlin"`, "", "needs the key zone"},
		{"a time in a date", `"dd.MM.yyyy" }`, `"dd.MM.yyyy HH:mm" }`, "no time"},
		{"a format that means nothing", `"dd.MM.yyyy" }`, `"DD.MM.YYYY" }`, "is made of"},
		{"a label that there is not", `["PSY"]`, `["PSYX"]`, "label"},
		{"no key", `key = ["mrn"]`, `key = []`, "identify"},
		{"another version", "version = 1", "version = 2", "version 1"},
		{"no TOML", "version = 1", "version = ", "line"},
		{"two elements in one place", `"valueQuantity.unit" =`, `valueString =`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(people, c.old) {
				t.Fatal("the mapping has no such text")
			}
			_, err := Load([]byte(strings.Replace(people, c.old, c.new, 1)), definition.R4())
			if c.want == "" { // FHIR's validation finds it in what is made
				return
			}
			if _, ok := errors.AsType[*MappingError](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}
}

// person is one of the inverse mapping.
type person struct {
	mrn, family string
	given       []string
	sex, born   string
	values      []string
}

func quoted(s string) string {
	if strings.ContainsAny(s, ";\"\r\n") {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

// TestRowsOfResourcesComeBack writes rows from resources by an inverse mapping, and reads them.
func TestRowsOfResourcesComeBack(t *testing.T) {
	m := load(t, people)
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[A-Za-zäöß;"',][A-Za-z0-9;"', ÄÖ\n]{0,10}[a-z;"]`)
		var src strings.Builder
		src.WriteString(header)
		var want []person
		for i := range rapid.IntRange(0, 5).Draw(t, "people") {
			p := person{
				mrn: fmt.Sprint(i), family: word.Draw(t, "family"),
				given: rapid.SliceOfN(rapid.StringMatching(`[A-Z][a-z;"]{0,5}`), 0, 3).Draw(t, "given"),
				sex:   rapid.SampledFrom([]string{"", "male", "female"}).Draw(t, "sex"),
				born:  rapid.SampledFrom([]string{"", "1980-02-29", "2001-12-31"}).Draw(t, "born"),
			}
			sex := map[string]string{"": "-", "male": "m", "female": "w"}[p.sex]
			born := "NULL"
			if p.born != "" {
				born = p.born[8:] + "." + p.born[5:7] + "." + p.born[:4]
			}
			for j := range rapid.IntRange(1, 3).Draw(t, "rows") {
				v := rapid.StringMatching(`-?[1-9][0-9]{0,5}(\.[0-9]{1,4})?`).Draw(t, "value")
				p.values = append(p.values, v)
				fmt.Fprintf(&src, "%s;%s;%s;%s;%s;;c%d;01.01.2026 10:00;%s;\r\n", p.mrn, quoted(p.family), quoted(strings.Join(p.given, " ")), sex, born, j, strings.ReplaceAll(v, ".", ","))
			}
			want = append(want, p)
		}
		o := read(m, src.String())
		if o.Err != nil || len(o.Rejected) > 0 {
			t.Fatalf("%v %v", o.Err, o.Rejected)
		}
		var got []person
		for _, g := range o.Groups {
			var p person
			for _, e := range g.Entries {
				var r struct {
					Name []struct {
						Family string
						Given  []string
					}
					Gender, BirthDate string
					ValueQuantity     struct{ Value json.Number }
				}
				if err := json.Unmarshal(e.Body, &r); err != nil {
					t.Fatal(err)
				}
				if e.Type == "Patient" {
					p.mrn, p.family, p.given, p.sex, p.born = e.Value, r.Name[0].Family, r.Name[0].Given, r.Gender, r.BirthDate
				} else {
					p.values = append(p.values, r.ValueQuantity.Value.String())
				}
			}
			got = append(got, p)
		}
		for i := range want {
			if len(want[i].given) == 0 {
				want[i].given = nil
			}
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(person{})); d != "" {
			t.Fatal(d)
		}
	})
}

// endless is a table of n patients that is nowhere whole.
type endless struct {
	n, at int
	rest  []byte
}

func (e *endless) Read(b []byte) (int, error) {
	if len(e.rest) == 0 {
		switch {
		case e.at > e.n:
			return 0, io.EOF
		case e.at == 0:
			e.rest = []byte(header)
		default:
			e.rest = fmt.Appendf(nil, "%d;Example;Ann;w;02.01.1980;;718-7;02.07.2026 08:30;13,20;g/dL\n", e.at)
		}
		e.at++
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	m := load(t, people)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const rows = 30000
	groups := 0
	_, err := m.Read(&endless{n: rows}, func(*Group) error {
		if groups++; groups%10000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			if grown := int64(now.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
				t.Errorf("got %d bytes more after %d rows", grown, groups)
			}
		}
		return nil
	}, func(r Rejection) error { return fmt.Errorf("rejected: %v", r) })
	if err != nil || groups != rows {
		t.Errorf("got %d groups, %v", groups, err)
	}
}

func TestGroupThatIsTooLargeIsRejected(t *testing.T) {
	var src strings.Builder
	src.WriteString(header)
	for i := range MaxGroup + 1 {
		fmt.Fprintf(&src, "1;X;;;;;c%d;01.01.2026 10:00;1;\n", i)
	}
	src.WriteString("2;Y;;;;;;;;\n")
	o := read(load(t, people), src.String())
	if len(o.Rejected) != MaxGroup+1 || len(o.Groups) != 1 || o.Rejected[0].Code != CodeGroupSize {
		t.Errorf("got %d rejected, %d groups, want %d and 1", len(o.Rejected), len(o.Groups), MaxGroup+1)
	}
}

func TestSameRowsGiveTheSameTransaction(t *testing.T) {
	m := load(t, people)
	src := header + "1;Example;Ann;w;02.01.1980;;718-7;02.07.2026 08:30;13,20;g/dL\n"
	a, err := read(m, src).Groups[0].Bundle()
	if err != nil {
		t.Fatal(err)
	}
	b, err := read(m, src).Groups[0].Bundle()
	if err != nil || !bytes.Equal(a, b) || !json.Valid(a) {
		t.Errorf("got different transactions: %v", err)
	}
	if !strings.Contains(string(a), `"url":"Patient?identifier=urn:example:mrn|1"`) {
		t.Error("the patient is not found by her identifier")
	}
}

func TestExamplesAreWhole(t *testing.T) {
	dir := filepath.Join("..", "examples", "csv")
	for _, name := range []string{"people", "results", "staff"} {
		src, err := os.ReadFile(filepath.Join(dir, name+".toml"))
		if err != nil {
			t.Fatal(err)
		}
		table, err := os.ReadFile(filepath.Join(dir, name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		o := read(load(t, string(src)), string(table))
		if o.Err != nil || len(o.Rejected) > 0 || len(o.Groups) == 0 {
			t.Errorf("%s: got %d groups, %v, %v", name, len(o.Groups), o.Rejected, o.Err)
		}
	}
}

// FuzzRead holds that every row is part of a group or rejected, that what is kept of groups is what
// came, and that rows which were kept give the same again.
func FuzzRead(f *testing.F) {
	f.Add([]byte("1;Example;Ann;w;02.01.1980;;718-7;02.07.2026 08:30;13,20;g/dL\n"))
	f.Add([]byte("1;\"a\nb\";;;;;;;;\r\n\r\n2;x"))
	m := load(f, people)
	f.Fuzz(func(t *testing.T, b []byte) {
		o := read(m, header+string(b))
		if o.Err != nil {
			if _, ok := errors.AsType[*Error](o.Err); !ok {
				t.Fatal(o.Err)
			}
		}
		rows := len(o.Rejected)
		for _, g := range o.Groups {
			rows += len(g.Lines)
			again := read(m, string(g.Raw))
			if len(again.Groups) != 1 || len(again.Rejected) > 0 {
				t.Fatalf("got %d groups of the rows of one", len(again.Groups))
			}
			x, err := g.Bundle()
			if err != nil {
				t.Fatal(err)
			}
			y, err := again.Groups[0].Bundle()
			if err != nil || !bytes.Equal(x, y) {
				t.Fatalf("the rows that are kept say something else: %v", err)
			}
		}
		if rows != o.Count.Rows {
			t.Fatalf("got %d rows accounted for, want %d", rows, o.Count.Rows)
		}
	})
}

// FuzzLoad holds that no mapping file panics, and that one that is taken reads a table.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(people))
	f.Add([]byte("version = 1\n[[resource]]\nname=\"a\"\ntype=\"Patient\"\nsystem=\"urn:x\"\nkey=[\"a\"]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Load(b, definition.R4())
		if err != nil {
			if _, ok := errors.AsType[*MappingError](err); !ok {
				t.Fatal(err)
			}
			return
		}
		read(m, header+"1;Example;Ann;w;02.01.1980;;718-7;02.07.2026 08:30;13,20;g/dL\n")
	})
}
