package pcf

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "embed"
	"time"
)

// uses is the StructureDefinition of ExtensionUses, with its snapshot.
//
//go:embed StructureDefinition-consent-uses.json
var uses []byte

// Package is an npm package (.tgz) of FHIR with what this room defines itself, for a definition.Set: the
// modifier extension ExtensionUses. Without it a validator refuses Consents of limited use.
func Package() ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	for name, body := range map[string][]byte{"package/StructureDefinition-consent-uses.json": uses} {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: time.Unix(0, 0)}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(body); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
