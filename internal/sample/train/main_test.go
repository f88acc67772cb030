package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestTrainingIsRepeatable(t *testing.T) {
	a, err := Train(40000)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Train(40000)
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("got another dictionary the second time (%v), want the same", err)
	}
	if info, err := zstd.InspectDictionary(a); err != nil || info.ID() != 40000 || info.ContentSize() > history+pretty {
		t.Errorf("got %v, want a dictionary of ID 40000 and at most %d bytes", err, history+pretty)
	}
}

func TestADictionaryIsNeverWrittenOver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "old.zdict")
	if err := os.WriteFile(file, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{file, "40000"}, {file}, {file, "x"}} {
		if err := run(args); err == nil {
			t.Errorf("got no error for %d arguments, want one", len(args))
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "old" {
		t.Errorf("got %q, want the old file untouched", b)
	}
}
