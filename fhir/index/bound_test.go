package index

import (
	"testing"

	"pgregory.net/rapid"

	"salus/fhir/search"
)

// TestFoldIsThatOfSearch and the next hold the quick ways against those of package search.
func TestFoldIsThatOfSearch(t *testing.T) {
	for _, s := range []string{"", " ", "a", " A  b\t\nC ", "Ünal  X", "a\v\fb\r", "\x00A\x1f", "ß Straße", "a\u00a0b", "x\u0085y"} {
		if got, want := fold(s), search.Fold(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~\t\n\r]{0,30}`)).Draw(t, "s")
		if got, want := fold(s), search.Fold(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	})
}

func TestInstantsAreThoseOfSearch(t *testing.T) {
	same := func(s string) {
		q, ok := quick(s)
		r, known := search.Instants(s)
		if ok && (!known || q != r) {
			t.Errorf("%q: got %v, want %v %v", s, q, r, known)
		}
		if r2, known2 := instants(s); r2 != r && known || known2 != known {
			t.Errorf("%q: got %v %v, want %v %v", s, r2, known2, r, known)
		}
	}
	for _, s := range []string{
		"", "2020", "2020-02", "2020-02-29", "2021-02-29", "1900-02-29", "2000-02-29", "0000-01-01", "0001-01-01", "9999-12-31", "1969-12-31", "1970-01-01", "2020-13-01", "2020-00-10", "2020-01-00",
		"2020-01-01T00:00:00Z", "2020-01-01T24:00:00Z", "2020-01-01T23:59:60Z", "2020-12-31T23:59:59-05:00", "2020-01-01T00:00:00+14:00", "2020-01-01T00:00:00+23:00", "2020-01-01T00:00:00.1Z",
		"2020-01-01T00:00:00.123456Z", "2020-01-01T00:00:00.123456789+01:30", "2020-01-01T00:00:00.1234567891Z", "2020-01-01T00:00:00.Z", "2020-01-01T00:00:00.5", "2020-01-01T00:00:00", "2020-01-01T00:00",
		"2020-01-01t00:00:00z", "2020-01-01T00:00:00+0100", "2020-01-01 00:00:00Z", "2020/01/01", "20a0-01-01", "2020-01-01T1a:00:00Z", "2020-01-01T00:00:00Zx", "2020-01-01T00:00:00,5Z",
	} {
		same(s)
	}
	rapid.Check(t, func(t *rapid.T) {
		same(rapid.StringMatching(`(19|20|00|99)[0-9]{2}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,10})?(Z|[+-][01][0-9]:[0-6][0-9]))?`).Draw(t, "s"))
	})
}
