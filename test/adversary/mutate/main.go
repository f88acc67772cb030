// Command mutate takes each defence of package adversary out of a copy of the module, one at a time,
// and runs the test that claims to depend on it. It exits with 1 if a test does not fail.
//
// It writes nothing outside of its temporary folder, but for -doc, the table in a document.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"salus/test/adversary"
)

// result is what became of one mutant.
type result string

const (
	found    result = "found"    // the test failed
	survived result = "SURVIVED" // it passed
	invalid  result = "INVALID"  // it did not compile, ran no test or came to no end
)

type row struct {
	adversary.Defence
	result
	took time.Duration
	out  string
}

func main() {
	root := flag.String("root", ".", "the module's root")
	only := flag.String("only", "", "run those whose attack, file or test contains this")
	doc := flag.String("doc", "", "write the table into this document, between its marks")
	sound := flag.Bool("sound", false, "mutate nothing: run the tests of the register, and those of four organisations")
	limit := flag.Duration("limit", 4*time.Minute, "time of one test")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	do := func() error { return run(ctx, os.Stdout, *root, *only, *doc, *limit) }
	if *sound {
		do = func() error { return attack(ctx, *root) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

var errSurvivors = errors.New("mutate: a defence can be taken out without any test noticing")

func run(ctx context.Context, w io.Writer, root, only, doc string, limit time.Duration) error {
	dir, err := os.MkdirTemp("", "salus-mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := clone(root, dir); err != nil {
		return err
	}
	var rows []row
	bad := 0
	for _, g := range adversary.Groups() {
		for _, d := range g.Defences {
			if only != "" && !strings.Contains(d.Attack+d.File+d.Test+d.Package, only) {
				continue
			}
			r, err := try(ctx, dir, d, limit)
			if err != nil {
				return err
			}
			if r.result != found {
				bad++
				fmt.Fprintln(w, r.out)
			}
			fmt.Fprintf(w, "%-8s %5.1fs  %s\n", r.result, r.took.Seconds(), d.Attack)
			rows = append(rows, r)
		}
	}
	fmt.Fprintf(w, "%d mutants, %d not found\n", len(rows), bad)
	if doc != "" && only == "" {
		if err := write(doc, rows); err != nil {
			return err
		}
	}
	if bad > 0 {
		return errSurvivors
	}
	return nil
}

// attack runs every test of the register against the module as it is.
func attack(ctx context.Context, root string) error {
	packages, tests := adversary.Tests()
	test := func(pattern, pkg string) error {
		cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout", "15m", "-run", pattern, "./"+pkg) //nolint:gosec // the register's own words
		cmd.Dir, cmd.Stdout, cmd.Stderr = root, os.Stdout, os.Stderr
		return cmd.Run()
	}
	var failed error
	for _, p := range packages {
		failed = errors.Join(failed, test("^("+strings.Join(tests[p], "|")+")$", p))
	}
	return errors.Join(failed, test(".", "test/adversary"))
}

// clone copies what the tests need of the module.
func clone(root, dir string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch name := d.Name(); {
		case d.IsDir() && (name == ".git" || name == "node_modules" || rel == "bin" || strings.HasPrefix(name, ".") && rel != "."):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o700)
		case !d.Type().IsRegular() || rel == "salus":
			return nil
		}
		b, err := os.ReadFile(path) //nolint:gosec // the module's own files
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), b, 0o600)
	})
}

// try runs the test without the defence and puts the defence back.
func try(ctx context.Context, dir string, d adversary.Defence, limit time.Duration) (r row, err error) {
	r.Defence = d
	file := filepath.Join(dir, filepath.FromSlash(d.File))
	src, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	mutant, err := d.Apply(src)
	if err != nil {
		return r, err
	}
	if err := os.WriteFile(file, mutant, 0o600); err != nil {
		return r, err
	}
	start := time.Now()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-vet=off", "-timeout", limit.String(), "-run", adversary.Pattern(d.Test), "./"+d.Package) //nolint:gosec // the register's own words
	cmd.Dir = dir
	out, failed := cmd.CombinedOutput()
	r.took = time.Since(start)
	if err := os.WriteFile(file, src, 0o600); err != nil {
		return r, err
	}
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	r.result, r.out = judge(out, failed, d.Test), string(out[max(0, len(out)-4000):])
	return r, nil
}

// judge tells a test that failed from one that did not get so far.
func judge(out []byte, failed error, test string) result {
	name, _, _ := strings.Cut(test, "/")
	switch {
	case !bytes.Contains(out, []byte("=== RUN   "+test+"\n")):
		return invalid // no such test or case, or it does not compile
	case failed == nil && bytes.Contains(out, []byte("--- PASS: "+name+" ")):
		return survived
	case failed == nil || bytes.Contains(out, []byte("panic: test timed out")):
		return invalid
	case bytes.Contains(out, []byte("--- FAIL: "+name+" ")) || bytes.Contains(out, []byte("panic: ")):
		return found
	}
	return invalid
}

// Marks of the table in a document.
const (
	begin = "<!-- mutants: made by test/adversary/mutate -->\n"
	end   = "<!-- end of mutants -->\n"
)

func write(doc string, rows []row) error {
	b, err := os.ReadFile(doc)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("mutate: %s has no place for the table", doc)
	}
	var t strings.Builder
	for _, g := range adversary.Groups() {
		fmt.Fprintf(&t, "\n### %s\n\n| Attack | Defence | Test | Without the defence |\n| --- | --- | --- | --- |\n", g.Name)
		for _, d := range g.Defences {
			for _, r := range rows {
				if r.Attack == d.Attack {
					fmt.Fprintf(&t, "| %s | `%s` %s | `%s` %s | %s |\n", d.Attack, d.File, d.Func, d.Package, testName(d.Test), r.result)
				}
			}
		}
	}
	return os.WriteFile(doc, []byte(head+begin+t.String()+"\n"+end+tail), 0o600)
}

// testName is a test's name without what a Markdown table would take for its own.
func testName(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "_", " "), "|", "/") }
