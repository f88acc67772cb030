package archtest

import (
	"strings"
	"testing"
)

func TestFHIRCodesAreReadFromTheSource(t *testing.T) {
	tree := plant(map[string]string{
		"gateway/a/a.go": `package a
var (
	one = fault(http.StatusNotFound, "not-found", "a-one", "there is "+"no <one>")
	two = rest.NewFault(http.StatusGone, "deleted", "a-two", "two "+name)
	say = rest.Issue{Severity: "warning", Code: "a-three", Text: "three"}
)
func f() { issue("value", "a-four", "four", "A.four"); fault(status, "x", "a-five", "five"); _ = reply{status: http.StatusConflict, issue: "a-six", text: six()} }
`,
		"gateway/pcf/a.go": "package pcf\nconst (\n\tCodeSeven = \"pcf-seven\" // seven\n\tCodeEight = \"pcf-eight\" // warning: eight\n\tother = \"pcf-nine\"\n)\n",
	})
	doc, wrong, err := FHIRCodes(tree)
	if err != nil || len(wrong) > 0 {
		t.Fatal(err, wrong)
	}
	for _, row := range []string{
		`| a-one | 404 | there is no \<one> |`, "| a-two | 410 | two … |", "| a-three | warning | three |", "| a-four | 422 | four |",
		"| a-six | 409 | … |", "| pcf-seven | 422 | seven |", "| pcf-eight | warning | eight |", "| fhir-json | 400 |",
	} {
		if !strings.Contains(doc, "\n"+row) {
			t.Errorf("the document lacks %s", row)
		}
	}
	for _, none := range []string{"a-five", "pcf-nine"} {
		if strings.Contains(doc, none) {
			t.Errorf("the document has %s", none)
		}
	}
}

func TestACodeHasOneStatus(t *testing.T) {
	tree := plant(map[string]string{
		"gateway/a/a.go": `package a
var one, two = fault(http.StatusNotFound, "not-found", "a-one", "one"), fault(http.StatusGone, "deleted", "a-one", "two")
`,
	})
	if _, wrong, err := FHIRCodes(tree); err != nil || len(wrong) != 1 {
		t.Errorf("got %v, %v, want one code with two statuses", wrong, err)
	}
}
