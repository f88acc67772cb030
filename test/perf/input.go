package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"salus/fhir"
	"salus/internal/sample"
)

// A bundle is one patient's record as somebody hands it in: compact JSON, because white
// space would flatter every ratio of bytes.
type bundle struct {
	json      []byte
	resources [][]byte // that no bundle before has
	bytes     int      // of these
}

// bundles returns n bundles: of Synthea, which nobody here wrote, if the data stand beside
// the repository, otherwise of the project's own samples.
func bundles(n int) ([]bundle, string, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, "", err
	}
	files, err := filepath.Glob(filepath.Join(root, "..", "shared", "data", "synthea", "*.json"))
	if err != nil {
		return nil, "", err
	}
	seen := map[string]bool{}
	if len(files) < n {
		out := make([]bundle, n)
		for i := range out {
			if out[i], err = newBundle(sample.Bundle(uint64(1000+i), 300), seen); err != nil {
				return nil, "", err
			}
		}
		return out, "sample patients of the project, 300 resources each", nil
	}
	slices.Sort(files)
	var out []bundle
	for _, f := range files[:n] {
		raw, err := os.ReadFile(f)
		if err != nil {
			return nil, "", err
		}
		b, err := newBundle(raw, seen)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", filepath.Base(f), err)
		}
		out = append(out, b)
	}
	return out, "Synthea R4 bundles of 83 to 660 resources, white space taken out", nil
}

func newBundle(raw []byte, seen map[string]bool) (b bundle, err error) {
	var buf bytes.Buffer
	if err := json.Compact(&buf, raw); err != nil {
		return b, err
	}
	b.json = buf.Bytes()
	groups, rejected, err := fhir.GroupByPatient(fhir.ReadBundle(bytes.NewReader(b.json)))
	if err != nil {
		return b, err
	}
	if len(groups) != 1 || len(rejected) > 0 {
		return b, errors.New("not the record of one patient")
	}
	for _, r := range groups[0].Resources() {
		if key := r.Type() + r.ID() + string(r.Raw()); !seen[key] { // the store keeps equal resources once
			seen[key] = true
			b.resources = append(b.resources, r.Raw())
			b.bytes += len(r.Raw())
		}
	}
	return b, nil
}

// singles returns n resources of one patient of the given seed, each an NDJSON input of its
// own, and the input that makes the patient known.
func singles(seed uint64, n int) (known []byte, writes [][]byte, err error) {
	for line := range bytes.Lines(sample.NDJSON(seed, 20*n+40)) {
		switch {
		case bytes.Contains(line, []byte(`"resourceType":"Patient"`)):
			known = line
		case bytes.HasPrefix(line, []byte(`{"resourceType":"Observation"`)) && len(writes) < n:
			writes = append(writes, line)
		}
	}
	if known == nil || len(writes) < n {
		return nil, nil, fmt.Errorf("a sample patient gave %d of %d observations", len(writes), n)
	}
	return known, writes, nil
}
