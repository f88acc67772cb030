package index

import (
	"math"
	"slices"
	"strings"
	"testing"

	"salus/fhir"
	"salus/fhir/search"
)

// values are the entries of one parameter, without its name.
func values(t testing.TB, body, code string) (out []string) {
	t.Helper()
	r, err := fhir.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shown(t, r) {
		if v, ok := strings.CutPrefix(s, code+"="); ok {
			out = append(out, v)
		}
	}
	return out
}

func TestDatesAndTheirBounds(t *testing.T) {
	observation := func(effective string) string { return `{"resourceType":"Observation",` + effective + `}` }
	for _, tt := range []struct{ body, want string }{
		{`"effectiveDateTime":"2020"`, "2020-01-01..2020-12-31T23:59:59.999"},
		{`"effectiveDateTime":"2020-02"`, "2020-02-01..2020-02-29T23:59:59.999"},
		{`"effectiveInstant":"2020-02-01T10:00:00.25+02:00"`, "2020-02-01T08:00:00.250..2020-02-01T08:00:00.259"},
		{`"effectiveDateTime":"not a date"`, ""},
		{`"effectiveDateTime":2020`, ""},
		{`"effectiveDateTime":null`, ""},
		{`"_effectiveDateTime":{"id":"x"}`, ""},
		{`"effectivePeriod":{"start":"2020-01-01"}`, "2020-01-01.."},
		{`"effectivePeriod":{"end":"2020-01-01"}`, "..2020-01-01T23:59:59.999"},
		{`"effectivePeriod":{"start":"2020","end":"2019"}`, ""},
		{`"effectivePeriod":{"start":"x","end":"2019"}`, ""},
		{`"effectivePeriod":{}`, ""},
		{`"effectiveTiming":{"event":["2020-03-01","bad","2020-01-05"]}`, "2020-01-05..2020-03-01T23:59:59.999"},
		{`"effectiveTiming":{"repeat":{"boundsPeriod":{"start":"2020-01-05"}}}`, "2020-01-05.."},
		{`"effectiveTiming":{"repeat":{"boundsDuration":{"value":3,"code":"d"},"frequency":1}}`, ""},
	} {
		if got := strings.Join(values(t, observation(tt.body), "date"), " "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.body, got, tt.want)
		}
	}
	if got := values(t, `{"resourceType":"Immunization","occurrenceString":"last summer"}`, "date"); got != nil {
		t.Errorf("text in place of a date: got %q", got)
	}
}

func TestQuantitiesAndTheirComparators(t *testing.T) {
	for _, tt := range []struct {
		body string
		want []string
	}{
		{`"valueQuantity":{"value":5}`, []string{"5..5||"}},
		{`"valueQuantity":{"value":5.50,"unit":"drops"}`, []string{"5.5..5.5|| (drops)"}},
		{`"valueQuantity":{"value":5,"comparator":"<"}`, []string{"-Inf..4.999999999999999||"}},
		{`"valueQuantity":{"value":5,"comparator":"<="}`, []string{"-Inf..5||"}},
		{`"valueQuantity":{"value":5,"comparator":">"}`, []string{"5.000000000000001..+Inf||"}},
		{`"valueQuantity":{"value":5,"comparator":">="}`, []string{"5..+Inf||"}},
		{`"valueQuantity":{"value":"5"}`, nil},
		{`"valueQuantity":{"unit":"mg"}`, nil},
		{`"valueQuantity":{"value":1e400}`, nil},
		{`"valueSampledData":{"origin":{"value":0},"period":1,"dimensions":1,"data":"E U L"}`, nil},
		{`"valueSampledData":{"origin":{"value":5,"unit":"mV"},"period":1,"dimensions":1,"data":"-1 0 3"}`, []string{"4..8|| (mV)"}},
	} {
		if got := values(t, `{"resourceType":"Observation",`+tt.body+`}`, "value-quantity"); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.body, got, tt.want)
		}
	}
	for _, tt := range []struct {
		body string
		want []string
	}{
		{`{"low":{"value":1},"high":{"value":2}}`, []string{"1..2||"}},
		{`{"low":{"value":1,"code":"g"}}`, []string{"1..+Inf||g"}},
		{`{"high":{"value":2,"code":"g"}}`, []string{"-Inf..2||g"}},
		{`{"low":{"value":3},"high":{"value":2}}`, nil},
		{`{}`, nil},
	} {
		if got := values(t, `{"resourceType":"Condition","onsetRange":`+tt.body+`}`, "onset-age"); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.body, got, tt.want)
		}
	}
}

// TestUnitsAreEqualByUCUM: what the same amount is written in does not matter, in both directions.
func TestUnitsAreEqualByUCUM(t *testing.T) {
	x := fast()
	amount := func(n float64, unit string) search.Value {
		return search.Value{Range: search.Range{Low: n, High: n}, System: ucum, Code: unit}
	}
	for _, tt := range []struct {
		n    float64
		unit string
		m    float64
		same string
	}{
		{1, "g", 1000, "mg"},
		{0.007, "kg", 7, "g"},
		{1, "[lb_av]", 453.59237, "g"},
		{5.4, "mmol/L", 5400, "umol/L"},
		{37, "Cel", 37, "Cel"},
		{1, "h", 3600, "s"},
		{98.6, "[degF]", 98.6, "[degF]"},
		{3, "{score}", 3, "1"},
		{50, "%", 0.5, "1"},
		{120, "mm[Hg]", 15.99864, "kPa"},
		{6, "10*3/uL", 6, "10*9/L"},
	} {
		a, ok := x.canonical(amount(tt.n, tt.unit))
		b, ok2 := x.canonical(amount(tt.m, tt.same))
		if !ok || !ok2 || a.Code != b.Code || a.Range != b.Range {
			t.Errorf("%v %s and %v %s: got %v %v, %v %v", tt.n, tt.unit, tt.m, tt.same, a, ok, b, ok2)
		}
	}
	for _, unit := range []string{"", "unheard", "mg//", "mg/unheard", strings.Repeat("m.", 100) + "m"} {
		if c, ok := x.canonical(amount(1, unit)); ok {
			t.Errorf("%q: got %v", unit, c)
		}
	}
	if c, ok := x.canonical(search.Value{System: "http://example.org/units", Code: "mg"}); ok {
		t.Errorf("a unit of another system: got %v", c)
	}
	open, ok := x.canonical(search.Value{Range: search.Range{Low: 5, High: math.Inf(1)}, System: ucum, Code: "mg"})
	if !ok || !math.IsInf(open.Range.High, 1) || open.Range.Low != 0.005 {
		t.Errorf("5 mg or more: got %v %v", open, ok)
	}
	q, err := search.Parse("Observation", []search.Pair{{Name: "value-quantity", Value: "5|http://unitsofmeasure.org|mg,6||g"}}, search.Options{Params: x})
	if err != nil || q.Where[0].Modifier != search.Plain {
		t.Errorf("one value of two without a system: got %v %v, want the quantities as they are written", q, err)
	}
}

func TestWhatIsNoResourceHasNoEntries(t *testing.T) {
	if e, err := fast().Entries(fhir.Resource{}); err == nil {
		t.Errorf("got %v", e)
	}
	if o := fast().Owner(fhir.Resource{}); o != "" {
		t.Errorf("got %q", o)
	}
}
