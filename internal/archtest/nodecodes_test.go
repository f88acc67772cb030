package archtest

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	refusal = regexp.MustCompile(`tx\.Refuse\((0x2[0-9a-f]{3}), "([^"]*)"\)`)
	row     = regexp.MustCompile(`(?m)^\| (0x2[0-9a-f]{3}) \| (.*) \|$`)
)

// The rooms around the ledger have codes too: each is used once, and spec/codes-node.md lists them all.
func TestCodesOutsideOfTheLedger(t *testing.T) {
	root := os.DirFS("../..")
	code := map[string]string{}
	err := fs.WalkDir(root, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		b, err := fs.ReadFile(root, file)
		for _, m := range refusal.FindAllStringSubmatch(string(b), -1) {
			if _, twice := code[m[1]]; twice {
				t.Errorf("%s: code %s is given twice", file, m[1])
			}
			code[m[1]] = m[2]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := fs.ReadFile(root, "spec/codes-node.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(b), -1) {
		if listed[m[1]] = true; code[m[1]] != m[2] {
			t.Errorf("spec/codes-node.md: %s: got %q, the code says %q", m[1], m[2], code[m[1]])
		}
	}
	for c := range code {
		if !listed[c] {
			t.Errorf("spec/codes-node.md does not list %s", c)
		}
	}
	if len(code) == 0 {
		t.Error("found no code at all")
	}
}
