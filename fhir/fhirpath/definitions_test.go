package fhirpath

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"salus/fhir/definition"
	"salus/fhir/element"
)

func TestEverySearchParameterCompilesAndChecks(t *testing.T) {
	defs := definition.R4()
	e := New(defs)
	count := 0
	seen := map[string]bool{}
	for _, typ := range defs.Types() {
		for _, p := range defs.Params(typ) {
			for _, text := range append([]string{p.Expression}, components(p)...) {
				if text == "" || seen[text] {
					continue
				}
				seen[text] = true
				count++
				if _, err := e.Compile(text, Lenient); err != nil {
					t.Errorf("%s: %s: %v", p.URL, text, err)
				}
			}
		}
	}
	if count < 1300 {
		t.Errorf("got %d distinct expressions, want all of R4", count)
	}
	t.Logf("%d distinct expressions", count)
}

func components(p *definition.Param) (out []string) {
	for _, c := range p.Components {
		out = append(out, c.Expression)
	}
	return out
}

// badInvariants are constraints of R4 that are no FHIRPath; each with its flaw.
var badInvariants = map[string]string{}

func TestEveryInvariantCompiles(t *testing.T) {
	defs := definition.R4()
	e := New(defs)
	seen := map[string]bool{}
	for _, url := range defs.Profiles() {
		for _, el := range defs.Profile(url).Elements {
			for _, i := range el.Invariants {
				if i.Expression == "" || seen[i.Expression] {
					continue
				}
				seen[i.Expression] = true
				_, err := e.Compile(i.Expression, Lenient)
				if _, bad := badInvariants[i.Key]; (err != nil) != bad {
					t.Errorf("%s %s: %s: %v", el.Path, i.Key, i.Expression, err)
				}
			}
		}
	}
	t.Logf("%d distinct invariants", len(seen))
}

func TestInvariantsOfFurtherPackagesCompile(t *testing.T) {
	for _, file := range []string{"us_core_610.tgz", "us_core_700.tgz", "ips_v110.tgz"} {
		f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "fhir-packages", file))
		if err != nil {
			t.Skip("the packages are not on this machine: ", file)
		}
		defs, err := definition.R4().Add(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		e := New(defs)
		for _, url := range defs.Profiles() {
			for _, el := range defs.Profile(url).Elements {
				for _, i := range el.Invariants {
					if i.Expression == "" {
						continue
					}
					if _, err := e.Compile(i.Expression, Lenient); err != nil {
						t.Errorf("%s: %s %s: %s: %v", file, url, i.Key, i.Expression, err)
					}
				}
			}
		}
	}
}

// TestExamplesHoldTheirInvariants evaluates the resource's own invariants and search
// parameters on HL7's examples (FHIR_EXAMPLES names the folder of the unpacked package).
func TestExamplesHoldTheirInvariants(t *testing.T) {
	dir := os.Getenv("FHIR_EXAMPLES")
	if dir == "" {
		t.Skip("FHIR_EXAMPLES names no folder with the unpacked package hl7.fhir.r4.examples")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	defs := definition.R4()
	e := New(defs)
	compiled := map[string]*Expression{}
	compile := func(text string) *Expression {
		if compiled[text] == nil {
			compiled[text], _ = e.Compile(text, Lenient)
		}
		return compiled[text]
	}
	checked, failed, extracted := 0, map[string]int{}, 0
	for _, f := range files {
		kind, _, _ := strings.Cut(filepath.Base(f), "-")
		switch kind {
		case "StructureDefinition", "SearchParameter", "ValueSet", "CodeSystem", "ConceptMap", "package.json", "Bundle":
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := element.Parse(b)
		if err != nil {
			continue
		}
		root := defs.Model().Root(tree)
		typ := defs.Type(kind)
		if typ == nil || root.Type() == nil {
			continue
		}
		for _, i := range typ.Elements[0].Invariants {
			if i.Severity != "error" {
				continue
			}
			checked++
			ok, err := compile(i.Expression).Holds(root, &Env{Resource: root})
			if err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(f), i.Key, err)
			} else if !ok {
				failed[i.Key]++
			}
		}
		for _, p := range defs.Params(kind) {
			if p.Expression == "" {
				continue
			}
			out, err := compile(p.Expression).Eval(root, &Env{Resource: root, ByType: true})
			if err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(f), p.URL, err)
			}
			extracted += len(out)
		}
	}
	t.Logf("%d invariants checked, not held: %v; %d search values", checked, failed, extracted)
}
