// Package archtest keeps the shape of the repository true: which package may
// import which, one doc comment for each package, the words that have no place
// in it, and documents that are generated from the code.
//
// Contract: every rule is a function over a file tree that returns what it
// found wrong, so that each can be shown to fail on a planted violation. Files
// are parsed in this process, not through the go command, so that a cached pass
// of the test does not outlive a change. A rule must never be made to pass by an
// exception without a reason beside it.
package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// self is the module path.
const self = "salus/"

// layers lists the rooms from the bottom up. A package imports only packages on
// lower layers, and the peers named for it below. A room includes what is below
// its folder, unless that is a room itself.
var layers = [][]string{
	{"ledger/tx", "threshold", "seal", "fhir", "hl7", "internal/durable", "internal/mistake"},
	{"hl7/tofhir", "hl7/fromfhir", "fhir/index", "fhir/validate", "fhir/patch", "fhir/terminology", "fhir/ips", "fhir/fhirxml"},
	{"ledger/state", "config", "internal", "hl7/feed", "ccda", "tabular"},
	{"ledger"},
	{"ledger/module"},
	{"exchange"},
	{"vault", "store", "receipt", "client"},
	{"custody", "record"},
	{"gateway/rest"},
	{"gateway/chart", "gateway/smart", "gateway/bulk", "gateway/subscription", "gateway/terminology", "gateway/summary", "gateway/pcf", "gateway/balp"},
	{"gateway/oversight", "gateway/intake"},
	{"gateway", "portal"},
	{"node"},
	{"internal/devnet"}, // a network of nodes in one process
	{"cmd", "test"},
}

// peers may be imported from the same layer. Modules read each other along the
// short acyclic list in ledger/module/doc.go.
var peers = map[string][]string{
	"seal":                     {"threshold"},
	"client":                   {"receipt"},
	"fhir/definition":          {"fhir/element"},
	"fhir/definition/generate": {"fhir/element"},
	"fhir/fhirpath":            {"fhir/element", "fhir/definition"},
	"hl7/fromfhir":             {"hl7/tofhir"},
	"hl7/mllp":                 {"hl7"},
	"ledger/module/identity":   {"ledger/module/governance", "ledger/module/audit"},
	"ledger/module/committee":  {"ledger/module/governance", "ledger/module/identity"},
	"ledger/module/anchor":     {"ledger/module/identity", "ledger/module/committee"},
	"ledger/module/consent":    {"ledger/module/governance", "ledger/module/identity", "ledger/module/audit"},
	"ledger/module/emergency":  {"ledger/module/governance", "ledger/module/identity", "ledger/module/consent", "ledger/module/audit"},
	"ledger/module/erasure":    {"ledger/module/governance", "ledger/module/identity", "ledger/module/committee", "ledger/module/anchor", "ledger/module/audit"},
	"ledger/module/access":     {"ledger/module/governance", "ledger/module/identity", "ledger/module/committee", "ledger/module/anchor", "ledger/module/consent", "ledger/module/emergency", "ledger/module/erasure", "ledger/module/recovery", "ledger/module/audit"},
	"ledger/module/recovery":   {"ledger/module/governance", "ledger/module/identity", "ledger/module/consent", "ledger/module/audit"},
	"ledger/module/reshare":    {"ledger/module/governance", "ledger/module/identity", "ledger/module/committee", "ledger/module/anchor", "ledger/module/erasure"},
	"ledger/module/lookup":     {"ledger/module/governance", "ledger/module/identity", "ledger/module/committee", "ledger/module/consent", "ledger/module/audit"},
	"ledger/module/merge":      {"ledger/module/governance", "ledger/module/identity", "ledger/module/consent", "ledger/module/audit"},
	"ledger/module/governance": {},
	"ledger/module/audit":      {},
}

// engine says where CometBFT may be imported; a folder alone, not what is below it.
var engine = []string{
	"ledger", "ledger/ledgertest", "node", "client", "receipt", "internal/cometdb",
	"internal/devnet", // writes the genesis and validator key files
	"test/adversary",  // signs evidence with a stolen validator key
	"test/perf",       // measures against CometBFT's own application
	"test/sim",        // calls the application in CometBFT's place
}

// pure rooms are functions of their input: they cannot see the outside world.
var pure = []string{"ledger", "seal", "threshold", "fhir"}

// outside is what pure rooms must not import.
var outside = []string{"net", "net/http", "os", "os/exec", "log", "log/slog", "math/rand", "math/rand/v2", "salus/internal/durable"}

// reach names what a pure package may import all the same.
var reach = map[string][]string{
	"ledger/state": {"os"}, // the store is where the state meets the disk
	// Types that hold keys or records implement slog.LogValuer, to print nothing.
	"fhir/definition/generate":  {"os"}, // a program that writes the embedded file
	"fhir/terminology/generate": {"os"}, // likewise
	"fhir":                      {"log/slog"}, "seal": {"log/slog"}, "threshold": {"log/slog"}, "threshold/oprf": {"log/slog"},
}

// forTests are packages that only tests import; they may import anything that
// their room may, and testing.
func forTests(pkg string) bool { return strings.HasSuffix(pkg, "test") }

// An importSite is one import in one file.
type importSite struct{ file, pkg, path string }

// imports lists every import of the tree's Go files outside of tests.
func imports(tree fs.FS) (sites []importSite, err error) {
	err = goFiles(tree, parser.ImportsOnly, func(file string, f *ast.File) {
		for _, s := range f.Imports {
			p, _ := strconv.Unquote(s.Path.Value)
			sites = append(sites, importSite{file, path.Dir(file), p})
		}
	})
	return sites, err
}

// goFiles parses every Go file that is part of a package: no tests, no testdata,
// and nothing in the root, which holds documents.
func goFiles(tree fs.FS, mode parser.Mode, fn func(file string, f *ast.File)) error {
	return fs.WalkDir(tree, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if n := d.Name(); file != "." && (strings.HasPrefix(n, ".") || n == "testdata" || n == "node_modules") {
				return fs.SkipDir
			}
			return nil
		case path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") || path.Dir(file) == ".":
			return nil
		}
		src, err := fs.ReadFile(tree, file)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, src, mode|parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		fn(file, f)
		return nil
	})
}

// within reports whether pkg is a room or lies below its folder.
func within(pkg, room string) bool { return pkg == room || strings.HasPrefix(pkg, room+"/") }

func withinAny(pkg string, rooms []string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool { return within(pkg, r) })
}

// layer finds the layer of the longest room that pkg lies in, or -1.
func layer(pkg string) int {
	at, longest := -1, -1
	for i, rooms := range layers {
		for _, r := range rooms {
			if within(pkg, r) && len(r) > longest {
				at, longest = i, len(r)
			}
		}
	}
	return at
}

// Arrows reports imports that go up or sideways, CometBFT outside of its rooms,
// and pure rooms that reach out.
func Arrows(tree fs.FS) (wrong []string, err error) {
	sites, err := imports(tree)
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	lost := map[string]bool{}
	for _, s := range sites {
		from := layer(s.pkg)
		if from < 0 {
			if !lost[s.pkg] {
				lost[s.pkg] = true
				say("%s: the package is on no layer", s.pkg)
			}
			continue
		}
		if strings.HasPrefix(s.path, "github.com/cometbft/cometbft/") && !slices.Contains(engine, s.pkg) {
			say("%s: %s must not import CometBFT", s.file, s.pkg)
		}
		if withinAny(s.pkg, pure) && !forTests(s.pkg) && slices.Contains(outside, s.path) && !slices.Contains(reach[s.pkg], s.path) {
			say("%s: %s is pure and must not import %s", s.file, s.pkg, s.path)
		}
		to, ours := strings.CutPrefix(s.path, self)
		if !ours || withinAny(s.pkg, []string{to}) { // a room may lie below the package it extends
			continue
		}
		switch {
		case forTests(to) && !forTests(s.pkg):
			say("%s: %s is for tests and must not be imported by %s", s.file, to, s.pkg)
		case forTests(s.pkg):
		case layer(to) < 0 || layer(to) >= from && !slices.Contains(peers[s.pkg], to):
			say("%s: %s must not import %s", s.file, s.pkg, to)
		case withinAny(s.pkg, pure) && within(to, "internal"):
			say("%s: %s is pure and must not import %s", s.file, s.pkg, to)
		}
	}
	return wrong, err
}

// Peers reports a cycle in the list of peers, which would make the list worthless.
func Peers() (wrong []string) {
	var visit func(pkg string, trail []string)
	visit = func(pkg string, trail []string) {
		if slices.Contains(trail, pkg) {
			wrong = append(wrong, fmt.Sprintf("peers form a cycle: %s", strings.Join(append(trail, pkg), " > ")))
			return
		}
		for _, to := range peers[pkg] {
			visit(to, append(slices.Clip(trail), pkg))
		}
	}
	var all []string
	for pkg := range peers {
		all = append(all, pkg)
	}
	slices.Sort(all)
	for _, pkg := range all {
		visit(pkg, nil)
	}
	return wrong
}

// badNames are package names that say nothing.
var badNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "types", "api", "manager", "lib", "core"}

// Docs reports packages without exactly one doc comment that begins as Go wants
// it, and packages whose name says nothing.
func Docs(tree fs.FS) (wrong []string, err error) {
	docs := map[string][]string{} // package folder -> files with a doc comment
	names := map[string]string{}
	err = goFiles(tree, parser.ImportsOnly, func(file string, f *ast.File) {
		pkg := path.Dir(file)
		names[pkg] = f.Name.Name
		if f.Doc == nil {
			return
		}
		docs[pkg] = append(docs[pkg], path.Base(file))
		want := "Package " + f.Name.Name + " "
		if f.Name.Name == "main" {
			want = "Command "
		}
		if text := f.Doc.Text(); !strings.HasPrefix(text, want) {
			wrong = append(wrong, fmt.Sprintf("%s: the package comment must begin with %q", file, want))
		}
	})
	var pkgs []string
	for pkg := range names {
		pkgs = append(pkgs, pkg)
	}
	slices.Sort(pkgs)
	for _, pkg := range pkgs {
		if len(docs[pkg]) != 1 {
			wrong = append(wrong, fmt.Sprintf("%s: want one package comment, found %d %v", pkg, len(docs[pkg]), docs[pkg]))
		}
		if slices.Contains(badNames, names[pkg]) {
			wrong = append(wrong, fmt.Sprintf("%s: the name says nothing", pkg))
		}
	}
	return wrong, err
}

// texts are the kinds of files whose words are checked.
var texts = []string{".go", ".md", ".txtar", ".cddl", ".toml", ".yml", ".yaml", ".pml", ".ts", ".tsx", ".css", ".html", ".sh", ".mod", ".golden"}

// words have no place in the repository: it speaks of the project alone, names
// no machine, and leaves no note without an issue. They are written in two
// parts, so that this file does not contain them.
var words = []string{
	"/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/tmp/" + "bash",
	"Clau" + "de", "Anthro" + "pic", "Chat" + "GPT", "Copi" + "lot", "Co-Authored" + "-By", "language" + " model",
	"as an A" + "I",
	"TO" + "DO:", "FIX" + "ME:", "XX" + "X:", "HA" + "CK:",
}

// Words reports texts with a word that has no place in them, whatever its case.
func Words(tree fs.FS) (wrong []string, err error) {
	err = fs.WalkDir(tree, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if n := d.Name(); file != "." && (strings.HasPrefix(n, ".") || n == "node_modules") {
				return fs.SkipDir
			}
			return nil
		case !slices.Contains(texts, path.Ext(file)) && path.Base(file) != "Makefile":
			return nil
		}
		b, err := fs.ReadFile(tree, file)
		if err != nil {
			return err
		}
		n := 0
		for line := range strings.Lines(string(b)) {
			n++
			low := strings.ToLower(line)
			for _, w := range words {
				if strings.Contains(low, strings.ToLower(w)) {
					wrong = append(wrong, fmt.Sprintf("%s:%d: %q has no place here", file, n, w))
				}
			}
		}
		return nil
	})
	return wrong, err
}
