package rest

import (
	"bytes"
	"errors"
	"testing"

	"salus/fhir"
)

// FuzzMeta: what $meta-add makes of a resource is one, in which only meta differs; adding the same
// again changes nothing; and whatever is taken away can be.
func FuzzMeta(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient","id":"a","meta":{"tag":[{"code":"x"}],"profile":["p"]},"active" : true}`), []byte(metaBody+`{"tag":[{"code":"y"},{"code":"y"}],"profile":["p","q"]}}]}`))
	f.Add([]byte(`{"meta":{},"resourceType":"Patient"}`), []byte(metaBody+`{"security":[{"system":"s","code":"R","display":"\u00e9"}]}}]}`))
	f.Add([]byte(`{"resourceType":"Patient","meta":{"tag":null,"extension":[]}}`), []byte(metaBody+`{"tag":[1,null,"a"]}}]}`))
	f.Add([]byte(`{"resourceType":"Patient","meta":{"\"\u0001":1,"t\u0061g":[{"code":"x"}]}}`), []byte(metaBody+`{"tag":[{"code":"y"}]}}]}`))
	f.Fuzz(func(t *testing.T, resource, parameters []byte) {
		r, err := fhir.Parse(resource)
		if err != nil {
			return
		}
		list, _ := members(resource, skipSpace(resource, 0))
		for _, m := range list {
			if m.name == "meta" && resource[m.valueAt] != '{' {
				return // take refuses it
			}
		}
		sets, err := metaParameter(parameters)
		if err != nil {
			return
		}
		if _, err := fhir.Parse(parameters); err != nil {
			return // operate refuses it
		}
		b := splice(resource, "a", "1", "2024-01-01T00:00:00.000Z")
		more, err := withSets(b, sets, metaSet.with)
		if err != nil {
			return
		}
		again, err := fhir.Parse(more)
		if err != nil || again.Type() != r.Type() {
			t.Fatalf("what was made is no resource: %v\n%s", err, more)
		}
		if _, err := withSets(more, sets, metaSet.with); !errors.Is(err, errSame) {
			t.Fatalf("adding the same again: got %v, want no change\n%s", err, more)
		}
		less, err := withSets(more, sets, metaSet.without)
		if err != nil {
			t.Fatalf("what was added cannot be taken away: %v\n%s", err, more)
		}
		if without(t, less) != without(t, b) {
			t.Fatalf("something else changed:\n%s\n%s", b, less)
		}
	})
}

// without is a resource without its meta.
func without(t *testing.T, b []byte) string {
	t.Helper()
	list, _ := members(b, skipSpace(b, 0))
	for _, m := range list {
		if m.name == "meta" {
			return string(bytes.Join([][]byte{b[:m.valueAt], b[m.valueTo:]}, nil))
		}
	}
	return string(b)
}
