package feed

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salus/hl7"
)

var testKey = [32]byte{1, 2, 3}

func clock() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// world is what Apply and Merge did, and what they are told to answer.
type world struct {
	applied, merged, unmerged []string
	fail                      error
}

func (w *world) apply(_ context.Context, m Message) error {
	if w.fail != nil {
		return w.fail
	}
	w.applied = append(w.applied, m.Parsed.ControlID())
	return nil
}

func (w *world) Merge(_ context.Context, l Link) error {
	w.merged = append(w.merged, l.Survivor.Value+"<"+l.Replaced.Value)
	return nil
}

func (w *world) Unmerge(_ context.Context, l Link) error {
	w.unmerged = append(w.unmerged, l.Survivor.Value+"|"+l.Replaced.Value)
	return nil
}

func logger(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func open(t testing.TB, dir string, w *world) *Inbound {
	t.Helper()
	f, err := Open(Config{Dir: dir, Key: testKey, Apply: w.apply, Merge: w, Accepts: hl7.Accepts{Processing: "PT"}, Now: clock, Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func adt(event, id, more string) []byte {
	return []byte(strings.ReplaceAll("MSH|^~\\&|APP|FAC|SALUS|NODE|20260102||ADT^"+event+"|"+id+"|P|2.5.1\nPID|1||S1^^^FAC^MR||Example^Ann"+more+"\n", "\n", "\r"))
}

func code(t testing.TB, answer []byte, err error) string {
	t.Helper()
	if err != nil {
		return "none"
	}
	m, err := hl7.Parse(answer)
	if err != nil {
		t.Fatalf("the answer is no message: %v", err)
	}
	s := m.Get("MSA-1").Plain()
	if e := m.Get("ERR-3.1").Plain(); e != "" {
		s += " " + e
	}
	return s
}

func TestAckOnlyAfterApply(t *testing.T) {
	w := &world{fail: errors.New("store is away")}
	f := open(t, t.TempDir(), w)
	raw := adt("A01", "1", "")
	a, err := f.Handle(t.Context(), raw)
	if got := code(t, a, err); got != "none" {
		t.Errorf("got %s, want no answer", got)
	}
	w.fail = nil
	a, err = f.Handle(t.Context(), adt("A01", "2", ""))
	if got := code(t, a, err); got != "AA" || strings.Join(w.applied, " ") != "1 2" {
		t.Errorf("got %s, applied %v, want the earlier message first", got, w.applied)
	}
	a, err = f.Handle(t.Context(), raw)
	if got := code(t, a, err); got != "AA" || len(w.applied) != 2 {
		t.Errorf("resent: got %s, applied %v", got, w.applied)
	}
}

func TestSameMessageSameAnswerOneEffect(t *testing.T) {
	w, dir := &world{}, t.TempDir()
	f := open(t, dir, w)
	raw := adt("A01", "1", "")
	a, err := f.Handle(t.Context(), raw)
	if code(t, a, err) != "AA" {
		t.Fatal(err)
	}
	b, err := f.Handle(t.Context(), raw)
	if err != nil || !bytes.Equal(a, b) || len(w.applied) != 1 {
		t.Errorf("got %q, applied %v", b, w.applied)
	}
	other := adt("A01", "1", "|other")
	for range 2 {
		c, err := f.Handle(t.Context(), other)
		if got := code(t, c, err); got != "AE 205" || len(w.applied) != 1 {
			t.Errorf("other bytes: got %s, applied %v", got, w.applied)
		}
	}
	if l := f.Letters(); len(l) != 1 || l[0].Reason != "feed-conflict" {
		t.Errorf("got %+v", l)
	}
	_ = f.Close()
	f = open(t, dir, w)
	c, err := f.Handle(t.Context(), raw)
	if err != nil || !bytes.Equal(a, c) || len(w.applied) != 1 {
		t.Errorf("after a restart: got %q %v, applied %v", c, err, w.applied)
	}
}

func TestRefusals(t *testing.T) {
	f := open(t, t.TempDir(), &world{})
	for in, want := range map[string]string{
		string(adt("A99", "1", "")):                                         "AR 201",
		strings.Replace(string(adt("A01", "2", "")), "ADT^A01", "", 1):      "AR 200",
		strings.Replace(string(adt("A01", "3", "")), "2.5.1", "2.9", 1):     "AR 203",
		strings.Replace(string(adt("A01", "4", "")), "|P|", "|D|", 1):       "AR 202",
		"MSH|^~\\&|A|B|C|D|2026||ADT^A01|5|P|2.5.1\rnot a segment at all\r": "AR 100",
		"no message":                "AR",
		string(adt("A40", "6", "")): "AE 100",
	} {
		a, err := f.Handle(t.Context(), []byte(in))
		if got := code(t, a, err); !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s, want %s", in[:min(len(in), 60)], got, want)
		}
		if bytes.Contains(a, []byte("Example")) {
			t.Error("an answer holds what the message said")
		}
	}
	if got := len(f.Letters()); got != 7 {
		t.Errorf("got %d dead letters, want 7", got)
	}
}

func TestDeadLettersAreReplayedAndDiscarded(t *testing.T) {
	w, dir := &world{fail: &Rejection{Code: "map-missing", Condition: hl7.TableValue}}, t.TempDir()
	f := open(t, dir, w)
	for _, id := range []string{"1", "2"} {
		a, err := f.Handle(t.Context(), adt("A01", id, ""))
		if got := code(t, a, err); got != "AE 103" {
			t.Errorf("got %s", got)
		}
	}
	l := f.Letters()
	if len(l) != 2 || l[0].Reason != "map-missing" {
		t.Fatalf("got %+v", l)
	}
	var r *Rejection
	if err := f.Replay(t.Context(), l[0].Number); !errors.As(err, &r) {
		t.Errorf("got %v, want a rejection", err)
	}
	w.fail = nil
	if err := f.Replay(t.Context(), l[0].Number); err != nil || len(w.applied) != 1 {
		t.Errorf("got %v, applied %v", err, w.applied)
	}
	if err := f.Replay(t.Context(), l[0].Number); !errors.Is(err, ErrUnknown) || len(w.applied) != 1 {
		t.Errorf("replayed twice: got %v, applied %v", err, w.applied)
	}
	if err := f.Discard(l[1].Number); err != nil {
		t.Error(err)
	}
	_ = f.Close()
	f = open(t, dir, w)
	if got := f.Letters(); len(got) != 0 {
		t.Errorf("after a restart: got %+v", got)
	}
	if raw, err := f.Read(l[1].Number); err != nil || !bytes.Equal(raw, adt("A01", "2", "")) {
		t.Errorf("a discarded message is gone: %v", err)
	}
	a, err := f.Handle(t.Context(), adt("A01", "1", ""))
	if got := code(t, a, err); got != "AA" || len(w.applied) != 1 {
		t.Errorf("resent after replay: got %s, applied %v", got, w.applied)
	}
}

func TestMergeAndUndo(t *testing.T) {
	w := &world{}
	f := open(t, t.TempDir(), w)
	a, err := f.Handle(t.Context(), adt("A40", "1", "\nMRG|S2^^^FAC^MR"))
	if got := code(t, a, err); got != "AA" || len(w.merged) != 1 || w.merged[0] != "S1<S2" {
		t.Errorf("got %s %v", got, w.merged)
	}
	a, err = f.Handle(t.Context(), adt("A37", "2", "\nPID|2||S2^^^FAC^MR"))
	if got := code(t, a, err); got != "AA" || len(w.unmerged) != 1 || w.unmerged[0] != "S1|S2" {
		t.Errorf("got %s %v", got, w.unmerged)
	}
	a, err = f.Handle(t.Context(), adt("A40", "3", "\nMRG|S1^^^FAC^MR"))
	if got := code(t, a, err); got != "AE 101" || len(w.merged) != 1 {
		t.Errorf("a patient is merged with itself: %s", got)
	}
	none, err := Open(Config{Dir: t.TempDir(), Apply: w.apply, Now: clock, Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	a, err = none.Handle(t.Context(), adt("A40", "1", "\nMRG|S2^^^FAC^MR"))
	if got := code(t, a, err); got != "AR 201" {
		t.Errorf("without a merger: got %s", got)
	}
}

func TestEnhancedMode(t *testing.T) {
	for in, want := range map[string]string{"AL|": "CA", "AL|NE": "CA", "NE|AL": "AA", "NE|NE": "", "ER|": "", "|AL": "AA", "AL|AL": "CA +AA", "SU|SU": "CA +AA", "|ER": ""} {
		var other []byte
		f, err := Open(Config{Dir: t.TempDir(), Apply: (&world{}).apply, Now: clock, Log: logger(t), Answers: func(_ context.Context, a []byte) error { other = a; return nil }})
		if err != nil {
			t.Fatal(err)
		}
		a, err := f.Handle(t.Context(), []byte(strings.Replace(string(adt("A01", "1", "")), "|P|2.5.1", "|P|2.5.1|||"+in, 1)))
		got := ""
		if a != nil || err != nil {
			got = code(t, a, err)
		}
		if other != nil {
			got += " +" + code(t, other, nil)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
		_ = f.Close()
	}
	f := open(t, t.TempDir(), &world{fail: errors.New("away")})
	a, err := f.Handle(t.Context(), []byte(strings.Replace(string(adt("A01", "1", "")), "|P|2.5.1", "|P|2.5.1|||AL|NE", 1)))
	if got := code(t, a, err); got != "CA" {
		t.Errorf("stored and not yet applied: got %s, want CA", got)
	}
	a, err = f.Handle(t.Context(), []byte(strings.Replace(string(adt("A99", "2", "")), "|P|2.5.1", "|P|2.5.1|||AL|NE", 1)))
	if got := code(t, a, err); got != "CA" {
		t.Errorf("behind a pending message: got %s, want CA", got)
	}
}

// A journal cut at any byte opens, with every message that was answered done and
// the last one, if it was cut, pending or unknown; a resent message is done.
func TestCutAtEveryByte(t *testing.T) {
	dir, w := t.TempDir(), &world{}
	f := open(t, dir, w)
	a, b := adt("A01", "1", ""), adt("A40", "2", "\nMRG|S2^^^FAC^MR")
	for _, raw := range [][]byte{a, b} {
		if _, err := f.Handle(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	_ = f.Close()
	whole, err := os.ReadFile(filepath.Join(dir, "inbound.journal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"Example", "S1^^^FAC"} {
		if bytes.Contains(whole, []byte(s)) {
			t.Fatal("the journal is not sealed")
		}
	}
	for n := range len(whole) + 1 {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "inbound.journal"), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		w := &world{}
		f := open(t, dir, w)
		for _, raw := range [][]byte{a, b} {
			if got, err := f.Handle(t.Context(), raw); code(t, got, err) != "AA" {
				t.Fatalf("cut at %d: not answered: %v", n, err)
			}
		}
		if n == len(whole) && len(w.applied) != 0 {
			t.Errorf("nothing was lost and something was done again: %v", w.applied)
		}
		for i, id := range w.applied {
			if i > 0 && w.applied[i-1] >= id {
				t.Errorf("cut at %d: applied %v", n, w.applied)
			}
		}
		_ = f.Close()
	}
}

func TestJournalRefusesAnotherKeyAndChanges(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, &world{})
	_, _ = f.Handle(t.Context(), adt("A01", "1", ""))
	_ = f.Close()
	w := &world{}
	if _, err := Open(Config{Dir: dir, Key: [32]byte{9}, Apply: w.apply, Now: clock, Log: logger(t)}); !errors.Is(err, ErrKey) {
		t.Errorf("got %v, want ErrKey", err)
	}
	name := filepath.Join(dir, "inbound.journal")
	b, _ := os.ReadFile(name)
	b[len(b)/2] ^= 1
	_ = os.WriteFile(name, b, 0o600)
	if _, err := Open(Config{Dir: dir, Key: testKey, Apply: w.apply, Now: clock, Log: logger(t)}); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
}

func TestAFailedDiskAnswersNothing(t *testing.T) {
	w := &world{}
	f := open(t, t.TempDir(), w)
	_ = f.j.f.Close()
	for _, raw := range [][]byte{adt("A01", "1", ""), adt("A01", "2", "")} {
		if a, err := f.Handle(t.Context(), raw); a != nil || !errors.Is(err, ErrFailed) || len(w.applied) != 0 {
			t.Errorf("got %q %v, applied %v", a, err, w.applied)
		}
	}
}

func TestHashesAreOfTheBytesReceived(t *testing.T) {
	f := open(t, t.TempDir(), &world{})
	for _, id := range []string{"1", "2", "3"} {
		_, _ = f.Handle(t.Context(), adt("A01", id, ""))
	}
	var last uint64
	n := 0
	for i, h := range f.Hashes(0) {
		m, err := f.Read(i)
		if err != nil || i <= last || h == [32]byte{} || len(m) == 0 {
			t.Errorf("got %d %v", i, err)
		}
		last, n = i, n+1
	}
	if n != 3 {
		t.Errorf("got %d", n)
	}
	for range f.Hashes(last) {
		t.Error("there is one after the last")
	}
}

func FuzzJournal(f *testing.F) {
	dir := f.TempDir()
	in := open(f, dir, &world{})
	_, _ = in.Handle(context.Background(), adt("A01", "1", ""))
	_ = in.Close()
	b, _ := os.ReadFile(filepath.Join(dir, "inbound.journal"))
	f.Add(b)
	f.Add(append(bytes.Clone(b), 0, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		_ = os.WriteFile(filepath.Join(dir, "inbound.journal"), data, 0o600)
		w := &world{}
		g, err := Open(Config{Dir: dir, Key: testKey, Apply: w.apply, Now: clock, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			_ = g.Close()
		}
	})
}

func TestOnlyTheTypesThatAreTakenAreApplied(t *testing.T) {
	w := &world{}
	var told []Outcome
	f, err := Open(Config{
		Dir: t.TempDir(), Apply: w.apply, Now: clock, Log: logger(t), Takes: func(code, event string) bool { return code == "ORU" || event == "A01" },
		Settled: func(_ context.Context, o Outcome) error { told = append(told, o); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in, want := range map[string]string{string(adt("A01", "1", "")): "AA", string(adt("A08", "2", "")): "AR 201", strings.Replace(string(adt("A01", "3", "")), "ADT^A01", "ORU", 1): "AA"} {
		a, err := f.Handle(t.Context(), []byte(in))
		if got := code(t, a, err); got != want {
			t.Errorf("%q: got %s, want %s", in[:40], got, want)
		}
	}
	_, _ = f.Handle(t.Context(), adt("A01", "1", ""))
	if got, want := f.Stats(), (Stats{Received: 3, Applied: 2, Again: 1, Letters: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if len(told) != 3 {
		t.Errorf("told of %d outcomes, want 3: not of one that came again", len(told))
	}
}

func TestWhatCannotBeToldIsNotAnswered(t *testing.T) {
	w := &world{}
	away := errors.New("the log is away")
	f, err := Open(Config{Dir: t.TempDir(), Apply: w.apply, Now: clock, Log: logger(t), Settled: func(context.Context, Outcome) error { return away }})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := f.Handle(t.Context(), adt("A01", "1", ""))
	if got := code(t, a, err); got != "none" || f.Stats().Pending != 1 || f.Stats().Oldest != clock() {
		t.Errorf("got %s, %+v", got, f.Stats())
	}
	away = nil
	if err := f.Retry(t.Context()); err != nil || f.Stats().Applied != 1 {
		t.Errorf("got %v, %+v", err, f.Stats())
	}
}

func TestOriginalModeAnswersOnce(t *testing.T) {
	f, err := Open(Config{
		Dir: t.TempDir(), Apply: (&world{}).apply, Now: clock, Log: logger(t), Original: true,
		Answers: func(context.Context, []byte) error { t.Error("an answer goes another way"); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := f.Handle(t.Context(), []byte(strings.Replace(string(adt("A01", "1", "")), "|P|2.5.1", "|P|2.5.1|||AL|AL", 1)))
	if got := code(t, a, err); got != "AA" {
		t.Errorf("got %s, want AA", got)
	}
}

func TestAMessageThatBlocksIsSetAside(t *testing.T) {
	w := &world{fail: errors.New("never")}
	f := open(t, t.TempDir(), w)
	for _, id := range []string{"1", "2"} {
		if a, err := f.Handle(t.Context(), adt("A01", id, "")); code(t, a, err) != "none" {
			t.Fatal("it is answered")
		}
	}
	first := f.Stats().First
	if err := f.SetAside(t.Context(), first+1); !errors.Is(err, ErrUnknown) {
		t.Errorf("not the first: got %v", err)
	}
	w.fail = nil
	if err := f.SetAside(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := f.Retry(t.Context()); err != nil || strings.Join(w.applied, " ") != "2" {
		t.Errorf("got %v, applied %v", err, w.applied)
	}
	if a, err := f.Handle(t.Context(), adt("A01", "1", "")); code(t, a, err) != "AE 207" {
		t.Errorf("its sender gets %s", code(t, a, err))
	}
	if l := f.Letters(); len(l) != 1 || l[0].Reason != "feed-set-aside" {
		t.Errorf("got %+v", l)
	}
	if err := f.Replay(t.Context(), first); err != nil || strings.Join(w.applied, " ") != "2 1" {
		t.Errorf("got %v, applied %v", err, w.applied)
	}
	if err := f.SetAside(t.Context(), first); !errors.Is(err, ErrUnknown) {
		t.Errorf("nothing is pending: got %v", err)
	}
}

func TestCheckFindsDamageAndChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if n, err := Check(dir, testKey); n != 0 || err != nil {
		t.Errorf("no journal: got %d, %v", n, err)
	}
	f := open(t, dir, &world{})
	for _, id := range []string{"1", "2"} {
		_, _ = f.Handle(t.Context(), adt("A01", id, ""))
	}
	_ = f.Close()
	if n, err := Check(dir, testKey); n != 2 || err != nil {
		t.Errorf("got %d, %v, want 2 messages", n, err)
	}
	if _, err := Check(dir, [32]byte{9}); !errors.Is(err, ErrKey) {
		t.Errorf("another key: got %v", err)
	}
	path := filepath.Join(dir, inboundJournal)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := whole[:len(whole)-5]
	if err := os.WriteFile(path, cut, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(dir, testKey); err != nil {
		t.Errorf("cut within a record: got %v", err)
	}
	if left, _ := os.ReadFile(path); !bytes.Equal(left, cut) {
		t.Error("the check changed the journal")
	}
	whole[len(whole)/2] ^= 1
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(dir, testKey); !errors.Is(err, ErrDamaged) {
		t.Errorf("a changed byte: got %v", err)
	}
}
