package fhir

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// synthea returns the bundles of Synthea patients, by file name, or skips the test.
func synthea(t testing.TB) map[string][]byte {
	t.Helper()
	files, _ := filepath.Glob("../../shared/data/synthea/*.json")
	if len(files) == 0 {
		t.Skip("the Synthea bundles are not here; put them into ../shared/data/synthea beside the repository to run this test")
	}
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = b
	}
	return out
}

func TestEverySyntheaResourceKeepsItsBytesAndFindsItsPatient(t *testing.T) {
	resources, patients, labelled := 0, 0, map[Label]int{}
	for name, bundle := range synthea(t) {
		var want struct {
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal(bundle, &want); err != nil {
			t.Fatal(err)
		}
		var items []Item
		for it, err := range ReadBundle(bytes.NewReader(bundle)) {
			if err != nil {
				t.Fatalf("%s entry %d: got %v, want no error", name, it.Index, err)
			}
			if !bytes.Equal(it.Resource.Raw(), want.Entry[it.Index].Resource) {
				t.Fatalf("%s entry %d: got other bytes than the input has", name, it.Index)
			}
			if again, err := Parse(it.Resource.Raw()); err != nil || again.ID() != it.Resource.ID() {
				t.Fatalf("%s entry %d alone: got %v, want the same resource", name, it.Index, err)
			}
			for _, l := range LabelsOf(it.Resource) {
				labelled[l]++
			}
			if s := Summarize(it.Resource); s.Title == "" || s.Date == "" && dated(it.Type) {
				t.Errorf("%s entry %d: got summary with title %t, date %t of a %s, want both", name, it.Index, s.Title != "", s.Date != "", it.Type)
			}
			items = append(items, it)
		}
		if len(items) != len(want.Entry) {
			t.Fatalf("%s: got %d items, want %d", name, len(items), len(want.Entry))
		}
		resources += len(items)
		groups, rejected, err := GroupByPatient(ReadBundle(bytes.NewReader(bundle)))
		if err != nil {
			t.Fatal(err)
		}
		if items[0].Type != "Patient" { // the practitioners' bundle belongs to nobody
			if len(groups) != 0 || len(rejected) != len(items) {
				t.Errorf("%s: got %d groups and %d rejected, want 0 and %d", name, len(groups), len(rejected), len(items))
			}
			continue
		}
		patients += len(groups)
		if len(groups) != 1 || len(rejected) != 0 || len(groups[0].Items) != len(items) {
			t.Errorf("%s: got %d groups, %d rejected, want everything in one group", name, len(groups), len(rejected))
		}
		if got, want := groups[0].Reference(), "Patient/"+items[0].Resource.ID(); got != want {
			t.Errorf("%s: got reference %s, want %s", name, got, want)
		}
	}
	if resources != 8346 || patients != 30 {
		t.Errorf("got %d resources of %d patients, want 8346 of 30", resources, patients)
	}
	t.Logf("labels: %v", labelled)
}

func dated(typ string) bool {
	return typ != "Patient" && typ != "Practitioner" && typ != "Organization" && typ != "Goal"
}

func largest(b testing.TB) []byte {
	var big []byte
	for _, bundle := range synthea(b) {
		if len(bundle) > len(big) {
			big = bundle
		}
	}
	return big
}

func BenchmarkReadBundle(b *testing.B) {
	big := largest(b)
	b.SetBytes(int64(len(big)))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range ReadBundle(bytes.NewReader(big)) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkGroupLabelSummarise(b *testing.B) {
	big := largest(b)
	b.SetBytes(int64(len(big)))
	for b.Loop() {
		groups, _, err := GroupByPatient(ReadBundle(bytes.NewReader(big)))
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range groups[0].Resources() {
			LabelsOf(r)
			Summarize(r)
		}
	}
}

func BenchmarkEncodingJSONRawMessages(b *testing.B) {
	big := largest(b)
	b.SetBytes(int64(len(big)))
	b.ReportAllocs()
	for b.Loop() {
		var v struct {
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal(big, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodingJSONMap(b *testing.B) {
	big := largest(b)
	b.SetBytes(int64(len(big)))
	for b.Loop() {
		var v map[string]any
		if err := json.Unmarshal(big, &v); err != nil {
			b.Fatal(err)
		}
	}
}
