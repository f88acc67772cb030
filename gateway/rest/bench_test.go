package rest

import (
	"testing"
	"time"

	"salus/store"
)

// BenchmarkPresent is a small laboratory result as it is read.
func BenchmarkPresent(b *testing.B) {
	v := store.Version{Key: store.Key{Type: "Observation", ID: "5c0f3b1e-9f0e-4d3b-8a53-3c6f0a4d9b11"}, VID: 3, Updated: time.UnixMilli(1_700_000_000_123).UTC(), Body: []byte(
		`{"resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}]}],` +
			`"code":{"coding":[{"system":"http://loinc.org","code":"1005-3","display":"Sample measure 5"}],"text":"Sample measure 5"},"subject":{"reference":"Patient/perf-7"},` +
			`"effectiveDateTime":"2011-04-05T10:06:00+00:00","issued":"2024-05-01T10:00:00.000+00:00","valueQuantity":{"value":5.3,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}`)}
	b.ReportAllocs()
	for b.Loop() {
		present(&v)
	}
}
