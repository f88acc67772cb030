package inference

import (
	"flag"
	"fmt"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/index"
)

// crowd is how many resources of others the larger world has besides those that are seen.
const crowd = 4000

// ward makes a patient with forty Observations and a visit, and others with what is theirs. Half of the others'
// resources have the codes of the patient's, and the ids begin with h, by which the caller without a session does not
// see them.
func ward() (things []thing) {
	add := func(typ, id, rest string) {
		things = append(things, thing{typ: typ, id: id, body: fmt.Sprintf(`{"resourceType":%q,"id":%q,%s}`, typ, id, rest)})
	}
	observe := func(id, patient string, n int) {
		category := "laboratory"
		if id[0] == 'h' {
			category = "vital-signs"
		}
		add("Observation", id, fmt.Sprintf(`"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":%q}]}],"code":{"coding":[{"system":"http://loinc.org","code":"%d-%d"}],"text":"Measure"},"subject":{"reference":"Patient/%s"},"effectiveDateTime":"20%02d-%02d-01","valueQuantity":{"value":%d,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}`,
			category, n%8, n%3, patient, 10+n%15, 1+n%12, n%50))
	}
	add("Practitioner", "d0", `"name":[{"family":"Doctor"}]`)
	add("Patient", "p0", `"name":[{"family":"Sample"}],"birthDate":"1970-01-01","generalPractitioner":[{"reference":"Practitioner/d0"}]`)
	for i := range 40 {
		observe(fmt.Sprintf("o%d", i), "p0", i)
	}
	for i := range crowd / 20 {
		p := fmt.Sprintf("h%d", i)
		add("Patient", p, `"name":[{"family":"Sample"}],"birthDate":"1970-01-01","generalPractitioner":[{"reference":"Practitioner/d0"}]`)
		for j := range 19 {
			observe(fmt.Sprintf("h%dx%d", i, j), p, i+j)
		}
	}
	return things
}

// asked are the kinds of requests that are timed.
var asked = []struct{ name, method, path, header string }{
	{"read", "GET", "Observation/o1", ""},
	{"read of nothing", "GET", "Observation/none", ""},
	{"history", "GET", "Observation/o1/_history", ""},
	{"history of a type", "GET", "Observation/_history?_count=10", ""},
	{"search by patient", "GET", "Observation?patient=Patient/p0&_sort=-date&_count=10", ""},
	{"search by code", "GET", "Observation?code=http://loinc.org%7C1-1&_count=10", ""},
	{"search for nothing", "GET", "Observation?code=http://loinc.org%7Cnone", ""},
	{"search by date", "GET", "Observation?date=ge2020&_count=10", ""},
	{"search, counted", "GET", "Observation?status=final&_summary=count", ""},
	{"search, sorted", "GET", "Observation?_sort=date&_count=10", ""},
	{"_filter", "GET", "Observation?_filter=code%20eq%20http://loinc.org%7C1-1%20or%20value-quantity%20gt%2045&_count=10", ""},
	{"chain", "GET", "Observation?subject:Patient.family=sample&_count=10", ""},
	{"_has", "GET", "Practitioner?_has:Patient:general-practitioner:family=sample", ""},
	{"_include", "GET", "Observation?_id=o1&_include=Observation:subject", ""},
	{"_revinclude", "GET", "Practitioner?_id=d0&_revinclude=Patient:general-practitioner", ""},
	{"everything", "GET", "Patient/p0/$everything", ""},
	{"conditional create", "POST", "Observation", "code=http://loinc.org|1-1&date=2011-02-01"},
}

// tick shows with -inference.tick=-1ns what the answers that are held took.
var tick = flag.Duration("inference.tick", 0, "what answers to who sees a part are held to; 0: as served, negative: nothing")

// BenchmarkTiming asks a world with 4,000 hidden resources and one without for the same, turn by turn, and
// reports for each kind of request by how much the median with them differs: ratio 1 is no difference. shift is
// the difference against what one world's own requests scatter (their interquartile range): within 1 one
// request tells nothing. It bounds nothing: a benchmark on a loaded machine decides no test.
func BenchmarkTiming(b *testing.B) {
	x, err := index.New(definition.R4(), base)
	if err != nil {
		b.Fatal(err)
	}
	for i := range callers {
		c := &callers[i]
		things := ward()
		for j := range things {
			r, err := fhir.Parse([]byte(things[j].body))
			if err != nil {
				b.Fatal(err)
			}
			things[j].hidden = c.hidden(x, r)
		}
		with, without := c.world(b, x, things, true, *tick), c.world(b, x, things, false, *tick)
		for _, q := range asked {
			r := &request{method: q.method, path: q.path, header: http.Header{}}
			if q.method == http.MethodPost {
				r.body = `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p0"}}`
				r.header.Set("Content-Type", "application/fhir+json")
				r.header.Set("If-None-Exist", q.header)
			}
			b.Run(c.name+"/"+q.name, func(b *testing.B) {
				if got, want := with.do(b, r), without.do(b, r); got.told() != want.told() {
					b.Fatalf("the worlds answer differently: %s\n%s", got.told(), want.told())
				}
				var took [2][]float64
				for n := 0; b.Loop(); n++ {
					for k := range 2 {
						of := (n + k) % 2 // neither is always first
						start := time.Now()
						[]*world{with, without}[of].do(b, r)
						took[of] = append(took[of], float64(time.Since(start).Microseconds()))
					}
				}
				for k := range took {
					slices.Sort(took[k])
				}
				at := func(k int, share float64) float64 { return took[k][int(share*float64(len(took[k])-1))] }
				b.ReportMetric(at(0, 0.5)/at(1, 0.5), "ratio")
				b.ReportMetric(math.Abs(at(0, 0.5)-at(1, 0.5))/max(1, at(1, 0.75)-at(1, 0.25)), "shift")
				b.ReportMetric(at(1, 0.5), "us-without")
			})
		}
	}
}
