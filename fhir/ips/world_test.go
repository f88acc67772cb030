package ips

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/element"
	"salus/fhir/validate"
)

const data = "../../../shared/data"

// A chart is what a reader may see of a patient, by "Type/id".
type chart struct {
	subject fhir.Resource
	list    []fhir.Resource
	by      map[string]fhir.Resource
}

func newChart(t testing.TB, bodies ...string) *chart {
	t.Helper()
	c := &chart{by: map[string]fhir.Resource{}}
	for _, b := range bodies {
		r, err := fhir.Parse([]byte(b))
		if err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		if r.Type() == "Patient" && c.subject.Type() == "" {
			c.subject = r
		}
		c.list = append(c.list, r)
		c.by[r.Type()+"/"+r.ID()] = r
	}
	return c
}

func (c *chart) items() iter.Seq2[fhir.Resource, error] {
	return func(yield func(fhir.Resource, error) bool) {
		for _, r := range c.list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (c *chart) options(ed Edition) Options {
	return Options{
		Edition: ed, ID: "6f1c1f8e-8f5e-4d7a-9a34-0d7a4f2f9a10", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Base: "http://example.org/fhir", Author: "Salus test", Custodian: "Sample Clinic",
		Lookup: func(typ, id string) (fhir.Resource, error) { return c.by[typ+"/"+id], nil },
	}
}

func (c *chart) document(t testing.TB, o Options) []byte {
	t.Helper()
	b, err := Document(c.subject, c.items(), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A summary is a document as its reader has it.
type summary struct {
	raw      []byte
	urls     []string // fullUrls, in order
	by       map[string]element.Node
	sections map[string]element.Node // by code
}

func read(t testing.TB, raw []byte) summary {
	t.Helper()
	tree, err := element.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	s := summary{raw: raw, by: map[string]element.Node{}, sections: map[string]element.Node{}}
	for e := range tree.Root().Get("entry").Children() {
		url := e.Get("fullUrl").Text()
		if !absent(s.by[url]) {
			t.Errorf("two entries have the fullUrl %s", url)
		}
		s.urls = append(s.urls, url)
		s.by[url] = e.Get("resource")
	}
	for p := range s.by[s.urls[0]].Get("section").Children() {
		s.sections[p.Get("code").Get("coding").At(0).Get("code").Text()] = p
	}
	return s
}

// entries are those of a section, as "Type/id".
func (s summary) entries(code string) (out []string) {
	for e := range s.sections[code].Get("entry").Children() {
		n := s.by[e.Get("reference").Text()]
		out = append(out, n.Get("resourceType").Text()+"/"+n.Get("id").Text())
	}
	return out
}

// closed fails the test unless every reference leads to an entry or to what is contained.
func (s summary) closed(t testing.TB) {
	t.Helper()
	for url, n := range s.by {
		for ref := range references(n, false) {
			if !strings.HasPrefix(ref, "#") && absent(s.by[ref]) {
				t.Errorf("%s refers to %s, which is not in the document", url, ref)
			}
		}
	}
}

var base = sync.OnceValues(func() (*validate.Validator, error) {
	return validate.New(definition.R4(), validate.Options{Limit: 1000})
})

var guided = sync.OnceValues(func() (*validate.Validator, error) {
	f, err := os.Open(filepath.Join(data, "fhir-packages", "ips_v110.tgz"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	set, err := definition.R4().Add(f)
	if err != nil {
		return nil, err
	}
	return validate.New(set, validate.Options{Limit: 1000})
})

// wrong are the errors that a validator finds.
func wrong(t testing.TB, v *validate.Validator, raw []byte, profiles ...string) (out []validate.Issue) {
	t.Helper()
	tree, err := element.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range v.ValidateTree(t.Context(), tree, profiles...) {
		if i.Severity == validate.Error || i.Severity == validate.Fatal {
			out = append(out, i)
		}
	}
	return out
}

func valid(t testing.TB, raw []byte) {
	t.Helper()
	v, err := base()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range wrong(t, v, raw) {
		t.Errorf("R4: %s %s: %s", i.Code, i.Expression, i.Text)
	}
}

// guide is the validator with the package of the guide, or skips.
func guide(t testing.TB) *validate.Validator {
	t.Helper()
	v, err := guided()
	if os.IsNotExist(err) {
		t.Skip("the package of IPS 1.1.0 is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// synthea reads charts of generated patients, their references turned into those of a server.
func synthea(t testing.TB, most int) (out []*chart) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "synthea", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("there are no Synthea bundles here")
	}
	slices.Sort(files)
	for _, f := range files[:min(most, len(files))] {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, bundled(t, raw))
	}
	return out
}

// bundled is what is in a Bundle, its references those of a server.
func bundled(t testing.TB, raw []byte) *chart {
	t.Helper()
	var b struct {
		Entry []struct {
			FullURL  string `json:"fullUrl"`
			Resource json.RawMessage
		}
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for _, e := range b.Entry {
		r, err := fhir.Parse(e.Resource)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, `"`+e.FullURL+`"`, `"`+r.Type()+"/"+r.ID()+`"`)
	}
	turn := strings.NewReplacer(pairs...)
	var bodies []string
	for _, e := range b.Entry {
		bodies = append(bodies, turn.Replace(string(e.Resource)))
	}
	return newChart(t, bodies...)
}

// examples are the published Bundles of the guide's package.
func examples(t testing.TB) map[string]*chart {
	t.Helper()
	f, err := os.Open(filepath.Join(data, "fhir-packages", "ips_v110.tgz"))
	if err != nil {
		t.Skip("the package of IPS 1.1.0 is not here")
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*chart{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(filepath.Base(h.Name), "Bundle-") || filepath.Ext(h.Name) != ".json" {
			continue
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(h.Name)] = bundled(t, raw)
	}
}
