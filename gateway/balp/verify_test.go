package balp

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// kept are the heads of a journal after each event, as others keep them.
func kept(t *testing.T, j *Journal, from, to int) (out []Head) {
	t.Helper()
	for n := from; n < to; n++ {
		appendAll(t, j, n, n+1)
		out = append(out, j.Head())
	}
	return out
}

// newest yields heads, the newest first, each kept when its event happened.
func newest(heads []Head) iter.Seq2[Anchored, error] {
	return func(yield func(Anchored, error) bool) {
		for _, h := range slices.Backward(heads) {
			if !yield(Anchored{h, event(int(h.Seq) - 1).Time}, nil) {
				return
			}
		}
	}
}

func verified(t *testing.T, j *Journal, heads []Head) Verdict {
	t.Helper()
	v, err := j.Verify(t.Context(), newest(heads), time.Time{}, context.Context.Err)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// faults compares what a journal's comparison found.
func faults(t *testing.T, v Verdict, want ...Fault) {
	t.Helper()
	if d := cmp.Diff(want, v.Faults); d != "" {
		t.Error(d)
	}
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
	if len(v.Faults) != 0 || v.Events != 23 || v.First != 1 || v.Head != heads[22] || v.Heads != 23 {
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
	whole, err := os.ReadFile(j.files[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	for left := range 10 {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), whole[:j.rows[left].offset], 0o600); err != nil {
			t.Fatal(err)
		}
		other := openJournal(t, dir)
		appendAll(t, other, left+1, 10)
		for i, one := range [][]Head{heads, {heads[9]}, {heads[left]}} {
			v := verified(t, other, one)
			if len(v.Faults) != 1 || v.Faults[0].From > uint64(left)+1 || v.Faults[0].Through < uint64(left)+1 || i == 0 && v.Faults[0].Through > uint64(left)+1 {
				t.Errorf("event %d is left out: got %+v", left+1, v.Faults)
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
	v := verified(t, j, heads)
	faults(t, v, Fault{Missing, 6, 8, 3})
	if v.Events != 5 {
		t.Errorf("got %d events, want 5", v.Events)
	}
	// What is written afterwards fits its own heads, and hides nothing.
	heads = append(heads, kept(t, j, 5, 10)[4])
	faults(t, verified(t, j, heads), Fault{Altered, 6, 6, 3})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, t.TempDir()) // and nothing is left
	faults(t, verified(t, j, heads[:8]), Fault{Missing, 1, 8, 8})
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
	faults(t, v, Fault{Altered, 1, 1, 0})
	if v.Events != 4 || strings.Contains(v.Faults[0].String(), "Patient") {
		t.Errorf("got %+v, want the 4 others read", v)
	}
	if err := os.Truncate(f, int64(len(b))-1); err != nil {
		t.Fatal(err)
	}
	faults(t, verified(t, j, heads), Fault{Altered, 1, 1, 0}, Fault{Altered, 5, 5, 0})
	if err := os.Remove(f); err != nil {
		t.Fatal(err)
	}
	faults(t, verified(t, j, heads), Fault{Missing, 1, 5, 0})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// An operator with the key seals another event into the place of one, of the same length, under the node that has the journal open.
func TestAnEventThatIsSealedAnewUnderARunningNodeIsFound(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	heads := kept(t, j, 0, 5)
	b, err := frameAt(j.files[0], j.rows[2].offset)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := opened(j.aead, heads[1], b)
	if err != nil {
		t.Fatal(err)
	}
	plain = bytes.Replace(plain, []byte("request 2"), []byte("REQUEST 2"), 1)
	if _, err := j.files[0].WriteAt(frame(j.aead, nil, heads[1], plain), j.rows[2].offset); err != nil {
		t.Fatal(err)
	}
	if s, _, err := j.Read(3); err != nil || s.Request != "REQUEST 2" {
		t.Fatalf("got %q, %v: the forgery does not open", s.Request, err)
	}
	faults(t, verified(t, j, heads), Fault{Altered, 3, 3, 0})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(dir, sealKey); !errors.Is(err, ErrDamaged) { // what follows was sealed behind the true one
		t.Errorf("got %v, want %v", err, ErrDamaged)
	}
}

func TestManyFaultsAreListedInBoundedSpace(t *testing.T) {
	j := openJournal(t, t.TempDir())
	heads := kept(t, j, 0, 3*maxFaults)
	for i := 0; i < len(j.rows); i += 2 {
		var b [1]byte
		at := j.rows[i].offset + frameHead + 20
		if _, err := j.files[0].ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 1
		if _, err := j.files[0].WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
	}
	v := verified(t, j, heads)
	if n := len(v.Faults); n != maxFaults || v.Faults[0].Through != 1 || v.Faults[n-1].Through != 3*maxFaults-1 {
		t.Errorf("got %d faults, the last %+v", n, v.Faults[n-1])
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAComparisonThatCannotGoOnSaysSo(t *testing.T) {
	j := openJournal(t, t.TempDir())
	heads := kept(t, j, 0, turn+1)
	broken := errors.New("the ledger cannot be read")
	_, err := j.Verify(t.Context(), func(yield func(Anchored, error) bool) { yield(Anchored{}, broken) }, time.Time{}, context.Context.Err)
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	for _, heads := range [][]Head{heads, nil} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := j.Verify(ctx, newest(heads), time.Time{}, context.Context.Err); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// What was pruned cannot be compared any more; what is kept is still bound to it.
func TestAPrunedJournalVerifiesFromItsFirstEvent(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	heads := kept(t, j, 0, 4)
	j.mu.Lock()
	j.size = segmentSize // the next event begins a file
	j.mu.Unlock()
	heads = append(heads, kept(t, j, 4, 8)...)
	if n, err := j.Prune(at.Add(time.Hour), 3); err != nil || n != 0 {
		t.Fatalf("got %d pruned, %v; want none before the whole file is on the ledger", n, err)
	}
	if n, err := j.Prune(event(3).Time, 4); err != nil || n != 0 {
		t.Fatalf("got %d pruned, %v; want none of a file that is not old enough", n, err)
	}
	if n, err := j.Prune(at.Add(time.Hour), 4); err != nil || n != 4 {
		t.Fatalf("got %d pruned, %v; want 4", n, err)
	}
	for range 2 {
		v, err := j.Verify(t.Context(), newest(heads), event(4).Time, context.Context.Err)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Faults) != 0 || v.First != 5 || v.Events != 4 {
			t.Errorf("got %+v, want events 5 to 8 without a fault", v)
		}
		// What is too young to be pruned was taken.
		if v, err = j.Verify(t.Context(), newest(heads), event(2).Time, context.Context.Err); err != nil {
			t.Fatal(err)
		}
		faults(t, v, Fault{Missing, 3, 4, 0})
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = openJournal(t, dir)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAFileBeginsWhenTheLastOneIsOld(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	for day := range 100 {
		e := event(0)
		e.Time = at.AddDate(0, 0, day)
		if _, err := j.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if day%10 == 5 {
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			j = openJournal(t, dir)
		}
	}
	if len(j.files) != 4 {
		t.Errorf("got %d files over 100 days, want 4", len(j.files))
	}
	e := event(0)
	e.Time = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	for range 3 { // a clock that is far off makes one file, and what comes after it none
		if _, err := j.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(t.Context(), event(1)); err != nil {
			t.Fatal(err)
		}
	}
	if len(j.files) != 5 {
		t.Errorf("got %d files, want 5", len(j.files))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}
