package patch

import (
	"errors"
	"strings"
	"testing"

	"salus/fhir/definition"
	"salus/fhir/element"
)

// op writes an operation: pairs of names and JSON members.
func op(pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, `{"name":"`+pairs[i]+`",`+pairs[i+1]+`}`)
	}
	return `{"name":"operation","part":[` + strings.Join(parts, ",") + `]}`
}

func patchOf(ops ...string) string {
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(ops, ",") + `]}`
}

func kind(s string) (string, string)  { return "type", `"valueCode":"` + s + `"` }
func path(s string) (string, string)  { return "path", `"valueString":"` + s + `"` }
func named(s string) (string, string) { return "name", `"valueString":"` + s + `"` }

func add(at, name, value string) string {
	k, t := kind("add")
	p, s := path(at)
	n, m := named(name)
	return op(k, t, p, s, n, m, "value", value)
}

func replace(at, value string) string {
	k, t := kind("replace")
	p, s := path(at)
	return op(k, t, p, s, "value", value)
}

func remove(at string) string {
	k, t := kind("delete")
	p, s := path(at)
	return op(k, t, p, s)
}

func insert(at, index, value string) string {
	k, t := kind("insert")
	p, s := path(at)
	return op(k, t, p, s, "index", `"valueInteger":`+index, "value", value)
}

func move(at, from, to string) string {
	k, t := kind("move")
	p, s := path(at)
	return op(k, t, p, s, "source", `"valueInteger":`+from, "destination", `"valueInteger":`+to)
}

var patchTests = []struct{ name, resource, patch, want string }{
	{"nothing to do", `{"resourceType":"Patient" }`, `{"resourceType":"Parameters"}`, `{"resourceType":"Patient" }`},
	{"add a primitive", `{"resourceType":"Patient"}`, patchOf(add("Patient", "birthDate", `"valueDate":"1930-01-01"`)), `{"resourceType":"Patient","birthDate":"1930-01-01"}`},
	{"add keeps the look of the text", "{\n  \"resourceType\": \"Patient\"\n}", patchOf(add("Patient", "active", `"valueBoolean":true`)), "{\n  \"resourceType\": \"Patient\",\n  \"active\":true\n}"},
	{"add with an extension beside it", `{"resourceType":"Patient"}`, patchOf(add("Patient", "birthDate", `"valueDate":"1930","_valueDate":{"id":"b"}`)), `{"resourceType":"Patient","birthDate":"1930","_birthDate":{"id":"b"}}`},
	{"add an extension alone", `{"resourceType":"Patient"}`, patchOf(add("Patient", "birthDate", `"_valueDate":{"id":"b"}`)), `{"resourceType":"Patient","_birthDate":{"id":"b"}}`},
	{"add a choice", `{"resourceType":"Observation"}`, patchOf(add("Observation", "value", `"valueQuantity":{"value":1.0}`)), `{"resourceType":"Observation","valueQuantity":{"value":1.0}}`},
	{"add a choice as value[x]", `{"resourceType":"Observation"}`, patchOf(add("Observation", "value[x]", `"valueString":"x"`)), `{"resourceType":"Observation","valueString":"x"}`},
	{"add to a list", `{"resourceType":"Patient","name":[{"family":"a"}]}`, patchOf(add("Patient", "name", `"valueHumanName":{"family":"b"}`)), `{"resourceType":"Patient","name":[{"family":"a"},{"family":"b"}]}`},
	{"add the first of a list", `{"resourceType":"Patient"}`, patchOf(add("Patient", "name", `"valueHumanName":{"family":"b"}`)), `{"resourceType":"Patient","name":[{"family":"b"}]}`},
	{"add to an empty object's place", `{"resourceType":"Patient","name":[{"family":"a"}]}`, patchOf(add("Patient.name[0]", "given", `"valueString":"x"`)), `{"resourceType":"Patient","name":[{"family":"a","given":["x"]}]}`},
	{"add to primitives with extensions", `{"resourceType":"Patient","name":[{"given":["a"],"_given":[{"id":"1"}]}]}`, patchOf(add("Patient.name[0]", "given", `"valueString":"b"`)), `{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[{"id":"1"},null]}]}`},
	{"add the first extension to primitives", `{"resourceType":"Patient","name":[{"given":["a"]}]}`, patchOf(add("Patient.name[0]", "given", `"valueString":"b","_valueString":{"id":"2"}`)), `{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[null,{"id":"2"}]}]}`},
	{"add an extension to a primitive", `{"resourceType":"Patient","birthDate":"1930"}`, patchOf(add("Patient.birthDate", "extension", `"valueExtension":{"url":"s:x","valueCode":"y"}`)), `{"resourceType":"Patient","birthDate":"1930","_birthDate":{"extension":[{"url":"s:x","valueCode":"y"}]}}`},
	{"add an extension to a primitive in a list", `{"resourceType":"Patient","name":[{"given":["a","b"]}]}`, patchOf(add("Patient.name[0].given[1]", "extension", `"valueExtension":{"url":"s:x"}`)), `{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[null,{"extension":[{"url":"s:x"}]}]}]}`},
	{"add by parts", `{"resourceType":"Patient"}`, patchOf(add("Patient", "contact", `"part":[{"name":"name","valueHumanName":{"text":"a name"}},{"name":"telecom","valueContactPoint":{"value":"1"}},{"name":"telecom","valueContactPoint":{"value":"2"}}]`)), `{"resourceType":"Patient","contact":[{"name":{"text":"a name"},"telecom":[{"value":"1"},{"value":"2"}]}]}`},
	{"add by parts with a choice in it", `{"resourceType":"Observation"}`, patchOf(add("Observation", "component", `"part":[{"name":"code","part":[{"name":"text","valueString":"x"}]},{"name":"value","valueQuantity":{"value":2.50}}]`)), `{"resourceType":"Observation","component":[{"code":{"text":"x"},"valueQuantity":{"value":2.50}}]}`},
	{"add a contained resource", `{"resourceType":"Patient"}`, patchOf(add("Patient", "contained", `"resource":{"resourceType":"Organization","id":"o"}`)), `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o"}]}`},
	{"insert", `{"resourceType":"Patient","identifier":[{"value":"1"},{"value":"3"}]}`, patchOf(insert("Patient.identifier", "1", `"valueIdentifier":{"value":"2"}`)), `{"resourceType":"Patient","identifier":[{"value":"1"},{"value":"2"},{"value":"3"}]}`},
	{"insert at the end", `{"resourceType":"Patient","identifier":[{"value":"1"}]}`, patchOf(insert("Patient.identifier", "1", `"valueIdentifier":{"value":"2"}`)), `{"resourceType":"Patient","identifier":[{"value":"1"},{"value":"2"}]}`},
	{"insert into nothing", `{"resourceType":"Patient"}`, patchOf(insert("Patient.identifier", "0", `"valueIdentifier":{"value":"2"}`)), `{"resourceType":"Patient","identifier":[{"value":"2"}]}`},
	{"insert beside extensions", `{"resourceType":"Patient","name":[{"given":["a"],"_given":[{"id":"1"}]}]}`, patchOf(insert("Patient.name[0].given", "0", `"valueString":"b"`)), `{"resourceType":"Patient","name":[{"given":["b","a"],"_given":[null,{"id":"1"}]}]}`},
	{"delete a primitive and what stands beside it", `{"resourceType":"Patient","birthDate":"1930","_birthDate":{"id":"b"},"active":true}`, patchOf(remove("Patient.birthDate")), `{"resourceType":"Patient","active":true}`},
	{"delete what is not there", `{"resourceType":"Patient"}`, patchOf(remove("Patient.birthDate")), `{"resourceType":"Patient"}`},
	{"delete from a list", `{"resourceType":"Patient","name":[{"family":"a"}, {"family":"b"}, {"family":"c"}]}`, patchOf(remove("Patient.name.where(family='b')")), `{"resourceType":"Patient","name":[{"family":"a"}, {"family":"c"}]}`},
	{"delete the first of a list", `{"resourceType":"Patient","name":[{"family":"a"}, {"family":"b"}]}`, patchOf(remove("Patient.name[0]")), `{"resourceType":"Patient","name":[{"family":"b"}]}`},
	{"delete the last of a list", `{"resourceType":"Patient","name":[{"family":"a"}],"active":true}`, patchOf(remove("Patient.name[0]")), `{"resourceType":"Patient","active":true}`},
	{"delete of primitives with extensions", `{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[null,{"id":"1"}]}]}`, patchOf(remove("Patient.name.given[0]")), `{"resourceType":"Patient","name":[{"given":["b"],"_given":[{"id":"1"}]}]}`},
	{"delete a choice", `{"resourceType":"Observation","valueQuantity":{"value":1.0}}`, patchOf(remove("Observation.value")), `{"resourceType":"Observation"}`},
	{"replace a primitive", `{"resourceType":"Patient","birthDate" : "1920-01-01" }`, patchOf(replace("Patient.birthDate", `"valueDate":"1930-01-01"`)), `{"resourceType":"Patient","birthDate" : "1930-01-01" }`},
	{"replace a choice with another type", `{"resourceType":"Observation","valueQuantity":{"value":1.0},"id":"x"}`, patchOf(replace("Observation.value", `"valueString":"y"`)), `{"resourceType":"Observation","valueString":"y","id":"x"}`},
	{"replace in a list", `{"resourceType":"Patient","name":[{"given":["a","b"]}]}`, patchOf(replace("Patient.name[0].given[1]", `"valueString":"c"`)), `{"resourceType":"Patient","name":[{"given":["a","c"]}]}`},
	{"replace drops what stood beside it", `{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[null,{"id":"1"}]}]}`, patchOf(replace("Patient.name[0].given[1]", `"valueString":"c"`)), `{"resourceType":"Patient","name":[{"given":["a","c"]}]}`},
	{"replace in a contained resource", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","name":"a"}]}`, patchOf(replace("Patient.contained[0].name", `"valueString":"b"`)), `{"resourceType":"Patient","contained":[{"resourceType":"Organization","name":"b"}]}`},
	{"replace a quantity by an age", `{"resourceType":"Observation","referenceRange":[{"age":{"low":{"value":1}}}]}`, patchOf(replace("Observation.referenceRange[0].age.low.value", `"valueDecimal":1.50`)), `{"resourceType":"Observation","referenceRange":[{"age":{"low":{"value":1.50}}}]}`},
	{"a string for a narrative", `{"resourceType":"Patient","text":{"status":"empty"}}`, patchOf(add("Patient.text", "div", `"valueString":"<div/>"`)), `{"resourceType":"Patient","text":{"status":"empty","div":"<div/>"}}`},
	{"delete of all that an element has", `{"resourceType":"Patient","contact":[{"name":{"text":"x"}}],"active":true}`, patchOf(remove("Patient.contact.name.text")), `{"resourceType":"Patient","active":true}`},
	{"delete of all that stood beside a primitive", `{"resourceType":"Patient","birthDate":"1930","_birthDate":{"extension":[{"url":"s:x"}]}}`, patchOf(remove("Patient.birthDate.extension[0]")), `{"resourceType":"Patient","birthDate":"1930"}`},
	{"delete of all that stood beside a primitive in a list", `{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[{"id":"1"},{"extension":[{"url":"s:x"}]}]}]}`, patchOf(remove("Patient.name.given[1].extension")), `{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[{"id":"1"},null]}]}`},
	{"move forwards", `{"resourceType":"Patient","name":[{"family":"a"}, {"family":"b"}, {"family":"c"}]}`, patchOf(move("Patient.name", "0", "2")), `{"resourceType":"Patient","name":[{"family":"b"}, {"family":"c"},{"family":"a"}]}`},
	{"move backwards", `{"resourceType":"Patient","name":[{"family":"a"}, {"family":"b"}, {"family":"c"}]}`, patchOf(move("Patient.name", "2", "0")), `{"resourceType":"Patient","name":[{"family":"c"},{"family":"a"}, {"family":"b"}]}`},
	{"move of primitives with extensions", `{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[{"id":"1"}]}]}`, patchOf(move("Patient.name[0].given", "0", "1")), `{"resourceType":"Patient","name":[{"given":["b","a"],"_given":[null,{"id":"1"}]}]}`},
	{"a name with escapes", `{"resourceType":"Patient","birth\u0044ate":"1930","active":true}`, patchOf(remove("Patient.birthDate")), `{"resourceType":"Patient","active":true}`},
	{"arrays of different length", `{"resourceType":"Patient","name":[{"given":["a","b","c"],"_given":[{"id":"1"}]}]}`, patchOf(add("Patient.name[0]", "given", `"valueString":"d"`)), `{"resourceType":"Patient","name":[{"given":["a","b","c","d"],"_given":[{"id":"1"},null,null,null]}]}`},
	{"one after the other", `{"resourceType":"Patient"}`, patchOf(add("Patient", "name", `"valueHumanName":{"family":"a"}`), add("Patient.name[0]", "text", `"valueString":"b"`), remove("Patient.name[0].family")), `{"resourceType":"Patient","name":[{"text":"b"}]}`},
	{"the rest stays as it is", "{ \"resourceType\" : \"Observation\",\t\"valueQuantity\":{\"value\":1.10e1,\"unit\":\"\\u00b5g\"} ,\"status\":\"final\"\n}\n", patchOf(replace("Observation.status", `"valueCode":"amended"`)), "{ \"resourceType\" : \"Observation\",\t\"valueQuantity\":{\"value\":1.10e1,\"unit\":\"\\u00b5g\"} ,\"status\":\"amended\"\n}\n"},
}

func TestPatchesAreSplices(t *testing.T) {
	for _, s := range patchTests {
		in := []byte(s.resource)
		got, err := Apply(in, []byte(s.patch), definition.R4())
		if err != nil {
			t.Errorf("%s: got %v, want no error", s.name, err)
			continue
		}
		if string(got) != s.want {
			t.Errorf("%s:\n got %s\nwant %s", s.name, got, s.want)
		}
		if string(in) != s.resource {
			t.Errorf("%s: the input was changed", s.name)
		}
	}
}

var badPatches = []struct{ name, resource, patch, code string }{
	{"not JSON", `{}`, `{`, CodeParameters},
	{"no Parameters", `{"resourceType":"Patient"}`, `{"resourceType":"Patient"}`, CodeParameters},
	{"another parameter", `{"resourceType":"Patient"}`, `{"resourceType":"Parameters","parameter":[{"name":"x"}]}`, CodeParameters},
	{"no resource", `{"resourceType":"Nothing"}`, patchOf(), CodeResource},
	{"a resource that is no JSON", `{`, patchOf(), CodeResource},
	{"no such operation", `{"resourceType":"Patient"}`, patchOf(op("type", `"valueCode":"test"`, "path", `"valueString":"Patient"`)), CodeOperation},
	{"no path", `{"resourceType":"Patient"}`, patchOf(op("type", `"valueCode":"delete"`)), CodePath},
	{"a part twice", `{"resourceType":"Patient"}`, patchOf(op("type", `"valueCode":"delete"`, "path", `"valueString":"Patient.id"`, "path", `"valueString":"Patient.id"`)), CodeParameters},
	{"a part that it does not take", `{"resourceType":"Patient"}`, patchOf(op("type", `"valueCode":"delete"`, "path", `"valueString":"Patient.id"`, "index", `"valueInteger":1`)), CodeParameters},
	{"a part that nothing takes", `{"resourceType":"Patient"}`, patchOf(op("type", `"valueCode":"delete"`, "path", `"valueString":"Patient.id"`, "why", `"valueString":"x"`)), CodeParameters},
	{"a negative index", `{"resourceType":"Patient"}`, patchOf(insert("Patient.name", "-1", `"valueHumanName":{}`)), CodeParameters},
	{"a path that is no FHIRPath", `{"resourceType":"Patient"}`, patchOf(remove("Patient..id")), CodePath},
	{"a path to a value", `{"resourceType":"Patient","active":true}`, patchOf(remove("1 + 1")), CodePath},
	{"the resource itself", `{"resourceType":"Patient"}`, patchOf(remove("Patient")), CodePath},
	{"several", `{"resourceType":"Patient","name":[{},{}]}`, patchOf(remove("Patient.name")), CodeSeveral},
	{"replace of nothing", `{"resourceType":"Patient"}`, patchOf(replace("Patient.birthDate", `"valueDate":"1930"`)), CodeNotFound},
	{"add to nothing", `{"resourceType":"Patient","identifier":[{"use":"usual"}]}`, patchOf(add("Patient.identifier.where(use = 'official').period", "start", `"valueDateTime":"2021"`)), CodeNotFound},
	{"add of what is there", `{"resourceType":"Patient","birthDate":"1930"}`, patchOf(add("Patient", "birthDate", `"valueDate":"1931"`)), CodeExists},
	{"add of another type of a choice that is there", `{"resourceType":"Observation","valueString":"x"}`, patchOf(add("Observation", "value", `"valueQuantity":{"value":1}`)), CodeExists},
	{"add of no element", `{"resourceType":"Patient"}`, patchOf(add("Patient", "heart", `"valueString":"x"`)), CodeName},
	{"add of the type of resource", `{"resourceType":"Patient"}`, patchOf(add("Patient", "resourceType", `"valueString":"Group"`)), CodeName},
	{"insert beyond the end", `{"resourceType":"Patient"}`, patchOf(insert("Patient.name", "1", `"valueHumanName":{"family":"x"}`)), CodeIndex},
	{"insert into what does not repeat", `{"resourceType":"Patient"}`, patchOf(insert("Patient.birthDate", "0", `"valueDate":"1930"`)), CodeList},
	{"insert by a path that is no list", `{"resourceType":"Patient"}`, patchOf(insert("Patient.name.where(true)", "0", `"valueHumanName":{"family":"x"}`)), CodePath},
	{"move from beyond the end", `{"resourceType":"Patient","name":[{}]}`, patchOf(move("Patient.name", "1", "0")), CodeIndex},
	{"move to beyond the end", `{"resourceType":"Patient","name":[{}]}`, patchOf(move("Patient.name", "0", "1")), CodeIndex},
	{"a value of another type", `{"resourceType":"Patient"}`, patchOf(add("Patient", "name", `"valueString":"x"`)), CodeType},
	{"a value that a choice does not have", `{"resourceType":"Observation"}`, patchOf(add("Observation", "value", `"valueHumanName":{}`)), CodeType},
	{"a number for a string", `{"resourceType":"Patient"}`, patchOf(add("Patient", "gender", `"valueInteger":1`)), CodeType},
	{"no value", `{"resourceType":"Patient"}`, patchOf(add("Patient", "gender", `"id":"x"`)), CodeValue},
	{"two values", `{"resourceType":"Patient"}`, patchOf(add("Patient", "gender", `"valueCode":"male","valueString":"x"`)), CodeValue},
	{"an unknown part", `{"resourceType":"Patient"}`, patchOf(add("Patient", "contact", `"part":[{"name":"heart","valueString":"x"}]`)), CodeName},
	{"a part that does not repeat, twice", `{"resourceType":"Patient"}`, patchOf(add("Patient", "contact", `"part":[{"name":"gender","valueCode":"male"},{"name":"gender","valueCode":"male"}]`)), CodeExists},
	{"too many", `{"resourceType":"Patient"}`, patchOf(strings.Split(strings.Repeat(remove("Patient.id")+"|", MaxOperations)+remove("Patient.id"), "|")...), CodeMany},
}

func TestBadPatchesAreRefusedWithTheirCode(t *testing.T) {
	for _, s := range badPatches {
		got, err := Apply([]byte(s.resource), []byte(s.patch), definition.R4())
		if !errors.Is(err, &Error{Code: s.code}) {
			t.Errorf("%s: got %s, %v, want %s", s.name, got, err, s.code)
		}
	}
}

func TestLargeListsArePatchedInTime(t *testing.T) {
	const n = 200_000
	resource := `{"resourceType":"Patient","name":[{"given":[` + strings.Repeat(`"a",`, n) + `"a"],"_given":[{"id":"1"}]}]}`
	got, err := Apply([]byte(resource), []byte(patchOf(move("Patient.name[0].given", "0", "7"))), definition.R4())
	if err != nil || strings.Count(string(got), "null") != n {
		t.Errorf("got %d bytes, %v, want the list moved", len(got), err)
	}
	if _, err := Apply([]byte(resource), []byte(patchOf(strings.Split(strings.Repeat(remove("Patient.id")+"|", 998)+remove("Patient.id"), "|")...)), definition.R4()); !errors.Is(err, &Error{Code: CodeMany}) {
		t.Errorf("got %v, want %s", err, CodeMany)
	}
}

func TestErrorsSayWhichOperation(t *testing.T) {
	_, err := Apply([]byte(`{"resourceType":"Patient"}`), []byte(patchOf(remove("Patient.id"), replace("Patient.birthDate", `"valueDate":"Zebediah"`))), definition.R4())
	var e *Error
	if !errors.As(err, &e) || e.Operation != 1 || e.Expression() != "Parameters.parameter[1]" || e.Text() == "" {
		t.Errorf("got %v, want operation 1", err)
	}
	if strings.Contains(err.Error(), "Zebediah") {
		t.Errorf("got %v, want nothing of the patch", err)
	}
	for code, text := range Codes() {
		if text == "" || !strings.HasPrefix(code, "patch-") {
			t.Errorf("%s has no sentence", code)
		}
	}
}

// FuzzApply wants an answer for whatever comes, and a result that is JSON with a resource.
func FuzzApply(f *testing.F) {
	for _, s := range patchTests {
		f.Add([]byte(s.resource), []byte(s.patch))
	}
	for _, s := range badPatches[:len(badPatches)-1] {
		f.Add([]byte(s.resource), []byte(s.patch))
	}
	set := definition.R4()
	f.Fuzz(func(t *testing.T, resource, patch []byte) {
		got, err := Apply(resource, patch, set)
		if err != nil {
			return
		}
		tree, err := element.Parse(got)
		if err != nil {
			t.Fatalf("%s is no JSON afterwards: %v", got, err)
		}
		if set.Model().Root(tree).Type() == nil {
			t.Fatalf("%s is no resource afterwards", got)
		}
		again, err := Apply(resource, patch, set)
		if err != nil || string(again) != string(got) {
			t.Fatalf("got %s, then %s, %v", got, again, err)
		}
	})
}

func BenchmarkApply(b *testing.B) {
	resource := []byte(patchTests[len(patchTests)-1].resource)
	patch := []byte(patchTests[len(patchTests)-1].patch)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Apply(resource, patch, definition.R4()); err != nil {
			b.Fatal(err)
		}
	}
}
