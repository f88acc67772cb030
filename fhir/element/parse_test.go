package element

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestBytesAreKeptExactly(t *testing.T) {
	src := []byte(" {\"a\": [1.10, -0.0e+5, \"x\\u00e9\", null, true,{ }], \"_b\":{\"id\" : \"1\"},\"b\":\"ü\"}\n")
	tree, err := Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct{ got, want string }{
		{string(tree.Raw()), string(src)},
		{string(tree.Root().Get("a").At(0).Raw()), "1.10"},
		{tree.Root().Get("a").At(1).Text(), "-0.0e+5"},
		{string(tree.Root().Get("a").At(2).Raw()), `"x\u00e9"`},
		{tree.Root().Get("a").At(2).Text(), "xé"},
		{string(tree.Root().Get("a").At(5).Raw()), "{ }"},
		{tree.Root().Get("b").Text(), "ü"},
		{tree.Root().Get("_b").Get("id").Pointer(), "/_b/id"},
		{tree.Root().Get("a").At(5).Path(), "a[5]"},
		{string(Node{}.Get("x").At(1).Raw()), ""},
	} {
		if s.got != s.want {
			t.Errorf("got %q, want %q", s.got, s.want)
		}
	}
}

func TestBadInputIsRefusedWithItsPlace(t *testing.T) {
	known := func(n string) bool { return n == "name" || n == "given" }
	many := `{"name":[{"x":1` + strings.Repeat(`,"k":2`, 60) + `}]}`
	for _, s := range []struct{ src, code, pointer string }{
		{``, CodeSyntax, ""},
		{`{`, CodeSyntax, ""},
		{`{"name":[{"given":["a",}]}]}`, CodeSyntax, "/name/0/given/1"},
		{`{"name":[{"given":["a","\x"]}]}`, CodeSyntax, "/name/0/given/1"},
		{`{"secret":[01]}`, CodeSyntax, "/0/0"},
		{`{"name":1,"name":2}`, CodeDuplicate, "/name"},
		{`{"name":1,"n\u0061me":2}`, CodeDuplicate, "/name"},
		{many, CodeDuplicate, "/name/0/2"},
		{"{\"name\":\"\xff\"}", CodeUTF8, "/name"},
		{`{"name":"\ud800"}`, CodeSurrogate, "/name"},
		{`{} {}`, CodeTrailing, ""},
		{strings.Repeat("[", 65), CodeDepth, strings.Repeat("/0", 64)},
		{`{"` + strings.Repeat("n", 2000) + `":1}`, CodeName, ""},
		{`tru`, CodeSyntax, ""},
		{`1.`, CodeSyntax, ""},
		{`-`, CodeSyntax, ""},
		{"\"\n\"", CodeSyntax, ""},
	} {
		_, err := Parser{Known: known}.Parse([]byte(s.src))
		var e *Error
		if !errors.As(err, &e) || e.Code != s.code || e.Pointer != s.pointer {
			t.Errorf("%.40q: got %v at %q, want %s at %q", s.src, err, e.Pointer, s.code, s.pointer)
		}
	}
	if _, err := (Parser{Size: 3}).Parse([]byte(`null`)); !errors.Is(err, &Error{Code: CodeSize}) {
		t.Errorf("got %v, want %s", err, CodeSize)
	}
}

func TestPrimitiveAndItsSiblingAreOneElement(t *testing.T) {
	str := &Type{Name: "string", Code: "string", Kind: Primitive, System: "String"}
	qty := &Type{Name: "Quantity", Code: "Quantity"}
	res := &Type{Name: "Resource", Code: "Resource", Kind: Resource}
	obs := &Type{Name: "Observation", Code: "Observation", Kind: Resource, Base: res, Fields: []Field{
		{Name: "given", Many: true, Types: []Option{{"given", str}}},
		{Name: "only", Types: []Option{{"only", str}}},
		{Name: "value", Choice: true, Types: []Option{{"valueString", str}, {"valueQuantity", qty}}},
		{Name: "contained", Many: true, Types: []Option{{"contained", res}}},
	}}
	m := NewModel([]*Type{str, qty, res, obs})
	tree, err := Parse([]byte(`{"resourceType":"Observation","_given":[null,{"id":"g2"},{"id":"g3"}],"given":["a",null],"_only":{"id":"o"},"valueQuantity":{"value":1.0},"contained":[{"resourceType":"Observation","only":"in"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	root := m.Root(tree)
	list := func(c Cursor) (out string) {
		for e, ok := c.Next(); ok; e, ok = c.Next() {
			out += "[" + e.Value().Text() + "|" + e.Extra().Get("id").Text() + "|"
			if e.Type() != nil {
				out += e.Type().Name
			}
			out += "]"
		}
		return out
	}
	for name, want := range map[string]string{
		"given":         "[a||string][|g2|string][|g3|string]",
		"only":          "[|o|string]",
		"value":         "[||Quantity]",
		"valueQuantity": "", // not a name of an element
		"contained":     "[||Observation]",
		"absent":        "",
	} {
		if got := list(root.Select(name, m.Sym(name))); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if got, want := list(root.Children()), "[a||string][|g2|string][|g3|string][|o|string][||Quantity][||Observation]"; got != want {
		t.Errorf("children: got %s, want %s", got, want)
	}
}

// spell writes a tree anew from its nodes, with the bytes between them dropped.
func spell(n Node, b *bytes.Buffer) {
	switch n.Kind() {
	case Object, Array:
		open, end := byte('{'), byte('}')
		if n.Kind() == Array {
			open, end = '[', ']'
		}
		b.WriteByte(open)
		first := true
		for c := range n.Children() {
			if !first {
				b.WriteByte(',')
			}
			first = false
			if n.Kind() == Object {
				name, _ := json.Marshal(c.Name())
				b.Write(name)
				b.WriteByte(':')
			}
			spell(c, b)
		}
		b.WriteByte(end)
	default:
		b.Write(n.Raw())
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient","_birthDate":{"id":"x"},"birthDate":"1970-01-01","a":[1.0,null,{}]}`))
	f.Add([]byte(`[[],{},"\ud83d\ude00",-1e9,"` + "\xc3\xbc" + `"]`))
	f.Fuzz(func(t *testing.T, src []byte) {
		tree, err := Parse(src)
		if err != nil {
			return
		}
		if !json.Valid(src) {
			t.Fatalf("accepted what encoding/json refuses: %q", src)
		}
		var b bytes.Buffer
		spell(tree.Root(), &b)
		again, err := Parse(b.Bytes())
		if err != nil || again.Len() != tree.Len() {
			t.Fatalf("spelled again: %v", err)
		}
		var c bytes.Buffer
		if spell(again.Root(), &c); !bytes.Equal(b.Bytes(), c.Bytes()) {
			t.Fatalf("got %q, want %q", c.Bytes(), b.Bytes())
		}
		var e Element = Element{tree: tree, val: 1}
		for k := e.Children(); ; {
			if _, ok := k.Next(); !ok {
				break
			}
		}
	})
}

func sample() []byte {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"collection","entry":[`)
	for i := range 200 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000000","resource":{"resourceType":"Observation","id":"example","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"29463-7","display":"Body Weight"}]},"subject":{"reference":"Patient/example"},"effectiveDateTime":"2016-03-28","valueQuantity":{"value":185.0,"unit":"lbs","system":"http://unitsofmeasure.org","code":"[lb_av]"}}}`)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	src := sample()
	b.Run("element", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(src); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json.Valid", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		for b.Loop() {
			json.Valid(src)
		}
	})
	b.Run("encoding-json-any", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			var v any
			if err := json.Unmarshal(src, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
