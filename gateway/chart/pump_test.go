package chart

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"salus/store"
	"salus/store/storetest"
)

// While many versions wait, few compartments go, together, so that versions share a batch and batches a block; as many as
// somebody waits for go at once. When nobody writes any more there is nothing to gather, and when writes have come
// faster for long than the ledger takes them, they wait for it.
func TestFewCompartmentsGoWhileManyVersionsWait(t *testing.T) {
	now := time.Now()
	for _, x := range []struct{ versions, awaited, want, soon, calm int }{
		{0, 0, usual, usual, usual},
		{crowd - 1, 0, fewest, fewest, usual},
		{crowd, 0, fewest, 0, usual},
		{long - 1, 0, fewest, 0, usual},
		{long, 0, most, most, most},
		{64, 64, 64, 64, 64},
		{crowd, 64, 64, 64, 64},
		{long - 1, 1, fewest, 1, usual},
		{window, window, most, most, most},
	} {
		p := &pump{came: now, began: now.Add(-lull), road: make([]int64, x.versions), waits: map[int64][]chan struct{}{}}
		for i := range x.awaited {
			p.waits[int64(i)] = nil
		}
		got := []int{p.places(now)}
		p.began = now
		got = append(got, p.places(now))
		p.came = now.Add(-time.Minute)
		got = append(got, p.places(now))
		if want := []int{x.want, x.soon, x.calm}; !slices.Equal(got, want) {
			t.Errorf("%d versions, %d awaited: got %d places, soon after others, and when nobody writes; want %d", x.versions, x.awaited, got, want)
		}
	}
}

// A version is waiting from its commit until the records have it, whoever has read it meanwhile; what this room writes
// and what sessions opened never is.
func TestAVersionWaitsUntilItIsARecord(t *testing.T) {
	st := storetest.Open(t, store.Options{})
	write := func(id, owner, record string, scope store.Scope) {
		t.Helper()
		if err := st.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Put(store.Put{Key: store.Key{Scope: scope, Type: "Observation", ID: id}, Owner: owner, Record: record, Expect: store.Any})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	s := &Service{Config: Config{Store: st}}
	var err error
	if s.pump, err = newPump(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	s.pump.busy = most // nobody hands anything on but this test
	waits := func(what string, want int) {
		t.Helper()
		if got, err := s.Waiting(t.Context()); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", what, got, err, want)
		}
	}
	take := func() {
		t.Helper()
		if _, err := s.pump.take(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	waits("nothing is written", 0)
	for i := range 3 {
		write(fmt.Sprint("o", i), "Patient/a", "", store.Own)
	}
	write("o0", "Patient/a", "", store.Own) // its second version
	write("p", "Patient/b", "", store.Own)
	write("anchored", "Patient/a", derived, store.Own)
	write("another's", "Patient/a", "", st.NewScope())
	waits("nobody has read them", 5)
	take()
	waits("the pump has read them", 5)
	q := s.pump.queues["Patient/a"]
	s.pump.handed("Patient/a", 3)
	waits("three are records", 2)
	write("o9", "Patient/a", "", store.Own)
	waits("another is written", 3)
	take()
	s.pump.handed("Patient/a", 3) // again, after a failure
	waits("the pump has read it", 3)
	s.pump.carried("Patient/a", q, 3)
	waits("three are active", 3)
	s.pump.handed("Patient/a", 2)
	s.pump.handed("Patient/b", 1)
	waits("all are records", 0)
	if n, err := Behind(t.Context(), st); err != nil || n != 6 {
		t.Errorf("got %d, %v; want all, because the pump has noted nothing", n, err)
	}
	s.pump.carried("Patient/a", q, 2)
	s.pump.carried("Patient/b", s.pump.queues["Patient/b"], 1)
	waits("all are active", 0)
	if err := s.pump.writeMark(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := Behind(t.Context(), st); err != nil || n != 0 {
		t.Errorf("got %d, %v; want none", n, err)
	}
}
