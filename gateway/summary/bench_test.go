package summary

import (
	"fmt"
	"testing"
	"time"

	"salus/fhir"
	"salus/store"
)

// BenchmarkGather reads one patient of a hundred, each of whom has 200 resources.
func BenchmarkGather(b *testing.B) {
	w := newWorld(b)
	for i := range 100 {
		err := w.st.Write(b.Context(), func(tx *store.Tx) error {
			for n := range 200 {
				r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Observation","id":"o-%d-%d","status":"final","code":{"text":"Sample %d"},"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"2024-05-01"}`, i, n, n, i))
				if err != nil {
					return err
				}
				entries, err := w.x.Entries(r)
				if err != nil {
					return err
				}
				if _, err := tx.Put(store.Put{Key: store.Key{Type: r.Type(), ID: r.ID()}, Body: r.Raw(), Owner: w.x.Owner(r), Entries: entries, Expect: store.Any, Updated: time.Unix(0, 0)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	k := &Keeper{KeeperConfig: KeeperConfig{Store: w.st}}
	for b.Loop() {
		if g, err := k.gather(b.Context(), "Patient/p50"); err != nil || len(g.list) != 200 {
			b.Fatalf("got %v, want 200", err)
		}
	}
}
