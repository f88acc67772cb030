package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// maxDeleteMany bounds what one conditional delete takes in one transaction of the store.
const maxDeleteMany = 10_000

// pin stands between the name of a package and its hash.
const pin = "#sha256="

func (f FHIR) validateProfiles() error {
	for _, p := range f.Packages {
		path, hash, pinned := strings.Cut(p, pin)
		if path == "" || filepath.Ext(path) != ".tgz" {
			return fmt.Errorf("config: fhir.packages: %q is no .tgz file", p)
		}
		if b, err := hex.DecodeString(hash); pinned && (err != nil || len(b) != 32) {
			return fmt.Errorf("config: fhir.packages: %q: want 64 hex digits behind %s", p, pin)
		}
	}
	for _, x := range []struct {
		key, value string
		of         []string
	}{
		{"profiles", f.Profiles, []string{"claimed", "off"}},
		{"validation", f.Validation, []string{"structure", "required", "full"}},
		{"references", f.References, []string{"off", "local", "strict"}},
		{"full_text", f.FullText, []string{"off", "text", "content"}},
	} {
		if !slices.Contains(x.of, x.value) {
			return fmt.Errorf("config: fhir.%s: %q is none of %s", x.key, x.value, strings.Join(x.of, ", "))
		}
	}
	for _, r := range f.Require {
		if u, err := url.Parse(r); err != nil || u.Scheme == "" {
			return fmt.Errorf("config: fhir.require: %q is no canonical", r)
		}
	}
	if len(f.Require) > 0 && f.Validation == "structure" {
		return errors.New("config: fhir.require: profiles are not checked where fhir.validation is structure")
	}
	if f.DeleteMany < 0 || f.DeleteMany > maxDeleteMany {
		return fmt.Errorf("config: fhir.delete_many: must be between 0 and %d", maxDeleteMany)
	}
	return nil
}

// A Package is a file of FHIR's definitions, and its SHA-256 in hex if it is pinned.
type Package struct{ Path, SHA256 string }

// PackageFiles are those that fhir.packages names, with their paths made absolute.
func (c *Config) PackageFiles() (out []Package) {
	for _, p := range c.FHIR.Packages {
		path, hash, _ := strings.Cut(p, pin)
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.Home, path)
		}
		out = append(out, Package{path, strings.ToLower(hash)})
	}
	return out
}
