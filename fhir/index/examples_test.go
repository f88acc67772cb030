package index

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"salus/fhir"
	"salus/fhir/fhirtest"
)

const shared = "../../../shared/data"

// An example is a resource that somebody published.
type example struct {
	name string
	fhir.Resource
}

// packaged reads the example resources of packages: those of US Core and IPS where they are, and
// HL7's own of R4 where HL7_R4 names the file of the npm package hl7.fhir.r4.examples.
func packaged(t testing.TB) (all []example) {
	t.Helper()
	files := []string{
		filepath.Join(shared, "fhir-packages", "us_core_610.tgz"), filepath.Join(shared, "fhir-packages", "us_core_700.tgz"),
		filepath.Join(shared, "fhir-packages", "ips_v110.tgz"),
	}
	if f := os.Getenv("HL7_R4"); f != "" {
		files = append(files, f)
	}
	for _, name := range files {
		if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
			continue
		}
		fhirtest.Each(t, name, func(name string, body []byte) {
			if x, err := fhir.Parse(body); err == nil {
				all = append(all, example{name, x})
			}
		})
	}
	if len(all) == 0 {
		t.Skip("the packages with the examples of US Core, IPS and R4 are not here")
	}
	return all
}

// fixtures are the resources of testdata: plainly made up, one for each kind of value.
func fixtures(t testing.TB) (all []example) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("there is no testdata: ", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		x, err := fhir.Parse(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, example{filepath.Base(name), x})
	}
	return all
}

// synthea reads the resources of some of Synthea's bundles, with references as a transaction leaves
// them.
func synthea(t testing.TB, bundles int) (all []example) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shared, "synthea", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the bundles of Synthea are not here")
	}
	for _, name := range files[:min(bundles, len(files))] {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var items []fhir.Item
		types := map[string]string{}
		for item, err := range fhir.ReadBundle(f) {
			if err != nil {
				t.Fatal(err)
			}
			items = append(items, item)
			types[item.FullURL] = item.Resource.Type() + "/" + strings.TrimPrefix(item.FullURL, "urn:uuid:")
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		var pairs []string
		for from, to := range types {
			if from != "" {
				pairs = append(pairs, `"`+from+`"`, `"`+to+`"`)
			}
		}
		replace := strings.NewReplacer(pairs...)
		for _, item := range items {
			x, err := fhir.Parse([]byte(replace.Replace(string(item.Resource.Raw()))))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, example{filepath.Base(name), x})
		}
	}
	return all
}
