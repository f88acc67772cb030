// Package hl7test gives tests the public HL7 v2 samples, which are beside the repository and not in it. It must
// never be imported by anything but tests.
package hl7test

import (
	"bytes"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"testing"
)

// Samples are the messages of the samples below a folder, each with its file and place there. A test that runs
// where the folder is absent is skipped.
func Samples(t *testing.T, dir string) iter.Seq2[string, []byte] {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the public HL7 v2 samples are not here")
	}
	return func(yield func(string, []byte) bool) {
		files := os.DirFS(dir)
		err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
			ext := filepath.Ext(path)
			if err != nil || d.IsDir() || ext != ".hl7" && ext != ".txt" {
				return err
			}
			b, err := fs.ReadFile(files, path)
			if err != nil {
				return err
			}
			for i, raw := range Messages(b) {
				if !yield(fmt.Sprintf("%s#%d", filepath.Base(path), i), raw) {
					return fs.SkipAll
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Messages splits a file into messages with CR as it should be; a file that holds none gives none. hl7.ReadBatch
// takes fewer: what samples are wrapped in is not always a batch.
func Messages(b []byte) (out [][]byte) {
	open := false
	for _, line := range bytes.FieldsFunc(bytes.TrimPrefix(b, []byte("\ufeff")), func(r rune) bool { return r == '\r' || r == '\n' || r == 0x0b || r == 0x1c }) {
		switch string(line[:min(3, len(line))]) {
		case "FHS", "BHS", "BTS", "FTS":
			continue
		case "MSH":
			out, open = append(out, nil), true
		}
		if open {
			out[len(out)-1] = append(append(out[len(out)-1], line...), '\r')
		}
	}
	return out
}
