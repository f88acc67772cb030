package balp

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// heads of a journal after each event, as others keep them.
func kept(t *testing.T, j *Journal, from, to int) (out []Head) {
	t.Helper()
	for n := from; n < to; n++ {
		appendAll(t, j, n, n+1)
		out = append(out, j.Head())
	}
	return out
}

func verified(t *testing.T, j *Journal, heads []Head) Verdict {
	t.Helper()
	v, err := j.Verify(heads)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAnHonestJournalVerifies(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	heads := kept(t, j, 0, 20)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, dir)
	heads = append(heads, kept(t, j, 20, 23)...)
	v := verified(t, j, heads)
	if len(v.Faults) != 0 || v.Events != 23 || v.First != 1 || v.Head != heads[22] {
		t.Errorf("got %+v, want 23 events without a fault", v)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// An operator with the key writes the journal anew without one of its events: it opens, and its numbers
// have no gap. The heads that others keep tell.
func TestAnEventThatIsLeftOutIsFound(t *testing.T) {
	j := openJournal(t, t.TempDir())
	heads := kept(t, j, 0, 10)
	for left := range 10 {
		other := openJournal(t, t.TempDir())
		for n := range 10 {
			if n != left {
				appendAll(t, other, n, n+1)
			}
		}
		for _, one := range [][]Head{heads, {heads[9]}, {heads[left]}} {
			v := verified(t, other, one)
			if len(v.Faults) == 0 {
				t.Errorf("event %d is left out and nobody noticed", left+1)
			}
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestEventsTakenOffTheEndAreFound(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	heads := kept(t, j, 0, 5)
	files, err := segments(dir)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	size := j.size
	heads = append(heads, kept(t, j, 5, 8)...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files[0], size); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, dir)
	if v := verified(t, j, heads); len(v.Faults) != 3 || v.Events != 5 {
		t.Errorf("got %+v, want a fault for each of the 3 heads that are gone", v)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAByteThatFlipsUnderARunningNodeIsFound(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	heads := kept(t, j, 0, 5)
	f := filepath.Join(dir, segmentName(1))
	b, err := os.ReadFile(f)
	if err != nil {
		t.Fatal(err)
	}
	b[headerSize+frameHead+20] ^= 1
	if err := os.WriteFile(f, b, 0o600); err != nil {
		t.Fatal(err)
	}
	v := verified(t, j, heads)
	if !slices.ContainsFunc(v.Faults, func(s string) bool { return strings.Contains(s, "event 1 ") }) {
		t.Errorf("got %+v, want event 1 as a fault", v)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// What was pruned cannot be compared any more; what is kept is still bound to it.
func TestAPrunedJournalVerifiesFromItsFirstEvent(t *testing.T) {
	j := openJournal(t, t.TempDir())
	heads := kept(t, j, 0, 4)
	j.mu.Lock()
	j.size = segmentSize // the next event begins a file
	begun, err := j.files[0].Stat()
	j.mu.Unlock()
	if err != nil || begun.Size() == 0 {
		t.Fatal(err)
	}
	heads = append(heads, kept(t, j, 4, 8)...)
	if n, err := j.Prune(at.Add(time.Hour)); err != nil || n != 4 {
		t.Fatalf("got %d pruned, %v; want 4", n, err)
	}
	if v := verified(t, j, heads); len(v.Faults) != 0 || v.First != 5 || v.Events != 4 {
		t.Errorf("got %+v, want events 5 to 8 without a fault", v)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}
