package store

import (
	"bytes"
	"errors"
	"testing"

	"salus/fhir/search"
)

func TestErasedVersionsAreGone(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		k := Key{Type: "Observation", ID: "a"}
		write := func(key Key, body, owner, record string) {
			t.Helper()
			if err := s.Write(t.Context(), func(tx *Tx) error {
				_, err := tx.Put(Put{Key: key, Body: []byte(body), Owner: owner, Record: record, Expect: Any, Entries: []search.Entry{}})
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		scope := s.NewScope()
		write(k, `{"v":1}`, "Patient/x", "")
		write(k, `{"v":2}`, "Patient/x", "")
		write(k, `{"v":3}`, "Patient/x", "")
		write(Key{Type: "Observation", ID: "b"}, `{"b":1}`, "Patient/x", "")
		write(Key{Type: "Observation", ID: "c"}, `{"c":1}`, "Patient/y", "")
		write(Key{Scope: scope, Type: "Observation", ID: "d"}, `{"d":1}`, "Patient/z", "batch one")
		write(Key{Scope: scope, Type: "Observation", ID: "e"}, `{"e":1}`, "Patient/z", "batch two")
		erase := func(e Erasure) {
			t.Helper()
			for range 2 { // repeated, it changes nothing
				if err := s.Erase(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
		}
		read := func(vid int64, want error, body string) {
			t.Helper()
			v, err := s.ReadVersion(t.Context(), k, vid)
			if !errors.Is(err, want) || (err == nil) != (want == nil) || !bytes.Equal(v.Body, []byte(body)) && body != "" || want != nil && v.Body != nil {
				t.Errorf("version %d: got %q, %v; want %q, %v", vid, v.Body, err, body, want)
			}
		}
		erase(Erasure{Versions: []Named{{"Observation", "a", 2}, {"Observation", "a", 9}, {"Observation", "none", 1}}})
		read(1, nil, `{"v":1}`)
		read(2, ErrGone, "")
		read(3, nil, `{"v":3}`)
		left := func(want int, e Erasure) {
			t.Helper()
			if n, err := s.Left(t.Context(), e); err != nil || n != want {
				t.Errorf("of %+v there are %d left, %v; want %d", e, n, err, want)
			}
		}
		third := Erasure{Versions: []Named{{"Observation", "a", 3}}}
		left(1, third)
		erase(third)
		left(0, third)
		read(3, ErrGone, "")
		read(1, nil, `{"v":1}`)
		if _, err := s.Read(t.Context(), k); !errors.Is(err, ErrGone) {
			t.Errorf("got %v, want %v", err, ErrGone)
		}
		erase(Erasure{Records: []string{"batch one"}})
		if _, err := s.Read(t.Context(), Key{Scope: scope, Type: "Observation", ID: "d"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("what a session opened: got %v, want %v", err, ErrNotFound)
		}
		if _, err := s.Read(t.Context(), Key{Scope: scope, Type: "Observation", ID: "e"}); err != nil {
			t.Error(err)
		}
		left(2, Erasure{Owners: []string{"Patient/x"}}) // what is current of b, and the first version of a
		erase(Erasure{Owners: []string{"Patient/x", "", "Patient/none"}})
		left(0, Erasure{Owners: []string{"Patient/x"}, Versions: third.Versions})
		read(1, ErrGone, "")
		if _, err := s.Read(t.Context(), Key{Type: "Observation", ID: "b"}); !errors.Is(err, ErrGone) {
			t.Errorf("got %v, want %v", err, ErrGone)
		}
		if _, err := s.Read(t.Context(), Key{Type: "Observation", ID: "c"}); err != nil {
			t.Error(err)
		}
		l, _, err := s.History(t.Context(), Past{Type: "Observation", Scopes: []Scope{Own}, Count: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range l {
			if v.Body != nil && v.ID != "c" {
				t.Errorf("the history still says what %s was", v.ID)
			}
		}
	})
}
