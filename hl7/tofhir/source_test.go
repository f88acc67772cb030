package tofhir

import (
	"bytes"
	"encoding/csv"
	"flag"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

var write = flag.Bool("write", false, "write codes.txt anew")

// mappings is where HL7's tables are: a copy of the folder "mappings" of Source.
func mappings(t *testing.T) string {
	dir := os.Getenv("HL7_V2_TO_FHIR")
	if dir == "" {
		t.Skip("HL7_V2_TO_FHIR does not name a copy of the folder mappings of " + Source)
	}
	return dir
}

func table(t *testing.T, file string) [][]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func between(file, a, b string) string {
	_, s, _ := strings.Cut(filepath.Base(file), a)
	if i := strings.LastIndex(s, b); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSpace(s)
}

func TestCodeTableIsHL7s(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(mappings(t), "codesystems", "HL7 Concept Map_*.csv"))
	var lines []string
	for _, f := range files {
		name, seen := between(f, "Map_", " - "), map[string]bool{}
		rows := table(t, f)
		for _, r := range rows[2:] {
			if len(r) < 7 {
				continue
			}
			code, to, sys := strings.TrimSpace(r[0]), strings.TrimSpace(r[6]), ""
			if len(r) > 9 {
				sys = strings.TrimSpace(r[9])
			}
			if code == "" || to == "" || seen[code] || strings.ContainsAny(code+to+sys, "\t\n") {
				continue // no target, or a second target: the first is taken
			}
			seen[code] = true
			lines = append(lines, strings.Join([]string{name, code, to, sys}, "\t")+"\n")
		}
	}
	sort.Strings(lines)
	want := strings.Join(lines, "")
	if *write {
		if err := os.WriteFile("codes.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := os.ReadFile("codes.txt"); string(got) != want {
		t.Errorf("codes.txt is not what the tables of %s give", Source)
	}
	if len(lines) < 500 {
		t.Errorf("got %d codes, want all of them", len(lines))
	}
}

// A row that is not marked as our own is a row of HL7's table, by field and attribute.
func TestSegmentRowsAreHL7s(t *testing.T) {
	dir, checked := mappings(t), 0
	for _, set := range rowSets() {
		var attrs map[string]bool
		if set.source != "own" {
			files, _ := filepath.Glob(filepath.Join(dir, "segments", "HL7 Segment - FHIR R4_ "+strings.ReplaceAll(set.source, "[", "[[]")+" - *.csv"))
			if len(files) != 1 {
				t.Errorf("%s: got %d tables, want 1", set.source, len(files))
				continue
			}
			attrs = map[string]bool{}
			for _, r := range table(t, files[0])[2:] {
				if len(r) > 9 {
					attrs[strings.TrimSpace(r[1])+" "+strings.ReplaceAll(strings.TrimSpace(r[9]), " ", "")] = true
				}
			}
		}
		for _, r := range set.rows {
			if r.attr == "own" {
				continue
			}
			checked++
			if !attrs[set.segment+"-"+r.fieldText+" "+r.attr] {
				t.Errorf("%s: no row %s-%s %s", set.source, set.segment, r.fieldText, r.attr)
			}
		}
	}
	if checked < 120 {
		t.Errorf("checked %d rows", checked)
	}
}
