package validate

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"salus/fhir/definition"
)

var samples = map[string][]string{
	"base64Binary": {"AAAA", "AA==", "AAAA AAA=\n", "AB/+"}, "code": {"a", "a b"}, "date": {"2023", "2023-02", "2023-02-28", "2024-02-29"},
	"dateTime": {"2023", "2023-02-28", "2023-02-28T23:59:60.123Z", "2023-02-28T00:00:00-14:00"}, "decimal": {"0", "-1.50", "1e3", "1.0E-10"},
	"id": {"a-1.B"}, "instant": {"2023-02-28T23:59:59Z", "2023-02-28T23:59:59.1+05:30"}, "integer": {"0", "-12", "2147483647"},
	"oid": {"urn:oid:1.2.3", "urn:oid:2.0"}, "positiveInt": {"1", "99"}, "string": {"a", " a\n"}, "time": {"00:00:00", "23:59:60.5"},
	"unsignedInt": {"0", "7"}, "uri": {"urn:x", "#a"}, "uuid": {"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}, "markdown": {"a"},
}

// The regular expressions of R4 are the oracle: what fits matches, and what matches fits
// but for what R4's text forbids beyond them.
func TestFormatsAgreeWithTheirExpressions(t *testing.T) {
	beyond := map[string]func(string) bool{
		"base64Binary": func(s string) bool { return true }, // '=' within
		"string":       func(s string) bool { return !text(s) }, "markdown": func(s string) bool { return !text(s) },
		"uri":     func(s string) bool { return s == "" },
		"integer": func(s string) bool { return len(s) > 9 || s == "-0" }, "unsignedInt": func(s string) bool { return len(s) > 9 }, "positiveInt": func(s string) bool { return len(s) > 9 },
		"decimal":  func(s string) bool { return strings.ContainsAny(s, "eE") },
		"date":     func(s string) bool { return len(s) > 8 && s[8:10] > "28" },
		"dateTime": func(s string) bool { return len(s) > 8 && s[8:10] > "28" },
		"instant":  func(s string) bool { return len(s) > 8 && s[8:10] > "28" },
	}
	set := definition.R4()
	for name, list := range samples {
		def := set.Type(name)
		re := regexp.MustCompile(`^(?:` + def.Elements[len(def.Elements)-1].Regex + `)$`)
		f := formats[name]
		for _, s := range list {
			if !f.fits(s) || !re.MatchString(s) {
				t.Errorf("%s: %q does not fit, want it to", name, s)
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			s := []byte(rapid.SampledFrom(list).Draw(t, "sample"))
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				i := rapid.IntRange(0, len(s)).Draw(t, "at")
				c := rapid.SampledFrom([]byte("0123456789abzAZ.-:+TZ=/ \n\x01e#_")).Draw(t, "char")
				switch {
				case i == len(s) || rapid.Bool().Draw(t, "insert"):
					s = append(s[:i], append([]byte{c}, s[i:]...)...)
				case rapid.Bool().Draw(t, "drop"):
					s = append(s[:i], s[i+1:]...)
				default:
					s[i] = c
				}
			}
			got := string(s)
			if k := f; (k == formatInteger || k == formatUnsigned || k == formatPositive || k == formatDecimal) && (!json.Valid(s) || strings.ContainsAny(got, " \n")) {
				return // no number comes out of the parser that is none
			}
			fits, matches := f.fits(got), re.MatchString(got)
			if fits && !matches {
				t.Fatalf("%s: %q fits, want it not to", name, got)
			}
			if !fits && matches && (beyond[name] == nil || !beyond[name](got)) {
				t.Fatalf("%s: %q does not fit, want it to", name, got)
			}
		})
	}
}

func TestDaysThatDoNotExistAreRefused(t *testing.T) {
	for s, want := range map[string]bool{"2023-02-29": false, "2024-02-29": true, "1900-02-29": false, "2000-02-29": true, "2023-04-31": false, "2023-12-31": true, "0000": false, "0001": true} {
		if got := formatDate.fits(s); got != want {
			t.Errorf("%s: got %v, want %v", s, got, want)
		}
	}
}
