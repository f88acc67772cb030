package tx_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger/tx"
)

func TestCodesAreUniqueAscendingAndDocumented(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)*$`)
	text := regexp.MustCompile(`^tx: [^.]*[^. ]$|^tx: a kind is <module>\.<verb> `)
	names, codes := map[string]bool{}, tx.Codes()
	for i, c := range codes {
		if i > 0 && c.Code <= codes[i-1].Code {
			t.Errorf("code 0x%04x after 0x%04x, want ascending", c.Code, codes[i-1].Code)
		}
		if c.Code > 0xff {
			t.Errorf("code 0x%04x is outside the prefix of the core", c.Code)
		}
		if names[c.Name] || !name.MatchString(c.Name) {
			t.Errorf("code 0x%04x: name %q is taken or malformed", c.Code, c.Name)
		}
		names[c.Name] = true
		if !text.MatchString(c.Text) {
			t.Errorf("code 0x%04x: text %q, want one sentence beginning with the room", c.Code, c.Text)
		}
	}
}

func TestRefusalsAreComparedByCode(t *testing.T) {
	a, b := tx.Refuse(0x0601, "consent: grant has ended"), tx.Refuse(0x0601, "consent: other words")
	wrapped := fmt.Errorf("deliver: %w", a)
	if !errors.Is(wrapped, b) {
		t.Error("got different, want the same refusal by code")
	}
	if errors.Is(wrapped, tx.Refuse(0x0602, a.Text)) {
		t.Error("got the same, want different codes to differ")
	}
	if got, want := a.Error(), "consent: grant has ended"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := tx.Refuse(0x0601, "").Error(), "tx: refused with code 0x0601"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCodeOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		code uint32
		ok   bool
	}{
		{nil, tx.CodeOK, true},
		{tx.Refuse(0x0601, "x"), 0x0601, true},
		{fmt.Errorf("deliver: %w", tx.Refuse(0x0601, "x")), 0x0601, true},
		{errors.New("disk on fire"), 0, false},
	} {
		if code, ok := tx.CodeOf(c.err); code != c.code || ok != c.ok {
			t.Errorf("CodeOf(%v): got 0x%04x, %v, want 0x%04x, %v", c.err, code, ok, c.code, c.ok)
		}
	}
}

// TestSpecListsTheCodes keeps the table of spec/tx.md and Codes together.
func TestSpecListsTheCodes(t *testing.T) {
	b, err := os.ReadFile("../../spec/tx.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "| 0x") {
			got = append(got, strings.ReplaceAll(strings.TrimSpace(line), "`<module>.<verb>`", "<module>.<verb>"))
		}
	}
	var want []string
	for _, c := range tx.Codes() {
		want = append(want, fmt.Sprintf("| 0x%04x | `%s` | %s |", c.Code, c.Name, strings.TrimPrefix(c.Text, "tx: ")))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spec/tx.md differs from the code (-want +got):\n%s", diff)
	}
}
