package fhirxml

import (
	"errors"
	"strings"
	"testing"

	"salus/fhir"
	"salus/fhir/definition"
)

// forms are resources in both forms (R4 2.6.1 and 2.6.2), written by hand.
var forms = []struct{ rule, xml, json string }{
	{
		"elements once and repeated, numbers, truth values and strings",
		`<Patient xmlns="http://hl7.org/fhir"><id value="p1"/><active value="true"/><name><family value="Sample"/><given value="A"/><given value="B"/></name>` +
			`<birthDate value="1970-01-01"/><multipleBirthInteger value="2"/></Patient>`,
		`{"resourceType":"Patient","id":"p1","active":true,"name":[{"family":"Sample","given":["A","B"]}],"birthDate":"1970-01-01","multipleBirthInteger":2}`,
	},
	{
		"ids and extensions of primitives, with and without a value",
		`<Patient xmlns="http://hl7.org/fhir"><name id="n"><given value="A"/><given id="g"><extension url="http://example.org/x"><valueCode value="masked"/></extension></given><given value="C" id="h"/></name>` +
			`<birthDate value="1970-01-01"><extension url="http://example.org/t"><valueDateTime value="1970-01-01T10:00:00Z"/></extension></birthDate></Patient>`,
		`{"resourceType":"Patient","name":[{"id":"n","given":["A",null,"C"],"_given":[null,{"id":"g","extension":[{"url":"http://example.org/x","valueCode":"masked"}]},{"id":"h"}]}],` +
			`"birthDate":"1970-01-01","_birthDate":{"extension":[{"url":"http://example.org/t","valueDateTime":"1970-01-01T10:00:00Z"}]}}`,
	},
	{
		"a primitive that only has extensions",
		`<Patient xmlns="http://hl7.org/fhir"><name><given><extension url="http://example.org/x"><valueBoolean value="false"/></extension></given></name></Patient>`,
		`{"resourceType":"Patient","name":[{"_given":[{"extension":[{"url":"http://example.org/x","valueBoolean":false}]}]}]}`,
	},
	{
		"decimals keep their text",
		`<Observation xmlns="http://hl7.org/fhir"><status value="final"/><code><text value="x"/></code><valueQuantity><value value="1.500"/></valueQuantity><component><code><text value="y"/></code><valueQuantity><value value="-1.00e-245"/></valueQuantity></component></Observation>`,
		`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.500},"component":[{"code":{"text":"y"},"valueQuantity":{"value":-1.00e-245}}]}`,
	},
	{
		"characters that one of the forms writes differently",
		`<Basic xmlns="http://hl7.org/fhir"><code><text value="&lt;a&gt; &amp; &quot;b&quot; 'c' &#10;&#9;&#13;\ é 𝔖"/></code></Basic>`,
		`{"resourceType":"Basic","code":{"text":"<a> & \"b\" 'c' \n\t\r\\ é 𝔖"}}`,
	},
	{
		"a narrative",
		`<Basic xmlns="http://hl7.org/fhir"><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml" xml:lang="en"><p>a &amp; b<br/></p><!-- c --></div></text><code><text value="x"/></code></Basic>`,
		`{"resourceType":"Basic","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\"><p>a &amp; b<br/></p><!-- c --></div>"},"code":{"text":"x"}}`,
	},
	{
		"resources in resources",
		`<Bundle xmlns="http://hl7.org/fhir"><type value="collection"/><entry><fullUrl value="urn:x:1"/><resource><Patient><contained><Organization><id value="o"/><name value="O"/></Organization></contained><contained><Basic><id value="b"/><code><text value="x"/></code></Basic></contained>` +
			`<managingOrganization><reference value="#o"/></managingOrganization></Patient></resource></entry><entry><resource><Parameters><parameter><name value="n"/><resource><Basic><code><text value="y"/></code></Basic></resource></parameter></Parameters></resource></entry></Bundle>`,
		`{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:x:1","resource":{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"O"},{"resourceType":"Basic","id":"b","code":{"text":"x"}}],` +
			`"managingOrganization":{"reference":"#o"}}},{"resource":{"resourceType":"Parameters","parameter":[{"name":"n","resource":{"resourceType":"Basic","code":{"text":"y"}}}]}}]}`,
	},
	{
		"elements whose content is defined elsewhere",
		`<Questionnaire xmlns="http://hl7.org/fhir"><status value="draft"/><item><linkId value="1"/><type value="group"/><item><linkId value="1.1"/><type value="string"/></item></item></Questionnaire>`,
		`{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"group","item":[{"linkId":"1.1","type":"string"}]}]}`,
	},
	{"nothing but a type", `<Patient xmlns="http://hl7.org/fhir"></Patient>`, `{"resourceType":"Patient"}`},
}

const declaration = `<?xml version="1.0" encoding="UTF-8"?>`

func TestBothForms(t *testing.T) {
	m := definition.R4().Model()
	for _, s := range forms {
		if x, err := ToXML(m, []byte(s.json), false); err != nil || string(x) != declaration+s.xml {
			t.Errorf("%s: to XML: %v\n got %s\nwant %s", s.rule, err, x, declaration+s.xml)
		}
		if j, err := ToJSON(m, []byte(declaration+s.xml)); err != nil || string(j) != s.json {
			t.Errorf("%s: to JSON: %v\n got %s\nwant %s", s.rule, err, j, s.json)
		}
		around(t, s.rule, []byte(s.json))
	}
}

// What others write: prefixes, comments, references to schemas, white space, elements without content as a tag and its end.
func TestOtherWaysToWriteIt(t *testing.T) {
	m := definition.R4().Model()
	want := `{"resourceType":"Basic","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a\nb</div>"},"code":{"text":"x"}}`
	for _, x := range []string{
		"\ufeff<?xml version='1.0'?>\r\n<!-- c --><?pi?>\n<Basic xmlns='http://hl7.org/fhir'>\n <text>\n <status value='generated'></status><div xmlns='http://www.w3.org/1999/xhtml'>a\r\nb</div></text>\n <code><!-- c --><text value='&#120;'/></code>\n</Basic>\n<!-- c -->\n",
		`<f:Basic xmlns:f="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir basic.xsd"><f:text><f:status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">a` + "\n" + `b</div></f:text><f:code><f:text value="x"/></f:code></f:Basic>`,
		`<f:Basic xmlns:f="http://hl7.org/fhir" xmlns="http://www.w3.org/1999/xhtml"><f:text><f:status value="generated"/><div>a` + "\n" + `b</div></f:text><f:code><f:text value="x"/></f:code></f:Basic>`,
	} {
		got, err := ToJSON(m, []byte(x))
		if err != nil {
			t.Errorf("%v: %s", err, x)
			continue
		}
		if g := strings.ReplaceAll(string(got), `'http://www.w3.org/1999/xhtml'`, `\"http://www.w3.org/1999/xhtml\"`); g != want {
			t.Errorf("got %s\nwant %s", g, want)
		}
	}
}

func TestWhatIsNoResourceInXML(t *testing.T) {
	m := definition.R4().Model()
	in := func(s string) string { return `<Patient xmlns="http://hl7.org/fhir">` + s + `</Patient>` }
	div := func(s string) string { return in(`<text><status value="generated"/>` + s + `</text>`) }
	const html = ` xmlns="http://www.w3.org/1999/xhtml"`
	for _, s := range []struct{ rule, xml, code, at string }{
		{"nothing", "", fhir.CodeEmpty, ""},
		{"white space", " \n", fhir.CodeEmpty, ""},
		{"no XML", `{"resourceType":"Patient"}`, CodeText, ""},
		{"cut off", `<Patient xmlns="http://hl7.org/fhir"><name>`, CodeSyntax, "Patient.name[0]"},
		{"tags crossed", in(`<name></Patient>`), CodeSyntax, "Patient.name[0]"},
		{"not UTF-8", in("<gender value=\"\xff\"/>"), CodeSyntax, "Patient"},
		{"a comment that is not UTF-8", in("<!--\xdf-->"), CodeSyntax, "Patient"},
		{"a control character in a comment", in("<!--\x01-->"), CodeSyntax, "Patient"},
		{"an instruction that is not UTF-8", in("<?x \xdf?>"), CodeSyntax, "Patient"},
		{"a comment of a narrative that is not UTF-8", div("<div" + html + "><!--\xdf--></div>"), CodeSyntax, "Patient.text.div"},
		{"a control character in a comment of a narrative", div("<div" + html + "><!--\x01--></div>"), CodeSyntax, "Patient.text.div"},
		{"another encoding", `<?xml version="1.0" encoding="ISO-8859-1"?>` + in(""), CodeSyntax, ""},
		{"a document type", `<!DOCTYPE Patient [<!ENTITY x "y">]>` + in(""), CodeDoctype, ""},
		{"one that fetches", `<!DOCTYPE Patient SYSTEM "http://example.org/x.dtd">` + in(""), CodeDoctype, ""},
		{"an entity", in(`<gender value="&x;"/>`), CodeSyntax, "Patient"},
		{"an entity of HTML", div(`<div` + html + `>&nbsp;</div>`), CodeSyntax, "Patient.text.div"},
		{"two resources", in("") + in(""), fhir.CodeTrailing, ""},
		{"no namespace", `<Patient/>`, CodeNamespace, ""},
		{"another namespace", `<Patient xmlns="urn:hl7-org:v3"/>`, CodeNamespace, ""},
		{"another namespace within", in(`<name xmlns="urn:x"/>`), CodeNamespace, "Patient"},
		{"a prefix that is none", `<f:Patient/>`, CodeNamespace, ""},
		{"no resource", `<HumanName xmlns="http://hl7.org/fhir"/>`, fhir.CodeType, ""},
		{"no such element", in(`<colour value="x"/>`), CodeElement, "Patient"},
		{"an id as an element", in(`<name><id value="x"/></name>`), CodeElement, "Patient.name[0]"},
		{"a url as an element", in(`<extension><url value="x"/></extension>`), CodeElement, "Patient.extension[0]"},
		{"an element in a primitive", in(`<gender value="male"><name/></gender>`), CodeElement, "Patient.gender"},
		{"no such attribute", in(`<gender wert="male"/>`), CodeAttribute, "Patient.gender"},
		{"an attribute of a resource", `<Patient xmlns="http://hl7.org/fhir" id="x"/>`, CodeAttribute, "Patient"},
		{"a value of what has none", in(`<name value="x"/>`), CodeAttribute, "Patient.name[0]"},
		{"an attribute twice", in(`<gender value="male" value="female"/>`), CodeAttribute, "Patient.gender"},
		{"an attribute of another namespace", in(`<gender f:value="male" xmlns:f="http://hl7.org/fhir"/>`), CodeAttribute, "Patient.gender"},
		{"text", in(`<gender>male</gender>`), CodeText, "Patient.gender"},
		{"text as CDATA", in(`<gender><![CDATA[male]]></gender>`), CodeText, "Patient.gender"},
		{"the order", in(`<birthDate value="1970-01-01"/><gender value="male"/>`), CodeOrder, "Patient"},
		{"repeated, but not together", in(`<name><given value="A"/><family value="B"/></name>`), CodeOrder, "Patient.name[0]"},
		{"twice what is there once", in(`<gender value="male"/><gender value="male"/>`), CodeRepeated, "Patient.gender"},
		{"two types", in(`<deceasedBoolean value="true"/><deceasedDateTime value="2000-01-01"/>`), CodeRepeated, "Patient.deceasedDateTime"},
		{"an empty element", in(`<name/>`), CodeBlank, "Patient.name[0]"},
		{"a primitive without a value", in(`<name><given value="A"/><given/></name>`), CodeBlank, "Patient.name[0].given[1]"},
		{"no truth value", in(`<active value="yes"/>`), CodeValue, "Patient.active"},
		{"no number", in(`<multipleBirthInteger value="two"/>`), CodeValue, "Patient.multipleBirthInteger"},
		{"a number with something around it", in(`<multipleBirthInteger value=" 2"/>`), CodeValue, "Patient.multipleBirthInteger"},
		{"a number that JSON has not", in(`<multipleBirthInteger value="+2"/>`), CodeValue, "Patient.multipleBirthInteger"},
		{"more than a number", in(`<multipleBirthInteger value="2,&quot;x&quot;:3"/>`), CodeValue, "Patient.multipleBirthInteger"},
		{"nothing contained", in(`<contained/>`), CodeBlank, "Patient.contained[0]"},
		{"two in one contained", in(`<contained><Basic/><Basic/></contained>`), CodeRepeated, "Patient.contained[0]"},
		{"no resource contained", in(`<contained><name/></contained>`), fhir.CodeType, "Patient.contained[0]"},
		{"a narrative of another namespace", div(`<div>x</div>`), CodeNarrative, "Patient.text"},
		{"a narrative that is a value", div(`<div value="x"/>`), CodeNarrative, "Patient.text"},
		{"a narrative with a prefix", div(`<h:div xmlns:h="http://www.w3.org/1999/xhtml">x</h:div>`), CodeNarrative, "Patient.text.div"},
		{"a prefix that is the name", div(`<div` + html + `><p:p xmlns:p="http://www.w3.org/1999/xhtml"/></div>`), CodeNarrative, "Patient.text.div"},
		{"something else in a narrative", div(`<div` + html + `><svg xmlns="http://www.w3.org/2000/svg"/></div>`), CodeNarrative, "Patient.text.div"},
		{"an instruction in a narrative", div(`<div` + html + `><?x y?></div>`), CodeNarrative, "Patient.text.div"},
		{"a narrative without an end", div(`<div` + html + `><p></div>`), CodeSyntax, "Patient.text.div"},
		{"an attribute twice in a narrative", div(`<div` + html + `><p id="a" id="b"/></div>`), CodeNarrative, "Patient.text.div"},
		{"a deep narrative", div(`<div` + html + `>` + strings.Repeat("<p>", 300) + strings.Repeat("</p>", 300) + `</div>`), CodeNarrative, "Patient.text.div"},
		{"a deep resource", in(strings.Repeat(`<extension url="u">`, 100) + strings.Repeat(`</extension>`, 100)), fhir.CodeDepth, ""},
	} {
		got, err := ToJSON(m, []byte(s.xml))
		var i *fhir.Issue
		if !errors.As(err, &i) || i.Code != s.code || s.at != "" && i.Expression != s.at || i.Text == "" || got != nil {
			t.Errorf("%s: got %v, want %s at %q", s.rule, err, s.code, s.at)
		}
	}
}

func TestWhatXMLCannotSay(t *testing.T) {
	m := definition.R4().Model()
	for _, s := range []struct{ rule, json string }{
		{"an unknown type", `{"resourceType":"Patiant"}`},
		{"no resource", `[]`},
		{"an unknown element", `{"resourceType":"Patient","colour":"x"}`},
		{"two types", `{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2000"}`},
		{"one value where a list is", `{"resourceType":"Patient","name":{"family":"A"}}`},
		{"a list where one value is", `{"resourceType":"Patient","gender":["male"]}`},
		{"an empty list", `{"resourceType":"Patient","name":[]}`},
		{"an empty object", `{"resourceType":"Patient","name":[{}]}`},
		{"null", `{"resourceType":"Patient","gender":null}`},
		{"null on both sides", `{"resourceType":"Patient","name":[{"given":["A",null],"_given":[{"id":"x"},null]}]}`},
		{"a string where an object is", `{"resourceType":"Patient","name":["x"]}`},
		{"an object where a string is", `{"resourceType":"Patient","gender":{"x":1}}`},
		{"a sibling of what has none", `{"resourceType":"Patient","_name":[{"id":"x"}]}`},
		{"a sibling that is no object", `{"resourceType":"Patient","gender":"male","_gender":"x"}`},
		{"a number where a truth value is", `{"resourceType":"Patient","active":0}`},
		{"a string where a truth value is", `{"resourceType":"Patient","active":"true"}`},
		{"a string where a number is", `{"resourceType":"Patient","multipleBirthInteger":"2"}`},
		{"a truth value where a number is", `{"resourceType":"Patient","multipleBirthInteger":true}`},
		{"a number where a string is", `{"resourceType":"Patient","gender":1}`},
		{"a truth value in a list of strings", `{"resourceType":"Patient","name":[{"given":["A",false]}]}`},
		{"an id that is no string", `{"resourceType":"Patient","name":[{"id":1}]}`},
		{"a character that XML has not", `{"resourceType":"Patient","name":[{"family":"\u0001"}]}`},
		{"and in a url", `{"resourceType":"Patient","extension":[{"url":"\uffff","valueCode":"x"}]}`},
		{"a narrative that breaks out", `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"></div></text><active value=\"true\"/><text>"}}`},
		{"a comment of a narrative with what XML has not", `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><!--\u0001--></div>"}}`},
		{"a narrative of another namespace", `{"resourceType":"Patient","text":{"status":"generated","div":"<div>x</div>"}}`},
		{"a narrative that is not well-formed", `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p></div>"}}`},
		{"a narrative with a document type", `{"resourceType":"Patient","text":{"status":"generated","div":"<!DOCTYPE div><div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}}`},
		{"a resource in a resource without a type", `{"resourceType":"Bundle","entry":[{"resource":{"id":"x"}}]}`},
	} {
		got, err := ToXML(m, []byte(s.json), false)
		var i *fhir.Issue
		if !errors.As(err, &i) || i.Code != CodeUnsaid || got != nil {
			t.Errorf("%s: got %v and %s, want %s", s.rule, err, got, CodeUnsaid)
		}
	}
	if _, err := ToXML(m, []byte(`{`), false); !errors.Is(err, &fhir.Issue{Code: fhir.CodeJSON}) {
		t.Errorf("no JSON: got %v", err)
	}
}

func TestXMLOnLines(t *testing.T) {
	x, err := ToXML(definition.R4().Model(), []byte(forms[1].json), true)
	want := declaration + `
<Patient xmlns="http://hl7.org/fhir">
  <name id="n">
    <given value="A"/>
    <given id="g">
      <extension url="http://example.org/x">
        <valueCode value="masked"/>
      </extension>
    </given>
    <given value="C" id="h"/>
  </name>
  <birthDate value="1970-01-01">
    <extension url="http://example.org/t">
      <valueDateTime value="1970-01-01T10:00:00Z"/>
    </extension>
  </birthDate>
</Patient>`
	if err != nil || string(x) != want {
		t.Errorf("%v: got\n%s\nwant\n%s", err, x, want)
	}
}

// What reads from XML is said in XML and reads as the same JSON, byte for byte.
func FuzzXML(f *testing.F) {
	for _, s := range forms {
		f.Add([]byte(s.xml))
	}
	m := definition.R4().Model()
	f.Fuzz(func(t *testing.T, src []byte) {
		j, err := ToJSON(m, src)
		if err != nil {
			if _, ok := errors.AsType[*fhir.Issue](err); !ok {
				t.Fatalf("got %T", err)
			}
			return
		}
		x, err := ToXML(m, j, false)
		if err != nil {
			t.Fatalf("%v: %s", err, j)
		}
		again, err := ToJSON(m, x)
		if err != nil || string(again) != string(j) {
			t.Fatalf("%v: read %s, said %s, read %s", err, j, x, again)
		}
	})
}

// What is said in XML reads as JSON that is said the same.
func FuzzJSON(f *testing.F) {
	for _, s := range forms {
		f.Add([]byte(s.json))
	}
	f.Add([]byte(`{"resourceType":"Basic","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a\r\nb\rc</div>"},"code":{"text":"x"}}`))
	m := definition.R4().Model()
	f.Fuzz(func(t *testing.T, src []byte) {
		x, err := ToXML(m, src, true)
		if err != nil {
			return
		}
		back, err := ToJSON(m, x)
		if err != nil {
			t.Fatalf("%v: %s", err, x)
		}
		if again, err := ToXML(m, back, true); err != nil || string(again) != string(x) {
			t.Fatalf("%v: was %s, is %s", err, x, again)
		}
	})
}
