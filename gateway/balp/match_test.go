package balp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"salus/ledger/tx"
)

func transfer(n int) Transfer { return Transfer{tx.Hash{1}, tx.Hash{byte(n + 1), byte(n >> 8)}} }

// unmatched says of each unmatched transfer which it is, and why.
func unmatched(m *Matching, before time.Time) (out []string) {
	for _, u := range m.Unmatched(before) {
		out = append(out, fmt.Sprint(u.What, " ", u.List[0]-1))
	}
	return out
}

// TestWhatIsSentAndWhatIsGotMatch is A-06.
func TestWhatIsSentAndWhatIsGotMatch(t *testing.T) {
	m := NewMatching(at)
	minute := func(n int) time.Time { return at.Add(time.Duration(n) * time.Minute) }
	sent := func(n, minutes int) { m.Sent(transfer(n), minute(minutes), uint64(n)) }
	got := func(n, minutes int) {
		m.Received(Arrival{Transfer: transfer(n), At: minute(minutes), Seq: uint64(n), Came: true})
	}
	failed := func(n, minutes int) { m.Received(Arrival{Transfer: transfer(n), At: minute(minutes), Seq: uint64(n)}) }

	sent(0, 1)
	got(0, 2)
	got(1, 2) // the journal is read first
	sent(1, 1)
	sent(2, 3)
	got(3, 4)
	sent(4, 59) // it may still come
	got(5, 59)
	sent(6, 5) // it was told that this one failed
	failed(6, 6)
	failed(7, 6) // nobody knows whether the ledger has it
	failed(8, 6)
	sent(8, 5)
	sent(9, -5) // before the beginning: only its other side is of interest
	sent(10, -5)
	got(10, 0)
	sent(11, 7) // the same list again, which nobody asked for here
	got(11, 8)
	sent(11, 9)
	if got, want := unmatched(m, minute(50)), []string{"not received 2", "not sent 3", "not received 11"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got(2, 55)
	sent(3, 55)
	if got, want := unmatched(m, minute(70)), []string{"not received 11", "not received 4", "not sent 5"}; !slices.Equal(got, want) {
		t.Errorf("later: got %q, want %q", got, want)
	}
}

// Whatever order both sides come in, what only one of them tells is found, and nothing else.
func TestMatchingDoesNotDependOnTheOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const sentHere, gotHere, failedHere = 1, 2, 4
		sides := rapid.SliceOfN(rapid.SampledFrom([]int{sentHere, gotHere, failedHere, sentHere | gotHere, sentHere | failedHere}), 0, 20).Draw(rt, "sides")
		type told struct{ n, side int }
		var all []told
		var want []string
		for n, s := range sides {
			for _, side := range []int{sentHere, gotHere, failedHere} {
				if s&side != 0 {
					all = append(all, told{n, side})
				}
			}
			switch s {
			case sentHere:
				want = append(want, fmt.Sprint(NotReceived, " ", n))
			case gotHere:
				want = append(want, fmt.Sprint(NotSent, " ", n))
			}
		}
		m := NewMatching(at)
		for _, x := range rapid.Permutation(all).Draw(rt, "order") {
			when := at.Add(time.Duration(x.n) * time.Second)
			if x.side == sentHere {
				m.Sent(transfer(x.n), when, uint64(x.n))
			} else {
				m.Received(Arrival{Transfer: transfer(x.n), At: when, Came: x.side == gotHere})
			}
		}
		if got := unmatched(m, at.Add(time.Hour)); !slices.Equal(got, want) {
			rt.Fatalf("got %q, want %q", got, want)
		}
	})
}

// The journal says what came of lists after a restart and after it was pruned, and of nothing else.
func TestArrivalsOfTheJournal(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	record := func(kind Kind, list int, o Outcome, day int) {
		e := wholeEvent(kind)
		e.Session, e.List, e.Outcome, e.Time = tx.Hash{1}, transfer(list).List, o, at.AddDate(0, 0, day)
		if _, err := j.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	record(Receive, 0, Success, 0)
	record(Disclose, 1, Success, 0)
	record(Receive, 2, Major, 1)
	plain := wholeEvent(Receive) // of no list
	if _, err := j.Append(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	record(Receive, 3, Success, 60) // in a file of its own
	check := func(what string, after uint64, want ...uint64) {
		t.Helper()
		var got []uint64
		for _, a := range j.Arrivals(after) {
			got = append(got, a.Seq)
			if a.Came == (a.Seq == 3) || a.Session != (tx.Hash{1}) || a.List != transfer(int(a.Seq)-1-int(a.Seq)/5).List {
				t.Errorf("%s: got %+v", what, a)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got events %d, want %d", what, got, want)
		}
	}
	check("written", 0, 1, 3, 5)
	check("after the first", 1, 3, 5)
	check("after the last", 5)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, dir)
	defer j.Close()
	check("read again", 0, 1, 3, 5)
	if n, err := j.Prune(at.AddDate(0, 0, 30), 4); n != 4 || err != nil {
		t.Fatalf("pruned %d: %v", n, err)
	}
	check("pruned", 0, 5)
}
