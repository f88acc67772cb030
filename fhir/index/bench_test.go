package index

import (
	"fmt"
	"testing"

	"salus/fhir/element"
	"salus/fhir/search"
	"salus/store"
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

// BenchmarkStored writes resources of Synthea with their entries, 500 in a transaction; "bare" is the
// same without entries.
func BenchmarkStored(b *testing.B) {
	all := synthea(b, 12)
	entries := make([][]search.Entry, len(all))
	for i, x := range all {
		var err error
		if entries[i], err = fast().Entries(x.Resource); err != nil {
			b.Fatal(err)
		}
	}
	run := func(name string, with bool) {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			n := 0
			b.ResetTimer()
			for b.Loop() {
				err := w.store.Write(b.Context(), func(tx *store.Tx) error {
					for range 500 {
						i := n % len(all)
						p := store.Put{Key: store.Key{Type: all[i].Type(), ID: fmt.Sprint(n)}, Body: all[i].Raw(), Owner: "Patient/p", Expect: store.Any}
						if with {
							p.Entries = entries[i]
						}
						if _, err := tx.Put(p); err != nil {
							return err
						}
						n++
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/resource")
		})
	}
	run("bare", false)
	run("entries", true)
}
