package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"salus/client"
)

// TestAFileThatChangesIsNotImported: a file that was longer or is written anew before its end is reached ends with
// an error, on which the node writes nothing.
func TestAFileThatChangesIsNotImported(t *testing.T) {
	ends := make(chan error, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ends <- err
	}))
	defer s.Close()
	api := client.NewAPI(s.URL, "")
	for name, change := range map[string]func(path string) error{
		"as it was": nil,
		"longer": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("more")
			return errors.Join(err, f.Close())
		},
		"shorter": func(path string) error { return os.Truncate(path, 3) },
		"touched": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			later := info.ModTime().Add(time.Second)
			return os.Chtimes(path, later, later)
		},
	} {
		path := filepath.Join(t.TempDir(), "a.ndjson")
		if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := openImport(nil, path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(in, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		want := error(nil)
		if change != nil {
			want = errGrew
			if err := change(path); err != nil {
				t.Fatal(err)
			}
		}
		r, err := api.Do(t.Context(), http.MethodPost, "/", "", in)
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
		if err == nil {
			_ = r.Body.Close()
		}
		if whole := <-ends == nil; whole != (want == nil) {
			t.Errorf("%s: the node got a whole body: %v", name, whole)
		}
	}
}
