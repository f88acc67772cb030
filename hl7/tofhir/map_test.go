package tofhir

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"salus/hl7"
)

func opts() Options {
	return Options{Feed: "demo", Secret: []byte("0123456789abcdef")}
}

type bundle struct {
	Entry []struct {
		Resource map[string]any
	}
}

func kinds(t *testing.T, data []byte) map[string]int {
	t.Helper()
	var b bundle
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, e := range b.Entry {
		n[e.Resource["resourceType"].(string)]++
	}
	return n
}

func load(t testing.TB, name string) *hl7.Message {
	t.Helper()
	data, err := os.ReadFile("../testdata/" + name + ".hl7")
	if err != nil {
		t.Fatal(err)
	}
	m, err := hl7.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEachMessageTypeGivesItsResource(t *testing.T) {
	for name, want := range map[string]string{
		"adt_a01": `"status":"in-progress"`, "adt_a03": `"status":"finished"`, "adt_a40": `"replaces"`, "oru_r01": `"value":5.40`,
		"orm_o01": `"ServiceRequest"`, "oml_o21": `"Specimen"`, "mdm_t02": `"DocumentReference"`, "vxu_v04": `"lotNumber":"LOT1"`, "siu_s12": `"Appointment"`, "dft_p03": `"ChargeItem"`,
	} {
		r, err := Map(load(t, name), opts())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Contains(r.Bundle, []byte(want)) {
			t.Errorf("%s: no %s", name, want)
		}
		again, _ := Map(load(t, name), opts())
		if !bytes.Equal(again.Bundle, r.Bundle) {
			t.Errorf("%s: a repeat gives another bundle", name)
		}
	}
}

func TestMapRefusesWithoutPatientOrSecret(t *testing.T) {
	m := load(t, "adt_a01")
	if _, err := Map(m, Options{}); !errors.Is(err, ErrSecret) {
		t.Error(err)
	}
	_ = m.Set("PID-3.1", "")
	if _, err := Map(m, opts()); !errors.Is(err, &hl7.Error{Code: hl7.CodeRequired}) {
		t.Error(err)
	}
}

func TestUnmappedIsReportedWithoutValues(t *testing.T) {
	m := load(t, "adt_a01")
	_ = m.Set("PID-30", "Y")
	_ = m.SetNull("PID-19")
	r, err := Map(m, opts())
	if err != nil || !slices.Contains(r.Unmapped, "PID[1]-30") || !slices.Contains(r.Nulls, "PID[1]-19") {
		t.Errorf("got %+v %v", r, err)
	}
}

func TestMergeHasAnUndo(t *testing.T) {
	r, err := Map(load(t, "adt_a40"), opts())
	if err != nil || r.Merge == nil || r.Merge.Survivor == r.Merge.Replaced || !r.Merge.Undo().Undone || r.Merge.Undo().Undo() != *r.Merge {
		t.Errorf("got %v", err)
	}
}

func TestPublicSamplesMap(t *testing.T) {
	dir := "../../../shared/data/hl7v2"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("../shared/data/hl7v2 is absent: the public samples are not tested")
	}
	mapped, refused, pairs, equal := 0, map[string]int{}, 0, 0
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".hl7" && filepath.Ext(path) != ".txt" {
			return err
		}
		data, _ := os.ReadFile(path)
		b, err := hl7.ReadBatch(data)
		if err != nil {
			t.Error(err)
			return nil
		}
		for m, err := range b.All() {
			if err != nil {
				t.Error(err)
				continue
			}
			r, err := Map(m, opts())
			if err != nil {
				refused[err.Error()]++
				if strings.Contains(path, "simhospital") {
					t.Errorf("simhospital: %v", err)
				}
				continue
			}
			mapped++
			want, err := os.ReadFile(strings.TrimSuffix(path, ".hl7") + ".fhir")
			if err == nil && b.Len() == 1 && strings.Contains(path, "HL7_to_FHIR") {
				pairs++
				if g, w := kinds(t, r.Bundle), kinds(t, want); g["Patient"] == w["Patient"] && g["Observation"] == w["Observation"] && g["ServiceRequest"] == w["ServiceRequest"] {
					equal++
				}
			}
		}
		return nil
	})
	t.Logf("%d mapped, refused %v, %d of %d pairs have as many patients, observations and requests", mapped, refused, equal, pairs)
}

func FuzzMap(f *testing.F) {
	for _, n := range []string{"adt_a01", "oru_r01", "vxu_v04", "mdm_t02"} {
		f.Add(load(f, n).Encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := hl7.Parse(data)
		if err != nil {
			return
		}
		if r, err := Map(m, opts()); err == nil && !json.Valid(r.Bundle) {
			t.Fatal("not JSON")
		}
	})
}

func BenchmarkMap(b *testing.B) {
	m := load(b, "oru_r01")
	for b.Loop() {
		if _, err := Map(m, opts()); err != nil {
			b.Fatal(err)
		}
	}
}
