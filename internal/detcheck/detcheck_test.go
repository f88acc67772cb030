package detcheck

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
)

func TestPlantedViolationsAreFound(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), Analyzer, "a")
}

// exempt packages of the wing run in tests only.
var exempt = []string{"salus/ledger/ledgertest"}

// outside says which packages may reach which part of the outside world: the
// store is where the state meets the disk.
var outside = map[string][]string{
	"salus/ledger/state": {"import of os"},
}

func TestLedgerIsDeterministic(t *testing.T) {
	readTree(t, "../../ledger")
	pkgs, err := packages.Load(&packages.Config{Mode: packages.LoadAllSyntax &^ packages.NeedDeps, Dir: "../.."}, "./ledger/...")
	if err != nil {
		t.Fatal(err)
	}
	pkgs = slices.DeleteFunc(pkgs, func(p *packages.Package) bool { return slices.Contains(exempt, p.PkgPath) })
	if len(pkgs) == 0 {
		t.Fatal("no packages found")
	}
	for _, p := range pkgs {
		for _, e := range p.Errors {
			t.Fatalf("%s: %v", p.PkgPath, e)
		}
	}
	graph, err := checker.Analyze([]*analysis.Analyzer{Analyzer}, pkgs, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, act := range graph.Roots {
		if act.Err != nil {
			t.Errorf("%s: %v", act.Package.PkgPath, act.Err)
		}
		for _, d := range act.Diagnostics {
			if !slices.ContainsFunc(outside[act.Package.PkgPath], func(w string) bool { return strings.HasPrefix(d.Message, w+" ") }) {
				t.Errorf("%s: %s", act.Package.Fset.Position(d.Pos), d.Message)
			}
		}
	}
}

// readTree reads every source file in this process. The loader asks the go
// command for the list of files, which the test cache cannot see: without this
// a cached pass would outlive a new file.
func readTree(t *testing.T, root string) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
