package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSampleDocumentsAgainAreUnchanged takes HL7's sample documents in, each twice in a store of its
// own.
func TestSampleDocumentsAgainAreUnchanged(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "data", "ccda")
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		t.Skip("HL7's C-CDA samples are not here")
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".xml" {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(src, []byte("<ClinicalDocument")) {
			return err
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".xml"), func(t *testing.T) {
			w := newWorld(t)
			first := w.post(PathCCDA, "application/xml", bytes.NewReader(src))
			if first.Code != http.StatusOK {
				var p Problem
				if json.Unmarshal(first.Body.Bytes(), &p) != nil || p.Code != "ccda-namespace" { // parts of documents, without HL7's namespace
					t.Errorf("got %d %s", first.Code, first.Body)
				}
				return
			}
			again := w.report(w.post(PathCCDA, "application/xml", bytes.NewReader(src)))
			if made := w.report(first).Created; again.Created+again.Updated > 0 || again.Unchanged != made {
				t.Errorf("got %d created, %d updated, %d of %d unchanged", again.Created, again.Updated, again.Unchanged, made)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
