package adversary

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the module's, from this folder.
const root = "../.."

// A defence that was moved, renamed or written twice would silently be mutated no more.
func TestEveryDefenceStandsWhereTheRegisterSays(t *testing.T) {
	for _, d := range All() {
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(d.File)))
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := d.Apply(src); err != nil {
			t.Errorf("%s: %v", d.Attack, err)
		}
	}
}

func TestEveryTestOfTheRegisterExists(t *testing.T) {
	packages, tests := Tests()
	for _, p := range packages {
		have, err := declared(filepath.Join(root, filepath.FromSlash(p)))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range tests[p] {
			if !have[name] {
				t.Errorf("%s has no %s", p, name)
			}
		}
	}
}

func TestEveryAttackIsNamedOnce(t *testing.T) {
	attacks, places := map[string]bool{}, map[string]bool{}
	for _, d := range All() {
		if place := d.File + "\x00" + d.Text; d.Attack == "" || attacks[d.Attack] || places[place] {
			t.Errorf("%q in %s is in the register already", d.Attack, d.File)
		} else {
			attacks[d.Attack], places[place] = true, true
		}
	}
}

// The document's table is the register's: one row per attack, with the result of the last run.
func TestTheDocumentHasARowForEveryAttack(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "docs", "adversary.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for line := range strings.Lines(string(b)) {
		if cells := strings.Split(line, " | "); len(cells) == 4 {
			rows[strings.TrimPrefix(cells[0], "| ")]++
		}
	}
	for _, d := range All() {
		if rows[d.Attack] != 1 {
			t.Errorf("docs/adversary.md has %d rows for %q, want 1: run `make mutants`", rows[d.Attack], d.Attack)
		}
	}
}

func TestApplyRefusesWhatIsNotThereExactlyOnce(t *testing.T) {
	src := []byte("package p\n\nfunc (x *t) a() bool { return x.ok() }\n\nfunc b() { c(); c() }\n")
	for name, d := range map[string]Defence{
		"absent":           {File: "p.go", Func: "t.a", Text: "x.no()", Without: "true"},
		"twice":            {File: "p.go", Func: "b", Text: "c()", Without: ""},
		"another function": {File: "p.go", Func: "b", Text: "x.ok()", Without: "true"},
		"no such function": {File: "p.go", Func: "d", Text: "x.ok()", Without: "true"},
		"nothing changed":  {File: "p.go", Func: "t.a", Text: "x.ok()", Without: "x.ok()"},
	} {
		if _, err := d.Apply(src); !errors.Is(err, ErrText) {
			t.Errorf("%s: got %v, want ErrText", name, err)
		}
	}
	d := Defence{File: "p.go", Func: "t.a", Text: "x.ok()", Without: "true"}
	out, err := d.Apply(src)
	if err != nil || !strings.Contains(string(out), "{ return true }") {
		t.Errorf("got %s, %v", out, err)
	}
}
