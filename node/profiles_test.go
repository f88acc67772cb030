package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"salus/config"
	"salus/fhir"
	"salus/fhir/fhirtest"
	"salus/fhir/validate"
)

const (
	sampleProfile = `{"resourceType":"StructureDefinition","url":"http://example.org/fhir/StructureDefinition/named","name":"Named","status":"active","fhirVersion":"4.0.1","kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","snapshot":{"element":[{"id":"Patient","path":"Patient","min":0,"max":"*"},{"id":"Patient.name","path":"Patient.name","min":1,"max":"*","type":[{"code":"HumanName"}]}]}}`
	sampleGuide   = `{"resourceType":"ImplementationGuide","url":"http://example.org/fhir/ImplementationGuide/sample","version":"1.2","fhirVersion":["4.0.1"]}`
)

// sampleConfig is one with packages, in files of its home.
func sampleConfig(t *testing.T, packs ...[]byte) *config.Config {
	t.Helper()
	c := config.Default(t.TempDir())
	for i, b := range packs {
		name := string(rune('a'+i)) + ".tgz"
		if err := os.WriteFile(filepath.Join(c.Home, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		c.FHIR.Packages = append(c.FHIR.Packages, name)
	}
	return c
}

// errorsOf are the codes of what is wrong with a resource.
func errorsOf(t *testing.T, p *profiles, body string) (out []string) {
	t.Helper()
	r, err := fhir.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range p.check.Validate(t.Context(), r) {
		if i.Severity == validate.Error {
			out = append(out, i.Code)
		}
	}
	return out
}

func TestProfilesAreEnforcedAsConfigured(t *testing.T) {
	const url = "http://example.org/fhir/StructureDefinition/named"
	claims := `{"resourceType":"Patient","meta":{"profile":["` + url + `"]}}`
	claimed, bare, fits := claims, `{"resourceType":"Patient","active":true}`, strings.Replace(claims, `}}`, `},"name":[{"family":"Sample"}]}`, 1)
	for _, x := range []struct {
		name string
		make func(*config.FHIR)
		want map[string]bool // whether it is refused
	}{
		{"claimed", func(*config.FHIR) {}, map[string]bool{claimed: true, bare: false, fits: false}},
		{"off", func(f *config.FHIR) { f.Profiles = "off" }, map[string]bool{claimed: false, bare: false, fits: false}},
		{"required", func(f *config.FHIR) { f.Require = []string{url} }, map[string]bool{claimed: true, bare: true, fits: false}},
		{"required alone", func(f *config.FHIR) { f.Require, f.Profiles = []string{url}, "off" }, map[string]bool{claimed: true, bare: true, fits: false}},
		{"structure", func(f *config.FHIR) { f.Validation = "structure" }, map[string]bool{claimed: false, bare: false, fits: false}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := sampleConfig(t, fhirtest.Package(t, map[string]string{"StructureDefinition-named.json": sampleProfile, "ImplementationGuide-sample.json": sampleGuide}))
			x.make(&c.FHIR)
			p, err := openProfiles(c)
			if err != nil {
				t.Fatal(err)
			}
			for body, refused := range x.want {
				if got := errorsOf(t, p, body); (len(got) > 0) != refused {
					t.Errorf("%s: got %v, want refused %t", body, got, refused)
				}
			}
			if !slices.Equal(p.guides, []string{"http://example.org/fhir/ImplementationGuide/sample|1.2"}) || !slices.Equal(p.profiles["Patient"], []string{url}) || len(p.profiles) != 1 {
				t.Errorf("got %v and %v, want the guide and its profile", p.guides, p.profiles)
			}
		})
	}
}

func TestPackagesThatAreNotWhatTheyShouldBeStopTheStart(t *testing.T) {
	good := fhirtest.Package(t, map[string]string{"StructureDefinition-named.json": sampleProfile})
	sum := sha256.Sum256(good)
	for _, x := range []struct {
		name, want string
		pack       []byte
		pin        string
	}{
		{"another file than the pinned", "pinned", good, "#sha256=" + strings.Repeat("00", 32)},
		{"no archive", "gzip", []byte("no archive"), ""},
		{"cut", "EOF", good[:len(good)/2], ""},
		{"nothing in it", "no StructureDefinition", fhirtest.Package(t, map[string]string{"x.json": "{}"}), ""},
		{"of R5", "another version", fhirtest.Package(t, map[string]string{"StructureDefinition-named.json": sampleProfile, "ImplementationGuide-a.json": `{"url":"a","fhirVersion":["5.0.0"]}`}), ""},
		{"broken JSON", "StructureDefinition-named.json", fhirtest.Package(t, map[string]string{"StructureDefinition-named.json": sampleProfile[:100]}), ""},
	} {
		c := sampleConfig(t, x.pack)
		c.FHIR.Packages[0] += x.pin
		if _, err := openProfiles(c); err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), c.Home) {
			t.Errorf("%s: got %v, want a refusal with %q", x.name, err, x.want)
		}
	}
	c := sampleConfig(t, good)
	c.FHIR.Packages[0] += "#sha256=" + hex.EncodeToString(sum[:])
	if _, err := openProfiles(c); err != nil {
		t.Errorf("the pinned one: %v", err)
	}
	c.FHIR.Packages = []string{"missing.tgz"}
	if _, err := openProfiles(c); err == nil {
		t.Error("a missing package is no error")
	}
	c = sampleConfig(t)
	c.FHIR.Require = []string{"http://example.org/unknown"}
	if _, err := openProfiles(c); err == nil {
		t.Error("a required profile that no package has is no error")
	}
}

// TestConsentsOfLimitedUseAreKnown: this program's own extension is always loaded.
func TestConsentsOfLimitedUseAreKnown(t *testing.T) {
	c := sampleConfig(t)
	p, err := openProfiles(c)
	if err != nil {
		t.Fatal(err)
	}
	c.FHIR.FullText = "off"
	if x, err := openIndex(c, p); err != nil || x.Digest() != 0 || len(x.Skipped()) > 0 {
		t.Errorf("search parameters are added without packages: %v, %v", x.Skipped(), err)
	}
	if len(p.guides)+len(p.profiles) != 0 {
		t.Errorf("got %v and %v without packages, want none", p.guides, p.profiles)
	}
	if exists, known := leads(context.Background(), "http://elsewhere.example/Patient/1", true); exists || known {
		t.Error("references are looked up where no write is")
	}
}

// TestPublishedPackagesLoad are US Core and IPS as HL7 publishes them.
func TestPublishedPackagesLoad(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "data", "fhir-packages")
	for file, want := range map[string]struct{ guide, typ, profile, bad string }{
		"us_core_610.tgz": {"http://hl7.org/fhir/us/core/ImplementationGuide/hl7.fhir.us.core|6.1.0", "Patient", "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient", `{"resourceType":"Patient","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},"gender":"female"}`},
		"us_core_700.tgz": {"http://hl7.org/fhir/us/core/ImplementationGuide/hl7.fhir.us.core|7.0.0", "Patient", "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient", `{"resourceType":"Patient","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},"gender":"female"}`},
		"ips_v110.tgz":    {"http://hl7.org/fhir/uv/ips/ImplementationGuide/hl7.fhir.uv.ips|1.1.0", "Patient", "http://hl7.org/fhir/uv/ips/StructureDefinition/Patient-uv-ips", `{"resourceType":"Patient","meta":{"profile":["http://hl7.org/fhir/uv/ips/StructureDefinition/Patient-uv-ips"]},"gender":"female"}`},
	} {
		t.Run(file, func(t *testing.T) {
			path, err := filepath.Abs(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(path); err != nil {
				t.Skip("the package is not on this machine: ", file)
			}
			c := sampleConfig(t)
			c.FHIR.Packages, c.FHIR.FullText = []string{path}, "off"
			p, err := openProfiles(c)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(p.guides, []string{want.guide}) || !slices.Contains(p.profiles[want.typ], want.profile) {
				t.Errorf("got %v and %v", p.guides, p.profiles[want.typ])
			}
			x, err := openIndex(c, p)
			if err != nil || len(x.Skipped()) > 0 || (x.Digest() != 0) != strings.HasPrefix(file, "us_core") {
				t.Errorf("search parameters: got the digest %d, skipped %v, %v", x.Digest(), x.Skipped(), err)
			}
			if got := errorsOf(t, p, want.bad); len(got) == 0 {
				t.Error("a resource that does not fit the profile that it claims is taken")
			}
		})
	}
}
