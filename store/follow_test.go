package store

import (
	"math"
	"testing"
	"time"
)

func TestAFollowerMissesNothing(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		changed := s.Changed()
		scope := s.NewScope()
		one := put(t, s, Put{Key: patient, Body: []byte(`1`)})
		put(t, s, Put{Key: Key{Scope: scope, Type: "Patient", ID: "theirs"}, Body: []byte(`"not followed"`)})
		two := put(t, s, Put{Key: patient, Body: []byte(`2`), Expect: 1})
		var gone Version
		if err := s.Write(t.Context(), func(tx *Tx) (err error) {
			gone, err = tx.Delete(Put{Key: patient, Expect: Any})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatal("nobody was told of the commits")
		}
		follow := func(after int64, count int) (seqs []int64) {
			vs, err := s.After(t.Context(), after, count)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range vs {
				seqs = append(seqs, v.Seq)
			}
			return seqs
		}
		if got := follow(0, 10); len(got) != 3 || got[0] != one.Seq || got[1] != two.Seq || got[2] != gone.Seq {
			t.Errorf("got %v, want %d, %d and %d", got, one.Seq, two.Seq, gone.Seq)
		}
		if got := follow(one.Seq, 1); len(got) != 1 || got[0] != two.Seq {
			t.Errorf("one after the first: got %v, want %d", got, two.Seq)
		}
		if got := follow(gone.Seq, 10); len(got) != 0 {
			t.Errorf("after the last: got %v, want none", got)
		}
	})
}

func TestWhatIsBeyondAVersionIsCounted(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		one := put(t, s, Put{Key: patient, Body: []byte(`1`)})
		put(t, s, Put{Key: Key{Scope: s.NewScope(), Type: "Patient", ID: "theirs"}, Body: []byte(`"not counted"`)})
		put(t, s, Put{Key: patient, Body: []byte(`2`), Expect: 1})
		put(t, s, Put{Key: patient, Body: []byte(`3`), Expect: 2})
		put(t, s, Put{Key: Key{Type: "Patient", ID: "p2"}, Body: []byte(`1`), Record: "made"})
		four := put(t, s, Put{Key: Key{Type: "Patient", ID: "p3"}, Body: []byte(`1`)})
		for _, x := range []struct {
			after      int64
			record     string
			most, want int
		}{{0, "made", math.MaxInt, 4}, {0, "", math.MaxInt, 1}, {0, "none", math.MaxInt, 5}, {one.Seq, "made", math.MaxInt, 3}, {four.Seq, "made", math.MaxInt, 0}, {0, "made", 1, 2}} {
			if got, err := s.Beyond(t.Context(), x.after, x.record, x.most); err != nil || got != x.want {
				t.Errorf("%+v: got %d, %v", x, got, err)
			}
		}
	})
}

func TestAMarkIsAsDurableAsAWrite(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		want := func(s *Store, name string, want int64) {
			t.Helper()
			if got, err := s.Mark(t.Context(), name); err != nil || got != want {
				t.Errorf("got %d, %v; want %d", got, err, want)
			}
		}
		want(s, "pump", 0)
		for _, n := range []int64{7, 1 << 40} {
			if err := s.Write(t.Context(), func(tx *Tx) error { return tx.SetMark("pump", n) }); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Write(t.Context(), func(tx *Tx) error {
			_ = tx.SetMark("pump", 9)
			return ErrConflict
		}); err == nil {
			t.Error("a write that failed did not say so")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again := open()
		want(again, "pump", 1<<40)
		want(again, "other", 0)
	})
}
