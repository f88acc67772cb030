package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestAFileIsReplacedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, want := range []string{"first and longer", "second", ""} {
		if err := os.WriteFile(path+Suffix, []byte("left by a crash, and longer than what comes"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := WriteFile(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("got %v, %v, want mode 0600", i.Mode(), err)
		}
		if _, err := os.Stat(path + Suffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want no file beside it", err)
		}
	}
}

func TestTheOldFileStaysWhenWritingFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+Suffix, 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("new")); err == nil {
		t.Error("got no error")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("got %q, %v, want the old file", got, err)
	}
	if err := SyncDir(filepath.Join(filepath.Dir(path), "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}
