package fhirxml

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/fhir/definition"
	"salus/fhir/fhirtest"
)

// value is JSON without the order of its members, numbers by their text, narratives with the line ends that XML knows.
func value(t testing.TB, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	lines(v)
	return v
}

func lines(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			lines(x)
		}
	case map[string]any:
		for name, x := range v {
			if s, ok := x.(string); ok && name == "div" {
				v[name] = strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))
				continue
			}
			lines(x)
		}
	}
}

// around says JSON in XML and reads it again.
func around(t testing.TB, name string, b []byte) {
	t.Helper()
	m := definition.R4().Model()
	for _, indent := range []bool{false, true} {
		x, err := ToXML(m, b, indent)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		back, err := ToJSON(m, x)
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, x)
			return
		}
		if was, is := value(t, b), value(t, back); !reflect.DeepEqual(was, is) {
			t.Errorf("%s: said in XML and read again: -was +is\n%s", name, cmp.Diff(was, is))
			return
		}
	}
}

// Every example that others have published survives both ways: those of US Core and IPS, and all of R4 where HL7_R4 names
// the npm package hl7.fhir.r4.examples.
func TestPublishedExamplesSurviveXML(t *testing.T) {
	packs, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "fhir-packages", "*.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	if f := os.Getenv("HL7_R4"); f != "" {
		packs = append(packs, f)
	}
	if len(packs) == 0 {
		t.Skip("the packages with the examples of US Core, IPS and R4 are not here")
	}
	for _, pack := range packs {
		count := 0
		fhirtest.Each(t, pack, func(name string, b []byte) {
			var head struct{ ResourceType string }
			if json.Unmarshal(b, &head) == nil && head.ResourceType != "" {
				around(t, name, b)
				count++
			}
		})
		if count < 40 {
			t.Errorf("%s: %d resources: that is not the package", filepath.Base(pack), count)
		}
		t.Logf("%s: %d resources", filepath.Base(pack), count)
	}
}
