package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProfilesThatCannotWorkAreRefusedByTheirKey(t *testing.T) {
	for _, x := range []struct {
		key  string
		make func(*FHIR)
	}{
		{"packages", func(f *FHIR) { f.Packages = []string{"us-core.zip"} }},
		{"packages", func(f *FHIR) { f.Packages = []string{""} }},
		{"packages", func(f *FHIR) { f.Packages = []string{"a.tgz#sha256=00"} }},
		{"packages", func(f *FHIR) { f.Packages = []string{"a.tgz#sha1=00"} }},
		{"profiles", func(f *FHIR) { f.Profiles = "all" }},
		{"full_text", func(f *FHIR) { f.FullText = "all" }},
		{"validation", func(f *FHIR) { f.Validation = "none" }},
		{"references", func(f *FHIR) { f.References = "" }},
		{"require", func(f *FHIR) { f.Require = []string{"us-core-patient"} }},
		{"require", func(f *FHIR) { f.Require, f.Validation = []string{"http://example.org/p"}, "structure" }},
		{"delete_many", func(f *FHIR) { f.DeleteMany = -1 }},
		{"delete_many", func(f *FHIR) { f.DeleteMany = 10_001 }},
	} {
		c := valid(t)
		x.make(&c.FHIR)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "config: fhir."+x.key+": ") {
			t.Errorf("got %v, want a refusal of fhir.%s", err, x.key)
		}
	}
}

func TestPackageFilesAreInTheHome(t *testing.T) {
	c := valid(t)
	hash := strings.Repeat("AB", 32)
	c.FHIR.Packages = []string{"us.tgz", "/srv/ips.tgz#sha256=" + hash}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	want := []Package{{filepath.Join(c.Home, "us.tgz"), ""}, {"/srv/ips.tgz", strings.ToLower(hash)}}
	if d := cmp.Diff(want, c.PackageFiles()); d != "" {
		t.Error(d)
	}
}
