package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"salus/fhir/search"
)

// TestAQueryMayNameAsManyValuesAsItMay has the one that is there behind as many others as a clause may have, for every
// kind of parameter. Databases bound how deep a condition is nested.
func TestAQueryMayNameAsManyValuesAsItMay(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		spot := search.Range{Low: 5000, High: 5000}
		values := map[search.Kind]func(i int) search.Value{
			search.String: func(i int) search.Value { return search.Value{Text: fmt.Sprintf("w%04d", i)} },
			search.URI:    func(i int) search.Value { return search.Value{Text: fmt.Sprintf("urn:%04d", i)} },
			search.Token: func(i int) search.Value {
				return search.Value{Text: fmt.Sprintf("c%04d", i), System: fmt.Sprint(i), HasSystem: true}
			},
			search.Reference: func(i int) search.Value { return search.Value{Text: fmt.Sprintf("B/%d", i)} },
			search.Date:      func(i int) search.Value { return search.Value{Range: search.Range{Low: float64(i), High: float64(i)}} },
			search.Number:    func(i int) search.Value { return search.Value{Range: search.Range{Low: float64(i), High: float64(i)}} },
			search.Quantity: func(i int) search.Value {
				return search.Value{Range: search.Range{Low: float64(i), High: float64(i)}, System: "u", Code: fmt.Sprint(i), HasSystem: true}
			},
		}
		p := Put{Key: Key{Type: "A", ID: "1"}, Body: []byte("{}")}
		for _, code := range []string{"name", "code", "date", "url", "value", "number", "ref"} {
			kind := modelParams[code].Kind
			p.Entries = append(p.Entries, search.Entry{Code: code, Kind: kind, Value: values[kind](5000), Exact: "w5000"})
		}
		put(t, s, p)
		put(t, s, Put{Key: Key{Type: "B", ID: "5000"}, Body: []byte("{}"), Entries: []search.Entry{
			{Code: "name", Kind: search.String, Value: values[search.String](5000)},
			{Code: "ref", Kind: search.Reference, Value: search.Value{Text: "A/1"}},
		}})
		many := func(kind search.Kind, n int) (out []search.Value) {
			for i := range n - 1 {
				out = append(out, values[kind](i))
			}
			return append(out, values[kind](5000))
		}
		found := func(what string, want int, where ...search.Clause) {
			t.Helper()
			for _, sight := range []Sight{{Scopes: []Scope{Own}}, {Scopes: []Scope{Own}, Owner: "mine"}} {
				got, err := s.Search(t.Context(), Search{Sight: sight, Count: 10, Query: &search.Query{Types: []string{"A"}, Count: 10, Where: where, Total: search.TotalAccurate}})
				if err != nil {
					t.Errorf("%s: %v", what, err)
				} else if len(got.Matches) != want || int(got.Total) != want {
					t.Errorf("%s: got %d of %d, want %d", what, len(got.Matches), got.Total, want)
				}
			}
		}
		for _, code := range []string{"name", "code", "date", "url", "value", "number", "ref"} {
			c := search.Clause{Param: modelParams[code], Values: many(modelParams[code].Kind, search.MaxValues)}
			found(code, 1, c)
			found(code+" and others", 1, c, search.Clause{Param: modelParams["name"], Modifier: search.Exact, Values: many(search.String, 3)})
		}
		name := search.Clause{Param: modelParams["name"], Values: many(search.String, search.MaxValues)}
		found("a chain", 1, search.Clause{Param: modelParams["ref"], Chain: &search.Chain{Types: []string{"A", "B"}, Clause: []search.Clause{name, name}}})
		found("the other way", 1, search.Clause{Has: &search.Has{Type: "B", By: modelParams["ref"], Clause: name}})
		found("in part", 1, search.Clause{Param: modelParams["name"], Modifier: search.Contains, Values: many(search.String, search.MaxValues)})
		updated := search.Clause{Param: &search.Param{Code: "_lastUpdated", Kind: search.Date}, Values: many(search.Date, search.MaxValues)}
		updated.Values = append(updated.Values[1:], search.Value{Prefix: search.GT, Range: spot})
		found("when it was written", 1, updated)
		or := search.Tree{Op: search.Or}
		for _, v := range many(search.String, search.MaxClauses) {
			or.Of = append(or.Of, search.Clause{Param: modelParams["name"], Values: []search.Value{v}})
		}
		found("a filter", 1, search.Clause{Tree: &or})

		// What no database takes is refused, and breaks no write that asks it.
		var all []search.Clause
		for range search.MaxClauses {
			all = append(all, search.Clause{Param: modelParams["name"], Values: many(search.String, search.MaxValues)})
		}
		ask := Search{Sight: Sight{Scopes: []Scope{Own}}, Count: 10, Query: &search.Query{Types: []string{"A"}, Count: 10, Where: all}}
		refused := func(err error) bool {
			var i *search.Issue
			return errors.As(err, &i) && i.Code == search.CodeTooMany
		}
		if _, err := s.Search(t.Context(), ask); !refused(err) {
			t.Errorf("got %v, want %s", err, search.CodeTooMany)
		}
		err := s.Write(context.Background(), func(tx *Tx) error {
			if _, err := tx.Search(ask); !refused(err) {
				t.Errorf("in a write: got %v, want %s", err, search.CodeTooMany)
			}
			ask.Query.Where = all[:1]
			if p, err := tx.Search(ask); err != nil || len(p.Matches) != 1 {
				t.Errorf("in a write: got %v, want one", err)
			}
			_, err := tx.Put(Put{Key: Key{Type: "A", ID: "2"}, Body: []byte("{}")})
			return err
		})
		if err != nil {
			t.Errorf("the write failed: %v", err)
		}
	})
}
