package validate

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"salus/fhir/definition"
	"salus/fhir/element"
)

// TestAgreesWithHL7OnItsTestCases compares errors and no errors with what HL7's validator
// found (FHIR/fhir-test-cases, Apache-2.0; FHIR_TEST_CASES names the folder "validator" of
// it). Only cases of R4 in JSON that need no further profiles or packages are taken.
func TestAgreesWithHL7OnItsTestCases(t *testing.T) {
	dir := os.Getenv("FHIR_TEST_CASES")
	if dir == "" {
		t.Skip("FHIR_TEST_CASES names no folder with HL7's validator test cases")
	}
	b, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Cases []struct {
			Name, File, Version, Module    string
			Java                           json.RawMessage
			Profile                        any
			Profiles, Packages, Supporting []string
			Logical                        any
			UseTest                        *bool `json:"use-test"`
		} `json:"test-cases"`
	}
	if err := json.Unmarshal(b, &manifest); err != nil {
		t.Fatal(err)
	}
	v, err := New(definition.R4(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	agree, taken := 0, 0
	var differ []string
	for _, c := range manifest.Cases {
		if !strings.HasPrefix(c.Version, "4.0") || !strings.HasSuffix(c.File, ".json") || c.Java == nil || c.Packages != nil || c.Supporting != nil || c.Logical != nil || c.Profiles != nil {
			continue
		}
		src, err := os.ReadFile(filepath.Join(dir, c.File))
		if err != nil {
			continue
		}
		out, file := []byte(c.Java), ""
		if json.Unmarshal(c.Java, &file) == nil {
			if out, err = os.ReadFile(filepath.Join(dir, "outcomes", file)); err != nil {
				continue
			}
			out = append(append([]byte(`{"outcome":`), out...), '}')
		}
		var want struct {
			Outcome struct {
				Issue []struct {
					Severity   string
					Code       string
					Details    struct{ Text string }
					Expression []string
				}
			}
		}
		if json.Unmarshal(out, &want) != nil {
			continue
		}
		taken++
		theirs := ""
		for _, i := range want.Outcome.Issue {
			if i.Severity == "error" || i.Severity == "fatal" {
				theirs += "\n    theirs " + strings.Join(i.Expression, ",") + " " + i.Details.Text
			}
		}
		ours := ""
		tree, err := element.Parse(src)
		if err != nil {
			ours = "\n    ours " + err.Error()
		} else {
			for _, i := range v.ValidateTree(context.Background(), tree) {
				if i.Severity == Error {
					ours += "\n    ours " + i.Code + " " + i.Expression + " " + i.Text
				}
			}
		}
		if (ours == "") == (theirs == "") {
			agree++
			continue
		}
		differ = append(differ, c.Module+" "+c.File+ours+theirs)
	}
	sort.Strings(differ)
	t.Logf("%d cases, agreed on %d", taken, agree)
	for _, d := range differ {
		t.Log(d)
	}
}
