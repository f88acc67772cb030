package rest

import (
	"encoding/json"
	"testing"

	"salus/fhir"
)

// FuzzParameters: whatever a Parameters resource holds, its primitive values and resources are
// read as they are written, or not at all.
func FuzzParameters(f *testing.F) {
	for _, s := range []string{
		`{"resourceType":"Parameters"}`, `{"resourceType":"Parameters","parameter":[{"name":"a","valueString":"b"},{"name":"c","valueDecimal":1.50},{"name":"d","valueReference":{"reference":"Patient/x"}}]}`,
		`{"resourceType":"Parameters","parameter":[{"name":"r","resource":{"resourceType":"Patient","x":1e0}},{"valueBoolean":true},null,{"name":7,"valueCode":null}]}`, `{"resourceType":"Parameters","parameter":7}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := fhir.Parse(b)
		if err != nil {
			return
		}
		list := parametersOf(b)
		if r.Type() != "Parameters" && list != nil {
			t.Fatalf("a %s is read as Parameters", r.Type())
		}
		for _, p := range list {
			if len(p.resource) > 0 && !json.Valid(p.resource) {
				t.Fatalf("resource %s", p.resource)
			}
		}
		c := &Call{Body: b}
		if got := c.Resource("none at all"); list != nil && got != nil && len(list) == 0 {
			t.Fatalf("got %s", got)
		}
	})
}
