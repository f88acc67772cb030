package tofhir

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"salus/hl7"
	"salus/hl7/hl7test"
)

const samples = "../../../shared/data/hl7v2"

// All messages of the samples are mapped to valid FHIR, or refused with a code.
func TestSamplesAreMappedOrRefusedWithACode(t *testing.T) {
	done, refused, bad, issues := 0, map[string]int{}, 0, map[string]int{}
	for name, raw := range hl7test.Samples(t, samples) {
		m, err := hl7.Parse(raw)
		var r *Result
		if err == nil {
			r, err = Map(m, options())
		}
		if err != nil {
			e := (*hl7.Error)(nil)
			if !errors.As(err, &e) {
				t.Errorf("%s: an error without a code: %v", name, err)
				continue
			}
			refused[e.Code]++
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
	t.Logf("%d mapped, refused %v, %d with issues", done, refused, bad)
	if done < 200 || len(refused) != 1 || refused[hl7.CodeRequired] > 241 { // 241 of the samples are fragments without a patient identifier
		t.Errorf("got %d messages mapped, refused %v, want 200 or more", done, refused)
	}
	for i, n := range issues {
		t.Errorf("%d times: %s", n, i)
	}
}

// fromXML reads a resource of a FHIR XML file as far as get needs it.
func fromXML(d *xml.Decoder) (any, error) {
	out := map[string]any{}
	for {
		tok, err := d.Token()
		if err != nil {
			return out, err
		}
		switch x := tok.(type) {
		case xml.EndElement:
			return out, nil
		case xml.StartElement:
			v, err := fromXML(d)
			if err != nil {
				return nil, err
			}
			for _, a := range x.Attr {
				if a.Name.Local == "value" {
					v = a.Value
				}
			}
			list, _ := out[x.Name.Local].([]any)
			out[x.Name.Local] = append(list, v)
		}
	}
}

// flat takes the lists away that have one element, as get reads them all the same.
func flat(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			x[k] = flat(e)
		}
	case []any:
		for i := range x {
			x[i] = flat(x[i])
		}
		if len(x) == 1 {
			return x[0]
		}
	}
	return v
}

// HL7's own sample: MDM_T02 and the FHIR expected of it, made with more maps than ours.
func TestHL7sSampleAgrees(t *testing.T) {
	dir := filepath.Join(samples, "hl7-v2-to-fhir")
	b, err := os.ReadFile(filepath.Join(dir, "messages", "Message.hl7_MDM_T02.txt"))
	if err != nil {
		t.Skip("the HL7 v2 samples are not here")
	}
	want, err := os.ReadFile(filepath.Join(dir, "fhir-bundles", "FHIR_bundle.hl7_MDM_T02.xml"))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := fromXML(xml.NewDecoder(bytes.NewReader(want)))
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	m, err := hl7.Parse(hl7test.Messages(b)[0])
	if err != nil {
		t.Fatal(err)
	}
	r, err := Map(m, options())
	if err != nil {
		t.Fatal(err)
	}
	ours := resources(t, r)
	theirs := map[string]any{}
	root := flat(tree).(map[string]any)["Bundle"].(map[string]any)
	for _, e := range root["entry"].([]any) {
		for kind, body := range e.(map[string]any)["resource"].(map[string]any) {
			if theirs[kind] == nil {
				theirs[kind] = body
			}
		}
	}
	same, other := 0, []string{}
	for kind, elements := range map[string][]string{
		"Patient":           {"identifier.0.value", "name.0.family", "name.0.given.0", "name.0.given.1", "name.0.suffix", "birthDate", "gender", "address.0.line", "address.0.city", "address.0.state", "address.0.postalCode", "address.0.country", "telecom.0.use", "telecom.0.system"},
		"Encounter":         {"class.code", "identifier.0.value", "period.start", "status"},
		"DocumentReference": {"status", "docStatus", "type.coding.0.code", "masterIdentifier.value", "description", "date"},
		"ServiceRequest":    {"status", "intent", "code.coding.0.code"},
	} {
		for _, el := range elements {
			x, y := "", get(theirs[kind], el)
			if list := ours.of(kind); len(list) > 0 {
				x = get(flat(list[0]), el)
			}
			switch {
			case y == "":
			case x == y:
				same++
			default:
				other = append(other, kind+"."+el+": "+x+", theirs "+y)
			}
		}
	}
	t.Logf("%d elements agree, not %v", same, other)
	if same < 22 || len(other) > 3 {
		t.Errorf("got %d agreements, %d differences, want 22 and no more than 3", same, len(other))
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
		all := hl7test.Messages(b)
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
