package node

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"salus/config"
	"salus/fhir/definition"
	"salus/fhir/validate"
	"salus/gateway/pcf"
	"salus/gateway/rest"
)

// profiles are the definitions that resources are checked against, and found by: R4, what this program defines
// itself, and the packages of the configuration.
type profiles struct {
	set      *definition.Set
	check    *validate.Validator
	guides   []string            // canonicals of the packages' implementation guides
	profiles map[string][]string // canonicals of the packages' profiles, by type
}

// maxPackageFile bounds a package's file.
const maxPackageFile = 256 << 20

// openProfiles reads the packages that the configuration names. A package that cannot be read, or is
// not the one that was pinned, stops the start: what is not checked must not look as if it were.
func openProfiles(c *config.Config) (*profiles, error) {
	o := validate.Options{Profiles: c.FHIR.Require, Unclaimed: c.FHIR.Profiles == "off", Contexts: map[string][]validate.Context{}}
	switch c.FHIR.Validation {
	case "structure":
		o.Strictness = validate.Structure
	case "full":
		o.Strictness = validate.Full
	}
	if c.FHIR.References != "off" {
		strict := c.FHIR.References == "strict"
		o.Exists = func(ctx context.Context, ref string) (exists, known bool) { return leads(ctx, ref, strict) }
	}
	p := &profiles{set: definition.R4(), profiles: map[string][]string{}}
	own, err := pcf.Package()
	if err != nil {
		return nil, fmt.Errorf("node: profiles: %w", err)
	}
	if err := p.add(own, &o); err != nil {
		return nil, fmt.Errorf("node: profiles: %w", err)
	}
	for _, f := range c.PackageFiles() {
		name := filepath.Base(f.Path)
		b, err := readPackage(f)
		if err == nil {
			err = p.add(b, &o)
		}
		if err != nil {
			return nil, fmt.Errorf("node: fhir.packages: %s: %w", name, err)
		}
	}
	if p.check, err = validate.New(p.set, o); err != nil {
		return nil, fmt.Errorf("node: profiles: %w", err)
	}
	return p, nil
}

// leads is rest.Leads; strict takes a reference to another server for one that leads nowhere.
func leads(ctx context.Context, ref string, strict bool) (exists, known bool) {
	exists, known = rest.Leads(ctx, ref)
	if strict && !known && rest.Refers(ctx) && (strings.HasPrefix(ref, "http://") || strings.HasPrefix(ref, "https://")) {
		return false, true
	}
	return exists, known
}

func readPackage(f config.Package) ([]byte, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, errors.Unwrap(err) // without the path
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxPackageFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxPackageFile:
		return nil, errors.New("the package is too large")
	}
	if sum := sha256.Sum256(b); f.SHA256 != "" && hex.EncodeToString(sum[:]) != f.SHA256 {
		return nil, errors.New("the package is not the one that is pinned by sha256")
	}
	return b, nil
}

// add takes a package's definitions over.
func (p *profiles) add(pack []byte, o *validate.Options) error {
	guide, err := guideOf(pack)
	if err != nil {
		return err
	}
	contexts, err := validate.ReadContexts(bytes.NewReader(pack))
	if err != nil {
		return err
	}
	maps.Copy(o.Contexts, contexts)
	before := p.set
	if p.set, err = before.Add(bytes.NewReader(pack)); err != nil {
		return err
	}
	found := false
	for _, url := range p.set.Profiles() {
		t := p.set.Profile(url)
		if before.Profile(url) != nil {
			continue
		}
		found = true
		if t.Profile && t.Kind == "resource" && !t.Abstract {
			p.profiles[t.Name] = append(p.profiles[t.Name], url)
		}
	}
	for _, d := range p.set.Further()[len(before.Further()):] {
		found = found || !slices.ContainsFunc(before.Further(), func(o *definition.Param) bool { return o.URL == d.URL })
	}
	if !found {
		return errors.New("the package has no StructureDefinition or SearchParameter that is not known already")
	}
	if guide != "" {
		p.guides = append(p.guides, guide)
	}
	return nil
}

// guideOf is the canonical, with its version, of the ImplementationGuide in a package; "" if there
// is none.
func guideOf(pack []byte) (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(pack))
	if err != nil {
		return "", err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		if !strings.HasPrefix(path.Base(h.Name), "ImplementationGuide-") || path.Base(path.Dir(h.Name)) != "package" || path.Ext(h.Name) != ".json" {
			continue
		}
		var g struct {
			URL, Version string
			FHIRVersion  []string
		}
		if err := json.NewDecoder(io.LimitReader(r, maxPackageFile)).Decode(&g); err != nil {
			return "", errors.New("the ImplementationGuide cannot be read")
		}
		if len(g.FHIRVersion) > 0 && !slices.ContainsFunc(g.FHIRVersion, func(v string) bool { return strings.HasPrefix(v, "4.0.") }) {
			return "", errors.New("the package is of another version of FHIR than R4")
		}
		if g.Version != "" {
			g.URL += "|" + g.Version
		}
		return g.URL, nil
	}
}
