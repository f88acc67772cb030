// Package fhirtest makes and reads FHIR packages for the tests of other rooms.
//
// Contract: what it makes has the form of an npm package (FHIR "Package Specification"): a gzipped tar file with
// everything below package/. It must never be imported by anything but tests.
package fhirtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"testing"
)

// Package returns a package of files, bodies by name.
func Package(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, body := range files {
		if err := w.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Each calls fn with the JSON files of a package that are its resources and examples.
func Each(t testing.TB, file string, fn func(name string, body []byte)) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if dir := path.Base(path.Dir(h.Name)); path.Ext(h.Name) != ".json" || dir != "package" && dir != "example" {
			continue
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		fn(path.Base(h.Name), b)
	}
}
