package validate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"salus/fhir/definition"
	"salus/fhir/element"
)

// A mutant is a resource with one rule broken, and what must be said of it.
type mutant struct{ what, code, expression string }

// A mutator breaks one rule at a time, at every place of a resource where it can be broken.
type mutator struct {
	set  *definition.Set
	root map[string]any
	do   func(m mutant) // called with root broken
}

func (m *mutator) run() {
	typ := m.root["resourceType"].(string)
	m.object(m.root, m.set.Model().Type(typ), typ)
}

// with calls do with a member set, or taken away where v is nil, and puts it back.
func (m *mutator) with(o map[string]any, name string, v any, mu mutant) {
	was, had := o[name]
	if v == nil {
		delete(o, name)
	} else {
		o[name] = v
	}
	m.do(mu)
	if had {
		o[name] = was
	} else {
		delete(o, name)
	}
}

type null struct{}

func (null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

func (m *mutator) object(o map[string]any, t *element.Type, at string) {
	m.with(o, "salusUnheardOf", "x", mutant{"add an unknown element", CodeUnknown, at})
	if t.Field("linkId") == nil {
		m.with(o, "linkId", "x", mutant{"add an element of another type", CodeUnknown, at + ".linkId"})
	}
	names := make([]string, 0, len(o))
	for n := range o {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "resourceType" || strings.HasPrefix(name, "_") {
			continue
		}
		f, opt := t.Member(name)
		if f == nil {
			continue
		}
		m.member(o, t, name, f, opt, at+"."+f.Name)
	}
}

func (m *mutator) member(o map[string]any, t *element.Type, name string, f *element.Field, opt *element.Option, at string) {
	v := o[name]
	owner, _, _ := strings.Cut(t.Name, ".")
	path := t.Name + "." + f.Name
	if f.Choice {
		path += "[x]"
	}
	def := m.set.Type(owner).Element(path)
	if def.Min > 0 && o["_"+name] == nil {
		m.with(o, name, nil, mutant{"drop a mandatory element", CodeMin, at})
	}
	m.with(o, name, []any{}, mutant{"empty array", CodeArray, at})
	m.with(o, name, null{}, mutant{"null", "", at})
	if f.Choice && len(f.Types) > 1 {
		other := f.Types[0]
		if other.JSON == name {
			other = f.Types[1]
		}
		m.with(o, other.JSON, "x", mutant{"two types of a choice", CodeChoiceSeveral, at})
	}
	list, isList := v.([]any)
	if !isList {
		if f.Name != "extension" && name != "contained" {
			m.with(o, name, []any{v}, mutant{"an array where there is one value", CodeArray, at})
		}
		m.value(opt.Type, def, v, at, func(x any, mu mutant) { m.with(o, name, x, mu) })
		return
	}
	m.with(o, name, list[0], mutant{"one value where there is an array", CodeArray, at})
	if opt.Type.Kind != element.Primitive {
		for i := range list {
			m.value(opt.Type, def, list[i], fmt.Sprintf("%s[%d]", at, i), func(x any, mu mutant) {
				was := list[i]
				list[i] = x
				m.do(mu)
				list[i] = was
			})
		}
	}
}

// badValues has for each primitive a value of the right JSON type and the wrong format.
var badValues = map[string]any{
	"string": "\u0001", "markdown": "", "code": " x", "id": "a_b", "uri": "a b", "url": "a b", "canonical": "a b", "oid": "urn:oid:3.1",
	"uuid": "urn:uuid:ABC", "base64Binary": "a", "date": "2023-02-29", "dateTime": "2023-01-01T10:00:00", "instant": "2023-01-01",
	"time": "24:00:00", "integer": json.Number("1.5"), "unsignedInt": json.Number("-1"), "positiveInt": json.Number("0"), "decimal": json.Number("1e999"),
}

func (m *mutator) value(t *element.Type, def *definition.Element, v any, at string, set func(any, mutant)) {
	if t.Kind == element.Primitive {
		if _, ok := v.(string); ok {
			set(json.Number("7"), mutant{"a number for a string", CodeKind, at})
		} else {
			set("7", mutant{"a string for a number or boolean", CodeKind, at})
		}
		set(map[string]any{"id": "x"}, mutant{"an object for a primitive", CodeKind, at})
		if bad, ok := badValues[t.Name]; ok {
			set(bad, mutant{"a bad " + t.Name, CodeFormat, at})
		}
		if vs := m.set.ValueSet(def.ValueSet); def.Strength == "required" && vs != nil && !vs.Open {
			set("no-such-code", mutant{"a code outside of the value set", CodeBinding, at})
		}
		return
	}
	set("x", mutant{"a string for an object", CodeKind, at})
	o, ok := v.(map[string]any)
	if !ok {
		return
	}
	if t.Kind == element.Resource {
		was := o["resourceType"]
		o["resourceType"] = "Nothing"
		set(o, mutant{"an unknown resource", CodeResourceType, at})
		o["resourceType"] = was
		t = m.set.Model().Type(was.(string))
	} else {
		set(map[string]any{}, mutant{"an empty object", CodeEmpty, at})
		set(map[string]any{"id": "x"}, mutant{"an object with an id alone", CodeEmpty, at})
	}
	m.object(o, t, at)
}

func decode(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var o map[string]any
	if err := d.Decode(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

func validator(t testing.TB, o Options) *Validator {
	t.Helper()
	v, err := New(definition.R4(), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// refused reports whether the broken resource has the error that is expected.
func refused(t testing.TB, v *Validator, o map[string]any, mu mutant) bool {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := element.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(v.ValidateTree(context.Background(), tree), func(i Issue) bool {
		return i.Severity == Error && (mu.code == "" || i.Code == mu.code) && i.Expression == mu.expression
	})
}

func TestEveryMutantIsRefusedWithItsCodeAndPlace(t *testing.T) {
	v := validator(t, Options{})
	for _, file := range []string{"observation.json", "patient.json", "bundle.json", "questionnaire.json"} {
		r := fixture(t, file)
		if got := v.Validate(context.Background(), r); len(got) > 0 {
			t.Fatalf("%s: got %v before it is broken, want none", file, got)
		}
		count := 0
		m := mutator{set: definition.R4(), root: decode(t, r.Raw())}
		m.do = func(mu mutant) {
			count++
			if !refused(t, v, m.root, mu) {
				t.Errorf("%s: %s: want %s at %s", file, mu.what, mu.code, mu.expression)
			}
		}
		m.run()
		t.Logf("%s: %d mutants", file, count)
	}
}
