package bulk

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"salus/fhir/definition"
)

// server are the elements that are the server's own.
var server = regexp.MustCompile(`"meta":\{"versionId":"[0-9]+","lastUpdated":"[^"]*",?`)

// TestSyntheaComesOutAsItWentIn takes bundles of made-up patients in, exports all, imports that
// elsewhere and exports again: the same resources, byte for byte but for what is the server's.
// Patient/$everything of each patient is its export.
func TestSyntheaComesOutAsItWentIn(t *testing.T) {
	files, err := filepath.Glob("../../../shared/data/synthea/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the Synthea bundles of ../shared/data are not here")
	}
	all := func(w *world) {
		w.types = nil
		for _, name := range definition.R4().Types() {
			if x := definition.R4().Type(name); x.Kind == "resource" && !x.Abstract && !x.Profile && name != "Parameters" {
				w.types = append(w.types, name)
			}
		}
		w.rest.Types = w.types
		w.rest.MaxBody = 16 << 20
	}
	first := newWorld(t, func(c *Config) { c.PageSize = 200 })
	all(first)
	slices.SortFunc(files, func(a, b string) int { return size(t, a) - size(t, b) })
	for _, f := range files[:3] {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if r := first.do("app", "POST /fhir", bytes.NewReader(b)); r.StatusCode != 200 {
			t.Fatalf("%s: got %d %.300s", filepath.Base(f), r.StatusCode, r.body)
		}
	}
	lines := func(w *world) (out [][]byte) {
		status := w.kick("app", "GET /fhir/$export")
		_, m := w.result("app", status)
		for _, o := range m.Output {
			f := w.do("app", "GET "+strings.TrimPrefix(o.URL, "http://example.org"), nil)
			out = append(out, bytes.Split(bytes.TrimSuffix(f.body, []byte("\n")), []byte("\n"))...)
		}
		slices.SortFunc(out, func(a, b []byte) int { return bytes.Compare(server.ReplaceAll(a, nil), server.ReplaceAll(b, nil)) })
		return out
	}
	went := lines(first)
	second := newWorld(t, func(c *Config) { c.PageSize = 200 })
	all(second)
	if accepted, rejected, report := second.load("app", bytes.NewReader(bytes.Join(went, []byte("\n"))), 200); accepted != int64(len(went)) || rejected != 0 {
		t.Fatalf("accepted %d of %d: %.500s", accepted, len(went), report)
	}
	came := lines(second)
	for i := range went {
		if i >= len(came) || !bytes.Equal(server.ReplaceAll(went[i], nil), server.ReplaceAll(came[i], nil)) {
			t.Fatalf("line %d of %d is another: %.200s", i, len(came), went[i])
		}
	}
	t.Logf("%d resources", len(went))

	for _, line := range went {
		var p struct{ ResourceType, ID string }
		if json.Unmarshal(line, &p) != nil || p.ResourceType != "Patient" {
			continue
		}
		r := first.do("app", "POST /fhir/Patient/$export", strings.NewReader(`{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/`+p.ID+`"}}]}`), "Prefer: respond-async")
		want, _ := first.result("app", strings.TrimPrefix(r.Header.Get("Content-Location"), "http://example.org"))
		var got []string
		for next := "/fhir/Patient/" + p.ID + "/$everything?_count=100"; next != ""; {
			var b struct {
				Link  []struct{ Relation, URL string }
				Entry []struct {
					Resource struct{ ResourceType, ID string }
					Search   struct{ Mode string }
				}
			}
			if err := json.Unmarshal(first.do("app", "GET "+next, nil).body, &b); err != nil {
				t.Fatal(err)
			}
			for _, e := range b.Entry {
				if e.Search.Mode == "match" {
					got = append(got, e.Resource.ResourceType+"/"+e.Resource.ID)
				}
			}
			next = ""
			for _, l := range b.Link {
				if l.Relation == "next" {
					next = strings.TrimPrefix(l.URL, "http://example.org")
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || len(got) < 10 {
			t.Errorf("$everything has %d, the export %d", len(got), len(want))
		}
	}
}

func size(t *testing.T, file string) int {
	t.Helper()
	i, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return int(i.Size())
}
