package search

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// show writes a clause as one line.
func show(c Clause) string {
	switch {
	case c.Tree != nil:
		var of []string
		for _, x := range c.Tree.Of {
			of = append(of, show(x))
		}
		return [...]string{And: "and", Or: "or", Negation: "not"}[c.Tree.Op] + "(" + strings.Join(of, "; ") + ")"
	case c.Chain != nil:
		var links []string
		for i, t := range c.Chain.Types {
			links = append(links, t+"."+show(c.Chain.Clause[i]))
		}
		return c.Param.Code + "->(" + strings.Join(links, " or ") + ")"
	case c.Has != nil:
		return c.Has.Type + "(" + c.Has.By.Code + ")<-(" + show(c.Has.Clause) + ")"
	}
	s := c.Param.Code
	if c.Modifier != Plain {
		s += ":" + c.Modifier.String()
	}
	if c.Modifier == Missing {
		return fmt.Sprint(s, "=", c.Missing)
	}
	var vs []string
	for _, v := range c.Values {
		vs = append(vs, showValue(v))
	}
	return s + "=" + strings.Join(vs, ",")
}

func showValue(v Value) string {
	var parts []string
	for _, p := range v.Parts {
		parts = append(parts, showValue(p))
	}
	if len(parts) > 0 {
		return strings.Join(parts, "$")
	}
	s := ""
	if v.Prefix != EQ {
		s = v.Prefix.String() + " "
	}
	if v.Range != (Range{}) {
		s += fmt.Sprintf("[%.6g..%.6g]", v.Range.Low, v.Range.High)
	}
	if v.HasSystem {
		s += "{" + v.System + "}"
	}
	return s + v.Code + v.Text
}

func TestParseReadsClauses(t *testing.T) {
	for _, tt := range []struct{ query, want string }{
		{"Patient?name=Müller  Straße", "name=muller strasse"},
		{"Patient?name:exact=Müller", "name:exact=Müller"},
		{"Patient?name:contains=ÉV", "name:contains=ev"},
		{"Patient?name=a,b\\,c", "name=a,b,c"},
		{"Patient?name:missing=true", "name:missing=true"},
		{"Patient?gender=female", "gender=female"},
		{"Patient?gender:not=female,other", "gender:not=female,other"},
		{"Patient?identifier=http://a|1", "identifier={http://a}1"},
		{"Patient?identifier=|1", "identifier={}1"},
		{"Patient?identifier=http://a|", "identifier={http://a}"},
		{"Patient?identifier:of-type=http://t|MR|12", "identifier:of-type={http://t}MR12"},
		{"Patient?identifier=a\\|b", "identifier=a|b"},
		{"Patient?_id=x", "_id=x"},
		{"Patient?organization=o1", "organization=Organization/o1"},
		{"Patient?general-practitioner=p1", "general-practitioner=Practitioner/p1,Organization/p1"},
		{"Patient?general-practitioner:Practitioner=p1", "general-practitioner:[type]=Practitioner/p1"},
		{"Patient?general-practitioner=Practitioner/p1/_history/3", "general-practitioner=Practitioner/p1"},
		{"Patient?organization=http://x/Organization/1", "organization=http://x/Organization/1"},
		{"Patient?organization=urn:uuid:1", "organization=urn:uuid:1"},
		{"Patient?organization:identifier=http://a|1", "organization:identifier={http://a}1"},
		{"Observation?value-quantity=5.4|http://unitsofmeasure.org|mg", "value-quantity=[5.35..5.45]{http://unitsofmeasure.org}mg"},
		{"Observation?value-quantity=gt5.4||mg", "value-quantity=gt [5.4..5.4]mg"},
		{"Observation?code-value-quantity=http://loinc.org|1$lt5", "code-value-quantity={http://loinc.org}1$lt [5..5]"},
		{"RiskAssessment?probability=0.80", "probability=[0.795..0.805]"},
		{"RiskAssessment?probability=le0.8,gt0.9", "probability=le [0.8..0.8],gt [0.9..0.9]"},
		{"ValueSet?url=http://a/b,c", "url=http://a/b,c"},
		{"ValueSet?url:below=http://a/", "url:below=http://a/"},
		{"Observation?subject:Patient.name=x", "subject->(Patient.name=x)"},
		{"Observation?patient.organization.name=x", "patient->(Patient.organization->(Organization.name=x))"},
		{"Patient?general-practitioner.name=x", "general-practitioner->(Practitioner.name=x or Organization.name=x)"},
		{"Patient?_has:Observation:patient:code=1", "Observation(patient)<-(code=1)"},
		{"Patient?_has:Observation:subject:value-quantity=gt5", "Observation(subject)<-(value-quantity=gt [5..5])"},
		{"Observation?patient._has:Observation:patient:code=1", "patient->(Patient.Observation(patient)<-(code=1))"},
		{"?_id=a", "_id=a"},
		{"?_type=Patient,Practitioner&name=a", "name=a"},
	} {
		t.Run(tt.query, func(t *testing.T) {
			q, err := read(t, tt.query, false)
			if err != nil {
				t.Fatal(err)
			}
			if len(q.Where) != 1 || show(q.Where[0]) != tt.want {
				var got []string
				for _, c := range q.Where {
					got = append(got, show(c))
				}
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ query, code, param string }{
		{"Patient?nme=x", CodeUnknownParam, ""},
		{"?name=x", CodeUnknownParam, ""},
		{"?_type=Patient,ValueSet&name=x", CodeUnknownParam, ""},
		{"Nothing?_id=x", CodeResourceType, ""},
		{"?_type=Nothing", CodeResourceType, "_type"},
		{"Patient?_type=Patient", CodeRepeated, "_type"},
		{"Patient?name=", CodeEmptyValue, "name"},
		{"Patient?name=a,,b", CodeEmptyValue, "name"},
		{"Patient?name:not=x", CodeModifier, "name"},
		{"Patient?name:foo=x", CodeModifier, "name"},
		{"Patient?gender:exact=x", CodeModifier, "gender"},
		{"Patient?organization:Practitioner=x", CodeModifier, "organization"},
		{"Patient?name:missing=yes", CodeModifierValue, "name"},
		{"Patient?birthdate=2024-13", CodeValue, "birthdate"},
		{"Patient?birthdate=gt", CodeValue, "birthdate"},
		{"Patient?birthdate=xx2024", CodeValue, "birthdate"},
		{"Patient?identifier=a|b|c", CodeValue, "identifier"},
		{"Patient?identifier=|", CodeValue, "identifier"},
		{"Patient?organization=Practitioner/", CodeValue, "organization"},
		{"Patient?organization=Nothing/1", CodeValue, "organization"},
		{"Patient?organization=a b", CodeValue, "organization"},
		{"Observation?value-quantity=1|mg", CodeValue, "value-quantity"},
		{"Observation?value-quantity=1e999", CodeValue, "value-quantity"},
		{"Observation?value-quantity=NaN", CodeValue, "value-quantity"},
		{"Observation?value-quantity=0x10", CodeValue, "value-quantity"},
		{"Observation?code-value-quantity=1", CodeValue, "code-value-quantity"},
		{"Observation?code-value-quantity=1$", CodeValue, "code-value-quantity"},
		{"Location?nowhere=1|2", CodeNotSupported, "nowhere"},
		{"Patient?_filter=x", CodeFilter, "_filter"},
		{"Patient?name.given=x", CodeChain, "name"},
		{"Observation?subject.nothing=x", CodeChain, "subject"},
		{"Observation?subject:Organization.name=x", CodeChain, "subject"},
		{"Observation?subject:Patient.birthdate=x", CodeValue, "birthdate"},
		{"Patient?_has:Observation:code:code=1", CodeChain, "_has"},
		{"Patient?_has:Observation:patient=1", CodeChain, "_has"},
		{"Practitioner?_has:Observation:patient:code=1", CodeChain, "_has"},
		{"Organization?partof.partof.partof.partof.partof.name=x", CodeChain, "partof"},
		{"Patient?_sort=foo", CodeSort, "_sort"},
		{"Observation?_sort=code-value-quantity", CodeSort, "_sort"},
		{"Patient?_count=-1", CodeResult, "_count"},
		{"Patient?_count=many", CodeResult, "_count"},
		{"Patient?_count=1&_count=2", CodeRepeated, "_count"},
		{"Patient?_count:exact=1", CodeModifier, "_count"},
		{"Patient?_total=all", CodeResult, "_total"},
		{"Patient?_summary=yes", CodeResult, "_summary"},
		{"Patient?_elements=a.b", CodeResult, "_elements"},
		{"Patient?_include=Patient", CodeInclude, "_include"},
		{"Patient?_include=Patient:name", CodeInclude, "_include"},
		{"Patient?_revinclude=*", CodeInclude, "_revinclude"},
		{"Organization?_revinclude=Device:*", CodeIndexing, "owner"},
		{"Patient?_include=Patient:organization:Practitioner", CodeInclude, "_include"},
		{"Patient?_include:foo=Patient:organization", CodeModifier, "_include"},
		{"Patient?" + strings.Repeat("name=a&", MaxClauses+1), CodeTooMany, ""},
		{"Patient?_id=" + strings.Repeat("a,", MaxValues) + "a", CodeTooMany, "_id"},
	} {
		t.Run(tt.query[:min(60, len(tt.query))], func(t *testing.T) {
			_, err := read(t, tt.query, false)
			var i *Issue
			if !errors.As(err, &i) {
				t.Fatalf("got %v, want an issue", err)
			}
			if i.Code != tt.code || i.Param != tt.param || i.Text == "" {
				t.Errorf("got %+v, want %s at %q", i, tt.code, tt.param)
			}
		})
	}
}

func TestLenientLeavesOutOnlyWhatIsUnknownAndSaysSo(t *testing.T) {
	q, err := read(t, "Patient?foo=1&name=a&_text=x&_format=json", true)
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Where) != 1 || len(q.Ignored) != 2 || q.Ignored[0].Place != 0 || q.Ignored[1].Place != 2 {
		t.Errorf("got %d clauses and %v ignored, want one and the first and third", len(q.Where), q.Ignored)
	}
	if _, err := read(t, "Patient?birthdate=nonsense", true); err == nil {
		t.Error("a known parameter with a bad value was left out")
	}
}

func TestParseReadsResultParameters(t *testing.T) {
	q, err := read(t, "Patient?_sort=-birthdate,_id&_count=5000&_total=accurate&_summary=data&_elements=id,name&_cursor=abc"+
		"&_include=Patient:general-practitioner:Organization&_include:iterate=Organization:*&_revinclude=Observation:patient&_include=*", false)
	if err != nil {
		t.Fatal(err)
	}
	want := &Query{
		Types: []string{"Patient"},
		Sort:  []Order{{Param: params["Patient"]["birthdate"], Descending: true}, {Param: params["Resource"]["_id"]}},
		Count: MaxCount, Total: TotalAccurate, Summary: SummaryData, Elements: []string{"id", "name"}, Cursor: "abc",
		Include: []Include{
			{Source: "Patient", Param: params["Patient"]["general-practitioner"], Target: "Organization"},
			{Source: "Organization", Iterate: true},
			{Source: "*"},
		},
		RevInclude: []Include{{Source: "Observation", Param: params["Observation"]["patient"]}},
	}
	if d := cmp.Diff(want, q); d != "" {
		t.Errorf("query (-want +got):\n%s", d)
	}
}

// What refers to something is found by parameter: all references of a type are one each.
func TestRevincludeOfEveryReferenceNamesThem(t *testing.T) {
	o := params["Observation"]
	for query, want := range map[string][]Include{
		"Patient?_revinclude=Observation:*":                    {{Source: "Observation", Param: o["patient"]}, {Source: "Observation", Param: o["subject"]}},
		"Group?_revinclude:iterate=Observation:*:Group":        {{Source: "Observation", Param: o["subject"], Target: "Group", Iterate: true}},
		"Organization?_revinclude=Practitioner:*":              nil,
		"Patient?_revinclude=Observation:*:Practitioner&_id=x": nil,
	} {
		q, err := read(t, query, false)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if d := cmp.Diff(want, q.RevInclude); d != "" {
			t.Errorf("%s (-want +got):\n%s", query, d)
		}
	}
	_, err := Parse("Patient", []Pair{{"_revinclude", "Observation:*"}}, Options{Params: unlisted{params}, Now: now})
	var i *Issue
	if !errors.As(err, &i) || i.Code != CodeInclude {
		t.Errorf("without a list of parameters: got %v, want %s", err, CodeInclude)
	}
}

// unlisted cannot name all parameters of a type.
type unlisted struct{ Params }

func TestEveryCodeHasASentence(t *testing.T) {
	for code, text := range Codes() {
		if text == "" || !strings.HasPrefix(code, "search-") {
			t.Errorf("code %q: got sentence %q", code, text)
		}
	}
}

// TestPrefixes is the table of R4 3.1.1.4.5 for a value of 2024 and searches around it.
func TestPrefixes(t *testing.T) {
	there, _ := Instants("2024")
	for _, tt := range []struct {
		asked, found string // the prefixes that find it
	}{
		{"2024", "eq ge le ap"},
		{"2024-06", "ne gt lt ge le ap"},
		{"2023", "ne gt ge sa"},
		{"2025", "ne lt le eb"},
	} {
		asked, ok := Instants(tt.asked)
		if !ok {
			t.Fatal(tt.asked)
		}
		var got []string
		for p := range Prefix(len(prefixNames)) {
			if there.Matches(p, asked) {
				got = append(got, p.String())
			}
		}
		if s := strings.Join(got, " "); s != tt.found {
			t.Errorf("asked for %s: got %q, want %q", tt.asked, s, tt.found)
		}
	}
}

func TestDatesSpanWhatTheirPrecisionLeavesOpen(t *testing.T) {
	for _, tt := range []struct {
		text string
		span float64 // milliseconds
	}{
		{"2023", 365 * 24 * 3600e3},
		{"2024-02", 29 * 24 * 3600e3},
		{"2024-02-29", 24 * 3600e3},
		{"2024-02-29T10:00", 60e3},
		{"2024-02-29T10:00Z", 60e3},
		{"2024-02-29T10:00:00Z", 1e3},
		{"2024-02-29T10:00:00+02:00", 1e3},
		{"2024-02-29T10:00:00.5Z", 100},
		{"2024-02-29T10:00:00.123Z", 1},
		{"2024-02-29T10:00:00.123456Z", 1},
	} {
		r, ok := Instants(tt.text)
		if got := r.High - r.Low + 1; !ok || got != tt.span {
			t.Errorf("%s: got %v ms, %v; want %v", tt.text, got, ok, tt.span)
		}
	}
	for _, bad := range []string{"", "24", "2023-02-29", "2024-1", "2024-01-01T", "2024-01-01T25:00Z", "2024-01-01 10:00", "0000", "20240101", "2024-01-01T10:00:00Zjunk"} {
		if r, ok := Instants(bad); ok {
			t.Errorf("%q: got %v, want no date", bad, r)
		}
	}
	open, ok := Span("2024", "")
	if !ok || open.High != math.Inf(1) {
		t.Errorf("got %v, want an open end", open)
	}
	if _, ok := Span("2024", "2023"); ok {
		t.Error("a period that ends before it begins was taken")
	}
}

// TestNumbers has the examples of R4 3.1.1.4.6.
func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		text      string
		low, high float64
	}{
		{"100", 99.5, 100.5}, {"100.00", 99.995, 100.005}, {"1e2", 95, 105}, {"-5.40", -5.405, -5.395}, {"0", -0.5, 0.5}, {"+2", 1.5, 2.5},
	} {
		r, ok := parseNumber(tt.text, EQ)
		if !ok || math.Abs(r.Low-tt.low) > 1e-9 || math.Abs(r.High-tt.high) > 1e-9 || r.High >= tt.low+(tt.high-tt.low) {
			t.Errorf("%s: got %v, %v; want [%v, %v)", tt.text, r, ok, tt.low, tt.high)
		}
	}
	for _, bad := range []string{"", "-", "--1", ".5", "5.", "1.2.3", "1e", "e5", "Inf", "0x1p4", "1_000", "１", strings.Repeat("9", 65)} {
		if r, ok := parseNumber(bad, EQ); ok {
			t.Errorf("%q: got %v, want no number", bad, r)
		}
	}
	if r, _ := parseNumber("100", GT); r.Low != 100 || r.High != 100 {
		t.Errorf("gt100: got %v, want the number itself", r)
	}
	for _, long := range []string{"66.89999999999999", "0.1234567890123456789", "-9007199254740993"} {
		if r, ok := parseNumber(long, EQ); !ok {
			t.Errorf("%s: got no number", long)
		} else if n, _ := Point(long); !n.Within(r) {
			t.Errorf("%s: got %v, which does not hold the number itself", long, r)
		}
	}
}

// bearings is a Params with the two extra skills.
type bearings struct{ some }

func (bearings) Local(ref string) string { return strings.TrimPrefix(ref, "http://own/") }

func (bearings) Base(values []Value) ([]Value, bool) { return values, values[0].Code == "mg" }

func TestParamsMayKnowOwnAddressesAndBaseUnits(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"patient", "http://own/Patient/1", "patient=Patient/1"},
		{"patient", "http://own/Patient/1/_history/2", "patient=Patient/1"},
		{"patient", "http://other/Patient/1", "patient=http://other/Patient/1"},
		{"value-quantity", "gt5|http://unitsofmeasure.org|mg", "value-quantity:ucum=gt [5..5]{http://unitsofmeasure.org}mg"},
		{"value-quantity", "gt5|http://unitsofmeasure.org|g", "value-quantity=gt [5..5]{http://unitsofmeasure.org}g"},
	} {
		q, err := Parse("Observation", []Pair{{tt.name, tt.value}}, Options{Params: bearings{params}, Now: now})
		if err != nil || show(q.Where[0]) != tt.want {
			t.Errorf("%s=%s: got %v, %v; want %s", tt.name, tt.value, q, err, tt.want)
		}
	}
}

func TestSpecialParametersAreRefusedWithEveryModifier(t *testing.T) {
	for _, query := range []string{"Location?nowhere=1|2|3", "Location?nowhere:missing=true"} {
		if _, err := read(t, query, false); !errors.Is(err, &Issue{Code: CodeNotSupported}) {
			t.Errorf("%s: got %v", query, err)
		}
	}
}

// TestWhatIsStillBeingIndexedIsRefused, also by who asked to be lenient: an answer would lack what is not
// indexed yet.
func TestWhatIsStillBeingIndexedIsRefused(t *testing.T) {
	for _, q := range []string{
		"Device?colour=red", "Device?colour:missing=true", "Device?_sort=colour", "Device?_sort=-colour", "Device?_filter=colour eq red", "Device?owner=x", "Device?owner.name=x", "Device?_include=Device:owner",
		"Organization?_revinclude=Device:owner", "Organization?_has:Device:owner:_id=x", "Observation?subject.colour=red", "Observation?subject:Device.colour=red",
	} {
		for _, lenient := range []bool{false, true} {
			if _, err := read(t, q, lenient); !errors.Is(err, Refuse(CodeIndexing)) {
				t.Errorf("%s (lenient %t): got %v, want %s", q, lenient, err, CodeIndexing)
			}
		}
	}
	if _, err := read(t, "Device?_id=x&_include=*", false); err != nil {
		t.Errorf("what is indexed: %v", err)
	}
}

func TestFoldIsIdempotentAndBlindToCaseAndAccents(t *testing.T) {
	for _, same := range [][]string{
		{"Müller", "MULLER", "mu\u0308ller", "muller "},
		{"Straße", "STRASSE", "strasse"},
		{"Jan  van\tder Berg", "jan van der berg"},
		{"Łukasz Æsir", "lukasz aesir"},
		{"Ｆｕｌｌ", "full"},
	} {
		for _, s := range same {
			if got := Fold(s); got != Fold(same[0]) || Fold(got) != got {
				t.Errorf("%q: got %q, then %q; want %q", s, got, Fold(got), Fold(same[0]))
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"Patient?name=a,b&_sort=-birthdate", "Observation?subject:Patient.name=x&_count=1", "Patient?_has:Observation:patient:code=a|b",
		"Observation?code-value-quantity=a|b$gt5.4|c|d", "?_type=Patient&_id=%5C,", "Patient?birthdate=ap2024-01-01T10:00:00.123%2B02:00", "RiskAssessment?probability=ne1e-3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, lenient := range []bool{false, true} {
			q, err := read(t, s, lenient)
			if err != nil {
				var i *Issue
				if !errors.As(err, &i) || texts[i.Code] == "" {
					t.Fatalf("got %v, want an issue with a code", err)
				}
				continue
			}
			if len(q.Where) > MaxClauses || q.Count > MaxCount {
				t.Errorf("got %d clauses and a page of %d", len(q.Where), q.Count)
			}
			for _, c := range q.Where {
				if c.Has == nil && c.Chain == nil && c.Modifier != Missing && len(c.Values) == 0 {
					t.Errorf("a clause on %s asks for nothing", c.Param.Code)
				}
			}
		}
	})
}

// Every character alone, and between two that are put in order by their combining class: what is
// left after one pass must not change in a second.
func TestFoldIsIdempotent(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		for _, s := range []string{string(r), "a\u302e" + string(r) + "\u302a\u20d0b", string(r) + "\u0301\u1d165\u0323" + string(r), "\xf5" + string(r) + "\xf5"} {
			if once := Fold(s); Fold(once) != once {
				t.Fatalf("%U: folding twice gives something else", r)
			}
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("Müller ẞ")
	f.Add("\xf5ö")
	f.Fuzz(func(t *testing.T, s string) {
		if once := Fold(s); Fold(once) != once {
			t.Errorf("folding twice gives something else")
		}
	})
}
