package archtest

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// rules are all rules over a tree.
var rules = map[string]func(fs.FS) ([]string, error){"arrows": Arrows, "docs": Docs, "words": Words}

func TestRepository(t *testing.T) {
	tree := os.DirFS("../..")
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			wrong, err := rule(tree)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range wrong {
				t.Error(w)
			}
		})
	}
}

func TestPeersHaveNoCycle(t *testing.T) {
	for _, w := range Peers() {
		t.Error(w)
	}
}

// plant makes a tree of Go files: each is "package doc and clause" and imports.
func plant(files map[string]string) fs.FS {
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return tree
}

func TestPlantedArrowsAreFound(t *testing.T) {
	for _, s := range []struct {
		file, imports string
		want          string // part of what is said; empty: nothing
	}{
		{"ledger/tx/a.go", "fmt", ""},
		{"ledger/tx/a.go", "salus/ledger/state", "ledger/tx must not import ledger/state"},
		{"ledger/state/a.go", "salus/ledger/tx", ""},
		{"ledger/state/a.go", "os", ""},
		{"ledger/state/a.go", "net", "pure"},
		{"ledger/a.go", "salus/ledger/module/consent", "must not import"},
		{"ledger/a.go", "salus/internal/peer", "pure"},
		{"ledger/a.go", "os", "pure"},
		{"ledger/a.go", "log/slog", "pure"},
		{"ledger/a.go", "github.com/cometbft/cometbft/abci/types", ""},
		{"ledger/state/a.go", "github.com/cometbft/cometbft/abci/types", "CometBFT"},
		{"ledger/module/consent/a.go", "github.com/cometbft/cometbft/crypto", "CometBFT"},
		{"ledger/module/consent/a.go", "salus/ledger/module/identity", ""},
		{"ledger/module/identity/a.go", "salus/ledger/module/consent", "must not import"},
		{"ledger/module/audit/a.go", "salus/ledger/module/governance", "must not import"},
		{"ledger/module/consent/a.go", "salus/ledger/ledgertest", "for tests"},
		{"ledger/ledgertest/a.go", "os", ""},
		{"ledger/ledgertest/a.go", "salus/ledger", ""},
		{"seal/compress/a.go", "salus/seal", ""},
		{"seal/a.go", "salus/threshold", ""},
		{"threshold/a.go", "salus/seal", "must not import"},
		{"threshold/a.go", "math/rand/v2", "pure"},
		{"custody/a.go", "salus/gateway", "must not import"},
		{"custody/a.go", "salus/client", ""},
		{"custody/a.go", "salus/record", "must not import"},
		{"gateway/a.go", "salus/custody", ""},
		{"gateway/a.go", "salus/node", "must not import"},
		{"gateway/a.go", "github.com/cometbft/cometbft/types", "CometBFT"},
		{"node/a.go", "salus/gateway", ""},
		{"cmd/salus/a.go", "salus/node", ""},
		{"node/a.go", "salus/cmd/salus", "must not import"},
		{"vault/a.go", "salus/vault/vaulttest", "for tests"},
		{"drawer/a.go", "fmt", "on no layer"},
		{"client/a.go", "salus/drawer", "must not import"},
		{"ledger/tx/a_test.go", "salus/node", ""},
		{"ledger/tx/testdata/a.go", "salus/node", ""},
	} {
		wrong, err := Arrows(plant(map[string]string{s.file: "package a\nimport \"" + s.imports + "\"\n"}))
		if err != nil {
			t.Fatal(err)
		}
		if s.want == "" && len(wrong) != 0 || s.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], s.want)) {
			t.Errorf("%s imports %s: got %q, want %q", s.file, s.imports, wrong, s.want)
		}
	}
}

func TestPlantedDocsAreFound(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"":               {"a/a.go": "// Package a is one.\npackage a\n", "a/b.go": "package a\n", "cmd/c/main.go": "// Command c runs.\npackage main\n"},
		"found 0":        {"a/a.go": "package a\n"},
		"found 2":        {"a/a.go": "// Package a is one.\npackage a\n", "a/b.go": "// Package a is two.\npackage a\n"},
		"must begin":     {"a/a.go": "// This package is one.\npackage a\n"},
		"says nothing":   {"a/util/a.go": "// Package util is a drawer.\npackage util\n"},
		`with "Command `: {"cmd/c/main.go": "// Package main runs.\npackage main\n"},
	} {
		wrong, err := Docs(plant(files))
		if err != nil {
			t.Fatal(err)
		}
		if want == "" && len(wrong) != 0 || want != "" && !slices.ContainsFunc(wrong, func(w string) bool { return strings.Contains(w, want) }) {
			t.Errorf("got %q, want %q", wrong, want)
		}
	}
}

func TestPlantedWordsAreFound(t *testing.T) {
	for _, w := range words {
		tree := plant(map[string]string{"docs/a.md": "fine\nhere " + strings.ToUpper(w) + " it is\n", "a.bin": w})
		wrong, err := Words(tree)
		if err != nil || len(wrong) != 1 || !strings.Contains(wrong[0], "docs/a.md:2") {
			t.Errorf("%q: got %q, %v, want it found in line 2", w, wrong, err)
		}
	}
}
