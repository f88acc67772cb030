package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/fhir/search"
)

// indexer makes entries of bodies like "red 4": a token, and by a later set of parameters a text, a number
// and a reference too.
func indexer(later bool) func(body []byte) ([]search.Entry, error) {
	return func(body []byte) ([]search.Entry, error) {
		var word string
		var n int
		if _, err := fmt.Sscan(string(body), &word, &n); err != nil {
			return nil, err
		}
		out := []search.Entry{{Code: "code", Kind: search.Token, Value: search.Value{Text: word}}}
		if later {
			out = append(out,
				search.Entry{Code: "word", Kind: search.String, Value: search.Value{Text: word}, Exact: word},
				search.Entry{Code: "size", Kind: search.Number, Value: search.Value{Range: search.Range{Low: float64(n), High: float64(n)}}},
				search.Entry{Code: "to", Kind: search.Reference, Value: search.Value{Text: "A/" + word}})
		}
		return out, nil
	}
}

func write(t *testing.T, s *Store, k Key, body string, later bool) {
	t.Helper()
	entries, err := indexer(later)([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, Put{Key: k, Body: []byte(body), Owner: "Patient/1", Expect: Any, Entries: entries})
}

// indexRows are all rows of the index, with names in place of numbers.
func indexRows(t *testing.T, s *Store) (out []string) {
	t.Helper()
	for table, columns := range map[string]string{
		"idx_token": "code || '|' || system || '|' || grp", "idx_text": "value || '|' || exact", "idx_ref": "target || '|' || grp", "idx_span": "CAST(low AS INTEGER) || '|' || CAST(high AS INTEGER)",
		"idx_quantity": "code", "idx_sort": "CAST(low AS INTEGER) || '|' || CAST(high AS INTEGER) || '|' || first || '|' || last",
	} {
		rows, err := s.rows(t.Context(), `SELECT r.scope, r.id, m.name, `+columns+` FROM `+table+` i JOIN resource r ON r.rid = i.rid JOIN param m ON m.id = i.p % 1048576`) // paramsOfAScope
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var scope int64
			var id, name, values string
			if err := rows.Scan(&scope, &id, &name, &values); err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprint(table, " ", scope, " ", id, " ", name, " ", values))
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(out)
	return out
}

func indexBy(t *testing.T, s *Store, set int64, want bool) {
	t.Helper()
	if done, err := s.IndexBy(t.Context(), set); err != nil || done != want {
		t.Fatalf("set %d: got %t, %v; want %t", set, done, err, want)
	}
}

// sizes are the ids of what is found by its size, a parameter of the later set.
func sizes(t *testing.T, s *Store, sight Sight, low string) string {
	t.Helper()
	size := &search.Param{Code: "size", Kind: search.Number}
	v, ok := search.Point(low)
	if !ok {
		t.Fatal("no number")
	}
	p, err := s.Search(t.Context(), Search{Query: &search.Query{
		Types: []string{"A"}, Count: -1, Where: []search.Clause{{Param: size, Values: []search.Value{{Prefix: search.GE, Range: v}}}}, Sort: []search.Order{{Param: size}},
	}, Sight: sight, Count: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range p.Matches {
		ids = append(ids, m.ID)
	}
	return strings.Join(ids, " ")
}

var ownSight = Sight{Scopes: []Scope{Own}}

func TestANewSetOfParametersIndexesWhatIsThere(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		indexBy(t, s, 0, true) // a new store, without packages
		scope := s.NewScope()
		for i := range 250 {
			write(t, s, Key{Type: "A", ID: fmt.Sprint("a", i)}, fmt.Sprint("red ", i), false)
		}
		write(t, s, Key{Scope: scope, Type: "A", ID: "session"}, "blue 500", false)
		if err := s.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.Delete(Put{Key: Key{Type: "A", ID: "a3"}, Expect: Any})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.Erase(t.Context(), Erasure{Versions: []Named{{"A", "a4", 1}}}); err != nil {
			t.Fatal(err)
		}
		before := indexRows(t, s)

		// It fails on the way, as by a crash, and goes on in the next run.
		indexBy(t, s, 7, false)
		failed, seen, later := errors.New("failed"), 0, indexer(true)
		err := s.Reindex(t.Context(), func(body []byte) ([]search.Entry, error) {
			if seen++; seen > 130 {
				return nil, failed
			}
			return later(body)
		}, func(int) {})
		if !errors.Is(err, failed) || seen != 131 {
			t.Fatalf("got %v after %d, want it to fail", err, seen)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open()
		indexBy(t, s, 7, false)
		seen = 0
		last := 0
		if err := s.Reindex(t.Context(), func(body []byte) ([]search.Entry, error) {
			if seen++; seen == 60 { // somebody writes meanwhile: what is to come, and what is being looked at
				write(t, s, Key{Type: "A", ID: "new"}, "green 900", true)
				write(t, s, Key{Type: "A", ID: "a150"}, "green 901", true)
				if err := s.Erase(t.Context(), Erasure{Versions: []Named{{"A", "a151", 1}}}); err != nil {
					t.Error(err)
				}
			}
			return later(body)
		}, func(n int) { last = n }); err != nil {
			t.Fatal(err)
		}
		if last != seen || seen < 148 || seen > 150 {
			t.Errorf("got %d of %d, want what was left", last, seen)
		}
		indexBy(t, s, 7, true)
		if got := sizes(t, s, ownSight, "247.5"); got != "a248 a249 new a150" {
			t.Errorf("got %q", got)
		}
		if got := sizes(t, s, Sight{Scopes: []Scope{Own}, Owner: "Patient/2"}, "0"); got != "" {
			t.Errorf("got %q, want nothing of another's", got)
		}

		// The same rows as if everything had been written so.
		other, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "store.db"), [32]byte{1}, Options{})
		opened(t, other, err)
		scope = other.NewScope()
		for i := range 250 {
			write(t, other, Key{Type: "A", ID: fmt.Sprint("a", i)}, fmt.Sprint("red ", i), true)
		}
		write(t, other, Key{Scope: scope, Type: "A", ID: "session"}, "blue 500", false)
		write(t, other, Key{Type: "A", ID: "new"}, "green 900", true)
		write(t, other, Key{Type: "A", ID: "a150"}, "green 901", true)
		if err := other.Erase(t.Context(), Erasure{Versions: []Named{{"A", "a3", 1}, {"A", "a4", 1}, {"A", "a151", 1}}}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(indexRows(t, other), indexRows(t, s)); d != "" {
			t.Errorf("the rows differ (-written +indexed anew):\n%s", d)
		}

		// And back: a package that is taken away takes its rows with it, and nobody who follows hears of it.
		versions, err := s.After(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		indexBy(t, s, 0, false)
		if err := s.Reindex(t.Context(), indexer(false), func(int) {}); err != nil {
			t.Fatal(err)
		}
		indexBy(t, s, 0, true)
		for _, id := range []string{"new", "a150", "a151"} {
			before = slices.DeleteFunc(before, func(r string) bool { return strings.Contains(r, " "+id+" ") })
		}
		rest := slices.DeleteFunc(indexRows(t, s), func(r string) bool { return strings.Contains(r, "green") })
		if d := cmp.Diff(before, rest); d != "" {
			t.Errorf("the rows differ (-before +after):\n%s", d)
		}
		after, err := s.After(t.Context(), 0, 1000)
		if d := cmp.Diff(versions, after); err != nil || d != "" {
			t.Errorf("versions differ: %v\n%s", err, d)
		}
	})
}

func TestAnotherSetOnTheWayBeginsAnew(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		for i := range 120 {
			write(t, s, Key{Type: "A", ID: fmt.Sprint("a", i)}, fmt.Sprint("red ", i), false)
		}
		plain := indexRows(t, s)
		indexBy(t, s, 7, false)
		later, seen := indexer(true), 0
		if err := s.Reindex(t.Context(), func(body []byte) ([]search.Entry, error) {
			if seen++; seen > 110 {
				return nil, errors.New("failed")
			}
			return later(body)
		}, func(int) {}); err == nil {
			t.Fatal("got no error")
		}
		indexBy(t, s, 0, false) // the package is taken away before all was indexed by it
		if err := s.Reindex(t.Context(), indexer(false), func(int) {}); err != nil {
			t.Fatal(err)
		}
		indexBy(t, s, 0, true)
		if d := cmp.Diff(plain, indexRows(t, s)); d != "" {
			t.Errorf("rows of the package are left (-want +got):\n%s", d)
		}
		if err := s.Reindex(t.Context(), func([]byte) ([]search.Entry, error) { return nil, errors.New("it reads what is done") }, func(int) {}); err != nil {
			t.Error(err)
		}
		if err := s.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Indexed(t.Context(), 9); err != nil {
			t.Fatal(err)
		}
		indexBy(t, s, 9, true)
	})
}
