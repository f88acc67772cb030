package patch

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/fhir/definition"
	"salus/fhir/element"
)

// A tag is an element of XML.
type tag struct {
	XMLName xml.Name
	Value   *string `xml:"value,attr"`
	ID      string  `xml:"id,attr"`
	URL     string  `xml:"url,attr"`
	Name    string  `xml:"name,attr"`
	Msg     string  `xml:"msg,attr"`
	Kids    []tag   `xml:",any"`
	Inner   string  `xml:",innerxml"`
}

func (t *tag) kid(name string) *tag {
	for i := range t.Kids {
		if t.Kids[i].XMLName.Local == name {
			return &t.Kids[i]
		}
	}
	return nil
}

// toJSON writes a resource in XML as JSON, as far as HL7's patch tests need it.
func toJSON(m *element.Model, x *tag, t *element.Type) any {
	if t.Kind == element.Resource {
		t = m.Type(x.XMLName.Local)
	}
	out := map[string]any{}
	if t.Kind == element.Resource {
		out["resourceType"] = t.Name
	}
	if x.ID != "" {
		out["id"] = x.ID
	}
	if x.URL != "" {
		out["url"] = x.URL
	}
	for i := range x.Kids {
		k := &x.Kids[i]
		f, o := t.Member(k.XMLName.Local)
		if f == nil {
			panic(fmt.Sprintf("no %s in %s", k.XMLName.Local, t.Name))
		}
		var v any
		switch {
		case o.Type.Name == "xhtml":
			v = `<div xmlns="http://www.w3.org/1999/xhtml">` + strings.NewReplacer("\r", "", "&quot;", `"`).Replace(k.Inner) + `</div>` // as a reader of XML has it
		case o.Type.Kind == element.Primitive:
			switch o.Type.System {
			case "Boolean", "Integer", "Decimal":
				v = json.RawMessage(*k.Value)
			default:
				v = *k.Value
			}
		case o.Type.Kind == element.Resource:
			v = toJSON(m, &k.Kids[0], o.Type)
		default:
			v = toJSON(m, k, o.Type)
		}
		if f.Many {
			list, _ := out[o.JSON].([]any)
			v = append(list, v)
		}
		out[o.JSON] = v
	}
	return out
}

// TestAgreesWithHL7OnItsPatches runs r4/patch/fhir-patch-tests.xml of FHIR/fhir-test-cases
// (Apache-2.0, not part of this repository), whose folder FHIR_PATCH_CASES names.
func TestAgreesWithHL7OnItsPatches(t *testing.T) {
	dir := os.Getenv("FHIR_PATCH_CASES")
	if dir == "" {
		t.Skip("FHIR_PATCH_CASES names no folder with fhir-patch-tests.xml")
	}
	b, err := os.ReadFile(filepath.Join(dir, "fhir-patch-tests.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var all tag
	if err := xml.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	m := definition.R4().Model()
	raw := func(x *tag) []byte {
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		if err := e.Encode(toJSON(m, x, m.Type("Resource"))); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	count := 0
	for i := range all.Kids {
		c := &all.Kids[i]
		count++
		t.Run(strings.ReplaceAll(c.Name, " ", "_"), func(t *testing.T) {
			got, err := Apply(raw(&c.kid("input").Kids[0]), raw(&c.kid("diff").Kids[0]), definition.R4())
			if c.kid("output") == nil {
				if err == nil {
					t.Fatalf("got %s, want an error: %s", got, c.kid("error").Msg)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var a, b any
			if err := json.Unmarshal(got, &a); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(raw(&c.kid("output").Kids[0]), &b); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(b, a); d != "" {
				t.Error(d)
			}
		})
	}
	t.Logf("%d cases", count)
}
