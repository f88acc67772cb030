package adversary

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Defence is one place in the source that stops an attack, and the proof that it does.
type Defence struct {
	Attack  string // in words, for the table
	File    string // from the module's root, with slashes
	Func    string // whose body holds Text; Type.Method for a method
	Text    string // stands exactly once in File
	Without string // what replaces Text to take the defence out; it must compile
	Package string // of the test, from the module's root
	Test    string // as for -run, anchored: TestName or TestName/case
}

// A Group is the attacks on one part.
type Group struct {
	Name     string
	Defences []Defence
}

// All is every defence, in the order of the groups.
func All() []Defence {
	var out []Defence
	for _, g := range Groups() {
		out = append(out, g.Defences...)
	}
	return out
}

// ErrText means that a defence's text does not stand exactly once where the register says.
var ErrText = errors.New("adversary: the defence is not where the register says")

// Apply returns the source of the defence's file without the defence. Error: ErrText.
func (d *Defence) Apply(src []byte) ([]byte, error) {
	if n := strings.Count(string(src), d.Text); n != 1 {
		return nil, fmt.Errorf("%w: %q stands %d times in %s", ErrText, d.Text, n, d.File)
	}
	if d.Text == d.Without {
		return nil, fmt.Errorf("%w: %s: taking it out changes nothing", ErrText, d.File)
	}
	at := strings.Index(string(src), d.Text)
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, d.File, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("adversary: %w", err)
	}
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || nameOf(fn) != d.Func {
			continue
		}
		if files.Position(fn.Pos()).Offset <= at && at+len(d.Text) <= files.Position(fn.End()).Offset {
			return []byte(strings.Replace(string(src), d.Text, d.Without, 1)), nil
		}
		return nil, fmt.Errorf("%w: %q is not in %s of %s", ErrText, d.Text, d.Func, d.File)
	}
	return nil, fmt.Errorf("%w: %s has no %s", ErrText, d.File, d.Func)
}

// nameOf is a function's name as the register writes it.
func nameOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) != 1 {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}

// Tests are the top-level tests of the register by package, both sorted.
func Tests() (packages []string, tests map[string][]string) {
	tests = map[string][]string{}
	for _, d := range All() {
		name, _, _ := strings.Cut(d.Test, "/")
		tests[d.Package] = append(tests[d.Package], name)
	}
	for p := range tests {
		slices.Sort(tests[p])
		tests[p] = slices.Compact(tests[p])
		packages = append(packages, p)
	}
	slices.SortFunc(packages, cmp.Compare)
	return packages, tests
}

// Pattern is the -run pattern that matches exactly this test or case: each part is anchored and its
// signs taken as they are.
func Pattern(test string) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + strings.NewReplacer("(", `\(`, ")", `\)`, ".", `\.`, "*", `\*`, "+", `\+`, "?", `\?`, "|", `\|`).Replace(p) + "$"
	}
	return strings.Join(parts, "/")
}

// declared are the test functions of a package's folder.
func declared(dir string) (map[string]bool, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, fmt.Errorf("adversary: %w", err)
	}
	out := map[string]bool{}
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("adversary: %w", err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("adversary: %w", err)
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				out[fn.Name.Name] = true
			}
		}
	}
	return out, nil
}
