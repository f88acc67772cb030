package store

import (
	"path/filepath"
	"testing"

	"salus/fhir/search"
)

// A new store has nothing to be indexed anew.
func TestANewStoreIsIndexed(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		if done, err := open().IndexBy(t.Context(), 0); err != nil || !done {
			t.Errorf("got %v, %v", done, err)
		}
	})
}

// A store of an older version is made into one of this version when it is opened, and answers.
func TestAnOlderStoreIsBroughtUpToDate(t *testing.T) {
	path, key := filepath.Join(t.TempDir(), "store.db"), [32]byte{3}
	s, err := OpenSQLite(t.Context(), path, key, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := observation(1)
	put(t, s, p)
	for _, q := range []string{`DROP INDEX idx_span_rid`, `UPDATE meta SET value = '1' WHERE name = 'schema'`} {
		if _, err := s.db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenSQLite(t.Context(), path, key, Options{}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var n int
	if err := s.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM sqlite_master WHERE name = 'idx_span_rid'`).Scan(&n); err != nil || n != 1 {
		t.Errorf("got %d indexes, %v; want 1", n, err)
	}
	kept := p.Entries[:7]
	if done, err := s.IndexBy(t.Context(), 0); err != nil || done {
		t.Errorf("got %v, %v; what an older program wrote is to be indexed anew", done, err)
	}
	if err := s.Reindex(t.Context(), func([]byte) ([]search.Entry, error) { return kept, nil }, func(int) {}); err != nil {
		t.Fatal(err)
	}
	if h, err := s.Check(t.Context(), 0, func(*Version) ([]search.Entry, string, error) { return kept, p.Owner, nil }); err != nil || len(h.Findings) > 0 || h.Unindexed > 0 {
		t.Errorf("got %+v, %v", h, err)
	}
	date := p.Entries[6].Value.Range
	q := &search.Query{Types: []string{"Observation"}, Count: -1, Where: []search.Clause{
		{Param: &search.Param{Code: "subject", Kind: search.Reference}, Values: []search.Value{{Text: p.Owner}}},
		{Param: &search.Param{Code: "date", Kind: search.Date}, Values: []search.Value{{Prefix: search.GE, Range: date}}},
	}}
	page, err := s.Search(t.Context(), Search{Query: q, Sight: Sight{Scopes: []Scope{Own}}, Count: 10})
	if err != nil || len(page.Matches) != 1 {
		t.Errorf("got %+v, %v; want one match", page, err)
	}
}
