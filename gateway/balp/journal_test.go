package balp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var sealKey = [32]byte{1, 2, 3}

func openJournal(t testing.TB, dir string) *Journal {
	t.Helper()
	j, err := OpenJournal(dir, sealKey)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func event(n int) Event {
	e := wholeEvent(Read)
	e.Time = at.Add(time.Duration(n) * time.Second)
	e.Request = fmt.Sprint("request ", n)
	e.Patient = Who{Reference: fmt.Sprint("Patient/", n%3)}
	return e
}

func appendAll(t testing.TB, j *Journal, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if _, err := j.Append(t.Context(), event(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// requests lists what is in a journal, the oldest first.
func requests(t testing.TB, j *Journal, patient string) (out []string) {
	t.Helper()
	if err := j.Scan(patient, time.Time{}, time.Time{}, func(s Stored) bool { out = append(out, s.Request); return true }); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(out)
	return out
}

func TestWhatIsAcknowledgedIsThereAfterOpeningAgain(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, 0, 10)
	head := j.Head()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), event(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
	j = openJournal(t, dir)
	defer j.Close()
	if got := j.Head(); got != head || got.Seq != 10 || !j.Includes(head) {
		t.Errorf("got head %v, want %v", got, head)
	}
	appendAll(t, j, 10, 12)
	if got := requests(t, j, ""); len(got) != 12 || got[11] != "request 11" {
		t.Errorf("got %v", got)
	}
	if got := requests(t, j, "Patient/1"); !slices.Equal(got, []string{"request 1", "request 4", "request 7", "request 10"}) {
		t.Errorf("got %v", got)
	}
	s, ok, err := j.Read(3)
	if err != nil || !ok || s.Seq != 3 {
		t.Errorf("got %v, %v, %v", s.Seq, ok, err)
	}
	if diff := cmp.Diff(event(2), s.Event); diff != "" {
		t.Errorf("an event came back changed:\n%s", diff)
	}
	if _, ok, _ := j.Read(13); ok {
		t.Error("an event that never was")
	}
	if !j.Includes(head) || j.Includes(Head{Seq: 10, Hash: [32]byte{1}}) || j.Includes(Head{Seq: 99}) {
		t.Error("heads are not told apart")
	}
}

func TestEventsOfManyCallersAreAllKept(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for n := range 20 {
				if _, err := j.Append(t.Context(), event(c*20+n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, dir)
	defer j.Close()
	got := requests(t, j, "")
	slices.Sort(got)
	if got = slices.Compact(got); len(got) != 160 {
		t.Errorf("got %d events, want 160", len(got))
	}
}

// Callers append until the journal is closed under them: what was acknowledged is there, and no more is taken.
func TestCloseKeepsWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	var begun, ended sync.WaitGroup
	last := make([]uint64, 8)
	for c := range last {
		begun.Add(1)
		ended.Go(func() {
			for n := 0; ; n++ {
				seq, err := j.Append(t.Context(), event(n))
				if n == 0 {
					begun.Done()
				}
				if err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Errorf("got %v, want %v", err, ErrClosed)
					}
					return
				}
				last[c] = seq
			}
		})
	}
	begun.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	ended.Wait()
	if _, err := j.Append(t.Context(), event(0)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
	j = openJournal(t, dir)
	defer j.Close()
	if got, want := j.Head().Seq, slices.Max(last); got != want {
		t.Errorf("got %d events, want the %d that were acknowledged", got, want)
	}
}

// file reads the one file of a journal, and puts another in its place.
func file(t testing.TB, dir string) (name string, b []byte) {
	names, err := segments(dir)
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	b, err = os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	return names[0], b
}

// TestWhatIsTakenOutIsEvident changes a closed journal in every way.
func TestWhatIsTakenOutIsEvident(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, 0, 5)
	end := j.Head()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	name, b := file(t, dir)
	var frames [][]byte
	for rest := b[headerSize:]; len(rest) > 0; {
		n, err := whole(rest)
		if err != nil || n == 0 {
			t.Fatal(err)
		}
		frames, rest = append(frames, rest[:n]), rest[n:]
	}
	join := func(f ...[]byte) []byte { return append(slices.Clone(b[:headerSize]), bytes.Join(f, nil)...) }
	flip := slices.Clone(b)
	flip[len(b)/2] ^= 1
	for what, changed := range map[string][]byte{
		"the first taken out": join(frames[1], frames[2], frames[3], frames[4]),
		"one taken out":       join(frames[0], frames[1], frames[3], frames[4]),
		"two exchanged":       join(frames[0], frames[2], frames[1], frames[3], frames[4]),
		"one twice":           join(frames[0], frames[1], frames[1], frames[2], frames[3], frames[4]),
		"a bit flipped":       flip,
		"another header":      append(header(Head{Seq: 1}), b[headerSize:]...),
	} {
		if err := os.WriteFile(name, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenJournal(dir, sealKey); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrKey) {
			t.Errorf("%s: got %v, want %v", what, err, ErrDamaged)
		}
	}
	// What is taken off the end is evident to who kept the head.
	if err := os.WriteFile(name, join(frames[:4]...), 0o600); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, dir)
	if j.Includes(end) {
		t.Error("the end is gone and nobody sees it")
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(dir, [32]byte{9}); !errors.Is(err, ErrKey) {
		t.Errorf("got %v, want %v", err, ErrKey)
	}
	if bytes.Contains(b, []byte("Patient/")) || bytes.Contains(b, []byte("request")) {
		t.Error("the journal is readable at rest")
	}
}

// TestACrashCostsNothingThatWasAcknowledged cuts the file at every byte after the last acknowledgement.
func TestACrashCostsNothingThatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, 0, 3)
	_, acknowledged := file(t, dir)
	appendAll(t, j, 3, 4)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	name, b := file(t, dir)
	for n := len(acknowledged); n < len(b); n += 7 {
		if err := os.WriteFile(name, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		j := openJournal(t, dir)
		if got := requests(t, j, ""); len(got) != 3 {
			t.Fatalf("cut at %d: got %d events, want 3", n, len(got))
		}
		appendAll(t, j, 3, 4)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{0, 10, headerSize} { // a file that was only begun
		if err := os.WriteFile(name, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		j := openJournal(t, dir)
		appendAll(t, j, 0, 1)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnOperatorCutsATornEndAndKeepsIt: what does not open is never dropped in silence.
func TestAnOperatorCutsATornEndAndKeepsIt(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, 0, 3)
	_, three := file(t, dir)
	appendAll(t, j, 3, 5)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := Salvage(dir, sealKey); n != 0 || err != nil {
		t.Errorf("a sound journal: got %d, %v", n, err)
	}
	name, b := file(t, dir)
	torn := slices.Clone(b)
	clear(torn[len(three)+40 : len(three)+90]) // pages that never reached the disk
	if err := os.WriteFile(name, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(dir, sealKey); !errors.Is(err, ErrDamaged) {
		t.Fatalf("got %v, want %v", err, ErrDamaged)
	}
	n, err := Salvage(dir, sealKey)
	if err != nil || n != len(b)-len(three) {
		t.Fatalf("got %d, %v, want %d", n, err, len(b)-len(three))
	}
	if cut, err := os.ReadFile(name + ".cut"); err != nil || !bytes.Equal(cut, torn[len(three):]) {
		t.Errorf("what was cut is not kept: %v", err)
	}
	j = openJournal(t, dir)
	appendAll(t, j, 3, 4)
	if got := requests(t, j, ""); len(got) != 4 {
		t.Errorf("got %d events, want 4", len(got))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append(slices.Clone(three), make([]byte, 500)...), 0o600); err != nil { // zeros alone
		t.Fatal(err)
	}
	j = openJournal(t, dir)
	defer j.Close()
	if got := requests(t, j, ""); len(got) != 3 {
		t.Errorf("got %d events, want 3", len(got))
	}
}

func TestAWriteThatFailsAcknowledgesNothing(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, 0, 1)
	if err := j.files[0].Close(); err != nil { // the disk is gone
		t.Fatal(err)
	}
	for range 2 {
		if _, err := j.Append(t.Context(), event(1)); err == nil {
			t.Error("acknowledged without a disk")
		}
	}
	if _, err := j.Append(t.Context(), event(1)); !errors.Is(err, ErrFailed) {
		t.Errorf("got %v, want %v", err, ErrFailed)
	}
	_ = j.Close()
	j = openJournal(t, dir)
	defer j.Close()
	if got := requests(t, j, ""); len(got) != 1 {
		t.Errorf("got %d events, want 1", len(got))
	}
	large := event(2)
	large.Query = string(make([]byte, maxFrame))
	if _, err := j.Append(t.Context(), large); !errors.Is(err, ErrLarge) {
		t.Errorf("got %v, want %v", err, ErrLarge)
	}
	appendAll(t, j, 1, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Append(ctx, event(3)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestFilesFollowEachOther begins a file for every event and takes one out.
func TestFilesFollowEachOther(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	for n := range 6 {
		appendAll(t, j, n, n+1)
		j.mu.Lock()
		j.size = max(j.size, segmentSize) // as if it were full
		j.mu.Unlock()
	}
	head := j.Head()
	if got := requests(t, j, ""); len(got) != 6 || len(j.files) != 6 {
		t.Fatalf("got %d events in %d files, want 6 in 6", len(got), len(j.files))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, dir)
	if j.Head() != head {
		t.Error("the head differs after opening again")
	}
	if n, err := j.Prune(event(3).Time, math.MaxUint64); err != nil || n != 3 {
		t.Errorf("got %d, %v, want 3 pruned", n, err)
	}
	if got := requests(t, j, ""); !slices.Equal(got, []string{"request 3", "request 4", "request 5"}) {
		t.Errorf("got %v", got)
	}
	if got := requests(t, j, "Patient/0"); !slices.Equal(got, []string{"request 3"}) {
		t.Errorf("got %v", got)
	}
	if s, ok, err := j.Read(5); !ok || err != nil || s.Request != "request 4" {
		t.Errorf("got %q, %v, %v", s.Request, ok, err)
	}
	appendAll(t, j, 6, 7)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := segments(dir)
	j = openJournal(t, dir)
	if got := requests(t, j, ""); len(got) != 4 || !j.Includes(head) {
		t.Errorf("got %v", got)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(names[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(dir, sealKey); !errors.Is(err, ErrDamaged) {
		t.Errorf("a whole file is taken out: got %v, want %v", err, ErrDamaged)
	}
}

// TestTheJournalAgreesWithAList compares it with a list, over appends, scans and openings.
func TestTheJournalAgreesWithAList(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "journal") //nolint:usetesting // one for each check
		if err != nil {
			rt.Fatal(err)
		}
		j := openJournal(t, dir)
		defer func() { _ = j.Close() }()
		var model []Event
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				e := event(rapid.IntRange(0, 100).Draw(rt, "n"))
				seq, err := j.Append(t.Context(), e)
				if model = append(model, e); err != nil || seq != uint64(len(model)) {
					rt.Fatalf("got %d, %v, want %d", seq, err, len(model))
				}
			case 2:
				if err := j.Close(); err != nil {
					rt.Fatal(err)
				}
				j = openJournal(t, dir)
			case 3:
				from := at.Add(time.Duration(rapid.IntRange(0, 100).Draw(rt, "from")) * time.Second)
				patient := rapid.SampledFrom([]string{"", "Patient/1"}).Draw(rt, "patient")
				var got, want []string
				if err := j.Scan(patient, from, from.Add(30*time.Second), func(s Stored) bool { got = append(got, s.Request); return true }); err != nil {
					rt.Fatal(err)
				}
				for _, e := range slices.Backward(model) {
					if (patient == "" || e.Patient.Reference == patient) && !e.Time.Before(from) && e.Time.Before(from.Add(30*time.Second)) {
						want = append(want, e.Request)
					}
				}
				if !slices.Equal(got, want) {
					rt.Fatalf("got %v, want %v", got, want)
				}
			}
		}
	})
}

func FuzzOpenJournal(f *testing.F) {
	dir := f.TempDir()
	j := openJournal(f, dir)
	appendAll(f, j, 0, 2)
	head := j.Head()
	_ = j.Close()
	_, b := file(f, dir)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := OpenJournal(dir, sealKey)
		if err != nil {
			return
		}
		defer j.Close()
		if got := j.Head(); got.Seq > head.Seq { // nobody makes an event without the key
			t.Errorf("got head %d of made up bytes", got.Seq)
		}
	})
}

// What only looks changes nothing, also not what a crash left.
func TestInspectingChangesNothing(t *testing.T) {
	if j, err := InspectJournal(filepath.Join(t.TempDir(), "none"), sealKey); err != nil || j.Head() != (Head{}) {
		t.Errorf("got %v of a journal that is not there", err)
	} else if err := j.Close(); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, 0, 3)
	head := j.Head()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(dir, segmentName(4))
	for _, x := range []struct {
		what        string
		first, last []byte // of two files; the second may not be there
		events      uint64
		err         error
	}{
		{"a whole one", whole, nil, 3, nil},
		{"an event that was not written to its end", append(bytes.Clone(whole), 0, 0, 1, 0, 7), nil, 3, nil},
		{"space", append(bytes.Clone(whole), make([]byte, 512)...), nil, 3, nil},
		{"a file that was not begun", whole, []byte("sal"), 3, nil},
		{"an event cut short in a file that another follows", whole[:len(whole)-1], header(head), 0, ErrDamaged},
		{"a changed event", append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1), nil, 0, ErrDamaged},
	} {
		if err := os.WriteFile(names[0], x.first, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(next)
		if x.last != nil {
			if err := os.WriteFile(next, x.last, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		j, err := InspectJournal(dir, sealKey)
		if !errors.Is(err, x.err) {
			t.Errorf("%s: got %v, want %v", x.what, err, x.err)
		}
		if err == nil {
			if j.Head().Seq != x.events {
				t.Errorf("%s: got %d events, want %d", x.what, j.Head().Seq, x.events)
			}
			if _, err := j.Append(t.Context(), event(3)); !errors.Is(err, ErrClosed) {
				t.Errorf("%s: got %v, want no event added", x.what, err)
			}
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		}
		if b, err := os.ReadFile(names[0]); err != nil || !bytes.Equal(b, x.first) {
			t.Errorf("%s: the file was changed (%v)", x.what, err)
		}
		if b, err := os.ReadFile(next); x.last != nil && (err != nil || !bytes.Equal(b, x.last)) {
			t.Errorf("%s: the last file was changed (%v)", x.what, err)
		}
	}
}
