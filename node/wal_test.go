package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyOldFinishedFilesOfTheWriteAheadLogGo(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for name, age := range map[string]time.Duration{
		"wal": 3 * time.Hour, "wal.000": 3 * time.Hour, "wal.001": 2 * time.Hour, "wal.002": time.Minute, "wal.003": 2 * time.Hour, "wall.txt": 3 * time.Hour,
	} {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeWAL(dir, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	var left []string
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		left = append(left, f.Name())
	}
	// The newest stays although it is old; the one being written and strangers always do.
	if d := cmp.Diff([]string{"wal", "wal.002", "wal.003", "wall.txt"}, left); d != "" {
		t.Errorf("files left (-want +got):\n%s", d)
	}
	if err := removeWAL(filepath.Join(dir, "none"), now); err != nil {
		t.Errorf("a log that does not exist yet: %v", err)
	}
}
