package sample_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"salus/fhir"
	"salus/internal/sample"
)

var update = flag.Bool("update", false, "write examples/patients again")

// examples are the patients in examples/patients: every story once.
var examples = []struct {
	seed uint64
	n    int
}{{1, 60}, {2, 70}, {3, 80}, {4, 90}, {5, 100}, {6, 110}}

func TestExamplesAreWhatTheGeneratorMakes(t *testing.T) {
	for _, e := range examples {
		file := filepath.Join("..", "..", "examples", "patients", fmt.Sprintf("sample-patient-%04d.json", e.seed))
		want := sample.Bundle(e.seed, e.n)
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got other bytes than the generator makes; if the generator was meant to change, run go test ./internal/sample -update", file)
		}
	}
}

func TestEveryPatientParsesAndIsOneGroup(t *testing.T) {
	for seed := range uint64(60) {
		n := 60 + int(seed*7%141)
		for form, items := range map[string]func() ([]fhir.Group, []fhir.Rejected, error){
			"bundle": func() ([]fhir.Group, []fhir.Rejected, error) {
				return fhir.GroupByPatient(fhir.ReadBundle(bytes.NewReader(sample.Bundle(seed, n))))
			},
			"ndjson": func() ([]fhir.Group, []fhir.Rejected, error) {
				return fhir.GroupByPatient(fhir.ReadNDJSON(bytes.NewReader(sample.NDJSON(seed, n))))
			},
		} {
			groups, rejected, err := items()
			if err != nil || len(rejected) > 0 || len(groups) != 1 || len(groups[0].Items) != n {
				t.Fatalf("seed %d as %s: got %d groups, rejected %v, error %v; want one group of %d", seed, form, len(groups), rejected, err, n)
			}
			for _, r := range groups[0].Resources() {
				if s := fhir.Summarize(r); s.Title == "" {
					t.Errorf("seed %d: got a %s without a title, want one", seed, r.Type())
				}
			}
		}
	}
}

func TestEveryStoryGivesItsLabels(t *testing.T) {
	want := map[uint64][]fhir.Label{0: nil, 1: {fhir.PSY}, 2: {fhir.SUD, fhir.R}, 3: {fhir.HIV}, 4: {fhir.SEX}, 5: {fhir.SDV, fhir.R, fhir.V}}
	for seed, sensitive := range want {
		got := map[fhir.Label]bool{}
		plain := 0
		groups, _, err := fhir.GroupByPatient(fhir.ReadBundle(bytes.NewReader(sample.Bundle(seed, 150))))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range groups[0].Resources() {
			free := true
			for _, l := range fhir.LabelsOf(r) {
				if l.Sensitive() {
					got[l], free = true, false
				}
			}
			if free {
				plain++
			}
		}
		if len(got) != len(sensitive) {
			t.Errorf("seed %d: got sensitivities %v, want %v", seed, got, sensitive)
		}
		for _, l := range sensitive {
			if !got[l] {
				t.Errorf("seed %d: got no resource labelled %s, want some", seed, l)
			}
		}
		if plain < 30 {
			t.Errorf("seed %d: got %d resources without a sensitivity, want most", seed, plain)
		}
	}
}

func TestTheSameSeedGivesTheSameBytes(t *testing.T) {
	if !bytes.Equal(sample.Bundle(7, 60), sample.Bundle(7, 60)) {
		t.Error("got different bytes for the same seed, want the same")
	}
	if bytes.Equal(sample.Bundle(7, 60), sample.Bundle(13, 60)) {
		t.Error("got the same bytes for different seeds, want different")
	}
	if got := sample.Name(7); got != "Sample Patient 0007" || !strings.Contains(string(sample.NDJSON(7, 1)), got) {
		t.Errorf("got name %q, want Sample Patient 0007 in the Patient", got)
	}
	if got := bytes.Count(sample.NDJSON(7, 0), []byte("\n")); got != 1 {
		t.Errorf("got %d resources for n = 0, want the Patient alone", got)
	}
}

// Whoever imports two patients must not find a resource of one in the other.
func TestPatientsShareNoIDs(t *testing.T) {
	of := map[string]uint64{}
	for seed := range uint64(40) {
		for it, err := range fhir.ReadBundle(bytes.NewReader(sample.Bundle(seed, 100))) {
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := of[it.Resource.ID()]; ok && other != seed {
				t.Fatalf("%s of %d is one of %d too", it.Type, seed, other)
			}
			of[it.Resource.ID()] = seed
		}
	}
}
