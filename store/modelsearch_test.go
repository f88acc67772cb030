package store

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/fhir/search"
)

// pages reads all pages of a query.
func pages(t *rapid.T, s *Store, q search.Query, scopes []Scope) (all []Version) {
	// All is in no compartment: who sees one sees the same, by other ways.
	sight := Sight{Scopes: scopes, Owner: rapid.SampledFrom([]string{"", "mine"}).Draw(t, "owner")}
	if rapid.Bool().Draw(t, "conditioned") {
		sight.Within = map[string][][]search.Clause{"A": {{}}, "B": {{}}} // which all satisfy
	}
	for range 50 {
		p, err := s.Search(context.Background(), Search{Query: &q, Sight: sight, Count: 3})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Matches...)
		if len(p.Matches) > q.Count || p.Next != "" && len(p.Matches) != q.Count {
			t.Fatalf("a page of %d, want %d", len(p.Matches), q.Count)
		}
		if p.Next == "" {
			if int(p.Total) != len(all) {
				t.Fatalf("total %d, want %d", p.Total, len(all))
			}
			return all
		}
		q.Cursor = p.Next
	}
	t.Fatal("the pages do not end")
	return nil
}

func names(vs []Version) (out []string) {
	for _, v := range vs {
		out = append(out, fmt.Sprintf("%d/%s/%s", v.Scope, v.Type, v.ID))
	}
	return out
}

// TestSearchAnswersAsTheModelDoes compares matches, totals, pages and order with the model.
func TestSearchAnswersAsTheModelDoes(t *testing.T) {
	n := 0
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		rapid.Check(t, func(t *rapid.T) {
			if err := s.EndScopes(context.Background()); err != nil {
				t.Fatal(err)
			}
			one, two := s.NewScope(), s.NewScope()
			m := fill(t, s, []Scope{one, two}, rapid.IntRange(0, 14).Draw(t, "writes"))
			for range 6 {
				q := drawQuery(t)
				scopes := rapid.SampledFrom([][]Scope{{one}, {one, two}, {two}, {}}).Draw(t, "scopes")
				got := pages(t, s, *q, scopes)
				var want []string
				for _, r := range m.search(scopes, q) {
					want = append(want, fmt.Sprintf("%d/%s/%s", r.Scope, r.Type, r.ID))
				}
				n += len(want)
				gotNames := names(got)
				sorted := slices.Sorted(slices.Values(gotNames))
				slices.Sort(want)
				if d := gocmp.Diff(want, sorted); d != "" {
					t.Fatalf("matches (-want +got):\n%s", d)
				}
				if !slices.IsSortedFunc(got, func(a, b Version) int { return m.order(q, a.Key, b.Key) }) {
					t.Fatalf("not in the order of the query")
				}
			}
		})
	})
	if n == 0 {
		t.Error("no query found anything")
	}
}

// TestWhatIsHiddenIsNotFelt compares two worlds that differ only in what the reader does not see:
// every answer is the same.
func TestWhatIsHiddenIsNotFelt(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		var worlds [2]*Store
		for i := range worlds {
			s, err := OpenSQLite(context.Background(), filepath.Join(dir, fmt.Sprintf("%d-%d.db", n, i)), [32]byte{}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			worlds[i] = s
		}
		visible, hidden := worlds[0].NewScope(), Scope(2)
		sight := Sight{Scopes: []Scope{visible}, Owner: "mine", Within: map[string][][]search.Clause{"A": {
			{{Param: &search.Param{Code: "secret", Kind: search.Token}, Modifier: search.Not, Values: []search.Value{{Text: "yes"}}}},
			{{Param: &search.Param{Code: "none", Kind: search.Token}, Values: []search.Value{{Text: "x"}}}},
		}}}
		worlds[0].NewScope()
		worlds[1].NewScope()
		worlds[1].NewScope()
		for range rapid.IntRange(0, 10).Draw(t, "writes") {
			p := Put{
				Key:  Key{Scope: rapid.SampledFrom([]Scope{visible, visible, hidden}).Draw(t, "scope"), Type: types.Draw(t, "type"), ID: ids.Draw(t, "id")},
				Body: []byte("{}"), Entries: drawEntries(t), Expect: Any, Owner: "mine",
			}
			// A resource is hidden by its scope, its owner or the reader's conditions for its type. Its id
			// tells which, so that no write changes it from one to the other.
			shown := p.Scope == visible
			switch p.ID {
			case "1":
				p.Owner, shown = "another's", false
			case "2":
				p.Owner = ""
			case "3":
				p.Entries, shown = append(p.Entries, search.Entry{Code: "secret", Kind: search.Token, Value: search.Value{Text: "yes"}}), shown && p.Type != "A"
			}
			for i, s := range worlds {
				if !shown && i == 1 {
					continue
				}
				if _, err := tryPut(s, p); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 8 {
			q := drawQuery(t)
			for range rapid.IntRange(0, 2).Draw(t, "includes") {
				x := search.Include{Source: types.Draw(t, "source"), Param: drawRef(t), Iterate: rapid.Bool().Draw(t, "iterate")}
				if rapid.Bool().Draw(t, "reverse") {
					q.RevInclude = append(q.RevInclude, x)
				} else {
					q.Include = append(q.Include, x)
				}
			}
			var answers [2]string
			for i, s := range worlds {
				p, err := s.Search(context.Background(), Search{Query: q, Sight: sight, Count: 3})
				if err != nil {
					t.Fatal(err)
				}
				answers[i] = fmt.Sprint(names(p.Matches), names(p.Included), p.Total, p.Next != "")
			}
			if answers[0] != answers[1] {
				t.Fatalf("with hidden resources:\n%s\nwithout:\n%s", answers[0], answers[1])
			}
		}
	})
}

// TestIncludesBringWhatTheyName has a chain of references, a circle and a stranger.
func TestIncludesBringWhatTheyName(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		ref := func(to ...string) (out []search.Entry) {
			for _, r := range to {
				out = append(out, search.Entry{Code: "ref", Kind: search.Reference, Value: search.Value{Text: r}})
			}
			return out
		}
		for id, to := range map[string][]string{"A/1": {"B/1", "B/9"}, "A/2": {"B/1"}, "B/1": {"B/2"}, "B/2": {"A/1"}, "B/3": nil} {
			typ, name, _ := strings.Cut(id, "/")
			put(t, s, Put{Key: Key{Type: typ, ID: name}, Body: []byte("{}"), Entries: ref(to...)})
		}
		id1 := search.Clause{Param: &search.Param{Code: "_id", Kind: search.Token}, Values: []search.Value{{Text: "1"}}}
		for _, tt := range []struct {
			name             string
			forward, reverse []search.Include
			want             string
		}{
			{"one step", []search.Include{{Source: "A", Param: modelParams["ref"]}}, nil, "0/B/1"},
			{"every reference", []search.Include{{Source: "*"}}, nil, "0/B/1"},
			{"to a type that is not there", []search.Include{{Source: "A", Param: modelParams["ref"], Target: "A"}}, nil, ""},
			{"again and again", []search.Include{{Source: "*", Iterate: true}}, nil, "0/B/1 0/B/2"},
			{"what refers here", nil, []search.Include{{Source: "B", Param: modelParams["ref"]}}, "0/B/2"},
			{"what refers to what refers here", nil, []search.Include{{Source: "B", Param: modelParams["ref"], Iterate: true}}, "0/B/1 0/B/2"},
		} {
			p, err := s.Search(t.Context(), Search{Sight: Sight{Scopes: []Scope{Own}}, Count: 10, Query: &search.Query{
				Types: []string{"A"}, Count: -1, Where: []search.Clause{id1}, Include: tt.forward, RevInclude: tt.reverse,
			}})
			if err != nil {
				t.Fatal(err)
			}
			got := names(p.Included)
			slices.Sort(got)
			if len(p.Matches) != 1 || strings.Join(got, " ") != tt.want {
				t.Errorf("%s: got %d matches and %v, want %s", tt.name, len(p.Matches), got, tt.want)
			}
		}
	})
}

// TestAPageSaysWhenItMayLackWhatIsIncluded has as many references to one resource as a page brings, then one more.
func TestAPageSaysWhenItMayLackWhatIsIncluded(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		refer := func(from, to int, where ...string) {
			t.Helper()
			err := s.Write(t.Context(), func(tx *Tx) error {
				for i := from; i < to; i++ {
					p := Put{Key: Key{Type: "B", ID: fmt.Sprint(i)}, Body: []byte("{}")}
					for _, r := range where {
						p.Entries = append(p.Entries, search.Entry{Code: "ref", Kind: search.Reference, Value: search.Value{Text: r}})
					}
					if _, err := tx.Put(p); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		put(t, s, Put{Key: Key{Type: "A", ID: "1"}, Body: []byte("{}")})
		put(t, s, Put{Key: Key{Type: "A", ID: "2"}, Body: []byte("{}")})
		want := func(what string, n int, cut, iterate bool) {
			t.Helper()
			p, err := s.Search(t.Context(), Search{Sight: Sight{Scopes: []Scope{Own}}, Count: 10, Query: &search.Query{
				Types: []string{"A"}, Count: -1, RevInclude: []search.Include{{Source: "B", Param: modelParams["ref"], Iterate: iterate}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Included) != n || p.Cut != cut {
				t.Errorf("%s: got %d included, cut %t, want %d, %t", what, len(p.Included), p.Cut, n, cut)
			}
		}
		want("nothing", 0, false, true)
		refer(0, maxIncluded-1, "A/1", "A/2")
		want("one less", maxIncluded-1, false, true)
		refer(maxIncluded-1, maxIncluded, "A/2")
		want("as many", maxIncluded, false, false)
		want("as many, which may bring others", maxIncluded, true, true)
		refer(maxIncluded, maxIncluded+1, "A/1")
		want("one more", maxIncluded, true, false)
	})
}

func TestACursorGoesWithItsSearchOnly(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		for i := range 3 {
			put(t, s, Put{Key: Key{Type: "A", ID: fmt.Sprint(i)}, Body: []byte("{}")})
		}
		q := search.Query{Types: []string{"A"}, Count: 1}
		first, err := s.Search(t.Context(), Search{Query: &q, Sight: Sight{Scopes: []Scope{Own}}})
		if err != nil || first.Next == "" {
			t.Fatalf("got %v, want a next page", err)
		}
		for name, bad := range map[string]Search{
			"another type":     {Query: &search.Query{Types: []string{"B"}, Count: 1, Cursor: first.Next}, Sight: Sight{Scopes: []Scope{Own}}},
			"another scope":    {Query: &search.Query{Types: []string{"A"}, Count: 1, Cursor: first.Next}, Sight: Sight{Scopes: []Scope{Own, 5}}},
			"another owner":    {Query: &search.Query{Types: []string{"A"}, Count: 1, Cursor: first.Next}, Sight: Sight{Scopes: []Scope{Own}, Owner: "Patient/1"}},
			"a changed cursor": {Query: &search.Query{Types: []string{"A"}, Count: 1, Cursor: "A" + first.Next}, Sight: Sight{Scopes: []Scope{Own}}},
			"no cursor":        {Query: &search.Query{Types: []string{"A"}, Count: 1, Cursor: "!"}, Sight: Sight{Scopes: []Scope{Own}}},
		} {
			if _, err := s.Search(t.Context(), bad); err != ErrCursor {
				t.Errorf("%s: got %v, want ErrCursor", name, err)
			}
		}
		// What is written between two pages comes after what was there.
		put(t, s, Put{Key: Key{Type: "A", ID: "00"}, Body: []byte("{}")})
		q.Cursor = first.Next
		second, err := s.Search(t.Context(), Search{Query: &q, Sight: Sight{Scopes: []Scope{Own}}})
		if err != nil || len(second.Matches) != 1 || second.Matches[0].ID != "1" {
			t.Errorf("got %v, %v; want 1", names(second.Matches), err)
		}
	})
}
