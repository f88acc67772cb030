package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	sqlite "github.com/ncruces/go-sqlite3/driver"

	"salus/fhir/search"
)

// A counting source adds up the steps that SQLite's machine takes for what is asked.
type counting struct {
	*Store
	t     *testing.T
	steps int
}

func (c *counting) rows(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	err = conn.Raw(func(raw any) error {
		st, _, err := raw.(sqlite.Conn).Raw().Prepare(q)
		if err != nil {
			return err
		}
		defer func() { _ = st.Close() }()
		for i, a := range args {
			v, err := driver.DefaultParameterConverter.ConvertValue(a)
			if err != nil {
				return err
			}
			switch v := v.(type) {
			case string:
				err = st.BindText(i+1, v)
			case float64:
				err = st.BindFloat(i+1, v)
			case int64:
				err = st.BindInt64(i+1, v)
			default:
				err = fmt.Errorf("%T", v)
			}
			if err != nil {
				return err
			}
		}
		for st.Step() {
		}
		c.steps += st.Status(sqlite3.STMTSTATUS_VM_STEP, true)
		return st.Err()
	})
	if err != nil {
		c.t.Fatalf("%s: %v", q, err)
	}
	return c.Store.rows(ctx, q, args...)
}

// many writes resources of an owner: each with a code, a date and what it is of, among that a B.
func many(t *testing.T, s *Store, from, until int, owner string) {
	t.Helper()
	err := s.Write(t.Context(), func(tx *Tx) error {
		to := coded(Own, strings.ReplaceAll(owner, "/", "-"), "", "s", owner)
		to.Type = "B"
		if _, err := tx.Put(to); err != nil {
			return err
		}
		for i := from; i < until; i++ {
			p := coded(Own, fmt.Sprint("r", i), owner, "s", "c")
			at := float64(i)
			p.Entries = append(p.Entries,
				search.Entry{Code: "ref", Kind: search.Reference, Value: search.Value{Text: owner}},
				search.Entry{Code: "ref", Kind: search.Reference, Value: search.Value{Text: "B/" + strings.ReplaceAll(owner, "/", "-")}},
				search.Entry{Code: "about", Kind: search.Reference, Value: search.Value{Text: "B/all"}},
				search.Entry{Code: "date", Kind: search.Date, Value: search.Value{Range: search.Range{Low: at, High: at}}})
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

var (
	ofPatient  = search.Clause{Param: modelParams["ref"], Values: []search.Value{{Text: "Patient/1"}}}
	ofAll      = search.Clause{Param: modelParams["about"], Values: []search.Value{{Text: "B/all"}}}
	withCode   = search.Clause{Param: modelParams["code"], Values: []search.Value{{System: "s", HasSystem: true, Text: "c"}}}
	anySystem  = search.Clause{Param: modelParams["code"], Values: []search.Value{{Text: "c"}}}
	withoutIt  = search.Clause{Param: modelParams["code"], Modifier: search.Not, Values: []search.Value{{Text: "d"}}}
	theirs     = search.Clause{Param: &search.Param{Code: "_id", Kind: search.Token}, Values: []search.Value{{Text: "Patient-1"}}}
	withTheirs = search.Clause{Param: modelParams["code"], Values: []search.Value{{Text: "Patient/1"}}}
	since      = search.Clause{Param: modelParams["date"], Values: []search.Value{{Prefix: search.GE, Range: search.Range{Low: 3, High: 3}}}}
)

// chain leads to a B.
func chain(c search.Clause) search.Clause {
	return search.Clause{Param: modelParams["ref"], Chain: &search.Chain{Types: []string{"B"}, Clause: []search.Clause{c}}}
}

// What others have does not make a search longer that finds a patient's resources, whatever else it asks for. It
// counts steps and no time.
func TestASearchIsAsLongAsWhatDrivesIt(t *testing.T) {
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "store.db"), [32]byte{1}, Options{})
	opened(t, s, err)
	many(t, s, 0, 20, "Patient/1")
	many(t, s, 20, 20+2*mostDriving, "Patient/2")
	queries := map[string]Search{
		"code":                        {Query: &search.Query{Where: []search.Clause{ofPatient, withCode}}},
		"code, by date":               {Query: &search.Query{Where: []search.Clause{withCode, ofPatient}, Sort: []search.Order{{Param: modelParams["date"], Descending: true}}}},
		"date":                        {Query: &search.Query{Where: []search.Clause{ofPatient, since}}},
		"a reference that all have":   {Query: &search.Query{Where: []search.Clause{ofAll, ofPatient}}},
		"all but a code, with total":  {Query: &search.Query{Where: []search.Clause{ofPatient, withoutIt}, Total: search.TotalAccurate}},
		"a filter":                    {Query: &search.Query{Where: []search.Clause{ofPatient, {Tree: &search.Tree{Op: search.Or, Of: []search.Clause{withCode, ofAll}}}}}},
		"an id":                       {Query: &search.Query{Where: []search.Clause{withCode, {Param: &search.Param{Code: "_id", Kind: search.Token}, Values: []search.Value{{Text: "r1"}}}}}},
		"a chain":                     {Query: &search.Query{Where: []search.Clause{withCode, chain(withTheirs)}}},
		"a chain to an id":            {Query: &search.Query{Where: []search.Clause{withCode, chain(theirs)}}},
		"a code alone":                {Query: &search.Query{Where: []search.Clause{withCode}}},
		"a code of any system":        {Query: &search.Query{Where: []search.Clause{anySystem}}},
		"a reference alone":           {Query: &search.Query{Where: []search.Clause{ofAll}}},
		"in a compartment":            {Query: &search.Query{Where: []search.Clause{withCode, since}}, Compartment: "Patient/1"},
		"seen by its owner":           {Query: &search.Query{Where: []search.Clause{withCode, since}}, Sight: Sight{Owner: "Patient/1"}},
		"under a condition all keep":  {Query: &search.Query{Where: []search.Clause{withCode, ofPatient}}, Sight: Sight{Within: map[string][][]search.Clause{"A": {{ofAll}}}}},
		"what nobody has, and a code": {Query: &search.Query{Where: []search.Clause{withCode, {Param: modelParams["ref"], Values: []search.Value{{Text: "Patient/0"}}}}}},
	}
	steps := func(q Search) (int, int) {
		c := &counting{Store: s, t: t}
		q.Query.Types, q.Query.Count, q.Scopes = []string{"A"}, 50, []Scope{Own}
		p, err := reader{c, s.d}.search(t.Context(), s.cursors, q)
		if err != nil {
			t.Fatal(err)
		}
		return c.steps, len(p.Matches)
	}
	before := map[string]int{}
	for name, q := range queries {
		n, found := steps(q)
		want, ok := map[string]int{"date": 17, "in a compartment": 17, "seen by its owner": 17, "a code alone": 50, "a code of any system": 50, "a reference alone": 50, "an id": 1, "what nobody has, and a code": 0}[name]
		if !ok {
			want = 20
		}
		if found != want {
			t.Errorf("%s: %d found, want %d", name, found, want)
		}
		before[name] = n
	}
	many(t, s, 20+2*mostDriving, 20+8*mostDriving, "Patient/3")
	for name, q := range queries {
		if n, _ := steps(q); n > before[name]+before[name]/20 {
			t.Errorf("%s: %d steps, and %d when others have four times as much", name, before[name], n)
		}
	}
	if n, found := steps(Search{Query: &search.Query{Where: []search.Clause{ofAll, withCode}}}); found != 50 || n < mostDriving {
		t.Errorf("what all have: %d steps, %d found", n, found)
	}
}

// Pages go on as they began when what drove the search is no longer what leaves the fewest, and a cursor goes with
// no other query.
func TestPagesGoOnAsTheyBegan(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		many(t, s, 0, 200, "Patient/1")
		many(t, s, 200, 300, "Patient/2")
		q := search.Query{Types: []string{"A"}, Count: 90, Where: []search.Clause{ofPatient, withCode}}
		seen := map[string]bool{}
		for page := range 3 {
			p, err := s.Search(t.Context(), Search{Query: &q, Sight: Sight{Scopes: []Scope{Own}}})
			if err != nil {
				t.Fatalf("page %d: %v", page, err)
			}
			for _, m := range p.Matches {
				seen[m.ID] = true
			}
			if q.Cursor = p.Next; page == 0 {
				many(t, s, 300, 300+mostDriving, "Patient/1")
				other := q
				other.Where = []search.Clause{withCode}
				if _, err := s.Search(t.Context(), Search{Query: &other, Sight: Sight{Scopes: []Scope{Own}}}); err == nil {
					t.Error("a cursor of another query was taken")
				}
			}
		}
		for i := range 200 {
			if !seen[fmt.Sprint("r", i)] {
				t.Fatalf("r%d was on no page", i)
			}
		}
	})
}
