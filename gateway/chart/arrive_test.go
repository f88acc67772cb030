package chart

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/ledger/tx"
	"salus/record"
)

// A deletion that another member made is one of a resource, and of a version that can have a next.
func TestADeletionOfNoPossibleVersionIsNone(t *testing.T) {
	const of = "Observation/1/_history/"
	for target, want := range map[string]bool{
		of + "1": true, of + fmt.Sprint(maxVersion): true, of + "0": false, of + "-1": false, of + "9223372036854775807": false, of + "1x": false, of: false,
		"Observation/1": false, "/1/_history/1": false, "Observation//_history/1": false, "a/Observation/1/_history/1": false, "Observation/1 2/_history/1": false,
	} {
		r, err := fhir.Parse([]byte(`{"resourceType":"Provenance","id":"deleted-1","recorded":"2026-01-02T03:04:05.000Z","target":[{"reference":"` + target + `"}],` +
			`"activity":{"coding":[{"system":"` + systemActivity + `","code":"DELETE"}]}}`))
		if err != nil {
			t.Fatal(err)
		}
		if g, ok := deletionOf(r); ok != want || ok && (g.Type != "Observation" || g.ID != "1") {
			t.Errorf("%q: got %+v, %v; want %v", target, g, ok, want)
		}
	}
}

// FuzzArrive: whatever bytes another member seals as a record, they are a resource among one's own or are left out.
func FuzzArrive(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Observation","id":"1","meta":{"versionId":"3","lastUpdated":"2026-01-02T03:04:05Z"},"status":"final","code":{"coding":[{"code":"x"}]},"subject":{"reference":"Patient/x"},"effectiveDateTime":"2026"}`))
	f.Add([]byte(`{"resourceType":"Provenance","id":"deleted-1","recorded":"2026-01-02T03:04:05.000Z","target":[{"reference":"Observation/1/_history/2"}],"activity":{"coding":[{"system":"` + systemActivity + `","code":"DELETE"}]}}`))
	f.Add([]byte(`{"resourceType":"Patient","id":"x","meta":{"extension":[{"url":"Binary/1","valueReference":{"reference":"Patient/x"}}],"versionId":"9223372036854775807"},"birthDate":"0000","name":[{"family":"\u0000"}]}`))
	f.Add([]byte(`{"resourceType":"Location","id":"l","position":{"latitude":1e400,"longitude":-0}}`))
	x, err := index.New(definition.R4(), "http://example.org/fhir")
	if err != nil {
		f.Fatal(err)
	}
	s := &Service{Config: Config{Index: x, Notices: []fhir.Notice{{Label: fhir.R, Text: "A notice."}}}}
	c := &chart{ref: "Patient/me", scope: 7}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, adopts := range []bool{false, true} {
			a, ok := s.arrive(c, &record.Opened{Body: body, Located: record.Located{Author: tx.Account{1}, Time: 1_700_000_000}}, adopts)
			if !ok {
				continue
			}
			p := &a.put
			if _, err := hex.DecodeString(p.ID); err != nil && (!adopts || "Patient/"+p.ID != c.ref) || p.VID < 1 || p.VID > maxVersion || p.Scope != c.scope || p.Owner != c.ref || p.Type == "" {
				t.Fatalf("it is placed as %s/%s, version %d, of %s", p.Type, p.ID, p.VID, p.Owner)
			}
			if a.gone {
				continue
			}
			r, err := fhir.Parse(p.Body)
			if err != nil || r.Type() != p.Type || !strings.Contains(string(p.Body), systemMember) {
				t.Fatalf("what is placed is no resource of another member: %v", err)
			}
		}
	})
}
