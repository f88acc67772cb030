package record

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

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
