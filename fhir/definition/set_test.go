package definition

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestR4HasItsDefinitions(t *testing.T) {
	s := R4()
	if got := len(s.types); got < 200 {
		t.Errorf("got %d types, want those of R4", got)
	}
	obs := s.Type("Observation")
	if obs == nil || obs.Base != "DomainResource" {
		t.Fatal("Observation is missing")
	}
	if e := obs.Element("Observation.status"); e.Min != 1 || e.Max != 1 || e.Strength != "required" {
		t.Errorf("got status %d..%d %s, want 1..1 required", e.Min, e.Max, e.Strength)
	}
	v := s.ValueSet(obs.Element("Observation.status").ValueSet)
	if v == nil || v.Open || !v.Has("", "final") || !v.Has("http://hl7.org/fhir/observation-status", "amended") || v.Has("", "finale") || v.Has("x", "final") {
		t.Errorf("got %v, want the codes of observation-status", v)
	}
	if e := obs.Element("Observation.subject"); !slices.Contains(e.Types[0].Targets, "http://hl7.org/fhir/StructureDefinition/Patient") {
		t.Errorf("got targets %v, want Patient among them", e.Types[0].Targets)
	}
	if got := s.Type("id").Elements; got[len(got)-1].Regex == "" {
		t.Error("the regex of id is missing")
	}
	codes := map[string]string{}
	for _, p := range s.Params("Observation") {
		codes[p.Code] = p.Type
	}
	for code, typ := range map[string]string{"code": "token", "date": "date", "_id": "token", "code-value-quantity": "composite"} {
		if codes[code] != typ {
			t.Errorf("search parameter %s: got type %q, want %q", code, codes[code], typ)
		}
	}
	if c := s.Compartment("Patient"); c == nil || !slices.Contains(c.Params["Observation"], "subject") {
		t.Error("the Patient compartment is missing")
	}
	if f := s.Model().Type("Observation").Field("value"); f == nil || !f.Choice || len(f.Types) != 11 || f.Types[0].JSON != "valueQuantity" {
		t.Errorf("got %v, want value[x] of 11 types", f)
	}
	if f := s.Model().Type("Questionnaire.item").Field("item"); f == nil || f.Types[0].Type != s.Model().Type("Questionnaire.item") {
		t.Errorf("got %v, want the content reference followed", f)
	}
}

func TestUnknownNamesFindNothing(t *testing.T) {
	s := R4()
	if s.Type("Nothing") != nil || s.Profile("x") != nil || s.ValueSet("x") != nil || s.Compartment("x") != nil || len(s.Params("Nothing")) != 0 {
		t.Error("got a definition for a name that has none")
	}
}

func TestCompactFormIsDeterministic(t *testing.T) {
	a := R4().Encode()
	s, err := Decode(a)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, s.Encode()) {
		t.Error("decoded and encoded again the bytes differ")
	}
}

func TestPackagesAreAdded(t *testing.T) {
	for file, want := range map[string]string{
		"us_core_610.tgz": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient",
		"us_core_700.tgz": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient",
		"ips_v110.tgz":    "http://hl7.org/fhir/uv/ips/StructureDefinition/Patient-uv-ips",
	} {
		f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "fhir-packages", file))
		if err != nil {
			t.Skip("the packages are not on this machine: ", file)
		}
		s, err := R4().Add(f)
		_ = f.Close()
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		p := s.Profile(want)
		if p == nil || !p.Profile || len(p.Elements) < 10 {
			t.Errorf("%s: profile %s is missing", file, want)
		}
		if n := len(s.Further()); (n == 0) != (file == "ips_v110.tgz") || len(R4().Further()) > 0 {
			t.Errorf("%s: got %d search parameters", file, n)
		}
		if s.Type("Patient") == nil || R4().Profile(want) != nil {
			t.Errorf("%s: adding changed the base", file)
		}
	}
	if _, err := R4().Add(bytes.NewReader([]byte("no gzip"))); err == nil {
		t.Error("got no error for bytes that are no package")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(magic + "\x00\x00\x00\x00\x00"))
	f.Add((&Set{}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			return
		}
		a := s.Encode()
		again, err := Decode(a)
		if err != nil || !bytes.Equal(again.Encode(), a) {
			t.Fatalf("encoded again: %v", err)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Unpack(compact); err != nil {
			b.Fatal(err)
		}
	}
}
