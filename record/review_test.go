package record

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"salus/fhir"
)

// C-14: what a parent's proxy goes without is denied her, whoever allows it, and the rest is hers.
func TestAParentSeesAllButWhatIsConfidential(t *testing.T) {
	m, err := NewSlotMap(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, without := range [][]fhir.Label{nil, Confidential(), fhir.AllLabels()} {
		mask, except, err := m.MasksWithout(rand.Reader, without)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range fhir.AllLabels() {
			slot, err := m.Mask([]fhir.Label{l})
			if err != nil {
				t.Fatal(err)
			}
			denied := slices.Contains(without, l)
			if (mask&slot == 0) != denied || (except&slot != 0) != denied {
				t.Errorf("without %v: %s is allowed %t and denied %t", without, l, mask&slot != 0, except&slot != 0)
			}
		}
	}
	if confidential := Confidential(); !slices.Contains(confidential, fhir.SEX) {
		t.Errorf("a parent goes without %v", confidential)
	}
}

// The end of a parent's proxy is one of four days of a year, never after the child comes of age,
// and the same for everybody born in the same quarter.
func TestReviewTellsAQuarterAndIsNeverLate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 20*366).Draw(t, "day"))
		got := Review(day)
		if got.After(day) || day.Sub(got) >= 92*24*time.Hour {
			t.Fatalf("%v: got %v", day, got)
		}
		if got.Day() != 1 || got.Month()%3 != 1 || got != got.Truncate(24*time.Hour) {
			t.Fatalf("%v: got %v, which tells more than a quarter", day, got)
		}
	})
}
