package tofhir

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"salus/hl7"
)

// messages are the own sample messages, segments separated by \r.
func messages(t testing.TB) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../testdata/*.hl7")
	if err != nil || len(names) == 0 {
		t.Fatal("no sample messages", err)
	}
	out := map[string]string{}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(n)] = strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(string(b)), "\r\n", "\r"), "\n", "\r")
	}
	return out
}

// nameless lists the resources that stand for nobody in particular: whose id is
// derived from no key at all, so that other messages would mean the same one.
func nameless(r *Result) (out []string) {
	o := options()
	c := &mapping{o: o}
	for _, e := range r.Entries {
		d := c.derive(e.Type, "")
		if e.Identifier.Value == "" && e.Type != "Provenance" || e.Identifier.Value == hex.EncodeToString(d[:20]) {
			out = append(out, e.Type)
		}
	}
	return out
}

// spoils are what a field can be sent as, and no sample sends.
func spoils() map[string]string {
	const blank = `\X20\`
	each := func(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s+"^", n), "^") }
	return map[string]string{
		"blank":         blank,
		"second":        "A^" + blank,
		"components":    each(blank, 15),
		"subcomponents": each(blank+"&"+blank+"&"+blank, 12),
		"named":         "A" + strings.Repeat("^"+blank+"&"+blank, 12),
		"absent":        "",
		"null":          `""`,
		"nulls":         each(`""`, 15),
		"letters":       "A^B^C^D^E^F^G^H^I^J^K^L^M^N^O",
		"late":          "^^^^E^F^G^H^I^J^K^L^M^N^O",
		"deep":          each("A&B&C&D", 14),
		"twice":         "A^B~A^B~~C",
		"day":           "20260230",
		"time":          "20260102030405.1234+0100^20260102^20260103^20260104",
		"backwards":     "20260105^20260104^20260103^20260102^20260101^20251231^20251230^20251229^20251228^20251227^20251226^20251225^20251224^20251223",
		"range":         "^5^-^4.9",
		"number":        "-0012.50",
		"lines":         `A\X0A\B\X0D0A\^C\X09\D^\.br\E`,
		"control":       `A\X01\^\X00\B^\X7F\`,
		"wide":          "  A  B ^  C  D ^ E  F/  G",
		"url":           "http://x y^<b>^\u00e4",
	}
}

// Blanks, also those that an escape sequence makes, are no value: nothing is found by
// them. And whatever a field says: the message is refused, or what is mapped is FHIR.
func TestWhateverAFieldSaysWhatIsMappedIsValid(t *testing.T) {
	refused, mapped := 0, 0
	for name, s := range messages(t) {
		segments := strings.Split(s, "\r")
		for i, seg := range segments {
			fields := strings.Split(seg, "|")
			for len(fields) < 25 {
				fields = append(fields, "")
			}
			for f := range fields {
				if f == 0 || fields[0] == "MSH" && (f == 1 || f == 17) { // what the delimiters are, and the character set
					continue
				}
				for kind, spoil := range spoils() {
					was := fields[f]
					fields[f] = spoil
					segments[i] = strings.Join(fields, "|")
					m, err := hl7.Parse([]byte(strings.Join(segments, "\r") + "\r"))
					fields[f], segments[i] = was, seg
					if err != nil {
						continue
					}
					r, err := Map(m, options())
					if err != nil {
						refused++
						continue
					}
					mapped++
					if out := append(invalid(t, r), nameless(r)...); out != nil {
						t.Errorf("%s: %s-%d %s: %q", name, fields[0], f, kind, out)
					}
				}
			}
		}
	}
	if refused == 0 || mapped < 10*refused {
		t.Errorf("%d messages are refused, %d mapped", refused, mapped)
	}
}

// What cannot be said in FHIR is not said otherwise, and a patient without an
// identifier is not the one of all others without.
func TestWhatCannotBeSaidIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		s     string
		field int
		code  string
	}{
		"control character in text":     {pid + "\nOBR|1|P1|F1|C^P^LN\nOBX|1|TX|X^X^LN||a\\X01\\b||||||F", 5, hl7.CodeValue},
		"control character in a number": {pid + "\nOBR|1|P1\\X00\\|F1|C^P^LN\nOBX|1|TX|X^X^LN||a||||||F", 2, hl7.CodeValue},
		"identifier of blanks":          {"\nPID|1||\\X20\\^^^CLINIC^MR||Example^Ann\nOBR|1|P1|F1|C^P^LN", 3, hl7.CodeRequired},
	} {
		_, err := Map(parse(t, head+"ORU^R01|M1|P|2.5.1"+c.s), options())
		if e := new(hl7.Error); !errors.As(err, &e) || e.Code != c.code || e.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A result that comes again is as FHIR wants it, whatever there was: a value, several, or none.
func TestAResultReplacesWhatThereWas(t *testing.T) {
	var all [][]byte
	for _, s := range []string{"NM|X^X^LN||5||||||F", "NM|X^X^LN||5~6||||||F", "NM|X^X^LN||||||||N", "TX|X^X^LN||text||||||F"} {
		_, e := do(t, head+"ORU^R01|M1|P|2.5.1"+pid+"\nOBR|1|P1|F1|C^P^LN\nOBX|1|"+s)
		b, err := json.Marshal(e.of("Observation")[0])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	for i, old := range all {
		for j, update := range all {
			got, err := Overlay(old, update, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := json.Marshal(object{"entry": []any{object{"resource": json.RawMessage(got)}}})
			if s := invalid(t, &Result{Bundle: b}); s != nil {
				t.Errorf("%d, then %d: %q", i, j, s)
			}
		}
	}
}

func FuzzMap(f *testing.F) {
	for _, s := range messages(f) {
		f.Add(s)
	}
	f.Add(head + "ORU^R01|M1|P|2.5.1" + pid + "\nOBR|1|P1|F1|C^P^LN\nOBX|1|SN|X^X^LN||^1^-^2||||||F")
	f.Add(head + "ADT^A01|M1|P|2.5.1" + pid + `||||||||||\X20\`)
	f.Add(head + "ORM^O01|M1|P|2.5.1" + pid + "\nORC|NW|P2\nOBR|1|P2" + strings.Repeat("|", 44) + "24323-8^Panel^LN")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := hl7.Parse([]byte(s))
		if err != nil {
			return
		}
		r, err := Map(m, options())
		if err != nil {
			return
		}
		if out := append(invalid(t, r), nameless(r)...); out != nil {
			t.Fatalf("%q", out)
		}
	})
}
