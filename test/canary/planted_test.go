package canary

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/cockroachdb/pebble"
	"github.com/klauspost/compress/zstd"

	"salus/seal/compress"
)

// TestTheScannerFindsALeakInEveryPlaceAndForm plants what the test of the network must not find.
func TestTheScannerFindsALeakInEveryPlaceAndForm(t *testing.T) {
	const text = "Canary-Zq81 Ünal/Kx92"
	fresh := func() *scanner {
		s, err := newScanner()
		if err != nil {
			t.Fatal(err)
		}
		s.secret("name", text)
		return s
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("before " + text))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	long := []byte(strings.Repeat(`{"resourceType":"Patient"}`, 40) + text)
	digest := sha256.Sum256([]byte(text))
	var wide []byte
	for _, u := range utf16.Encode([]rune(text)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for form, leak := range map[string][]byte{
		"a wire body":              []byte("\x00\x01" + text),
		"a log line":               []byte(`level=DEBUG msg=import name="` + text + `"`),
		"a metric label":           []byte(`salus_x{name="` + text + `"} 1`),
		"a memo in hex":            []byte(hex.EncodeToString([]byte(text))),
		"lower case":               []byte(strings.ToLower(text)),
		"upper case":               []byte(strings.ToUpper(text)),
		"a query":                  []byte("/v1/x?name=Canary-Zq81+%C3%9Cnal%2FKx92"),
		"json":                     []byte(`"Canary-Zq81 \u00dcnal/Kx92"`),
		"base64, first place":      []byte(base64.StdEncoding.EncodeToString([]byte(text + "after"))),
		"base64, second place":     []byte(base64.StdEncoding.EncodeToString([]byte("a" + text + "after"))),
		"base64url, third place":   []byte(base64.URLEncoding.EncodeToString([]byte("ab" + text + "after"))),
		"utf-16":                   wide,
		"gzip":                     append([]byte("head"), zipped.Bytes()...),
		"zstd":                     append([]byte("head"), enc.EncodeAll(long, nil)...),
		"a record as it is packed": append([]byte("head"), append(compress.Compress(long), "tail"...)...),
		"a hash":                   digest[:],
		"a hash in hex":            []byte(hex.EncodeToString(digest[:])),
	} {
		s := fresh()
		s.bytes("here", leak)
		if len(s.found) == 0 {
			t.Errorf("%s: the leak was not found", form)
		}
	}

	dir := t.TempDir()
	db, err := pebble.Open(filepath.Join(dir, "rows"), &pebble.Options{Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // so that the table's blocks compress
		if err := db.Set([]byte("key"), bytes.Repeat([]byte(hex.EncodeToString([]byte(text))), 40), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := fresh()
	if _, rows, err := s.dir(dir); err != nil || rows != 1 {
		t.Fatalf("got %d rows, %v, want 1", rows, err)
	}
	all := strings.Join(s.found, "\n")
	for _, want := range []string{"file: name", "rows (value): name"} {
		if !strings.Contains(all, want) {
			t.Errorf("got no %q in\n%s", want, all)
		}
	}
	s = fresh()
	s.bytes("clean", bytes.Repeat([]byte("Canary-Zq81 Unal"), 100))
	if len(s.found) != 0 {
		t.Errorf("clean bytes: got %q", s.found)
	}
}
