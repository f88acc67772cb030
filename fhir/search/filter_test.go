package search

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func filtered(t testing.TB, typ, f string, o Options) (string, error) {
	t.Helper()
	o.Params, o.Now = params, now
	q, err := Parse(typ, []Pair{{"_filter", f}}, o)
	if err != nil {
		return "", err
	}
	if len(q.Where) != 1 {
		t.Fatalf("%s: got %d clauses", f, len(q.Where))
	}
	return show(q.Where[0]), nil
}

func TestAFilterIsATreeOfClauses(t *testing.T) {
	for _, tt := range []struct{ typ, filter, want string }{
		{"Patient", `name co "Pet er"`, "name:contains=pet er"},
		{"Patient", `name eq peter and birthdate ge 2014-10-10`, "and(name:eq=peter; birthdate=ge [1.4129e+12..1.41299e+12])"},
		{"Patient", `name sw a or name ew b`, "or(name=a; name:ew=b)"},
		{"Patient", `name ne "a\"b"`, `name:ne=a"b`},
		{"Patient", `gender eq male or gender eq female and name eq x`, "and(or(gender=male; gender=female); name:eq=x)"},
		{"Patient", `gender eq male or (gender eq female and name eq x)`, "or(gender=male; and(and(gender=female; name:eq=x)))"},
		{"Patient", `not (name eq x) and not(gender pr true)`, "and(not(name:eq=x); not(gender:missing=false))"},
		{"Patient", `(name pr false)and(name pr true)`, "and(name:missing=true; name:missing=false)"},
		{"Patient", `gender ne http://a|male`, "gender:ne={http://a}male"},
		{"Patient", `_id ne a`, "_id:not=a"},
		{"Patient", `organization re Organization/1`, "organization=Organization/1"},
		{"Patient", `organization ne o1`, "organization:ne=Organization/o1"},
		{"Patient", `organization.partof.name co x`, "organization->(Organization.partof->(Organization.name:contains=x))"},
		{"Patient", `birthdate po 2014`, "birthdate=ap [1.38853e+12..1.42007e+12]"},
		{"Patient", `birthdate ne 2014`, "birthdate=ne [1.38853e+12..1.42007e+12]"},
		{"Observation", `code eq http://loinc.org|1234-5 and subject.name sw "pet"`, "and(code={http://loinc.org}1234-5; subject->(Patient.name=pet))"},
		{"Observation", `value-quantity gt 5.4|http://unitsofmeasure.org|mg`, "value-quantity=gt [5.4..5.4]{http://unitsofmeasure.org}mg"},
		{"Observation", `code-value-quantity eq 1$lt5`, "code-value-quantity=1$lt [5..5]"},
		{"Observation", `code in http://a/set|2 or code ni ValueSet/b`, "or(code={s}a,{s}b; code:not={s}b,{t}c)"},
		{"Observation", `code sb s|a`, "code={s}a,{s}top"},
		{"Observation", `code ss s|a`, "code={s}a"},
		{"ValueSet", `url sw http://a/ and url ew x and url co y and url ne z`, "and(url:below=http://a/; url:ew=x; url:contains=y; url:ne=z)"},
		{"RiskAssessment", `probability le 0.8`, "probability=le [0.8..0.8]"},
		{"", `_id eq a`, "_id=a"},
	} {
		got, err := filtered(t, tt.typ, tt.filter, Options{Terminology: terms{}})
		if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.filter, got, err, tt.want)
		}
	}
}

func TestAFilterRefusesWhatItCannotAsk(t *testing.T) {
	for _, tt := range []struct{ filter, code string }{
		{"", CodeEmptyValue},
		{"name", CodeFilter},
		{"name eq", CodeFilter},
		{`name eq ""`, CodeFilter},
		{`name eq "x`, CodeFilter},
		{`name eq "x"y`, CodeFilter},
		{`name eq "\x"`, CodeFilter},
		{"name eq x and", CodeFilter},
		{"name eq x y", CodeFilter},
		{"(name eq x", CodeFilter},
		{"name eq x)", CodeFilter},
		{"not name eq x", CodeFilter},
		{"()", CodeFilter},
		{"name is x", CodeFilter},
		{"na:me eq x", CodeFilter},
		{"and eq x or", CodeUnknownParam},
		{"nme eq x", CodeUnknownParam},
		{"organization[name eq x].name eq y", CodeNotSupported},
		{"name gt x", CodeOperator},
		{"gender gt male", CodeOperator},
		{"gender co male", CodeOperator},
		{"_id in http://a", CodeOperator},
		{"birthdate sw 2014", CodeOperator},
		{"organization sw x", CodeOperator},
		{"birthdate eq gt2014", CodeValue},
		{"birthdate po gt2014", CodeValue},
		{"birthdate ge x", CodeValue},
		{"general-practitioner ne x", CodeValue},
		{"name pr x", CodeModifierValue},
		{"gender in http://a/set", CodeNotSupported},
		{"gender.name eq x", CodeChain},
		{"organization.nme eq x", CodeChain},
		{"organization.partof.partof.partof.partof.name eq x", CodeChain},
		{strings.Repeat("(", 20) + "name eq x" + strings.Repeat(")", 20), CodeTooMany},
		{"name eq x" + strings.Repeat(" or name eq x", MaxClauses), CodeTooMany},
		{"name eq " + strings.Repeat("x", maxFilter), CodeTooMany},
	} {
		if got, err := filtered(t, "Patient", tt.filter, Options{}); !errors.Is(err, &Issue{Code: tt.code}) {
			t.Errorf("%.60s: got %s, %v; want %s", tt.filter, got, err, tt.code)
		} else if strings.Contains(err.Error(), "2014") {
			t.Errorf("%s: the error has the value: %v", tt.filter, err)
		}
	}
	if _, err := read(t, "Patient?_filter:not=name+eq+x", false); !errors.Is(err, &Issue{Code: CodeModifier}) {
		t.Errorf("_filter:not: got %v", err)
	}
	// Several filters share the bound.
	half := "name eq x" + strings.Repeat(" or name eq x", MaxClauses/2)
	if _, err := Parse("Patient", []Pair{{"_filter", half}, {"_filter", half}}, Options{Params: params}); !errors.Is(err, &Issue{Code: CodeTooMany}) {
		t.Errorf("two filters of %d tests: got %v", MaxClauses/2+1, err)
	}
}

// FuzzFilter: whatever is read says the same when white space is put around its words, and asks no more
// than MaxClauses.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{`name eq peter and birthdate ge 2014-10-10`, `not (name eq x) or (gender pr true)`, `organization.name co "a b"`, `name eq "\u0041)"`, `((`, `name eq x and (`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" || strings.Contains(s, "%") {
			return
		}
		a, err := Parse("Patient", []Pair{{"_filter", s}}, Options{Params: params, Now: now})
		b, err2 := Parse("Patient", []Pair{{"_filter", " " + s + "\t"}}, Options{Params: params, Now: now})
		if (err == nil) != (err2 == nil) && len(s)+2 <= maxFilter {
			t.Fatalf("%q: %v, with white space %v", s, err, err2)
		}
		if err != nil || err2 != nil {
			if i, ok := err.(*Issue); ok && i.Param != "" && !strings.HasPrefix(i.Param, "_") && url.PathEscape(i.Param) != i.Param {
				t.Fatalf("%q: the issue names %q", s, i.Param)
			}
			return
		}
		if d := cmp.Diff(show(a.Where[0]), show(b.Where[0])); d != "" {
			t.Fatal(d)
		}
	})
}
