package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"salus/fhir/search"
)

// Writes that share a commit are kept or undone each by itself, whatever each asks for in between: what
// is written late is in no answer and in nobody else's failure.
func TestWritesOfOneCommitDoNotUndoEachOther(t *testing.T) {
	no := errors.New("no")
	entry := func(code, text string) []search.Entry {
		return []search.Entry{
			{Code: code, Kind: search.Token, Value: search.Value{Text: text}},
			{Code: "word-" + code, Kind: search.String, Value: search.Value{Text: text}, Exact: text},
		}
	}
	query := func(code, text string) Search {
		return Search{Sight: Sight{Scopes: []Scope{Own}}, Count: 1000, Query: &search.Query{
			Types: []string{"Observation"}, Count: -1,
			Where: []search.Clause{{Param: &search.Param{Code: code, Kind: search.Token}, Values: []search.Value{{Text: text}}}},
			Sort:  []search.Order{{Param: &search.Param{Code: "word-" + code, Kind: search.String}}},
		}}
	}
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		own := Put{Key: Key{Type: "Observation", ID: "shared"}, Body: []byte(`0`), Entries: entry("code", "shared"), Expect: Any}
		put(t, s, own)
		const jobs = 96
		var kept []string
		var wg sync.WaitGroup
		for i := range jobs {
			id, kind := fmt.Sprintf("o%d", i), i%8
			if kind < 4 {
				kept = append(kept, id)
			}
			wg.Go(func() {
				p := Put{Key: Key{Type: "Observation", ID: id}, Body: []byte(id), Entries: entry("code", "one")}
				err := s.Write(t.Context(), func(tx *Tx) error {
					if kind == 2 || kind == 5 { // first of a parameter that nobody has
						p.Entries = append(p.Entries, entry("code-"+id, "one")...)
					}
					if _, err := tx.Put(p); err != nil {
						return err
					}
					switch kind {
					case 1, 4: // its own write is found, once
						page, err := tx.Search(query("code", "one"))
						if err != nil {
							return err
						}
						if n := len(slices.DeleteFunc(page.Matches, func(v Version) bool { return v.ID != id })); n != 1 {
							t.Errorf("%s: found %d times in its own write, want once", id, n)
						}
					case 3, 6: // what another has written is written over
						if _, err := tx.Put(own); err != nil {
							return err
						}
					}
					if v, err := tx.Read(p.Key); kind != 0 && kind != 7 && (err != nil || string(v.Body) != id) {
						t.Errorf("%s: got %q, %v within its own write", id, v.Body, err)
					}
					if kind >= 4 {
						return no
					}
					return nil
				})
				if kind < 4 && err != nil || kind >= 4 && !errors.Is(err, no) {
					t.Errorf("%s: got %v", id, err)
				}
			})
		}
		wg.Wait()
		find := func(code, text string) (ids []string) {
			page, err := s.Search(t.Context(), query(code, text))
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range page.Matches {
				ids = append(ids, v.ID)
			}
			slices.Sort(ids)
			return ids
		}
		slices.Sort(kept)
		if got := find("code", "one"); !slices.Equal(got, kept) {
			t.Errorf("got %v, want %v", got, kept)
		}
		if got := find("code", "shared"); !slices.Equal(got, []string{"shared"}) {
			t.Errorf("got %v, want the shared one once", got)
		}
		for i := range jobs {
			id := fmt.Sprintf("o%d", i)
			_, err := s.Read(t.Context(), Key{Type: "Observation", ID: id})
			if there := slices.Contains(kept, id); there != (err == nil) || !there && !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: got %v", id, err)
			}
			if got := len(find("code-"+id, "one")); i%8 == 2 && got != 1 || i%8 != 2 && got != 0 {
				t.Errorf("%s: got %d by a parameter of its own", id, got)
			}
		}
		if v, err := s.Read(t.Context(), own.Key); err != nil || v.VID != 1+jobs/8 {
			t.Errorf("got version %d, %v; want %d", v.VID, err, 1+jobs/8)
		}
		// Each kept resource has its rows once, and nothing has any besides.
		var rows, sorts int
		for table, n := range map[string]*int{"idx_token": &rows, "idx_sort": &sorts} {
			if err := s.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM `+table).Scan(n); err != nil {
				t.Fatal(err)
			}
		}
		if want := len(kept) + jobs/8 + 1; rows != want || sorts != want {
			t.Errorf("got %d index rows and %d to sort by, want %d of each", rows, sorts, want)
		}
	})
}

// However many forms conditions of writes have, the statements that are kept for them are bounded.
func TestStatementsOfAWriterAreBounded(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		many(t, s, 0, 3, "Patient/1")
		err := s.Write(t.Context(), func(tx *Tx) error {
			for n := range maxStatements + 200 {
				values := make([]search.Value, n)
				for i := range values {
					values[i].Text = fmt.Sprint("r", i)
				}
				q := &search.Query{Types: []string{"A"}, Count: 2, Where: []search.Clause{{Param: &search.Param{Code: "_id", Kind: search.Token}, Values: values}}}
				if p, err := tx.Search(Search{Query: q, Sight: Sight{Scopes: []Scope{Own}}}); err != nil || len(p.Matches) != min(len(values), 3, q.Count) {
					return fmt.Errorf("%d values: %d found, %w", len(values), len(p.Matches), err)
				}
				if len(tx.w.stmts) > maxStatements {
					return fmt.Errorf("%d statements are kept", len(tx.w.stmts))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		many(t, s, 3, 5, "Patient/1")
	})
}
