package terminology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// local is a Source of a test.
type local map[string]string

func (l local) CodeSystem(_ context.Context, url, version string) (*CodeSystem, error) {
	if b, ok := l[canonical(url, version)]; ok {
		return ParseCodeSystem([]byte(b))
	}
	return nil, ErrNoSystem.about(url)
}

func (l local) ValueSet(_ context.Context, url, version string) (*ValueSet, error) {
	if b, ok := l[canonical(url, version)]; ok {
		return ParseValueSet([]byte(b))
	}
	return nil, ErrNoValueSet.about(url)
}

func (l local) ConceptMaps(_ context.Context, url, version, _ string) ([]*ConceptMap, error) {
	b, ok := l[canonical(url, version)]
	if !ok {
		return nil, nil
	}
	m, err := ParseConceptMap([]byte(b))
	return []*ConceptMap{m}, err
}

const animals = `{"resourceType":"CodeSystem","url":"urn:animals","version":"2","name":"Animals","status":"active","content":"complete","hierarchyMeaning":"is-a",
"property":[{"code":"legs","type":"integer"},{"code":"food","type":"Coding"}],"language":"en",
"concept":[{"code":"animal","display":"Animal","property":[{"code":"notSelectable","valueBoolean":true}],"concept":[
 {"code":"dog","display":"Small dog","designation":[{"language":"de-CH","value":"Kleiner Hund"}],"property":[{"code":"legs","valueInteger":4}],"concept":[{"code":"puppy","display":"Puppy"}]},
 {"code":"bird","display":"Bird","property":[{"code":"legs","valueInteger":2},{"code":"food","valueCoding":{"system":"urn:f","code":"seed"}}]}]},
 {"code":"dodo","display":"Dodo","property":[{"code":"parent","valueCode":"bird"},{"code":"inactive","valueBoolean":true}]}]}`

const parts = `{"resourceType":"CodeSystem","url":"urn:parts","status":"active","content":"complete","hierarchyMeaning":"part-of","concept":[{"code":"leg","concept":[{"code":"foot"}]}]}`

func set(compose string) string {
	return `{"resourceType":"ValueSet","url":"urn:v","status":"active","compose":` + compose + `}`
}

var world = local{
	"urn:animals": animals, "urn:animals|2": animals, "urn:parts": parts,
	"urn:some":   `{"resourceType":"CodeSystem","url":"urn:some","status":"active","content":"fragment","concept":[{"code":"a"}]}`,
	"urn:dogs":   `{"resourceType":"ValueSet","url":"urn:dogs","status":"active","compose":{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"dog"}]}]}}`,
	"urn:legged": `{"resourceType":"ValueSet","url":"urn:legged","status":"active","compose":{"include":[{"system":"urn:animals","filter":[{"property":"legs","op":"exists","value":"true"}]}]}}`,
	"urn:round":  `{"resourceType":"ValueSet","url":"urn:round","status":"active","compose":{"include":[{"valueSet":["urn:again"]}]}}`,
	"urn:again":  `{"resourceType":"ValueSet","url":"urn:again","status":"active","compose":{"include":[{"valueSet":["urn:round"]}]}}`,
	"urn:listed": `{"resourceType":"ValueSet","url":"urn:listed","status":"active","expansion":{"contains":[{"system":"urn:x","code":"1","display":"One","contains":[{"system":"urn:x","code":"2"}]}]}}`,
}

func engine(s Source) *Engine { return &Engine{Source: s, Now: time.Unix(0, 0)} }

func codesOf(t *testing.T, e *Engine, q *Expand) ([]string, int, error) {
	t.Helper()
	b, err := e.Expand(t.Context(), q)
	if err != nil {
		return nil, 0, err
	}
	var out struct {
		Expansion struct {
			Total    int
			Contains []contains
		}
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	codes := []string{}
	for _, c := range out.Expansion.Contains {
		codes = append(codes, c.Code)
	}
	return codes, out.Expansion.Total, nil
}

func TestAComposeSelectsWhatItSays(t *testing.T) {
	for name, c := range map[string]struct {
		compose string
		want    string
		err     error
	}{
		"a whole system":            {`{"include":[{"system":"urn:animals"}]}`, "animal dog puppy bird dodo", nil},
		"is-a, by property too":     {`{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"bird"}]}]}`, "bird dodo", nil},
		"descendent-of":             {`{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"descendent-of","value":"dog"}]}]}`, "puppy", nil},
		"is-not-a":                  {`{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-not-a","value":"dog"}]}]}`, "animal bird dodo", nil},
		"generalizes":               {`{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"generalizes","value":"puppy"}]}]}`, "animal dog puppy", nil},
		"a property's value":        {`{"include":[{"system":"urn:animals","filter":[{"property":"legs","op":"=","value":"4"}]}]}`, "dog", nil},
		"a Coding's code":           {`{"include":[{"system":"urn:animals","filter":[{"property":"food","op":"=","value":"seed"}]}]}`, "bird", nil},
		"in":                        {`{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"in","value":"dog, dodo"}]}]}`, "dog dodo", nil},
		"not-in":                    {`{"include":[{"system":"urn:animals","filter":[{"property":"legs","op":"not-in","value":"2,3"}]}]}`, "animal dog puppy dodo", nil},
		"exists false":              {`{"include":[{"system":"urn:animals","filter":[{"property":"legs","op":"exists","value":"false"}]}]}`, "animal puppy dodo", nil},
		"regex of the whole":        {`{"include":[{"system":"urn:animals","filter":[{"property":"code","op":"regex","value":"d.*"}]}]}`, "dog dodo", nil},
		"two filters":               {`{"include":[{"system":"urn:animals","filter":[{"property":"code","op":"regex","value":"d.*"},{"property":"inactive","op":"=","value":"false"}]}]}`, "dog", nil},
		"a parent":                  {`{"include":[{"system":"urn:animals","filter":[{"property":"parent","op":"=","value":"animal"}]}]}`, "dog bird", nil},
		"exclude":                   {`{"include":[{"system":"urn:animals"}],"exclude":[{"valueSet":["urn:dogs"]}]}`, "animal bird dodo", nil},
		"an intersection":           {`{"include":[{"valueSet":["urn:dogs","urn:legged"]}]}`, "dog", nil},
		"a system in a value set":   {`{"include":[{"system":"urn:animals","concept":[{"code":"bird"},{"code":"puppy"}],"valueSet":["urn:dogs"]}]}`, "puppy", nil},
		"a union, each once":        {`{"include":[{"valueSet":["urn:legged"]},{"valueSet":["urn:dogs"]}]}`, "dog bird puppy", nil},
		"without inactive codes":    {`{"inactive":false,"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"bird"}]}]}`, "bird", nil},
		"codes listed":              {`{"include":[{"system":"urn:animals","concept":[{"code":"dog"},{"code":"unicorn"},{"code":"dog"}]}]}`, "dog", nil},
		"codes of what is not here": {`{"include":[{"system":"http://snomed.info/sct","concept":[{"code":"73211009"}]}]}`, "73211009", nil},
		"an expansion":              {`{"include":[{"valueSet":["urn:listed"]}]}`, "1 2", nil},

		"no content":             {`{"include":[{"system":"http://snomed.info/sct"}]}`, "", ErrNoSystem},
		"no content beside some": {`{"include":[{"system":"urn:animals"},{"system":"http://loinc.org"}]}`, "", ErrNoSystem},
		"another version":        {`{"include":[{"system":"urn:animals","version":"3"}]}`, "", ErrNoSystem},
		"a part":                 {`{"include":[{"system":"urn:some"}]}`, "", ErrContent},
		"a circle":               {`{"include":[{"valueSet":["urn:round"]}]}`, "", ErrCycle},
		"itself":                 {`{"include":[{"valueSet":["urn:v"]}]}`, "", ErrCycle},
		"an unknown value set":   {`{"include":[{"valueSet":["urn:none"]}]}`, "", ErrNoValueSet},
		"an unknown filter":      {`{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"child-of","value":"dog"}]}]}`, "", ErrFilter},
		"an unknown property":    {`{"include":[{"system":"urn:animals","filter":[{"property":"wings","op":"=","value":"2"}]}]}`, "", ErrFilter},
		"a bad regex":            {`{"include":[{"system":"urn:animals","filter":[{"property":"code","op":"regex","value":"("}]}]}`, "", ErrFilter},
		"beneath no code":        {`{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"cat"}]}]}`, "", ErrNoCode},
		"a hierarchy of parts":   {`{"include":[{"system":"urn:parts","filter":[{"property":"concept","op":"is-a","value":"leg"}]}]}`, "", ErrHierarchy},
		"a locked date":          {`{"lockedDate":"2020-01-01","include":[{"system":"urn:animals"}]}`, "", ErrLocked},
		"a supplement":           {`{"include":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/valueset-supplement"}],"system":"urn:animals"}]}`, "", ErrSupplement},
		"filters of nothing":     {`{"include":[{"valueSet":["urn:dogs"],"filter":[{"property":"legs","op":"=","value":"2"}]}]}`, "", unreadable("ValueSet")},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := ParseValueSet([]byte(set(c.compose)))
			if err != nil {
				t.Fatal(err)
			}
			got, n, err := codesOf(t, engine(world), &Expand{Set: v, Count: -1})
			if !errors.Is(err, c.err) {
				t.Fatalf("got error %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			if s := strings.Join(got, " "); s != c.want || n != len(got) {
				t.Errorf("got %q (%d), want %q", s, n, c.want)
			}
			// What is in an expansion is valid, and nothing else is.
			for _, code := range []string{"animal", "dog", "puppy", "bird", "dodo", "cat"} {
				in, err := engine(world).In(t.Context(), v, &Check{Codings: []Coding{{System: "urn:animals", Code: code}}, Abstract: true})
				if err != nil || in.Valid != slices.Contains(got, code) {
					t.Errorf("validate %s: got %v %v, want %v", code, in, err, slices.Contains(got, code))
				}
			}
		})
	}
}

func TestAnExpansionIsFilteredAndPaged(t *testing.T) {
	v, _ := ParseValueSet([]byte(set(`{"include":[{"system":"urn:animals"}]}`)))
	combined, _ := ParseValueSet([]byte(set(`{"include":[{"system":"urn:animals"}],"exclude":[{"system":"urn:animals","concept":[{"code":"puppy"}]}]}`)))
	for name, c := range map[string]struct {
		q     Expand
		want  string
		total int
	}{
		"a word's beginning":       {Expand{Set: v, Filter: "DO", Count: -1}, "dog dodo", 2},
		"every word":               {Expand{Set: v, Filter: "do sm", Count: -1}, "dog", 1},
		"a designation":            {Expand{Set: v, Filter: "hund", Count: -1}, "dog", 1},
		"nothing":                  {Expand{Set: v, Filter: "xyz", Count: -1}, "", 0},
		"filtered after excluding": {Expand{Set: combined, Filter: "p", Count: -1}, "", 0},
		"a page":                   {Expand{Set: v, Offset: 1, Count: 2}, "dog puppy", 5},
		"none but the total":       {Expand{Set: v, Count: 0}, "", 5},
		"a page after the end":     {Expand{Set: v, Offset: 9, Count: 2}, "", 5},
		"active ones":              {Expand{Set: v, ActiveOnly: true, Count: -1}, "animal dog puppy bird", 4},
		"those to choose":          {Expand{Set: v, ForUI: true, Count: -1}, "dog puppy bird dodo", 4},
		"without a system":         {Expand{Set: v, ExcludeSystems: []string{"urn:animals|2"}, Count: -1}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, n, err := codesOf(t, engine(world), &c.q)
			if err != nil || strings.Join(got, " ") != c.want || n != c.total {
				t.Errorf("got %q %d %v, want %q %d", got, n, err, c.want, c.total)
			}
		})
	}
}

func TestAnExpansionSaysWhatShapedIt(t *testing.T) {
	v, _ := ParseValueSet([]byte(set(`{"include":[{"system":"urn:animals","concept":[{"code":"dog"}]}]}`)))
	b, err := engine(world).Expand(t.Context(), &Expand{Set: v, Count: 5, Language: "de", IncludeDesignations: true, Designations: []string{"de"}, ActiveOnly: true, Filter: "kleiner"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"expansion":{"identifier":"urn:uuid:8d0d3a19","timestamp":"1970-01-01T00:00:00Z","total":1,"offset":0,"parameter":[{"name":"filter","valueString":"kleiner"},{"name":"count","valueInteger":5},{"name":"includeDesignations","valueBoolean":true},{"name":"activeOnly","valueBoolean":true},{"name":"displayLanguage","valueCode":"de"},{"name":"version","valueUri":"urn:animals|2"}],"contains":[{"system":"urn:animals","version":"2","code":"dog","display":"Kleiner Hund","designation":[{"language":"de-CH","value":"Kleiner Hund"}]}]},"resourceType":"ValueSet","status":"active","url":"urn:v"}`
	got := string(b)
	i := strings.Index(got, "urn:uuid:")
	got = got[:i] + "urn:uuid:8d0d3a19" + got[i+45:]
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestVersionsOfCodeSystemsAreChosen(t *testing.T) {
	v, _ := ParseValueSet([]byte(set(`{"include":[{"system":"urn:animals","version":"3"}]}`)))
	for name, c := range map[string]struct {
		v   Versions
		err error
	}{
		"forced":          {Versions{Force: map[string]string{"urn:animals": "2"}}, nil},
		"checked":         {Versions{Check: map[string]string{"urn:animals": "2"}}, ErrVersion},
		"only by default": {Versions{Default: map[string]string{"urn:animals": "2"}}, ErrNoSystem},
	} {
		if _, _, err := codesOf(t, engine(world), &Expand{Set: v, Count: -1, Versions: c.v}); !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, want %v", name, err, c.err)
		}
	}
	for _, c := range [][2]string{{"10", "9"}, {"2.1", "2"}, {"1.10.0", "1.9.9"}, {"2024-01", "2023-12"}, {"1.0.1", "1.00.0"}} {
		if !Later(c[0], c[1]) || Later(c[1], c[0]) {
			t.Errorf("%s is later than %s", c[0], c[1])
		}
	}
}

func large(n int) local {
	var b strings.Builder
	b.WriteString(`{"resourceType":"CodeSystem","url":"urn:large","status":"active","content":"complete","concept":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"code":"C%d","display":"Concept number %d of kind %d"}`, i, i, i%100)
	}
	b.WriteString(`]}`)
	return local{"urn:large": b.String()}
}

func TestAnAnswerIsBounded(t *testing.T) {
	w := large(MaxCodes + 1)
	v, _ := ParseValueSet([]byte(set(`{"include":[{"system":"urn:large"}]}`)))
	if _, _, err := codesOf(t, engine(w), &Expand{Set: v, Count: -1}); !errors.Is(err, ErrTooCostly) {
		t.Errorf("got %v, want %v", err, ErrTooCostly)
	}
	if _, err := engine(w).Codes(t.Context(), v); !errors.Is(err, ErrTooCostly) {
		t.Errorf("got %v, want %v", err, ErrTooCostly)
	}
	if got, n, err := codesOf(t, engine(w), &Expand{Set: v, Offset: MaxCodes, Count: 10}); err != nil || len(got) != 1 || n != MaxCodes+1 {
		t.Errorf("got %v %d %v, want the last", got, n, err)
	}
	deep := local{}
	for i := range MaxDepth + 5 {
		deep[fmt.Sprint("urn:", i)] = fmt.Sprintf(`{"resourceType":"ValueSet","url":"urn:%d","compose":{"include":[{"valueSet":["urn:%d"]}]}}`, i, i+1)
	}
	v, _ = deep.ValueSet(t.Context(), "urn:0", "")
	if _, _, err := codesOf(t, engine(deep), &Expand{Set: v, Count: -1}); !errors.Is(err, ErrDeep) {
		t.Errorf("got %v, want %v", err, ErrDeep)
	}
}

// once is a Source that parses each resource once, as a cache does.
type once struct {
	Source
	s *CodeSystem
}

func (o *once) CodeSystem(ctx context.Context, url, version string) (*CodeSystem, error) {
	if o.s == nil {
		s, err := o.Source.CodeSystem(ctx, url, version)
		if err != nil {
			return nil, err
		}
		o.s = s
	}
	return o.s, nil
}

func BenchmarkExpandFiltered10k(b *testing.B) {
	e := engine(&once{Source: large(10_000)})
	v, _ := ParseValueSet([]byte(set(`{"include":[{"system":"urn:large"}]}`)))
	for _, f := range []string{"number 77", "c123", "zzz"} {
		b.Run(f, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Expand(b.Context(), &Expand{Set: v, Filter: f, Count: 20}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse10k(b *testing.B) {
	src := []byte(large(10_000)["urn:large"])
	for b.Loop() {
		s, err := ParseCodeSystem(src)
		if err != nil {
			b.Fatal(err)
		}
		s.index()
	}
}
