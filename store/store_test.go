package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salus/fhir/search"
)

var patient = Key{Type: "Patient", ID: "p1"}

func TestVersionsAreKeptAsTheyWere(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		one := put(t, s, Put{Key: patient, Body: []byte(`{"a":1.0}`), Owner: "Patient/p1", Record: "r1"})
		two := put(t, s, Put{Key: patient, Body: []byte(`{"a":1.00}`), Owner: "Patient/p1", Record: "r2", Expect: 1})
		if one.VID != 1 || two.VID != 2 || one.Method != Create || two.Method != Update || two.Seq <= one.Seq || two.Updated.Before(one.Updated) {
			t.Fatalf("got %+v and %+v", one, two)
		}
		for _, want := range []Version{one, two} {
			got, err := s.ReadVersion(t.Context(), patient, want.VID)
			if d := cmp.Diff(want, got); err != nil || d != "" {
				t.Errorf("version %d: %v (-want +got):\n%s", want.VID, err, d)
			}
		}
		if _, err := s.ReadVersion(t.Context(), patient, 3); !errors.Is(err, ErrNotFound) {
			t.Errorf("a version that is not there: got %v", err)
		}

		var gone Version
		del := func(p Put) error {
			return s.Write(t.Context(), func(tx *Tx) (err error) { gone, err = tx.Delete(p); return err })
		}
		if err := del(Put{Key: patient, Expect: 1}); !errors.Is(err, ErrConflict) {
			t.Errorf("deleting an old version: got %v, want ErrConflict", err)
		}
		for range 2 { // deleting again changes nothing
			if err := del(Put{Key: patient, Expect: Any}); err != nil || gone.VID != 3 || gone.Method != Delete {
				t.Fatalf("got %+v, %v; want version 3", gone, err)
			}
		}
		if _, err := s.Read(t.Context(), patient); !errors.Is(err, ErrGone) {
			t.Errorf("reading what is deleted: got %v, want ErrGone", err)
		}
		if _, err := s.ReadVersion(t.Context(), patient, 3); !errors.Is(err, ErrGone) {
			t.Errorf("reading the deletion: got %v, want ErrGone", err)
		}
		again := put(t, s, Put{Key: patient, Body: []byte(`{}`)})
		if again.VID != 4 || again.Method != Create {
			t.Errorf("got %+v, want version 4 made anew", again)
		}
		if err := del(Put{Key: Key{Type: "Patient", ID: "none"}, Expect: Any}); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleting nothing: got %v", err)
		}

		h, total, err := s.History(t.Context(), Past{Type: "Patient", ID: "p1", Scopes: []Scope{Own}, Count: 3})
		if err != nil || total != 4 || len(h) != 3 || h[0].VID != 4 || h[2].VID != 2 {
			t.Fatalf("history: got %d of %d, %v", len(h), total, err)
		}
		rest, _, err := s.History(t.Context(), Past{Scopes: []Scope{Own}, Count: 3, Before: h[2].Seq})
		if err != nil || len(rest) != 1 || rest[0].VID != 1 {
			t.Errorf("next page: got %v, %v; want version 1", rest, err)
		}
		if h, total, err = s.History(t.Context(), Past{Scopes: []Scope{Own}, Count: 9, Since: time.Now().Add(time.Hour)}); err != nil || total != 0 || len(h) != 0 {
			t.Errorf("since later: got %d of %d, %v; want none", len(h), total, err)
		}
	})
}

func TestExpectationsAreKept(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		put(t, s, Put{Key: patient, Body: []byte(`1`)})
		if _, err := tryPut(s, Put{Key: patient, Body: []byte(`2`)}); !errors.Is(err, ErrExists) {
			t.Errorf("creating what is there: got %v, want ErrExists", err)
		}
		if _, err := tryPut(s, Put{Key: patient, Body: []byte(`2`), Expect: 2}); !errors.Is(err, ErrConflict) {
			t.Errorf("expecting another version: got %v, want ErrConflict", err)
		}
		if v := put(t, s, Put{Key: patient, Body: []byte(`2`), Expect: Any}); v.VID != 2 {
			t.Errorf("expecting any: got version %d, want 2", v.VID)
		}
		// Of writers that all expect the same version, one wins.
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 32 {
			wg.Go(func() {
				_, err := tryPut(s, Put{Key: patient, Body: fmt.Appendf(nil, "%d", i), Expect: 2})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errors.Is(err, ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d writers won, want 1", won)
		}
	})
}

func TestAWriteIsWholeOrNothing(t *testing.T) {
	boom := errors.New("boom")
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		var wg sync.WaitGroup
		// Many at once, so that failures share commits with successes.
		for i := range 64 {
			wg.Go(func() {
				err := s.Write(t.Context(), func(tx *Tx) error {
					for k := range 3 {
						_, err := tx.Put(Put{
							Key: Key{Type: "Observation", ID: fmt.Sprintf("o%d-%d", i, k)}, Body: []byte(`{}`),
							Entries: []search.Entry{{Code: fmt.Sprintf("param-%d", i), Kind: search.Token, Value: search.Value{Text: "x"}}},
						})
						if err != nil {
							return err
						}
					}
					switch i % 4 {
					case 1:
						return boom
					case 2:
						panic("a bug in a caller")
					}
					return nil
				})
				if bad := i%4 == 1 || i%4 == 2; bad != (err != nil) {
					t.Errorf("write %d: got %v", i, err)
				}
			})
		}
		wg.Wait()
		for i := range 64 {
			page, err := s.Search(t.Context(), Search{Sight: Sight{Scopes: []Scope{Own}}, Count: 10, Query: &search.Query{
				Types: []string{"Observation"}, Count: -1,
				Where: []search.Clause{{Param: &search.Param{Code: fmt.Sprintf("param-%d", i), Kind: search.Token}, Values: []search.Value{{Text: "x"}}}},
			}})
			want := 3
			if i%4 == 1 || i%4 == 2 {
				want = 0
			}
			if err != nil || len(page.Matches) != want {
				t.Errorf("write %d: got %d resources, %v; want %d", i, len(page.Matches), err, want)
			}
		}
	})
}

func TestWhatWasWrittenIsThereAfterOpeningAgain(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		entries := []search.Entry{{Code: "name", Kind: search.String, Value: search.Value{Text: "smith"}, Exact: "Smith"}}
		want := put(t, s, Put{Key: patient, Body: []byte(`{}`), Entries: entries})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := tryPut(s, Put{Key: patient, Expect: Any}); !errors.Is(err, ErrClosed) {
			t.Errorf("writing after Close: got %v, want ErrClosed", err)
		}
		s = open()
		if got, err := s.Read(t.Context(), patient); err != nil || !cmp.Equal(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
		two := put(t, s, Put{Key: patient, Body: []byte(`{}`), Entries: entries, Expect: 1})
		if two.Seq <= want.Seq || two.Updated.Before(want.Updated) {
			t.Errorf("got %+v after %+v", two, want)
		}
	})
}

func TestTheFileIsEncrypted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	secret := []byte("canary-7d1f2b90c4")
	s, err := OpenSQLite(t.Context(), path, [32]byte{7}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, Put{Key: Key{Type: "Patient", ID: string(secret)}, Body: bytes.Repeat(secret, 1000), Entries: []search.Entry{{Code: "name", Kind: search.String, Value: search.Value{Text: string(secret)}, Exact: string(secret)}}})
	look := func() {
		files, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(filepath.Dir(path), f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > 0 && (bytes.Contains(b, secret) || bytes.Contains(b, []byte("SQLite format"))) {
				t.Errorf("%s holds plaintext", f.Name())
			}
		}
	}
	look()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	look()
	if s, err := OpenSQLite(t.Context(), path, [32]byte{8}, Options{}); !errors.Is(err, ErrKey) {
		t.Errorf("another key: got %v, %v; want ErrKey", s, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(bytes.Repeat([]byte{0xaa}, 4096), b[4096:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := OpenSQLite(t.Context(), path, [32]byte{7}, Options{}); !errors.Is(err, ErrKey) {
		t.Errorf("a damaged file: got %v, %v; want ErrKey", s, err)
	}
}

func TestAScopeEndsWithAllThatIsInIt(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		name := func(v string) []search.Entry {
			return []search.Entry{{Code: "name", Kind: search.String, Value: search.Value{Text: v}, Exact: v}}
		}
		put(t, s, Put{Key: patient, Body: []byte(`"own"`), Entries: name("smith")})
		scope := s.NewScope()
		there := patient
		there.Scope = scope
		put(t, s, Put{Key: there, Body: []byte(`"theirs"`), Entries: name("smith"), VID: 7, Updated: time.Unix(1000, 0)})
		put(t, s, Put{Key: there, Body: []byte(`"theirs again"`), Entries: name("smith"), Expect: Any})
		find := func(scopes ...Scope) int {
			p, err := s.Search(t.Context(), Search{Sight: Sight{Scopes: scopes}, Count: 10, Query: &search.Query{
				Types: []string{"Patient"}, Count: -1, Total: search.TotalAccurate,
				Where: []search.Clause{{Param: &search.Param{Code: "name", Kind: search.String}, Values: []search.Value{{Text: "sm"}}}},
			}})
			if err != nil || int(p.Total) != len(p.Matches) {
				t.Fatalf("got %d of %d, %v", len(p.Matches), p.Total, err)
			}
			return len(p.Matches)
		}
		if own, both, none := find(Own), find(Own, scope), find(); own != 1 || both != 2 || none != 0 {
			t.Errorf("got %d own, %d with the session's, %d without a scope; want 1, 2, 0", own, both, none)
		}
		if err := s.EndScope(t.Context(), Own); !errors.Is(err, ErrScope) {
			t.Errorf("ending Own: got %v", err)
		}
		for range 2 {
			if err := s.EndScope(t.Context(), scope); err != nil {
				t.Fatal(err)
			}
		}
		if got := find(Own, scope); got != 1 {
			t.Errorf("after its end: got %d, want the own one", got)
		}
		if _, err := s.Read(t.Context(), there); !errors.Is(err, ErrNotFound) {
			t.Errorf("after its end: got %v, want ErrNotFound", err)
		}
		var left int
		if err := s.db.QueryRowContext(context.Background(), `SELECT (SELECT COUNT(*) FROM idx_text) + (SELECT COUNT(*) FROM version)`).Scan(&left); err != nil || left != 1 {
			t.Errorf("%d rows are left, %v; want one index entry", left, err)
		}
		other := s.NewScope()
		if other == scope {
			t.Error("a scope was given out twice")
		}
		there.Scope = other
		put(t, s, Put{Key: there, Body: []byte(`{}`)})
		if err := s.EndScopes(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(t.Context(), there); !errors.Is(err, ErrNotFound) {
			t.Errorf("after the end of all: got %v, want ErrNotFound", err)
		}
	})
}
