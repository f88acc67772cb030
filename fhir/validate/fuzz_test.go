package validate

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"salus/fhir/element"
)

// FuzzValidate wants answers for whatever can be parsed: no panic, the same twice, and
// nothing but names that FHIR has in expressions.
func FuzzValidate(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join("testdata", "*.json"))
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range ruleTests {
		f.Add([]byte(s.resource))
	}
	v := validator(f, Options{Strictness: Full})
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := element.Parse(b)
		if err != nil {
			return
		}
		got := v.ValidateTree(context.Background(), tree)
		again := v.ValidateTree(context.Background(), tree)
		if len(got) != len(again) {
			t.Fatalf("got %d issues, then %d", len(got), len(again))
		}
		for i := range got {
			if got[i] != again[i] {
				t.Fatalf("got %v, then %v", got[i], again[i])
			}
		}
	})
}

// FuzzNarrative wants an answer for whatever stands in a div.
func FuzzNarrative(f *testing.F) {
	for _, s := range narrativeTests {
		f.Add(s.div)
	}
	f.Fuzz(func(_ *testing.T, div string) {
		m := markup{s: div}
		m.document()
	})
}
