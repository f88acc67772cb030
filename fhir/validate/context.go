package validate

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"salus/fhir/element"
)

// A Context says where an extension may stand (R4, StructureDefinition.context).
type Context struct {
	Type       string // element, extension or fhirpath
	Expression string
}

// maxContexts bounds the bytes of an unpacked package, and of a file in it.
const (
	maxContexts = 1 << 30
	maxFile     = 64 << 20
)

// ReadContexts reads the contexts of the extensions that an npm package (.tgz) of FHIR
// defines, for Options.Contexts.
func ReadContexts(pack io.Reader) (map[string][]Context, error) {
	z, err := gzip.NewReader(pack)
	if err != nil {
		return nil, fmt.Errorf("validate: package: %w", err)
	}
	out := map[string][]Context{}
	var total int64
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("validate: package: %w", err)
		}
		if total += h.Size; total > maxContexts || h.Size > maxFile {
			return nil, errors.New("validate: package is too large")
		}
		name := path.Base(h.Name)
		if !strings.HasPrefix(name, "StructureDefinition-") || path.Ext(name) != ".json" || path.Base(path.Dir(h.Name)) != "package" {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(r, maxFile))
		if err != nil {
			return nil, fmt.Errorf("validate: package: %w", err)
		}
		tree, err := element.Parser{Size: maxFile}.Parse(b)
		if err != nil {
			return nil, fmt.Errorf("validate: %s: %w", name, err)
		}
		n := tree.Root()
		for c := range n.Get("context").Children() {
			url := n.Get("url").Text()
			out[url] = append(out[url], Context{c.Get("type").Text(), c.Get("expression").Text()})
		}
	}
}
