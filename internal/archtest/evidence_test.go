package archtest

import (
	"os"
	"slices"
	"testing"
	"testing/fstest"
)

func TestEveryLineOfAChecklistHasItsTests(t *testing.T) {
	wrong, rows, err := Evidence(os.DirFS("../.."), "docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error("docs/evidence.md: " + w)
	}
	if rows < 60 {
		t.Errorf("got %d rows, want those of three checklists", rows)
	}
}

func TestPlantedEvidenceIsFound(t *testing.T) {
	root := fstest.MapFS{
		"a/b/x_test.go": {Data: []byte("package b\n\nfunc TestIt(t *testing.T) {}\n")},
		"p/x.test.ts":   {Data: []byte("")},
		"d.md": {Data: []byte("# D\n\n| C-01 | it holds | `a/b.TestIt`, `p/x.test.ts` |\n| C-02 | so does this | `a/b.TestGone` |\n" +
			"| C-03 | and this | soon |\n| C-04 | this not | Not here: it is elsewhere |\n| C-05 | a file | `p/gone.test.ts` |\n")},
	}
	wrong, rows, err := Evidence(root, "d.md")
	want := []string{"C-02 names a/b.TestGone, which is not there", "C-03 names no test and does not say why", "C-05 names p/gone.test.ts, which is not there"}
	if err != nil || rows != 5 || !slices.Equal(wrong, want) {
		t.Errorf("got %q of %d rows, %v; want %q", wrong, rows, err, want)
	}
}
