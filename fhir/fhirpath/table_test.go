package fhirpath

import (
	"errors"
	"strings"
	"testing"
	"time"

	"salus/fhir/definition"
	"salus/fhir/element"
)

// ada is a plainly synthetic patient.
const ada = `{"resourceType":"Patient","id":"ada","active":true,
"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},
"contained":[{"resourceType":"Organization","id":"org","name":"Sample"}],
"extension":[{"url":"http://example.org/a","valueAge":{"value":5,"unit":"years","system":"http://unitsofmeasure.org","code":"a"}}],
"name":[{"use":"official","family":"Sample","given":["Ada","B"],"_given":[null,{"extension":[{"url":"http://example.org/q","valueString":"q"}]}]},{"use":"usual","given":["Addie"]}],
"gender":"female","birthDate":"1970-02-28","_birthDate":{"extension":[{"url":"http://example.org/t","valueDateTime":"1970-02-28T10:00:00Z"}]},
"multipleBirthInteger":2,"managingOrganization":{"reference":"#org"},"generalPractitioner":[{"reference":"Practitioner/1"},{"reference":"http://h/fhir/Organization/2/_history/3"}]}`

func focus(t testing.TB, src string) element.Element {
	tree, err := element.Parse([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return definition.R4().Model().Root(tree)
}

// cases give for each function and operator what the specification (N1, and R4 2.9) says.
var cases = [][2]string{
	{"{}.empty()", "true"},
	{"1.empty()", "false"},
	{"name.exists()", "true"},
	{"name.exists(use='old')", "false"},
	{"name.all(given.exists())", "true"},
	{"{}.all(false)", "true"},
	{"(true|false).allTrue()", "false"},
	{"{}.allTrue()", "true"},
	{"(true|false).anyTrue()", "true"},
	{"{}.anyTrue()", "false"},
	{"false.allFalse()", "true"},
	{"true.anyFalse()", "false"},
	{"(1|2).subsetOf(1|2|3)", "true"},
	{"(1|4).subsetOf(1|2)", "false"},
	{"(1|2|3).supersetOf(2)", "true"},
	{"name.count()", "2"},
	{"1.combine(1).distinct()", "1"},
	{"1.combine(1).isDistinct()", "false"},
	{"name.where(use='usual').given", "Addie"},
	{"name.select(given.first())", "Ada Addie"},
	{"repeat(contained).name", "Sample"},
	{"multipleBirth.ofType(integer)", "2"},
	{"multipleBirth.ofType(boolean)", ""},
	{"multipleBirth is integer", "true"},
	{"multipleBirth.is(boolean)", "false"},
	{"(multipleBirth as integer) + 1", "3"},
	{"gender.as(string)", ""},
	{"name[1].given", "Addie"},
	{"name[9]", ""},
	{"1.single()", "1"},
	{"{}.single()", ""},
	{"(1|2).first()", "1"},
	{"(1|2).last()", "2"},
	{"(1|2|3).tail()", "2 3"},
	{"(1|2|3).skip(2)", "3"},
	{"(1|2).skip(-1)", "1 2"},
	{"(1|2|3).take(2)", "1 2"},
	{"(1|2).take(0)", ""},
	{"(1|2).intersect(2|3)", "2"},
	{"(1|2|2).exclude(2)", "1"},
	{"1.union(1|2)", "1 2"},
	{"1.combine(1)", "1 1"},
	{"iif(true,1,1/0)", "1"},
	{"iif({},1)", ""},
	{"1.toBoolean()", "true"},
	{"'y'.toBoolean()", "true"},
	{"'x'.toBoolean()", ""},
	{"'2'.toInteger()", "2"},
	{"'2.5'.toInteger()", ""},
	{"'2.50'.toDecimal()", "2.50"},
	{"2.50.toString()", "2.50"},
	{"'2015-02'.toDate()", "2015-02"},
	{"'2015-13'.toDate()", ""},
	{"@2015.toDateTime()", "2015"},
	{"'10:30'.toTime()", "10:30"},
	{"'4 days'.toQuantity()", "4 days"},
	{"4 'mg'.toQuantity('mg')", "4 'mg'"},
	{"'x'.convertsToBoolean()", "false"},
	{"'1'.convertsToInteger()", "true"},
	{"'1.a'.convertsToDecimal()", "false"},
	{"1.convertsToString()", "true"},
	{"'2015'.convertsToDate()", "true"},
	{"'2015-02-30'.convertsToDate()", "false"},
	{"'2015-02-04T10:00'.convertsToDateTime()", "true"},
	{"'25:00'.convertsToTime()", "false"},
	{"'1 wk'.convertsToQuantity()", "false"},
	{"'abcb'.indexOf('b')", "1"},
	{"'abcb'.lastIndexOf('b')", "3"},
	{"'äbc'.substring(1)", "bc"},
	{"'abc'.substring(1,1)", "b"},
	{"'abc'.startsWith('ab')", "true"},
	{"'abc'.endsWith('bc')", "true"},
	{"'abc'.contains('x')", "false"},
	{"'aß'.upper()", "Aß"},
	{"'AB'.lower()", "ab"},
	{"'aba'.replace('a','c')", "cbc"},
	{"'ab1'.matches('[0-9]')", "true"},
	{"'ab1'.matchesFull('[0-9]')", "false"},
	{"'11/30/1972'.replaceMatches('\\\\b(?P<month>\\\\d{1,2})/(?P<day>\\\\d{1,2})/(?P<year>\\\\d{2,4})\\\\b','${day}-${month}-${year}')", "30-11-1972"},
	{"'äb'.length()", "2"},
	{"'abc'.toChars()", "a b c"},
	{"' a '.trim()", "a"},
	{"'a,b'.split(',')", "a b"},
	{"('a'|'b').join('-')", "a-b"},
	{"'a'.encode('hex')", "61"},
	{"'61'.decode('hex')", "a"},
	{"'<'.escape('html')", "&lt;"},
	{"'&lt;'.unescape('html')", "<"},
	{"(-5).abs()", "5"},
	{"1.1.ceiling()", "2"},
	{"(-1.1).floor()", "-2"},
	{"1.9.truncate()", "1"},
	{"0.exp()", "1.0"},
	{"1.ln()", "0.0"},
	{"16.log(2)", "4.0"},
	{"2.power(3)", "8"},
	{"(-1).power(0.5)", ""},
	{"3.14159.round(3)", "3.142"},
	{"81.sqrt()", "9.0"},
	{"(-1).sqrt()", ""},
	{"name.children().count()", "6"},
	{"contained.descendants().count()", "2"},
	{"1.trace('x')", "1"},
	{"now()", "2026-01-02T03:04:05.000Z"},
	{"today()", "2026-01-02"},
	{"timeOfDay()", "03:04:05.000"},
	{"(1|2|3).aggregate($this + $total, 0)", "6"},
	{"(3|1|2).sort()", "1 2 3"},
	{"(1|2).select($index)", "0 1"},
	{"1.type().name", "Integer"},
	{"gender.type().name", "code"},
	{"name.type().namespace", "FHIR FHIR"},
	{"birthDate.hasValue()", "true"},
	{"name[0].given[1].getValue()", "B"},
	{"name.given[1].extension('http://example.org/q').value", "q"},
	{"hasExtension('http://example.org/a')", "true"},
	{"extension('http://example.org/a').value is Quantity", "true"},
	{"extension('http://example.org/a').value", "5 'a'"},
	{"managingOrganization.resolve().name", "Sample"},
	{"generalPractitioner.where(resolve() is Practitioner).reference", "Practitioner/1"},
	{"generalPractitioner.resolve().where($this is Organization).count()", "1"},
	{"gender.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')", "true"},
	{"'x'.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')", "false"},
	{"'x'.memberOf('http://example.org/none')", ""},
	{"conformsTo('http://hl7.org/fhir/StructureDefinition/Patient')", "true"},
	{"text.div.htmlChecks()", "true"},
	{"'<div xmlns=\"http://www.w3.org/1999/xhtml\"><script/>x</div>'.htmlChecks()", "false"},
	{"1.587.lowBoundary()", "1.58650000"},
	{"@2014.highBoundary(6)", "2014-12"},
	{"1.58700.precision()", "5"},
	{"1 'cm'.comparable(1 'm')", "true"},
	{"1 = 1.0", "true"},
	{"1 ~ 1.0", "true"},
	{"(1|2) ~ (2|1)", "true"},
	{"(1|2) = (2|1)", "false"},
	{"{} = 1", ""},
	{"{} ~ {}", "true"},
	{"@2012 = @2012-01", ""},
	{"@2012 < @2013-01", "true"},
	{"1 'g' = 1000 'mg'", "true"},
	{"1 'g' < 2 'kg'", "true"},
	{"120 'mm[Hg]' > 15 'kPa'", "true"},
	{"1 'L' = 1 'dm3'", "true"},
	{"60 '/min' = 1 'Hz'", "true"},
	{"5 'mmol/L' ~ 5 'mol/m3'", "true"},
	{"1 '10*3' = 1000 '1'", "true"},
	{"1 '[IU]' = 1 'g'", "false"},
	{"1 year = 12 months", "true"},
	{"1 year = 1 'a'", ""},
	{"1 year ~ 1 'a'", "true"},
	{"1 'cm' + 1 'm'", "101 'cm'"},
	{"@2012-01-31 + 1 month", "2012-02-29"},
	{"@2012 + 24 months", "2014"},
	{"@T23:30 + 1 hour", "00:30"},
	{"@2012-02-29 - 1 year", "2011-02-28"},
	{"@2012-01-01T00:00:00Z + 0.1 seconds", "2012-01-01T00:00:00Z"},
	{"7 div 2", "3"},
	{"7 mod 2", "1"},
	{"1 / 3 * 3 ~ 1", "true"},
	{"2147483647 + 1", ""},
	{"'a' & {}", "a"},
	{"'a' + {}", ""},
	{"1 in {}", "false"},
	{"{} contains 1", "false"},
	{"true xor {}", ""},
	{"{} implies true", "true"},
	{"false implies {}", "true"},
	{"%resource.id", "ada"},
	{"%x", "7"},
	{"'\\u0041\\'`'", "A'`"},
	{"name.given.where($this.hasValue()).count()", "3"},
	{"{}.not()", ""},
	{"Patient.birthDate", "1970-02-28"},
	{"`birthDate`.extension.value", "1970-02-28T10:00:00Z"},
	{"Observation.code", ""},
	{"birthDate.toString().length()", "10"},
	{"(1.exists()).not()", "false"},
	{"name.repeat($this).count()", "2"},
}

func TestFunctionsGiveWhatTheSpecificationSays(t *testing.T) {
	e := New(definition.R4())
	root := focus(t, ada)
	env := &Env{Resource: root, ByType: true, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Variables: map[string][]Value{"x": {Int(7)}}}
	used := map[string]bool{}
	for _, c := range cases {
		x, err := e.Compile(c[0])
		if err != nil {
			t.Errorf("%s: %v", c[0], err)
			continue
		}
		mention(x.root, used)
		out, err := x.Eval(root, env)
		if err != nil {
			t.Errorf("%s: %v", c[0], err)
			continue
		}
		var got []string
		for _, v := range out {
			got = append(got, v.String())
		}
		if g := strings.Join(got, " "); g != c[1] {
			t.Errorf("%s: got %q, want %q", c[0], g, c[1])
		}
	}
	for name := range functions {
		if !used[name] {
			t.Errorf("%s() has no case", name)
		}
	}
}

func mention(n *node, used map[string]bool) {
	if n == nil {
		return
	}
	if n.op == opCall {
		used[n.name] = true
	}
	mention(n.base, used)
	for _, a := range n.args {
		mention(a, used)
	}
}

func TestWhatIsWrongIsAnErrorWithItsCode(t *testing.T) {
	e := New(definition.R4())
	root := focus(t, ada)
	for text, code := range map[string]string{
		"":                                   CodeSyntax,
		"1 +":                                CodeSyntax,
		"'a":                                 CodeSyntax,
		"@2015-13":                           CodeSyntax,
		"name..given":                        CodeSyntax,
		strings.Repeat("(", 500):             CodeSyntax,
		strings.Repeat("-", 500) + "1":       CodeSyntax,
		"1" + strings.Repeat(".abs()", 5000): CodeSyntax,
		"nothing()":                          CodeSemantic,
		"name.count(1)":                      CodeSemantic,
		"name is Nothing":                    CodeSemantic,
		"%nothing":                           CodeSemantic,
		"'a'.matches('(')":                   CodeSemantic,
		"conformsTo('http://example.org')":   CodeSemantic,
		"name.single()":                      CodeSingle,
		"name.given + 'a'":                   CodeSingle,
		"name.as(HumanName)":                 CodeSingle,
		"1 + 'a'":                            CodeType,
		"name.first() < 1":                   CodeType,
		"-'a'":                               CodeType,
		"@2012 + 1 'cm'":                     CodeType,
		"iif('a', 1)":                        CodeType,
		"name.length()":                      CodeSingle,
		"name.first().length()":              CodeType,
		"1.repeat($this + 1)":                CodeBudget,
		"('a'|'b').aggregate('x').repeat($this + 'y')": CodeBudget,
	} {
		x, err := e.Compile(text)
		if err == nil {
			_, err = x.Eval(root, &Env{Steps: 20_000})
		}
		if !errors.Is(err, &Error{Code: code}) {
			t.Errorf("%.40s: got %v, want %s", text, err, code)
		}
	}
}

func TestCheckFindsWhatCannotExist(t *testing.T) {
	e := New(definition.R4())
	for text, want := range map[string]bool{
		"name.given": true, "name.given1": false, "Encounter.status": false, "multipleBirthInteger": false, "multipleBirth": true,
		"contact.name.family": true, "contact.name.families": false, "name.where(uses='a')": false, "extension.value.code": true, "contained.anything": true,
		"children().first()": false, "name.select(given | family).count()": true,
	} {
		x, err := e.Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if err := x.Check("Patient"); (err == nil) != want {
			t.Errorf("%s: got %v, want it to pass: %v", text, err, want)
		}
	}
}

func TestErrorsHoldNoContent(t *testing.T) {
	e := New(definition.R4())
	root := focus(t, ada)
	for _, text := range []string{"name.single()", "name.first() + 1", "name.family.first() - 1", "birthDate + 1", "name.given.toInteger()"} {
		x, err := e.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = x.Eval(root, nil); err == nil || strings.Contains(err.Error(), "Sample") || strings.Contains(err.Error(), "1970") {
			t.Errorf("%s: got %v, want an error without content", text, err)
		}
	}
}

func FuzzEval(f *testing.F) {
	for _, c := range cases {
		f.Add(c[0])
	}
	e := New(definition.R4())
	root := focus(f, ada)
	f.Fuzz(func(t *testing.T, text string) {
		x, err := e.Compile(text)
		if err != nil {
			return
		}
		_ = x.Check("Patient")
		_, _ = x.Eval(root, &Env{Steps: 20_000, ByType: true})
		_, _ = x.Eval(element.Element{}, &Env{Steps: 20_000})
	})
}

func FuzzFocus(f *testing.F) {
	f.Add([]byte(ada))
	f.Add([]byte(`{"resourceType":"Observation","valueQuantity":{"value":1e300},"effectiveDateTime":"2020-13","issued":5}`))
	e := New(definition.R4())
	var all []*Expression
	for _, text := range []string{"descendants()", "descendants().select($this = $this)", "descendants().toString()", "value < 5", "Patient.birthDate + 1 year", "descendants().ofType(Quantity).select($this * 2)"} {
		x, err := e.Compile(text)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, x)
	}
	f.Fuzz(func(_ *testing.T, src []byte) {
		tree, err := element.Parse(src)
		if err != nil {
			return
		}
		root := definition.R4().Model().Root(tree)
		for _, x := range all {
			_, _ = x.Eval(root, &Env{Steps: 20_000})
		}
	})
}
