// Package detcheck finds what makes replicas diverge: map order, goroutines and
// select, floating point, clocks, randomness and the outside world.
//
// Contract: Analyzer reports every such construct in the package it is given,
// unless the line, or the line above it, says "//detcheck:allow" and why. What
// it cannot see is a call into another package that does any of this out of
// sight: the import list of the deterministic wing is kept short for that
// reason. It must never be made to pass by widening the list of exceptions
// without a reason written beside it.
package detcheck

import (
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
)

// Analyzer reports constructs that have no place in replicated code.
var Analyzer = &analysis.Analyzer{
	Name:     "detcheck",
	Doc:      "report map iteration, goroutines, select, floating point, clocks, randomness and I/O in consensus code",
	Requires: []*analysis.Analyzer{inspect.Analyzer},
	Run:      run,
}

// allow is the comment that excuses a line; the reason after it is required.
const allow = "//detcheck:allow"

// imports that replicated code has no use for. "x/" stands for all below x.
var imports = []string{
	"crypto/rand", "math/rand", "math/rand/", "hash/maphash", "unsafe",
	"net", "net/", "os", "os/", "log", "log/", "syscall", "plugin", "testing", "testing/",
	"math/cmplx",
}

// calls whose result, or effect, differs from machine to machine.
var calls = map[string]string{
	"time.Now": "clock", "time.Since": "clock", "time.Until": "clock", "time.Sleep": "clock",
	"time.After": "clock", "time.AfterFunc": "clock", "time.Tick": "clock", "time.NewTimer": "clock", "time.NewTicker": "clock",
	"time.Local": "time zone", "time.LoadLocation": "time zone", "(time.Time).Local": "time zone",
	"maps.Keys": "map iteration", "maps.Values": "map iteration", "maps.All": "map iteration",
	"(reflect.Value).MapKeys": "map iteration", "(reflect.Value).MapRange": "map iteration",
	"(*sync.Map).Range": "map iteration", "(*sync.WaitGroup).Go": "goroutine",
	"fmt.Print": "output", "fmt.Printf": "output", "fmt.Println": "output", "print": "output", "println": "output",
	"runtime.NumCPU": "machine", "runtime.GOMAXPROCS": "machine", "runtime.NumGoroutine": "machine", "runtime.ReadMemStats": "machine",
}

func run(pass *analysis.Pass) (any, error) {
	excused := excuses(pass)
	report := func(pos token.Pos, what string) {
		p := pass.Fset.Position(pos)
		if !excused[line{p.Filename, p.Line}] && !excused[line{p.Filename, p.Line - 1}] {
			pass.Reportf(pos, "%s in consensus code", what)
		}
	}
	in := pass.ResultOf[inspect.Analyzer].(*inspector.Inspector)
	nodes := []ast.Node{
		(*ast.ImportSpec)(nil), (*ast.RangeStmt)(nil), (*ast.GoStmt)(nil), (*ast.SelectStmt)(nil),
		(*ast.BasicLit)(nil), (*ast.Ident)(nil), (*ast.BinaryExpr)(nil), (*ast.CallExpr)(nil),
	}
	in.Preorder(nodes, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.ImportSpec:
			if path, err := strconv.Unquote(n.Path.Value); err == nil && forbidden(path) {
				report(n.Pos(), "import of "+path)
			}
		case *ast.RangeStmt:
			if is[*types.Map](pass, n.X) {
				report(n.Pos(), "map iteration")
			}
		case *ast.GoStmt:
			report(n.Pos(), "goroutine")
		case *ast.SelectStmt:
			report(n.Pos(), "select")
		case *ast.BasicLit:
			if n.Kind == token.FLOAT || n.Kind == token.IMAG {
				report(n.Pos(), "floating point")
			}
		case *ast.BinaryExpr:
			if float(pass.TypesInfo.TypeOf(n.X)) {
				report(n.Pos(), "floating point")
			}
		case *ast.CallExpr: // a conversion, or a function that answers in floats
			if float(pass.TypesInfo.TypeOf(n)) {
				report(n.Pos(), "floating point")
			}
		case *ast.Ident:
			if what := named(pass.TypesInfo.Uses[n]); what != "" {
				report(n.Pos(), what)
			}
		}
	})
	return nil, nil
}

// named says what is wrong with using an object, or nothing.
func named(obj types.Object) string {
	switch o := obj.(type) {
	case *types.TypeName:
		if o.Pkg() == nil && float(o.Type()) {
			return "floating point"
		}
	case *types.Builtin:
		return calls[o.Name()]
	case *types.Func:
		return calls[o.FullName()]
	case *types.Var:
		if o.Pkg() != nil && o.Parent() == o.Pkg().Scope() {
			return calls[o.Pkg().Path()+"."+o.Name()]
		}
	}
	return ""
}

func forbidden(path string) bool {
	for _, f := range imports {
		if path == f || strings.HasSuffix(f, "/") && strings.HasPrefix(path, f) {
			return true
		}
	}
	return false
}

func float(t types.Type) bool {
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&(types.IsFloat|types.IsComplex) != 0
}

// is reports whether an expression's type, or every type of its type
// parameter's set, has that underlying form.
func is[T types.Type](pass *analysis.Pass, x ast.Expr) bool {
	t := pass.TypesInfo.TypeOf(x)
	if t == nil {
		return false
	}
	if p, ok := types.Unalias(t).(*types.TypeParam); ok {
		u, ok := p.Constraint().Underlying().(*types.Interface)
		for i := 0; ok && i < u.NumEmbeddeds(); i++ {
			e := u.EmbeddedType(i)
			if union, is := e.(*types.Union); is && union.Len() > 0 {
				e = union.Term(0).Type()
			}
			if _, is := e.Underlying().(T); is {
				return true
			}
		}
		return false
	}
	_, ok := t.Underlying().(T)
	return ok
}

type line struct {
	file string
	n    int
}

// excuses collects the lines with an allow comment that gives a reason.
func excuses(pass *analysis.Pass) map[line]bool {
	found := map[line]bool{}
	for _, f := range pass.Files {
		for _, g := range f.Comments {
			for _, c := range g.List {
				if reason, ok := strings.CutPrefix(c.Text, allow); ok && strings.TrimSpace(reason) != "" {
					p := pass.Fset.Position(c.Pos())
					found[line{p.Filename, p.Line}] = true
				}
			}
		}
	}
	return found
}
