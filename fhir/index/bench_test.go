package index

import (
	"testing"

	"salus/fhir/element"
)

// BenchmarkEntries reads the entries of each type of resource in Synthea's bundles; "parse" is
// element.Parse alone, "owner" is Owner.
func BenchmarkEntries(b *testing.B) {
	byType := map[string][]example{}
	for _, x := range synthea(b, 6) {
		byType[x.Type()] = append(byType[x.Type()], x)
	}
	x := fast()
	for _, typ := range []string{"Patient", "Encounter", "Condition", "Observation", "MedicationRequest", "Claim", "ExplanationOfBenefit"} {
		all := byType[typ]
		size := 0
		for _, r := range all {
			size += len(r.Raw())
		}
		run := func(name string, f func(r *example) int) {
			b.Run(typ+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size / len(all)))
				i, entries := 0, 0
				for b.Loop() {
					entries += f(&all[i%len(all)])
					i++
				}
				if entries > 0 {
					b.ReportMetric(float64(entries)/float64(i), "entries")
				}
			})
		}
		run("parse", func(r *example) int {
			if _, err := element.Parse(r.Raw()); err != nil {
				b.Fatal(err)
			}
			return 0
		})
		run("entries", func(r *example) int {
			e, err := x.Entries(r.Resource)
			if err != nil {
				b.Fatal(err)
			}
			return len(e)
		})
		run("owner", func(r *example) int {
			x.Owner(r.Resource)
			return 0
		})
	}
}
