package search

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestNearReadsAPlaceADistanceAndAUnit(t *testing.T) {
	for value, metres := range map[string]float64{
		"48.1|11.5|1|km": 1000, "48.1|11.5|1": 1000, "48.1|11.5|1|": 1000, "48.1|11.5": NearDefault, "48.1|11.5|": NearDefault, "48.1|11.5||": NearDefault,
		"48.1|11.5|250|m": 250, "48.1|11.5|2|[mi_i]": 2 * 1609.344, "-90|180|0|m": 0, "0|0|1e2|m": 100,
	} {
		q, err := read(t, "Location?near="+value, false)
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		if got := q.Where[0].Values[0].Circle; got == nil || math.Abs(got.Chord2-chord2(metres)) > 1e-15 {
			t.Errorf("%s: got %+v, want %v m", value, got, metres)
		}
	}
	q, err := read(t, "Location?near=1|2|3,4|5|6", false)
	if err != nil || len(q.Where[0].Values) != 2 {
		t.Errorf("two places: got %v, %v", q, err)
	}
}

func TestNearRefusesWhatIsNoPlace(t *testing.T) {
	for _, value := range []string{
		"1", "1|", "|1", "x|1", "91|0", "-90.1|0", "0|181", "NaN|0", "0|Inf", "0|0|-1", "0|0|NaN", "0|0|1|mi", "0|0|1|kg", "0|0||km", "0|0|1|km|x", "0|0|x",
		"0000000000000000000000000000000001|0",
	} {
		if _, err := read(t, "Location?near="+value, false); !errors.Is(err, &Issue{Code: CodeValue}) {
			t.Errorf("%s: got %v, want %s", value, err, CodeValue)
		}
	}
	for query, code := range map[string]string{
		"Location?near=": CodeEmptyValue, "Location?near:not=1|2": CodeModifier, "Location?near:exact=1|2": CodeModifier, "Location?_sort=near": CodeSort, "Location?near.name=x": CodeChain,
		"Patient?near=1|2": CodeUnknownParam,
	} {
		if _, err := read(t, query, false); !errors.Is(err, &Issue{Code: code}) {
			t.Errorf("%s: got %v, want %s", query, err, code)
		}
	}
}

// TestACircleIsWhatTheHaversineSays about any two places, but for a hair about its edge.
func TestACircleIsWhatTheHaversineSays(t *testing.T) {
	degrees := func(most float64) *rapid.Generator[float64] {
		return rapid.OneOf(rapid.Float64Range(-most, most), rapid.SampledFrom([]float64{-most, most, 0, most - 1e-7, 1e-7 - most, 1e-7}))
	}
	rapid.Check(t, func(t *rapid.T) {
		lat1, lon1 := degrees(90).Draw(t, "lat1"), degrees(180).Draw(t, "lon1")
		lat2, lon2 := degrees(90).Draw(t, "lat2"), degrees(180).Draw(t, "lon2")
		a, _ := Position(lat1, lon1)
		b, _ := Position(lat2, lon2)
		rad := math.Pi / 180
		hav := func(x float64) float64 { return math.Pow(math.Sin(x/2), 2) }
		h := hav((lat2-lat1)*rad) + math.Cos(lat1*rad)*math.Cos(lat2*rad)*hav((lon2-lon1)*rad)
		distance := 2 * EarthRadius * math.Asin(math.Min(1, math.Sqrt(h)))
		for _, f := range []float64{0.999, 1.001} {
			asked := distance*f + (f-1)*1000 // a metre off at least
			if asked < 0 {
				continue
			}
			c := Circle{Place: a, Chord2: chord2(asked)}
			// Near the other end of the Earth the chord hardly grows any more.
			if got, want := c.Contains(b), asked > distance; got != want && distance < EarthRadius*3.1 {
				t.Fatalf("%v,%v to %v,%v: %v m apart, within %v m: got %v", lat1, lon1, lat2, lon2, distance, asked, got)
			}
		}
		whole := Circle{Place: a, Chord2: chord2(math.Pi * EarthRadius)}
		itself := Circle{Place: a, Chord2: chord2(0)}
		if !whole.Contains(b) || !itself.Contains(a) {
			t.Fatal("half the Earth around is everything, and a place is at itself")
		}
	})
}
