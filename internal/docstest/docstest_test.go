package docstest

import (
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestDocumentsAreTrue runs every rule over the repository.
func TestDocumentsAreTrue(t *testing.T) {
	for name, r := range rules {
		t.Run(name, func(t *testing.T) {
			wrong, err := r(os.DirFS("../.."))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range wrong {
				t.Error(w)
			}
		})
	}
}

// TestReadmeShowsTheWayIn: what a newcomer runs first is in a block she can copy.
func TestReadmeShowsTheWayIn(t *testing.T) {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	code := strings.Join(parse("README.md", string(b)).code, "\n")
	for _, want := range []string{"make run", "make demo", "make test"} {
		if !strings.Contains(code, want) {
			t.Errorf("README.md: got no %q in its code blocks", want)
		}
	}
}

// TestEveryDecisionIsListed: an ADR that the index does not name is not found.
func TestEveryDecisionIsListed(t *testing.T) {
	index, err := os.ReadFile("../../docs/adr/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(os.DirFS("../../docs/adr"), "[0-9]*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.Contains(string(index), "("+f+")") {
			t.Errorf("docs/adr/README.md: got no link to %s", f)
		}
	}
}

// sound is a small tree in which every rule is kept.
func sound() fstest.MapFS {
	return fstest.MapFS{
		"Makefile":     {Data: []byte("run: build ## Start.\n\tbin/salus devnet up\n")},
		"docs/a.md":    {Data: []byte("# A, and B's\n\nSee [b](b.md#how-it-works) and `room/file.go`.\n")},
		"docs/b.md":    {Data: []byte("## How it works\n\n`salus --home x node start`, `salus node fsck -o json`.\n")},
		"room/file.go": {Data: []byte("package room\n")},
		"README.md":    {Data: []byte("[a](docs/a.md#a-and-bs), [out](https://example.org/), `make run`\n\n```sh\nmake run  # not make rain\nbin/salus node start --fast\n```\n")},
		"cmd/salus/main.go": {Data: []byte("package main\n\ntype cli struct {\n\tHome string `help:\"h\"`\n\tOutput string `short:\"o\"`\n" +
			"\tNode nodeCmd `cmd:\"\"`\n}\n\ntype nodeCmd struct {\n\tStart start `cmd:\"\"`\n\tFsck fsck `cmd:\"\"`\n}\n\n" +
			"type shared struct{ VeryFast bool `name:\"fast\"` }\n\ntype start struct {\n\tshared `embed:\"\"`\n}\n\ntype fsck struct{}\n")},
	}
}

func TestSoundTreePasses(t *testing.T) {
	for name, r := range rules {
		wrong, err := r(sound())
		if err != nil || len(wrong) > 0 {
			t.Errorf("%s: got %v, %v, want nothing wrong", name, wrong, err)
		}
	}
}

func TestEachRuleFindsItsFault(t *testing.T) {
	for _, c := range []struct{ rule, text, want string }{
		{"links", "[x](nowhere.md)", "nowhere.md, which is not there"},
		{"links", "[x](../README.md)", "which is not there"}, // out of the tree
		{"links", "[x](docs/b.md#no)", "no such heading"},
		{"links", "[x](#no)", "no such heading"},
		{"files", "`room/gone.go`", "room/gone.go"},
		{"targets", "`make rain`", "make rain"},
		{"targets", "```sh\nmake run rain\n```", "make rain"},
		{"commands", "`salus nude start`", "no command nude"},
		{"commands", "`salus node stop`", "no command stop"},
		{"commands", "`salus --house x node start`", "no flag --house"},
		{"commands", "```\nbin/salus node fsck --fast\n```", "no flag --fast"},
		{"words", "as the prom" + "pt says", "prom" + "pt"},
		{"words", "see /wo" + "rk/x", "/wo" + "rk"},
		{"words", "from https://proxy.gol" + "ang.org/", "proxy.gol"},
	} {
		tree := maps.Clone(sound())
		tree["NEW.md"] = &fstest.MapFile{Data: []byte("# New\n\n" + c.text + "\n")}
		wrong, err := rules[c.rule](tree)
		if err != nil {
			t.Fatal(err)
		}
		if len(wrong) != 1 || !strings.HasPrefix(wrong[0], "NEW.md: ") || !strings.Contains(wrong[0], c.want) {
			t.Errorf("%s on %q: got %q, want one fault with %q", c.rule, c.text, wrong, c.want)
		}
	}
}

func TestMissingCommandLineIsAnError(t *testing.T) {
	tree := maps.Clone(sound())
	delete(tree, "cmd/salus/main.go")
	if _, err := Commands(tree); err == nil {
		t.Error("got no error without a command line")
	}
	delete(tree, "Makefile")
	if _, err := Targets(tree); err == nil {
		t.Error("got no error without a Makefile")
	}
}

// TestEveryConfigurationKeyIsExplained: the operator's guide knows each key of the
// configuration's reference, which is made from the code.
func TestEveryConfigurationKeyIsExplained(t *testing.T) {
	reference, err := os.ReadFile("../../docs/reference/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../../docs/running-a-node.md")
	if err != nil {
		t.Fatal(err)
	}
	section, keys := "", 0
	for line := range strings.Lines(string(reference)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]") + "."
			continue
		}
		name, _, ok := strings.Cut(line, " = ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		keys++
		if !strings.Contains(string(guide), "`"+section+name+"`") {
			t.Errorf("docs/running-a-node.md: got no `%s%s`", section, name)
		}
	}
	if keys == 0 {
		t.Error("docs/reference/config.toml: got no key")
	}
}

// TestReadmeNamesEveryCommand: the list of nouns in the README is the command line's.
func TestReadmeNamesEveryCommand(t *testing.T) {
	cli, err := commandLine(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for noun := range cli.sub {
		if !strings.Contains(string(b), "`"+noun+"`") {
			t.Errorf("README.md: got no `%s`", noun)
		}
	}
}
