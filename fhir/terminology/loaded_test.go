package terminology

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

func TestTheEmbeddedTerminologyPacksToItself(t *testing.T) {
	b, err := R4().Pack()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, compact) {
		t.Error("got other bytes than those that are embedded")
	}
	if _, err := Unpack(compact[:len(compact)/2]); err == nil {
		t.Error("half of it was read")
	}
}

// Every value set of R4 expands, or an error says why not; what it has is valid in it.
func TestEveryValueSetOfR4IsAnsweredOrRefused(t *testing.T) {
	e := engine(R4())
	expanded, refused := 0, map[string]int{}
	for _, i := range R4().all {
		if err := i.parse(); err != nil {
			t.Fatalf("%s: %v", i.url, err)
		}
		if i.typ != "ValueSet" {
			continue
		}
		list, err := e.Codes(t.Context(), i.set)
		if known, ok := errors.AsType[*Error](err); ok {
			refused[known.Code]++
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", i.url, err)
		}
		expanded++
		for n, c := range list {
			if n%(1+len(list)/3) != 0 {
				continue
			}
			v, err := e.In(t.Context(), i.set, &Check{Codings: []Coding{c}, Abstract: true})
			if err != nil || !v.Valid {
				t.Errorf("%s: %s|%s is in the expansion: got %v %v", i.url, c.System, c.Code, v, err)
			}
		}
	}
	t.Logf("%d value sets expand, not %v", expanded, refused)
	if expanded < 1100 {
		t.Errorf("got %d value sets of 1316 expanded: %v", expanded, refused)
	}
}

func TestPackagesAreLoaded(t *testing.T) {
	for name, url := range map[string]string{
		"ips_v110.tgz":    "http://hl7.org/fhir/uv/ips/ValueSet/absent-or-unknown-problems-uv-ips",
		"us_core_700.tgz": "http://hl7.org/fhir/us/core/ValueSet/us-core-provenance-participant-type",
	} {
		f, err := os.Open(filepath.Join("../../../shared/data/fhir-packages", name))
		if err != nil {
			t.Skip("the packages of implementation guides are not here")
		}
		l, err := R4().Add(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, i := range l.all {
			if err := i.parse(); err != nil {
				t.Errorf("%s: %v", i.url, err)
			}
			if i.typ == "ValueSet" {
				n++
			}
		}
		if n <= 1316 {
			t.Errorf("%s: got %d value sets, want more than R4 has", name, n)
		}
		v, err := l.ValueSet(t.Context(), url, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if list, err := engine(l).Codes(t.Context(), v); err != nil || len(list) == 0 {
			t.Errorf("%s: got %v %v", url, list, err)
		}
	}
	if _, err := R4().Add(bytes.NewReader([]byte("no package"))); err == nil {
		t.Error("no package was loaded")
	}
}

// Subsumption is a partial order on a hierarchy that is a tree, and agrees with the filters.
func TestSubsumptionAgreesWithHierarchies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "concepts")
		in := map[string]any{"resourceType": "CodeSystem", "url": "urn:t", "content": "complete"}
		var list []any
		parent := make([]int, n)
		for i := range n {
			c := map[string]any{"code": string(rune('a' + i))}
			if parent[i] = rapid.IntRange(-1, i-1).Draw(t, "parent"); parent[i] >= 0 {
				c["property"] = []any{map[string]any{"code": "parent", "valueCode": string(rune('a' + parent[i]))}}
			}
			list = append(list, c)
		}
		in["concept"] = list
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseCodeSystem(b)
		if err != nil {
			t.Fatal(err)
		}
		above := func(a, b int) bool {
			for ; b >= 0; b = parent[b] {
				if a == b {
					return true
				}
			}
			return false
		}
		for a := range n {
			below, err := engine(local{"urn:t": string(b)}).Below(t.Context(), "urn:t", string(rune('a'+a)))
			if err != nil {
				t.Fatal(err)
			}
			beneath := 0
			for c := range n {
				want := "not-subsumed"
				switch {
				case a == c:
					want = "equivalent"
				case above(a, c):
					want = "subsumes"
				case above(c, a):
					want = "subsumed-by"
				}
				if above(a, c) {
					beneath++
				}
				if got, err := s.Subsumes(string(rune('a'+a)), string(rune('a'+c))); got != want || err != nil {
					t.Fatalf("%d %d: got %s %v, want %s", a, c, got, err, want)
				}
			}
			if len(below) != beneath {
				t.Fatalf("below %d: got %d codes, want %d", a, len(below), beneath)
			}
		}
	})
}

const towns = `{"resourceType":"ConceptMap","url":"urn:m","status":"active","group":[
{"source":"urn:a","target":"urn:b","element":[{"code":"1","target":[{"code":"x","equivalence":"equal","dependsOn":[{"property":"size","value":"big"}]},{"code":"y","product":[{"property":"p","system":"s","value":"v"}]}]}],"unmapped":{"mode":"other-map","url":"urn:o"}}]}`

func TestTranslationsFollowTheirMaps(t *testing.T) {
	e := engine(local{
		"urn:m": towns,
		"urn:o": `{"resourceType":"ConceptMap","url":"urn:o","group":[{"source":"urn:a","target":"urn:b","unmapped":{"mode":"fixed","code":"other"}}]}`,
		"urn:p": `{"resourceType":"ConceptMap","url":"urn:p","group":[{"source":"urn:a","target":"urn:b","unmapped":{"mode":"provided"}}]}`,
		"urn:c": `{"resourceType":"ConceptMap","url":"urn:c","group":[{"source":"urn:a","target":"urn:b","unmapped":{"mode":"other-map","url":"urn:c"}}]}`,
	})
	ask := func(url, code string, d ...Depends) *Translate {
		return &Translate{URL: url, Codings: []Coding{{System: "urn:a", Code: code}}, Depends: d}
	}
	for name, c := range map[string]struct {
		q    *Translate
		want string
		err  error
	}{
		"what depends on nothing":   {ask("urn:m", "1"), "equivalent y", nil},
		"what depends, given":       {ask("urn:m", "1", Depends{"size", []Coding{{Code: "big"}}}), "equal x equivalent y", nil},
		"what depends, not as such": {ask("urn:m", "1", Depends{"size", []Coding{{Code: "small"}}}), "equivalent y", nil},
		"another map":               {ask("urn:m", "2"), "inexact other", nil},
		"the same code":             {ask("urn:p", "2"), "equal 2", nil},
		"a circle of maps":          {ask("urn:c", "2"), "", ErrDeep},
		"no map":                    {ask("urn:none", "2"), "", ErrNoMap},
		"another target":            {&Translate{URL: "urn:m", Codings: []Coding{{System: "urn:a", Code: "1"}}, TargetSystem: "urn:z"}, "", nil},
	} {
		list, _, err := e.Translate(t.Context(), c.q)
		got := ""
		for _, m := range list {
			got += " " + m.Equivalence + " " + m.Concept.Code
		}
		if !errors.Is(err, c.err) || got != "" && got[1:] != c.want || got == "" && c.want != "" {
			t.Errorf("%s: got %q %v, want %q %v", name, got, err, c.want, c.err)
		}
	}
}

// FuzzResources: a resource is refused, or answers every question with an answer or an Error.
func FuzzResources(f *testing.F) {
	f.Add([]byte(animals), []byte(set(`{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"dog"}]}]}`)))
	f.Add([]byte(parts), []byte(set(`{"include":[{"system":"urn:parts"}],"exclude":[{"valueSet":["urn:v"]}]}`)))
	f.Fuzz(func(t *testing.T, system, of []byte) {
		s, err := ParseCodeSystem(system)
		if err != nil {
			return
		}
		for i := range min(len(s.Concepts), 5) {
			c := &s.Concepts[i]
			if _, err := s.Lookup(c.Code, "de"); err != nil {
				t.Errorf("its own code is not found: %v", err)
			}
			if how, err := s.Subsumes(c.Code, c.Code); how != "equivalent" || err != nil {
				t.Errorf("got %s %v, want equivalent", how, err)
			}
		}
		v, err := ParseValueSet(of)
		if err != nil {
			return
		}
		b, err := engine(local{"urn:animals": string(system), "urn:v": string(of)}).Expand(t.Context(), &Expand{Set: v, Count: 10, Filter: "a"})
		var known *Error
		if err != nil && !errors.As(err, &known) || err == nil && !json.Valid(b) {
			t.Errorf("got %s %v", b, err)
		}
	})
}
