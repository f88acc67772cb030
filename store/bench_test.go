package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"salus/fhir/search"
)

// observation is a resource with the entries of a typical Observation.
func observation(i int) Put {
	var id [8]byte
	_, _ = rand.Read(id[:])
	at := float64(1_500_000_000_000 + i*1000)
	token := func(code, system, text string) search.Entry {
		return search.Entry{Code: code, Kind: search.Token, Value: search.Value{System: system, Text: text}}
	}
	ref := func(code, to string) search.Entry {
		return search.Entry{Code: code, Kind: search.Reference, Value: search.Value{Text: to}}
	}
	loinc := fmt.Sprintf("%d-%d", i%300, i%7)
	p := Put{Key: Key{Type: "Observation", ID: fmt.Sprintf("%x", id)}, Body: make([]byte, 800), Owner: fmt.Sprintf("Patient/%d", i%1000)}
	p.Entries = []search.Entry{
		token("status", "http://hl7.org/fhir/observation-status", "final"), token("category", "http://terminology.hl7.org/CodeSystem/observation-category", "laboratory"),
		token("code", "http://loinc.org", loinc),
		ref("subject", p.Owner), ref("patient", p.Owner), ref("encounter", fmt.Sprintf("Encounter/%d", i/4)),
		{Code: "date", Kind: search.Date, Value: search.Value{Range: search.Range{Low: at, High: at + 999}}},
		{Code: "value-quantity", Kind: search.Quantity, Value: search.Value{System: "http://unitsofmeasure.org", Code: "mmol/L", Range: search.Range{Low: float64(i % 100), High: float64(i % 100)}}, Exact: "mmol/L"},
	}
	return p
}

// BenchmarkWrites measures single writes from so many clients, each waiting until it is durable.
func BenchmarkWrites(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(clients, "clients"), func(b *testing.B) {
			s, err := OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "store.db"), [32]byte{1}, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			var n atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range clients {
				wg.Go(func() {
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						if _, err := tryPut(s, observation(int(i))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "resources/s")
		})
	}
}

// BenchmarkSearch measures common searches over 100,000 resources.
func BenchmarkSearch(b *testing.B) {
	s, err := OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "store.db"), [32]byte{1}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for i := 0; i < 100_000; i += 1000 {
		err := s.Write(context.Background(), func(tx *Tx) error {
			for k := range 1000 {
				if _, err := tx.Put(observation(i + k)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	patient := search.Clause{Param: &search.Param{Code: "patient", Kind: search.Reference}, Values: []search.Value{{Text: "Patient/7"}}}
	code := search.Clause{Param: &search.Param{Code: "code", Kind: search.Token}, Values: []search.Value{{HasSystem: true, System: "http://loinc.org", Text: "7-0"}}}
	date := &search.Param{Code: "date", Kind: search.Date}
	for name, q := range map[string]*search.Query{
		"patient":           {Where: []search.Clause{patient}},
		"patient and code":  {Where: []search.Clause{patient, code}},
		"patient by date":   {Where: []search.Clause{patient}, Sort: []search.Order{{Param: date, Descending: true}}},
		"code":              {Where: []search.Clause{code}},
		"status":            {Where: []search.Clause{{Param: &search.Param{Code: "status", Kind: search.Token}, Values: []search.Value{{Text: "final"}}}}},
		"everything":        {},
		"patient and total": {Where: []search.Clause{patient}, Total: search.TotalAccurate},
	} {
		q.Types, q.Count = []string{"Observation"}, 20
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if p, err := s.Search(context.Background(), Search{Query: q, Sight: Sight{Scopes: []Scope{Own}}}); err != nil || len(p.Matches) == 0 {
					b.Fatal(len(p.Matches), err)
				}
			}
		})
	}
}

// BenchmarkHistory measures a page of the history of everything, of a store that has ever more.
func BenchmarkHistory(b *testing.B) {
	s, err := OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "store.db"), [32]byte{1}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	has := 0
	for _, n := range []int{1_000, 20_000} {
		for ; has < n; has += 500 {
			err := s.Write(b.Context(), func(t *Tx) error {
				for i := range 500 {
					if _, err := t.Put(observation(has + i)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		for _, typ := range []string{"", "Observation"} {
			b.Run(fmt.Sprintf("%d/%s", n, typ), func(b *testing.B) {
				for b.Loop() {
					if l, _, err := s.History(b.Context(), Past{Type: typ, Scopes: []Scope{Own}, Count: 50, Uncounted: true}); err != nil || len(l) != 50 {
						b.Fatal(len(l), err)
					}
				}
			})
		}
	}
}

// BenchmarkAfter measures what those who follow the store ask after each commit: what is new.
func BenchmarkAfter(b *testing.B) {
	s, err := OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "store.db"), [32]byte{1}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for i := range 100 {
		if _, err := tryPut(s, observation(i)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if l, err := s.After(b.Context(), 99, 100); err != nil || len(l) != 1 {
			b.Fatal(len(l), err)
		}
	}
}

// BenchmarkRead measures reads of current versions, one after the other.
func BenchmarkRead(b *testing.B) {
	s, err := OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "store.db"), [32]byte{1}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	keys := make([]Key, 500)
	for i := range keys {
		v, err := tryPut(s, observation(i))
		if err != nil {
			b.Fatal(err)
		}
		keys[i] = v.Key
	}
	for i := 0; b.Loop(); i++ {
		if _, err := s.Read(b.Context(), keys[i%len(keys)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSearchAfterWrite reads one patient of 200, each of whom has 100 resources, after each write.
func BenchmarkSearchAfterWrite(b *testing.B) {
	s, err := OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "store.db"), [32]byte{1}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const patients = 200
	put := func(tx *Tx, i int) error {
		p := observation(i)
		p.Owner = fmt.Sprintf("Patient/%d", i%patients)
		_, err := tx.Put(p)
		return err
	}
	for i := 0; i < 20_000; i += 500 {
		err := s.Write(b.Context(), func(tx *Tx) error {
			for k := range 500 {
				if err := put(tx, i+k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	n := 20_000
	for b.Loop() {
		n++
		if err := s.Write(b.Context(), func(tx *Tx) error { return put(tx, n) }); err != nil {
			b.Fatal(err)
		}
		q := Search{Query: &search.Query{Types: []string{"Observation"}, Count: search.MaxCount}, Sight: Sight{Scopes: []Scope{Own}}, Compartment: "Patient/7"}
		if p, err := s.Search(b.Context(), q); err != nil || len(p.Matches) < 100 {
			b.Fatal(len(p.Matches), err)
		}
	}
}
