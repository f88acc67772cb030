package tofhir

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"salus/hl7"
)

const samples = "../../../shared/data/hl7v2"

// messages splits a file into messages; a file that holds none gives none.
func messages(b []byte) (out [][]byte) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	var cur []byte
	for _, line := range bytes.FieldsFunc(b, func(r rune) bool { return r == '\r' || r == '\n' || r == 0x0b || r == 0x1c }) {
		if bytes.HasPrefix(line, []byte("FHS")) || bytes.HasPrefix(line, []byte("BHS")) || bytes.HasPrefix(line, []byte("BTS")) || bytes.HasPrefix(line, []byte("FTS")) {
			continue
		}
		if bytes.HasPrefix(line, []byte("MSH")) && cur != nil {
			out, cur = append(out, cur), nil
		}
		if cur != nil || bytes.HasPrefix(line, []byte("MSH")) {
			cur = append(append(cur, line...), '\r')
		}
	}
	if cur != nil {
		out = append(out, cur)
	}
	return out
}

// All messages of the samples are mapped to valid FHIR, or refused with a code.
func TestSamplesAreMappedOrRefusedWithACode(t *testing.T) {
	if _, err := os.Stat(samples); err != nil {
		t.Skip("the HL7 v2 samples are not here")
	}
	done, refused, bad, issues := 0, map[string]int{}, 0, map[string]int{}
	err := filepath.WalkDir(samples, func(path string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(path)
		if err != nil || d.IsDir() || ext != ".hl7" && ext != ".txt" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, raw := range messages(b) {
			m, err := hl7.Parse(raw)
			var r *Result
			if err == nil {
				r, err = Map(m, options())
			}
			if err != nil {
				code := "patients"
				if e := (*hl7.Error)(nil); errors.As(err, &e) {
					code = e.Code
				} else if !errors.Is(err, ErrPatients) {
					t.Errorf("%s: an error without a code: %v", filepath.Base(path), err)
				}
				refused[code]++
				continue
			}
			done++
			if s := invalid(t, r); s != nil {
				bad++
				for _, i := range s {
					issues[i]++
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d mapped, refused %v, %d with issues", done, refused, bad)
	if done < 200 || len(refused) != 1 || refused[hl7.CodeRequired] > 241 { // 241 of the samples are fragments without a patient identifier
		t.Errorf("got %d messages mapped, refused %v, want 200 or more", done, refused)
	}
	for i, n := range issues {
		t.Errorf("%d times: %s", n, i)
	}
}

// compared are the elements that both CDC's converter and HL7's tables give alike.
var compared = map[string][]string{
	"Patient":          {"name.0.family", "name.0.given.0", "gender", "birthDate", "identifier.0.value", "address.0.line.0", "address.0.city", "address.0.state", "address.0.postalCode", "address.0.country", "multipleBirthInteger"},
	"Observation":      {"status", "code.coding.0.code", "code.coding.0.display", "code.coding.0.system", "valueCodeableConcept.coding.0.code", "valueCodeableConcept.coding.0.display", "valueQuantity.value", "valueString", "effectiveDateTime", "interpretation.0.coding.0.code", "referenceRange.0.text"},
	"DiagnosticReport": {"status", "code.coding.0.code", "code.coding.0.display", "effectiveDateTime", "issued"},
	"Specimen":         {"type.coding.0.code", "receivedTime"},
	"Encounter":        {"class.code", "period.start"},
	"Immunization":     {"vaccineCode.coding.0.code", "lotNumber"},
}

// Element by element against the FHIR that CDC's converter makes of the same
// messages. The share may only grow: CDC's differs in extensions and in places where
// HL7's tables say otherwise.
func TestSamplesAgreeWithExpectedFHIR(t *testing.T) {
	dir := filepath.Join(samples, "cdc-reportstream")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the HL7 v2 samples are not here")
	}
	same, other, differs := 0, 0, map[string]int{}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".hl7" || strings.Contains(path, "FHIR_to_HL7") {
			return err
		}
		want, err := os.ReadFile(strings.TrimSuffix(path, ".hl7") + ".fhir")
		if err != nil {
			return nil
		}
		b, _ := os.ReadFile(path)
		all := messages(b)
		if len(all) != 1 {
			return nil
		}
		m, err := hl7.Parse(all[0])
		if err != nil {
			return nil
		}
		r, err := Map(m, options())
		if err != nil {
			return nil
		}
		var bundle struct {
			Entry []struct{ Resource map[string]any }
		}
		dec := json.NewDecoder(bytes.NewReader(want))
		dec.UseNumber()
		if dec.Decode(&bundle) != nil {
			return nil
		}
		var theirs entries
		for _, e := range bundle.Entry {
			theirs = append(theirs, e.Resource)
		}
		ours := resources(t, r)
		for kind, elements := range compared {
			a, b := ours.of(kind), theirs.of(kind)
			if len(a) != len(b) {
				continue // CDC makes observations of other segments too
			}
			for i := range a {
				for _, el := range elements {
					x, y := get(a[i], el), get(b[i], el)
					if y == "" {
						continue
					}
					if x == y || strings.TrimSuffix(x, "Z") == strings.TrimSuffix(strings.Replace(y, "+00:00", "Z", 1), "Z") {
						same++
					} else {
						other++
						differs[kind+"."+el]++
					}
				}
			}
		}
		return nil
	})
	t.Logf("%d elements agree, %d do not: %v", same, other, differs)
	if share := same * 1000 / max(same+other, 1); same < 200 || share < 900 {
		t.Errorf("got %d agreements and %d differences, want no fewer than 1759 and no more than 13", same, other)
	}
}
