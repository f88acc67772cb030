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
	"salus/fhir/fhirtest"
)

// data is where sample data is that is no part of the repository.
var data = filepath.Join("..", "..", "..", "shared", "data")

// readPackage calls fn with every example resource of an npm package.
func readPackage(t testing.TB, file string, fn func(name string, b []byte)) {
	t.Helper()
	if _, err := os.Stat(file); err != nil {
		t.Skip("the package is not on this machine: ", filepath.Base(file))
	}
	fhirtest.Each(t, file, func(name string, b []byte) {
		if strings.Contains(name, "-") {
			fn(name, b)
		}
	})
}

func withPackage(t testing.TB, set *definition.Set, file string) *definition.Set {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Skip("the package is not on this machine: ", filepath.Base(file))
	}
	defer f.Close()
	s, err := set.Add(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// examples validates every example of a package and reports what is not in excused.
func examples(t *testing.T, v *Validator, file string, excused map[string]string) (used map[string]bool) {
	t.Helper()
	used = map[string]bool{}
	count := 0
	kinds := map[string]int{}
	readPackage(t, file, func(name string, b []byte) {
		tree, err := element.Parser{Size: 64 << 20}.Parse(b)
		if err != nil || tree.Root().Get("resourceType").Kind() != element.String {
			return
		}
		count++
		for _, i := range v.ValidateTree(context.Background(), tree) {
			if i.Severity != Error {
				continue
			}
			key := name + " " + i.Code
			if _, ok := excused[key]; ok {
				used[key] = true
				continue
			}
			kinds[i.Code]++
			t.Errorf("%s: %s at %s: %s", name, i.Code, i.Expression, i.Text)
		}
	})
	var list []string
	for k := range kinds {
		list = append(list, k)
	}
	sort.Strings(list)
	t.Logf("%s: %d examples, %v", filepath.Base(file), count, kinds)
	return used
}

func TestExamplesOfR4Validate(t *testing.T) {
	file := os.Getenv("HL7_R4")
	if file == "" {
		t.Skip("HL7_R4 does not name the package hl7.fhir.r4.examples@4.0.1")
	}
	v, err := New(definition.R4(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	used := examples(t, v, file, excusedR4)
	for key := range excusedR4 {
		if !used[key] {
			t.Errorf("%s is excused and has no such issue", key)
		}
	}
}

func TestExamplesOfProfilesValidate(t *testing.T) {
	for _, name := range []string{"us_core_610.tgz", "us_core_700.tgz", "ips_v110.tgz"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(data, "fhir-packages", name)
			v, err := New(withPackage(t, definition.R4(), file), Options{Contexts: contexts(t, file)})
			if err != nil {
				t.Fatal(err)
			}
			examples(t, v, file, excusedProfiles)
		})
	}
}

// TestSamplesOfIHEValidate takes the Consents of PCF and the AuditEvents of BALP, whose
// profiles come without snapshots, as plain R4.
func TestSamplesOfIHEValidate(t *testing.T) {
	v, err := New(definition.R4(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"ihe-pcf", "ihe-balp"} {
		files, _ := filepath.Glob(filepath.Join(data, dir, "*.json"))
		if len(files) == 0 {
			t.Skip("the samples are not on this machine: ", dir)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := element.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range v.ValidateTree(context.Background(), tree) {
				if _, ok := excusedIHE[filepath.Base(f)+" "+i.Code]; i.Severity == Error && !ok {
					t.Errorf("%s: %s at %s: %s", filepath.Base(f), i.Code, i.Expression, i.Text)
				}
			}
		}
		t.Logf("%s: %d resources", dir, len(files))
	}
}

func contexts(t testing.TB, file string) map[string][]Context {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Skip("the package is not on this machine: ", filepath.Base(file))
	}
	defer f.Close()
	c, err := ReadContexts(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSyntheaBundlesValidate(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(data, "synthea", "*.json"))
	if len(files) == 0 {
		t.Skip("the Synthea bundles are not on this machine")
	}
	v, err := New(definition.R4(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := element.Parser{Size: 64 << 20}.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range v.ValidateTree(context.Background(), tree) {
			if i.Severity == Error {
				t.Errorf("%s: %s at %s: %s", filepath.Base(f)[:6], i.Code, i.Expression, i.Text)
			}
		}
	}
	t.Logf("%d bundles", len(files))
}

// excusedR4 are examples that HL7 publishes and that break HL7's own rules; each was looked
// at by hand. The key is file and code.
var excusedR4 = map[string]string{
	"Basic-referral.json validate-modifier":                                                                    "modifier extensions of example.org, which nothing defines: refused as R4 2.4.1.5 wants",
	"ActivityDefinition-blood-tubes-supply.json validate-narrative":                                            "txt-2: the div holds spaces only",
	"ActivityDefinition-heart-valve-replacement.json validate-narrative":                                       "txt-2: the div holds spaces only",
	"EventDefinition-example.json validate-narrative":                                                          "txt-2: the div holds spaces only",
	"Questionnaire-zika-virus-exposure-assessment.json validate-narrative":                                     "txt-2: the div holds an empty pre",
	"Bundle-10bb101f-a121-4264-a920-67be9cb82c74.json validate-full-url":                                       "fullUrl ends in pat12, the id is pat2",
	"Bundle-3a0707d3-549e-4467-b8b8-5a2ab3800efe.json validate-full-url":                                       "fullUrl ends in pat12, the id is pat2",
	"Bundle-lri-example.json validate-full-url":                                                                "every fullUrl has lri- before the id",
	"Bundle-dataelements.json validate-invariant":                                                              "bdl-7: the same fullUrl several times",
	"DeviceMetric-example.json validate-target":                                                                "parent leads to a DeviceDefinition, only Device may be there",
	"DeviceUseStatement-example.json validate-target":                                                          "reasonReference leads to a Procedure",
	"MedicationRequest-medrx0301.json validate-target":                                                         "dispenseRequest.performer leads to a Practitioner, only Organization may be there",
	"Observation-clinical-gender.json validate-target":                                                         "performer leads to an Encounter",
	"Questionnaire-qs1.json validate-min":                                                                      "items without linkId",
	"ImplementationGuide-fhir.json validate-min":                                                               "name and status are missing",
	"ImplementationGuide-fhir.json validate-reference":                                                         "a reference with an id of 67 characters",
	"ig-r4.json validate-min":                                                                                  "name and status are missing",
	"ig-r4.json validate-reference":                                                                            "a reference with an id of 67 characters",
	"SearchParameter-codesystem-extensions-CodeSystem-author.json validate-min":                                "base is missing",
	"SearchParameter-codesystem-extensions-CodeSystem-effective.json validate-min":                             "base is missing",
	"SearchParameter-codesystem-extensions-CodeSystem-end.json validate-min":                                   "base is missing",
	"SearchParameter-codesystem-extensions-CodeSystem-keyword.json validate-min":                               "base is missing",
	"SearchParameter-codesystem-extensions-CodeSystem-workflow.json validate-min":                              "base is missing",
	"SearchParameter-valueset-extensions-ValueSet-author.json validate-min":                                    "base is missing",
	"SearchParameter-valueset-extensions-ValueSet-effective.json validate-min":                                 "base is missing",
	"SearchParameter-valueset-extensions-ValueSet-end.json validate-min":                                       "base is missing",
	"SearchParameter-valueset-extensions-ValueSet-keyword.json validate-min":                                   "base is missing",
	"SearchParameter-valueset-extensions-ValueSet-workflow.json validate-min":                                  "base is missing",
	"SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json validate-format": "an id of 67 characters",
	"StructureDefinition-Definition.json validate-invariant":                                                   "sdf-4: not abstract and without baseDefinition",
	"StructureDefinition-Event.json validate-invariant":                                                        "sdf-4: not abstract and without baseDefinition",
	"StructureDefinition-FiveWs.json validate-invariant":                                                       "sdf-4: not abstract and without baseDefinition",
	"StructureDefinition-Request.json validate-invariant":                                                      "sdf-4: not abstract and without baseDefinition",
}

// excusedProfiles is the same for US Core and IPS.
var excusedProfiles = map[string]string{
	"Bundle-docref-example-2.json validate-full-url":                     "fullUrl ends in discharge-summary789, the id is discharge",
	"Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json validate-full-url": "fullUrl ends in Endpoint-71, the id is 71",
}

// excusedIHE is the same for PCF and BALP.
var excusedIHE = map[string]string{
	"Binary-B-ink.json validate-format":                      "data is the name of a file, to be filled in when the guide is built",
	"ImplementationGuide-ihe.iti.pcf.json validate-binding":  "parameter codes of the tool that builds guides, which R4's value set does not have",
	"ImplementationGuide-ihe.iti.balp.json validate-binding": "parameter codes of the tool that builds guides, which R4's value set does not have",
}

// TestMutantsOfPublishedExamplesAreRefused breaks one example of each type of resource.
func TestMutantsOfPublishedExamplesAreRefused(t *testing.T) {
	file := os.Getenv("HL7_R4")
	if file == "" {
		t.Skip("HL7_R4 does not name the package hl7.fhir.r4.examples@4.0.1")
	}
	v, err := New(definition.R4(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen, total, failed := map[string]bool{}, 0, 0
	readPackage(t, file, func(name string, b []byte) {
		if len(b) > 20_000 || failed > 20 {
			return
		}
		tree, err := element.Parse(b)
		if err != nil {
			return
		}
		typ := tree.Root().Get("resourceType").Text()
		if typ == "" || seen[typ] || !Valid(v.ValidateTree(context.Background(), tree)) {
			return
		}
		seen[typ] = true
		count := 0
		m := mutator{set: definition.R4(), root: decode(t, b)}
		m.do = func(mu mutant) {
			if count++; count > 1000 || failed > 20 {
				return
			}
			if !refused(t, v, m.root, mu) {
				failed++
				t.Errorf("%s: %s: want %s at %s", name, mu.what, mu.code, mu.expression)
			}
		}
		m.run()
		total += count
	})
	t.Logf("%d mutants of %d types", total, len(seen))
}

// TestIPSWantsItsSections takes the required sections out of a published summary, and
// breaks what an entry leads to.
func TestIPSWantsItsSections(t *testing.T) {
	file := filepath.Join(data, "fhir-packages", "ips_v110.tgz")
	v, err := New(withPackage(t, definition.R4(), file), Options{})
	if err != nil {
		t.Fatal(err)
	}
	const profile = "http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips"
	found := false
	readPackage(t, file, func(name string, b []byte) {
		if !strings.HasPrefix(name, "Bundle-") || found {
			return
		}
		o := decode(t, b)
		entries, ok := o["entry"].([]any)
		if !ok || !refusedNot(t, v, o, profile) {
			return
		}
		composition := entries[0].(map[string]any)["resource"].(map[string]any)
		sections, ok := composition["section"].([]any)
		if !ok {
			return
		}
		found = true
		for i := range sections {
			code := sections[i].(map[string]any)["code"].(map[string]any)["coding"].([]any)[0].(map[string]any)["code"]
			composition["section"] = append(append([]any{}, sections[:i]...), sections[i+1:]...)
			required := code == "11450-4" || code == "48765-2" || code == "10160-0" // problems, allergies, medications
			if refusedNot(t, v, o, profile) == required {
				t.Errorf("%s without section %v: got valid %v, want %v", name, code, required, !required)
			}
		}
		composition["section"] = sections
		// Without a reference to its patient, which IPS requires and R4 does not, an allergy is
		// none of IPS, and the section has none left.
		for _, e := range entries {
			if r := e.(map[string]any)["resource"].(map[string]any); r["resourceType"] == "AllergyIntolerance" {
				r["patient"] = map[string]any{"display": "x"}
			}
		}
		if refusedNot(t, v, o, profile) {
			t.Errorf("%s with allergies of nobody: got no error, want one", name)
		}
	})
	if !found {
		t.Error("the package has no Bundle that fits")
	}
}

// refusedNot reports whether a resource is valid against a profile.
func refusedNot(t testing.TB, v *Validator, o map[string]any, profile string) bool {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := element.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return Valid(v.ValidateTree(context.Background(), tree, profile))
}
