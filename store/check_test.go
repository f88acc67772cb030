package store

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/fhir/search"
)

// expecter expects what indexer makes.
func expecter(later bool) Expecter {
	return func(v *Version) ([]search.Entry, string, error) {
		entries, err := indexer(later)(v.Body)
		return entries, "Patient/1", err
	}
}

func remove(t *testing.T, s *Store, k Key) {
	t.Helper()
	if err := s.Write(t.Context(), func(tx *Tx) error {
		_, err := tx.Delete(Put{Key: k, Owner: "Patient/1", Expect: Any})
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// lived is a store that has lived: what was written before another set of parameters and after it, deletions,
// erasures, later versions, what came back, and what sessions opened.
func lived(t *testing.T, s *Store) {
	t.Helper()
	for i := range 20 {
		write(t, s, Key{Type: "A", ID: fmt.Sprint("a", i)}, fmt.Sprint("red ", i), false)
	}
	indexBy(t, s, 7, false)
	if err := s.Reindex(t.Context(), indexer(true), func(int) {}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		write(t, s, Key{Type: "B", ID: fmt.Sprint("b", i)}, fmt.Sprint("blue\x00, ", i), true)
	}
	for _, id := range []string{"a3", "a4", "a5"} {
		write(t, s, Key{Type: "A", ID: id}, "green 300", true)
		remove(t, s, Key{Type: "A", ID: id})
	}
	write(t, s, Key{Type: "A", ID: "a3"}, "green 301", true)
	if err := s.Erase(t.Context(), Erasure{Versions: []Named{{"A", "a3", 2}, {"A", "a6", 1}, {"A", "a4", 3}}}); err != nil {
		t.Fatal(err)
	}
	scope, ended := s.NewScope(), s.NewScope()
	for _, in := range []Scope{scope, ended} {
		write(t, s, Key{Scope: in, Type: "A", ID: "other"}, "old 1", false)
		put(t, s, Put{Key: Key{Scope: in, Type: "A", ID: "another"}, Body: []byte("what its author numbers"), Owner: "Patient/2", VID: 12, Expect: Any})
		remove(t, s, Key{Scope: in, Type: "A", ID: "other"})
		write(t, s, Key{Scope: in, Type: "C", ID: "other"}, "old 2", true)
	}
	if err := s.EndScope(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
}

// checkup is what a check finds, the same however much it compares at a time.
func checkup(t *testing.T, s *Store, set int64, expect Expecter) *Health {
	t.Helper()
	all, err := s.Check(t.Context(), set, expect)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := s.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // nothing is written
	for _, window := range []int{1, 7} {
		h, err := check(t.Context(), s.d, tx, set, expect, window)
		if d := cmp.Diff(all, h); err != nil || d != "" {
			t.Errorf("%d at a time: %v\n%s", window, err, d)
		}
	}
	return all
}

func TestAHealthyStoreHasNoFaults(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		if d := cmp.Diff(&Health{}, checkup(t, s, 0, expecter(false))); d != "" {
			t.Errorf("a new store (-want +got):\n%s", d)
		}
		lived(t, s)
		want := &Health{Resources: 40 + 3, Versions: 40 + 3*2 + 1 + 3 + 1}
		if d := cmp.Diff(want, checkup(t, s, 7, expecter(true))); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}

		// Before everything is indexed by another set of parameters, what is not is compared with itself.
		want.Unindexed = 40 - 3
		if d := cmp.Diff(want, checkup(t, s, 9, expecter(false))); d != "" {
			t.Errorf("by another set (-want +got):\n%s", d)
		}
		if err := s.Write(t.Context(), func(tx *Tx) error { return tx.SetMark(markNext, 21) }); err != nil { // at the first of B
			t.Fatal(err)
		}
		want.Unindexed = 20
		if d := cmp.Diff(want, checkup(t, s, 7, func(v *Version) ([]search.Entry, string, error) { return expecter(v.Type == "A")(v) })); d != "" {
			t.Errorf("on the way to it (-want +got):\n%s", d)
		}
		indexBy(t, s, 0, false)
		if err := s.Reindex(t.Context(), indexer(false), func(int) {}); err != nil {
			t.Fatal(err)
		}
		if h := checkup(t, s, 0, expecter(false)); len(h.Findings) != 0 || h.Unindexed != 0 {
			t.Errorf("when all is: got %+v", h)
		}
		if h := checkup(t, s, 0, expecter(true)); len(h.Findings) == 0 {
			t.Error("what later parameters must find is not missed")
		}
	})
}

func TestACheckFindsEachKindOfDamage(t *testing.T) {
	row := func(id string) string { return `(SELECT rid FROM resource WHERE scope = 0 AND id = '` + id + `')` }
	param := func(name string) string { return `(SELECT id FROM param WHERE name = '` + name + `')` }
	one := func(f Fault, typ string) []Finding { return []Finding{{f, typ, 1}} }
	cases := map[string]struct {
		damage string
		want   []Finding
	}{
		"a token is missing":         {`DELETE FROM idx_token WHERE rid = ` + row("a7"), one(FaultFewer, "A")},
		"a text is missing":          {`DELETE FROM idx_text WHERE rid = ` + row("a7"), one(FaultFewer, "A")},
		"a reference is missing":     {`DELETE FROM idx_ref WHERE rid = ` + row("b7"), one(FaultFewer, "B")},
		"a number is missing":        {`DELETE FROM idx_span WHERE rid = ` + row("b7"), one(FaultFewer, "B")},
		"what it is sorted by":       {`DELETE FROM idx_sort WHERE p = ` + param("B.size") + ` AND rid = ` + row("b7"), one(FaultFewer, "B")},
		"two are missing":            {`DELETE FROM idx_token WHERE rid IN (` + row("a7") + `, ` + row("a8") + `, ` + row("b1") + `)`, []Finding{{FaultFewer, "A", 2}, {FaultFewer, "B", 1}}},
		"a token too many":           {`INSERT INTO idx_token (p, code, system, rid, grp) VALUES (` + param("A.code") + `, 'green', '', ` + row("a7") + `, 0)`, one(FaultMore, "A")},
		"a quantity too many":        {`INSERT INTO idx_quantity (p, low, high, code, system, unit, rid, grp) VALUES (1, 1, 1, '', '', '', ` + row("b7") + `, 0)`, one(FaultMore, "B")},
		"a deleted one is found":     {`INSERT INTO idx_ref (p, target, rid, grp) VALUES (` + param("A.to") + `, 'A/red', ` + row("a5") + `, 0)`, one(FaultMore, "A")},
		"a wrong code":               {`UPDATE idx_token SET code = 'green' WHERE rid = ` + row("a7"), one(FaultOther, "A")},
		"a wrong number":             {`UPDATE idx_span SET high = high + 1 WHERE rid = ` + row("b7"), one(FaultOther, "B")},
		"a wrong order":              {`UPDATE idx_sort SET last = 'z' WHERE p = ` + param("B.word") + ` AND rid = ` + row("b7"), one(FaultOther, "B")},
		"a wrong group":              {`UPDATE idx_ref SET grp = 1 WHERE rid = ` + row("b7"), one(FaultOther, "B")},
		"a wrong parameter":          {`UPDATE idx_token SET p = ` + param("B.code") + ` WHERE rid = ` + row("a7"), one(FaultOther, "A")},
		"another's rows":             {`UPDATE idx_token SET rid = ` + row("b7") + ` WHERE rid = ` + row("a7"), []Finding{{FaultFewer, "A", 1}, {FaultMore, "B", 1}}},
		"a session's row is missing": {`DELETE FROM idx_token WHERE rid = (SELECT rid FROM resource WHERE type = 'C')`, one(FaultFewer, "C")},
		"rows of no resource":        {`INSERT INTO idx_text (p, value, exact, rid) VALUES (` + param("B.word") + `, 'blue', 'blue', 900), (` + param("A.word") + `, 'blue', 'blue', -3)`, []Finding{{FaultNoResource, "A", 1}, {FaultNoResource, "B", 1}}},
		"an order of no resource":    {`UPDATE idx_sort SET rid = 900 WHERE p = ` + param("B.word") + ` AND rid = ` + row("b7"), []Finding{{FaultFewer, "B", 1}, {FaultNoResource, "B", 1}}},
		"other entries":              {`UPDATE resource SET entries = (SELECT entries FROM resource WHERE rid = ` + row("b8") + `) WHERE rid = ` + row("b7"), one(FaultEntries, "B")},
		"no entries":                 {`UPDATE resource SET entries = NULL WHERE rid = ` + row("b7"), one(FaultEntries, "B")},
		"entries that are none":      {`UPDATE resource SET entries = body WHERE rid = ` + row("b7"), one(FaultEntries, "B")},
		"a body that is none":        {`UPDATE resource SET body = entries WHERE rid = ` + row("b7"), one(FaultUnreadable, "B")},
		"a deleted body":             {`UPDATE resource SET body = (SELECT body FROM resource WHERE rid = ` + row("b7") + `) WHERE rid = ` + row("a5"), one(FaultUnreadable, "A")},
		"another's body":             {`UPDATE resource SET body = (SELECT body FROM resource WHERE rid = ` + row("b8") + `) WHERE rid = ` + row("b7"), []Finding{{FaultEntries, "B", 1}, {FaultOther, "B", 1}}},
		"another's compartment":      {`UPDATE resource SET owner = 'Patient/2' WHERE rid = ` + row("b7"), one(FaultOwner, "B")},
		"the first version":          {`DELETE FROM version WHERE vid = 1 AND rid = ` + row("a5"), one(FaultVersions, "A")},
		"a version in the middle":    {`DELETE FROM version WHERE vid = 2 AND rid = ` + row("a3"), one(FaultVersions, "A")},
		"the current version's own":  {`UPDATE version SET vid = 4 WHERE vid = 2 AND rid = ` + row("a3"), one(FaultVersions, "A")},
		"an older current version":   {`UPDATE resource SET vid = 2 WHERE rid = ` + row("a3"), one(FaultVersions, "A")},
		"a newer current version":    {`UPDATE resource SET vid = 9 WHERE rid = ` + row("b7"), one(FaultVersions, "B")},
		"a version of no resource":   {`UPDATE version SET rid = 900 WHERE vid = 1 AND rid = ` + row("a5"), []Finding{{FaultVersions, "A", 1}, {FaultNoResource, "", 1}}},
		"a parameter without name":   {`DELETE FROM param WHERE name = 'B.size'`, []Finding{{FaultEntries, "B", 20}, {FaultOther, "B", 20}}},
	}
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		lived(t, s)
		for name, x := range cases {
			t.Run(name, func(t *testing.T) {
				tx, err := s.db.BeginTx(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = tx.Rollback() }() // the next finds the store as it was
				if _, err := tx.ExecContext(t.Context(), x.damage); err != nil {
					t.Fatal(err)
				}
				for _, window := range []int{7, checkWindow} {
					h, err := check(t.Context(), s.d, tx, 7, expecter(true), window)
					if err != nil {
						t.Fatal(err)
					}
					if d := cmp.Diff(x.want, h.Findings); d != "" {
						t.Errorf("%d at a time (-want +got):\n%s", window, d)
					}
				}
			})
		}
	})
}

// An index of SQLite's own that lacks a row is found by its own check.
func TestACheckHasSQLiteCheckItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := OpenSQLite(t.Context(), path, [32]byte{1}, Options{Readers: 1})
	lived(t, opened(t, s, err))
	for _, q := range []string{`PRAGMA writable_schema = ON`, `UPDATE sqlite_schema SET sql = replace(sql, '(seq)', '(updated)') WHERE name = 'resource_seq'`} {
		if _, err := s.db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = OpenSQLite(t.Context(), path, [32]byte{1}, Options{})
	got := checkup(t, opened(t, s, err), 7, expecter(true)).Findings
	if len(got) != 1 || got[0].Fault != FaultDatabase || got[0].Count < 1 {
		t.Errorf("got %+v, want faults by the database's own check", got)
	}
}
