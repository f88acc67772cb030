package tofhir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What was mapped can be told by which mapping: each file but tests and version.go, by name and length, in the order of names.
func TestTheDigestIsOfThisMapping(t *testing.T) {
	files, err := filepath.Glob("*")
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for _, f := range files {
		if f != "codes.txt" && (!strings.HasSuffix(f, ".go") || strings.HasSuffix(f, "_test.go") || f == "version.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%s %d\n%s", f, len(b), b)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != Digest {
		t.Errorf("the mapping is another one than %s: give it the next Version, and the Digest %s", Version, got)
	}
}

// N-13: who sent it, what with, and what mapped it.
func TestTheProvenanceNamesSenderSoftwareAndMapping(t *testing.T) {
	software := "\nSFT|Sample Systems^D|7.3|SampleLab|B-42|text|20260101"
	msg := head + "ADT^A01|M1|P|2.5.1" + software + strings.ReplaceAll(software, "SampleLab", "SampleRouter") + pid
	r, e := do(t, msg)
	if s := invalid(t, r); s != nil {
		t.Errorf("got %v", s)
	}
	devices := e.of("Device")
	if len(devices) != 2 {
		t.Fatalf("got %d devices, want 2", len(devices))
	}
	for path, want := range map[string]string{"manufacturer": "Sample Systems", "version.0.value": "7.3", "deviceName.0.name": "SampleLab", "deviceName.0.type": "manufacturer-name", "modelNumber": "B-42"} {
		if got := get(devices[0], path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if got, want := paths(r), "SFT[1]-1[1].2 SFT[1]-5[1] SFT[1]-6[1] SFT[2]-1[1].2 SFT[2]-5[1] SFT[2]-6[1]"; got != want {
		t.Errorf("unmapped: got %s, want %s", got, want)
	}
	at := map[string]string{} // what is at a fullUrl
	for i, x := range resources(t, r) {
		at[fullURL(t, r, i)] = get(x, "resourceType") + " " + get(x, "name") + get(x, "deviceName.0.name")
	}
	p := e.of("Provenance")[0]
	var got []string
	for _, a := range p["agent"].([]any) {
		got = append(got, get(a, "type.coding.0.code")+" "+at[get(a, "who.reference")]+get(a, "who.display"))
	}
	if want := "author Organization FAC|assembler " + Version + " (" + Source + ", sha-256 " + Digest + ")|assembler Device SampleLab|assembler Device SampleRouter"; strings.Join(got, "|") != want {
		t.Errorf("got %s, want %s", strings.Join(got, "|"), want)
	}
	if again, _ := do(t, msg); string(again.Bundle) != string(r.Bundle) {
		t.Error("the same message gives another Bundle")
	}
	if _, e := do(t, head+"ADT^A01|M1|P|2.5.1\nSFT|||\"\""+pid); len(e.of("Device")) != 0 {
		t.Error("software that nothing is said of is a device")
	}
}

func fullURL(t *testing.T, r *Result, i int) string {
	t.Helper()
	var b struct{ Entry []struct{ FullURL string } }
	if err := json.Unmarshal(r.Bundle, &b); err != nil {
		t.Fatal(err)
	}
	return b.Entry[i].FullURL
}
