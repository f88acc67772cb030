package validate

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"salus/fhir"
	"salus/fhir/definition"
)

// fixture reads a resource of testdata; all of them are made up.
func fixture(t testing.TB, name string) fhir.Resource {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func BenchmarkValidate(b *testing.B) {
	for _, s := range []struct {
		name string
		o    Options
	}{{"structure", Options{Strictness: Structure}}, {"required", Options{}}, {"full", Options{Strictness: Full}}} {
		v, err := New(definition.R4(), s.o)
		if err != nil {
			b.Fatal(err)
		}
		for _, file := range []string{"observation.json", "patient.json"} {
			r := fixture(b, file)
			b.Run(s.name+"/"+file, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if got := v.Validate(context.Background(), r); s.o.Strictness != Full && len(got) > 0 {
						b.Fatal(got)
					}
				}
			})
		}
	}
}

func BenchmarkNew(b *testing.B) {
	set := definition.R4()
	for b.Loop() {
		if _, err := New(set, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
